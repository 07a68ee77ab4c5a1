//! Whether what an advisory asks for besides the version holds, as far as a
//! lockfile tells.

use super::Question;
use crate::advisory::{Advisory, Condition};
use crate::lockfile::LockedGem;
use crate::ruby::RubyVersion;
use crate::version::GemVersion;

/// Whether a leak applies. The order is from the most certain that it does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holds {
    /// It does.
    Yes,
    /// It does if all of these hold, which the lockfile does not tell.
    Provided(Vec<String>),
    /// It does not, and why.
    No(String),
}

/// Where something runs.
pub(super) struct Here<'a> {
    question: Question<'a>,
    /// The platform that the gem was built for.
    platform: Option<&'a str>,
}

impl<'a> Here<'a> {
    pub(super) fn of_gem(question: &Question<'a>, gem: &'a LockedGem) -> Here<'a> {
        Here {
            question: *question,
            platform: gem.platform.as_deref(),
        }
    }

    pub(super) fn of_ruby(question: &Question<'a>) -> Here<'a> {
        Here {
            question: *question,
            platform: None,
        }
    }

    /// All conditions of `advisory` together.
    pub(super) fn applies(&self, advisory: &Advisory) -> Holds {
        let mut provided = Vec::new();
        for condition in &advisory.conditions {
            match self.holds(condition) {
                Holds::Yes => {}
                Holds::Provided(conditions) => provided.extend(conditions),
                no @ Holds::No(_) => return no,
            }
        }
        if provided.is_empty() {
            Holds::Yes
        } else {
            Holds::Provided(provided)
        }
    }

    fn holds(&self, condition: &Condition) -> Holds {
        let provided = |text: String| Holds::Provided(vec![text]);
        match condition {
            Condition::Ruby(wanted) => match self.ruby().and_then(|ruby| ruby.version.as_ref()) {
                None => provided(format!("Ruby is {wanted}")),
                Some(version) if wanted.allows(version) => Holds::Yes,
                Some(version) => Holds::No(format!("Ruby is {version}, not {wanted}")),
            },
            Condition::Engine(wanted) => match self.engine() {
                None => provided(format!("it runs on {wanted}")),
                Some(engine) if engine == wanted => Holds::Yes,
                Some(engine) => Holds::No(format!("it runs on {engine}, not {wanted}")),
            },
            Condition::Gem { name, requirement } => {
                let gems = &self.question.lockfile.gems;
                let mut named = gems.iter().filter(|gem| gem.name == *name).peekable();
                match named.peek() {
                    None => Holds::No(format!("{name} is not in the lockfile")),
                    Some(first) => {
                        let version = first.version.clone();
                        if named.any(|gem| requirement.allows(&gem.version)) {
                            Holds::Yes
                        } else {
                            Holds::No(format!("{name} is {version}, not {requirement}"))
                        }
                    }
                }
            }
            Condition::Library(text) => provided(format!("built against {text}")),
            Condition::SystemLibrary(text) => match self.platform {
                Some(platform) => Holds::No(format!(
                    "the gem built for {platform} brings its own library, it needs the system's {text}"
                )),
                None => provided(format!("built against the system's {text}")),
            },
            Condition::Yjit => self.yjit(),
            Condition::Setting(text) => provided(text.clone()),
            Condition::WordSize(bits) => self.word_size(*bits),
        }
    }

    fn ruby(&self) -> Option<&'a RubyVersion> {
        self.question.ruby.map(|(ruby, _)| ruby)
    }

    /// The engine: that of the gem's platform, of the Ruby that is known, or
    /// else what the platforms of the lockfile leave over. CRuby is assumed of
    /// platforms that CRuby and TruffleRuby share.
    fn engine(&self) -> Option<&'a str> {
        let is_java = |platform: &str| platform.contains("java");
        if self.platform.is_some_and(is_java) {
            return Some("jruby");
        }
        if let Some(ruby) = self.ruby() {
            return Some(&ruby.engine);
        }
        let platforms = &self.question.lockfile.platforms;
        match platforms
            .iter()
            .filter(|platform| is_java(platform))
            .count()
        {
            0 => Some("ruby"),
            java if java == platforms.len() => Some("jruby"),
            _ => None,
        }
    }

    fn yjit(&self) -> Holds {
        if let Some(engine) = self.engine()
            && engine != "ruby"
        {
            return Holds::No(format!("{engine} has no YJIT"));
        }
        match self.ruby().and_then(|ruby| ruby.version.as_ref()) {
            // YJIT came with 3.1.
            Some(version) if *version < GemVersion::of_numbers(&[3, 1]) => {
                Holds::No(format!("Ruby {version} has no YJIT"))
            }
            _ => Holds::Provided(vec!["YJIT is on".to_owned()]),
        }
    }

    fn word_size(&self, bits: u8) -> Holds {
        let of = |platform: &str| match platform.split('-').next().unwrap_or("") {
            "x86_64" | "x64" | "arm64" | "aarch64" | "ppc64" | "powerpc64" | "powerpc64le"
            | "ppc64le" | "s390x" | "riscv64" => Some(64),
            "x86" | "i386" | "i486" | "i586" | "i686" | "arm" | "armv7l" | "armv6l" => Some(32),
            _ => None,
        };
        let platforms: Vec<&str> = match self.platform {
            Some(platform) => vec![platform],
            None => self
                .question
                .lockfile
                .platforms
                .iter()
                .map(String::as_str)
                .collect(),
        };
        let sizes: Option<Vec<u8>> = platforms.iter().map(|platform| of(platform)).collect();
        match sizes {
            Some(sizes) if !sizes.is_empty() && sizes.iter().all(|size| *size != bits) => {
                Holds::No(format!("no platform is of {bits} bits"))
            }
            Some(sizes) if !sizes.is_empty() && sizes.iter().all(|size| *size == bits) => {
                Holds::Yes
            }
            _ => Holds::Provided(vec![format!("the processor is of {bits} bits")]),
        }
    }
}
