//! Advisories: which versions of a gem or a Ruby leak, when, and since when
//! they do not.

mod check;
mod foreign;
mod record;

pub(crate) use record::parse_yaml;
pub use record::{Record, RecordError};

use crate::requirement::Requirement;
use crate::version::GemVersion;

/// One known leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Advisory {
    /// Unique within its subject: `oj-1027`.
    pub id: String,
    /// What leaks.
    pub subject: Subject,
    /// The leak in one line.
    pub title: String,
    /// Where it is told in full.
    pub url: String,
    /// Versions that leak: one of these is satisfied, and none of `fixed`.
    pub affected: Vec<Requirement>,
    /// Versions that leak no longer; empty where no release is known.
    pub fixed: Vec<Requirement>,
    /// What has to hold besides; all of them.
    pub conditions: Vec<Condition>,
    /// What it is that leaks; `None` where the database does not say.
    pub nature: Option<Nature>,
    /// A paragraph.
    pub description: String,
    /// What a program does to make it leak.
    pub trigger: Option<String>,
    /// How sure it is that the versions are right.
    pub certainty: Certainty,
    /// What that rests on.
    pub evidence: Option<String>,
    /// What was measured by running it.
    pub measured: Option<Measured>,
}

/// What an advisory is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A gem, by name.
    Gem(String),
    /// A Ruby, by engine: `ruby`, `jruby`.
    Ruby(String),
}

impl Subject {
    /// The gem's name or the engine's.
    pub fn name(&self) -> &str {
        match self {
            Subject::Gem(name) | Subject::Ruby(name) => name,
        }
    }
}

/// What it is that leaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Memory behind `malloc` that nothing frees.
    Native,
    /// Threads that end late or never, or what is kept of them.
    Threads,
    /// File descriptors, sockets.
    Descriptors,
    /// A cache or buffer without bound.
    UnboundedCache,
    /// Ruby objects that something forgets to let go.
    Retention,
    /// Memory of another process, such as Redis.
    ExternalStore,
}

/// How sure it is that the versions are right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Certainty {
    /// Reported, not confirmed.
    Low,
    /// Told by the project, with one end inferred or a cause not understood.
    Medium,
    /// Told by the project's change log or commits, or measured.
    High,
}

/// What has to hold for a leak besides the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The version of the language.
    Ruby(Requirement),
    /// The engine: `ruby`, `jruby`.
    Engine(String),
    /// Another gem in the bundle.
    Gem {
        /// Its name.
        name: String,
        /// The versions.
        requirement: Requirement,
    },
    /// A library that the gem is built against, as text: `libxml2 >= 2.13`.
    Library(String),
    /// As `Library`, but the system's: gems that come compiled for a platform
    /// bring their own.
    SystemLibrary(String),
    /// YJIT is switched on.
    Yjit,
    /// A setting, as text: `Regexp.timeout is set`.
    Setting(String),
    /// The processor's word: `32-bit`.
    WordSize(u8),
}

/// What a run of the real gem or Ruby showed.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// The version that ran.
    pub version: String,
    /// The Ruby that ran it.
    pub ruby: String,
    /// Bytes that each call leaves behind.
    pub bytes_per_call: f64,
    /// What one call is.
    pub call: String,
}

impl Advisory {
    /// Whether this version leaks, the conditions left aside.
    pub fn affects(&self, version: &GemVersion) -> bool {
        self.affected.iter().any(|range| range.allows(version)) && !self.fixes(version)
    }

    /// Whether this version is known to leak no longer.
    pub fn fixes(&self, version: &GemVersion) -> bool {
        self.fixed.iter().any(|range| range.allows(version))
    }
}
