//! Which Ruby runs: its version, and its engine where it is not CRuby.

use crate::version::GemVersion;
use std::fmt;

/// `3.1.7`, or JRuby 9.4.5.0, which speaks Ruby 3.1.4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RubyVersion {
    /// `ruby` (CRuby), `jruby`, `truffleruby`, …
    pub engine: String,
    /// The version of the language; `None` where only the engine's is known.
    pub version: Option<GemVersion>,
    /// The version of an engine other than CRuby.
    pub engine_version: Option<GemVersion>,
}

/// A text that names no Ruby.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names no Ruby such as 'ruby 3.1.7p261' or 'ruby 3.1.4 (jruby 9.4.5.0)'")]
pub struct RubyVersionError(pub String);

impl RubyVersion {
    /// CRuby of this version.
    pub fn cruby(version: GemVersion) -> RubyVersion {
        RubyVersion {
            engine: "ruby".to_owned(),
            version: Some(version),
            engine_version: None,
        }
    }

    /// Whether this is CRuby.
    pub fn is_cruby(&self) -> bool {
        self.engine == "ruby"
    }

    /// What advisories about an engine speak of: the engine's own version.
    pub fn own_version(&self) -> Option<&GemVersion> {
        if self.is_cruby() {
            self.version.as_ref()
        } else {
            self.engine_version.as_ref()
        }
    }

    /// Reads the line below `RUBY VERSION`: `ruby 3.1.7p261`,
    /// `ruby 2.5.7 (jruby 9.2.11.1)`.
    ///
    /// # Errors
    /// Where it is of neither form.
    pub fn of_lockfile(text: &str) -> Result<RubyVersion, RubyVersionError> {
        let refused = || RubyVersionError(text.to_owned());
        let rest = text.strip_prefix("ruby ").ok_or_else(refused)?;
        let (version, engine) = match rest.split_once(" (") {
            Some((version, engine)) => {
                let engine = engine.strip_suffix(')').ok_or_else(refused)?;
                (version, Some(engine.split_once(' ').ok_or_else(refused)?))
            }
            None => (rest, None),
        };
        let version = numbered(without_patch_level(version)).ok_or_else(refused)?;
        let Some((engine, engine_version)) = engine else {
            return Ok(RubyVersion::cruby(version));
        };
        if engine.is_empty() || engine_version.is_empty() {
            return Err(refused());
        }
        Ok(RubyVersion {
            engine: engine.to_owned(),
            version: Some(version),
            // Development builds have names that are no versions.
            engine_version: numbered(engine_version),
        })
    }

    /// Reads what people write: `3.1.7`, `ruby-3.1.7p261`, `jruby-9.4.5.0`, or
    /// the form of a lockfile.
    ///
    /// # Errors
    /// Where it is of no such form, or has fewer than three numbers: `3.1`
    /// would read as 3.1.0, which leaks more than its successors.
    pub fn of_people(text: &str) -> Result<RubyVersion, RubyVersionError> {
        let refused = || RubyVersionError(text.to_owned());
        let text = text.trim();
        if let Ok(ruby) = RubyVersion::of_lockfile(text)
            && ruby.version.as_ref().is_some_and(is_whole)
        {
            return Ok(ruby);
        }
        let (engine, version) = match text.split_once(['-', ' ']) {
            Some((engine, version)) if engine.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                (engine, version)
            }
            _ => ("ruby", text),
        };
        let version = numbered(without_patch_level(version))
            .filter(is_whole)
            .ok_or_else(refused)?;
        if engine == "ruby" {
            return Ok(RubyVersion::cruby(version));
        }
        Ok(RubyVersion {
            engine: engine.to_owned(),
            version: None,
            engine_version: Some(version),
        })
    }
}

fn is_whole(version: &GemVersion) -> bool {
    version.segments().len() >= 3
}

/// A version that is not empty, which RubyGems takes for 0.
fn numbered(text: &str) -> Option<GemVersion> {
    (!text.trim().is_empty())
        .then(|| text.parse().ok())
        .flatten()
}

/// `3.1.7` for `3.1.7p261` and `3.4.0` for `3.4.0p-1`, but `3.4.0.preview1` as
/// it is.
fn without_patch_level(text: &str) -> &str {
    match text.rsplit_once('p') {
        Some((version, level)) => {
            let digits = level.strip_prefix('-').unwrap_or(level);
            let is_level = !digits.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && version.ends_with(|c: char| c.is_ascii_digit());
            if is_level { version } else { text }
        }
        None => text,
    }
}

impl fmt::Display for RubyVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.engine)?;
        if let Some(version) = self.own_version() {
            write!(f, " {version}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lockfiles_name_rubies_in_two_forms() {
        let told = |text: &str| RubyVersion::of_lockfile(text).map(|ruby| ruby.to_string());
        assert_eq!(told("ruby 3.1.7p261"), Ok("ruby 3.1.7".into()));
        assert_eq!(told("ruby 3.4.0p-1"), Ok("ruby 3.4.0".into()));
        assert_eq!(
            told("ruby 3.4.0.preview1"),
            Ok("ruby 3.4.0.preview1".into())
        );
        assert_eq!(
            told("ruby 2.5.7p0 (jruby 9.2.11.1)"),
            Ok("jruby 9.2.11.1".into())
        );
        assert_eq!(
            told("ruby 3.2.2 (truffleruby 24.0.0-dev-a+b)"),
            Ok("truffleruby".into())
        );
        for text in [
            "",
            "3.1.7",
            "ruby",
            "ruby ",
            "ruby x",
            "ruby 3.1.7 (jruby)",
            "ruby 3.1 (j 1",
        ] {
            assert!(told(text).is_err(), "{text}");
        }
    }

    #[test]
    fn people_name_rubies_in_more() {
        let told = |text: &str| RubyVersion::of_people(text).map(|ruby| ruby.to_string());
        assert_eq!(told("3.1.7"), Ok("ruby 3.1.7".into()));
        assert_eq!(told("ruby-3.1.7p261"), Ok("ruby 3.1.7".into()));
        assert_eq!(told("jruby-9.4.5.0"), Ok("jruby 9.4.5.0".into()));
        assert_eq!(
            told("ruby 2.5.7 (jruby 9.2.11.1)"),
            Ok("jruby 9.2.11.1".into())
        );
        for text in ["", "3", "3.1", "ruby", "newest", "jruby-9", "-3.1.7"] {
            assert!(told(text).is_err(), "{text}");
        }
    }
}
