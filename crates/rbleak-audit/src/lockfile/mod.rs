//! `Gemfile.lock` and `gems.locked`: what they hold, where each gem stands in
//! them, and which gem brought which.
//!
//! Read strictly: what Bundler would overlook in silence (a heading with a
//! space behind it, a line that is indented wrong) is an error with its place
//! here, as a gem that is overlooked would pass as free of leaks.

mod error;
mod graph;
mod parse;

pub use error::{LockfileError, Problem};
pub use graph::Graph;

use crate::requirement::Requirement;
use crate::ruby::RubyVersion;
use crate::version::GemVersion;
use std::sync::Arc;

/// A lockfile.
#[derive(Clone, Debug, Default)]
pub struct Lockfile {
    /// The gems, in the order in which they are written. A gem stands here once
    /// for each of its platforms.
    pub gems: Vec<LockedGem>,
    /// Where gems come from; [`LockedGem::source`] points into it.
    pub sources: Vec<Source>,
    /// The platforms that it was resolved for.
    pub platforms: Vec<String>,
    /// What the Gemfile asks for.
    pub dependencies: Vec<Dependency>,
    /// Whether there is a `DEPENDENCIES` section at all.
    pub has_dependencies: bool,
    /// `RUBY VERSION`, and its line.
    pub ruby: Option<(RubyVersion, u32)>,
    /// `BUNDLED WITH`.
    pub bundler: Option<GemVersion>,
    /// Sections of a name that is not known, with their lines. They were
    /// skipped, as Bundler does.
    pub unknown_sections: Vec<(String, u32)>,
}

/// One gem in one version for one platform.
#[derive(Clone, Debug)]
pub struct LockedGem {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: GemVersion,
    /// `x86_64-linux`, `java`; `None` for any.
    pub platform: Option<String>,
    /// Index into [`Lockfile::sources`].
    pub source: usize,
    /// What it asks for.
    pub dependencies: Vec<Dependency>,
    /// Where it is written, from 1.
    pub line: u32,
}

/// A gem that is asked for.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// The versions that will do.
    pub requirement: Arc<Requirement>,
    /// Where it is written, from 1.
    pub line: u32,
}

/// Where gems come from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Of what kind it is.
    pub kind: SourceKind,
    /// `remote`, `revision`, `branch`, … in the order in which they are written.
    pub options: Vec<(String, String)>,
}

impl Source {
    /// The first value of an option.
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(known, _)| known == key)
            .map(|(_, value)| value.as_str())
    }
}

/// Of what kind a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// A gem server.
    Gem,
    /// A git repository: what its code is, the version does not tell.
    Git,
    /// A folder.
    Path,
    /// A plugin of Bundler.
    Plugin,
}

impl Lockfile {
    /// Reads a lockfile.
    ///
    /// # Errors
    /// What is wrong, with line and column; also where no gem is in it.
    pub fn parse(bytes: &[u8]) -> Result<Lockfile, LockfileError> {
        parse::parse(bytes)
    }

    /// Where a gem comes from.
    pub fn source_of(&self, gem: &LockedGem) -> &Source {
        &self.sources[gem.source]
    }
}
