//! Versions of gems, by RubyGems' rules exactly.
//!
//! Numbers are unbounded; letters make a pre-release; `-` reads as `.pre.`;
//! zeros at the end of the numbers, and at the end of what follows the first
//! letter, do not count. Source: `Gem::Version` of RubyGems 3.3.3 to 4.0.10,
//! which all agree. Must not know what versions are used for.

mod segment;

pub use segment::Segment;

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// A version such as `3.14.2`, `1.0.0.rc1` or `0`.
///
/// Two versions are equal if they are of one rank (`1.0` and `1`), even where
/// they are written differently.
#[derive(Clone, Debug)]
pub struct GemVersion {
    /// As RubyGems prints it.
    text: Box<str>,
    /// Without the zeros that do not count.
    canonical: Box<[Segment]>,
}

/// A text that RubyGems refuses as a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no version")]
pub struct VersionError(pub String);

impl GemVersion {
    /// The version as RubyGems prints it: without spaces around, `-` as `.pre.`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Numbers and runs of letters in the order in which they are written.
    pub fn segments(&self) -> Vec<Segment> {
        segments(&self.text)
    }

    /// Whether there is a letter in it.
    pub fn is_prerelease(&self) -> bool {
        self.text.bytes().any(|b| b.is_ascii_alphabetic())
    }

    /// The version without its pre-release part: `1.2.0` for `1.2.0.rc1`.
    pub fn release(&self) -> GemVersion {
        if self.is_prerelease() {
            GemVersion::of_segments(self.leading_numbers())
        } else {
            self.clone()
        }
    }

    /// The first version that `~>` of this one excludes: `1.3` for `1.2.5`.
    pub fn bump(&self) -> GemVersion {
        let mut numbers = self.leading_numbers();
        if numbers.len() > 1 {
            numbers.pop();
        }
        if let Some(last) = numbers.last_mut() {
            *last = last.successor();
        }
        GemVersion::of_segments(numbers)
    }

    /// The requirement that RubyGems recommends to depend on this version with.
    pub fn approximate_recommendation(&self) -> String {
        let mut numbers = self.leading_numbers();
        numbers.truncate(2);
        while numbers.len() < 2 {
            numbers.push(Segment::ZERO);
        }
        let suffix = if self.is_prerelease() { ".a" } else { "" };
        format!("~> {}{suffix}", joined(&numbers))
    }

    /// The version zero, which RubyGems also reads from an empty text.
    pub fn zero() -> GemVersion {
        GemVersion::of_segments(vec![Segment::ZERO])
    }

    /// A version of these numbers, one at least: `3.1`.
    pub(crate) fn of_numbers(numbers: &[u64]) -> GemVersion {
        GemVersion::of_segments(numbers.iter().copied().map(Segment::Number).collect())
    }

    /// The numbers before the first letter; a valid version has one at least.
    fn leading_numbers(&self) -> Vec<Segment> {
        let mut all = self.segments();
        let end = all.iter().position(Segment::is_word).unwrap_or(all.len());
        all.truncate(end);
        all
    }

    fn of_segments(segments: Vec<Segment>) -> GemVersion {
        GemVersion {
            text: joined(&segments).into(),
            canonical: canonical(segments),
        }
    }
}

impl FromStr for GemVersion {
    type Err = VersionError;

    fn from_str(given: &str) -> Result<GemVersion, VersionError> {
        let trimmed = given.trim_matches(is_ruby_space);
        if trimmed.is_empty() {
            return Ok(GemVersion::zero());
        }
        if !is_version(trimmed) {
            return Err(VersionError(given.to_owned()));
        }
        let text = match trimmed.contains('-') {
            true => trimmed.replace('-', ".pre."),
            false => trimmed.to_owned(),
        };
        Ok(GemVersion {
            canonical: canonical(segments(&text)),
            text: text.into(),
        })
    }
}

/// What Ruby's `\s` matches.
pub(crate) fn is_ruby_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\x0b' | '\x0c')
}

/// Whether `text` is `[0-9]+(\.[0-9a-zA-Z]+)*(-[0-9A-Za-z-]+(\.[0-9A-Za-z-]+)*)?`.
fn is_version(text: &str) -> bool {
    let (main, suffix) = match text.split_once('-') {
        Some((main, suffix)) => (main, Some(suffix)),
        None => (text, None),
    };
    let mut parts = main.split('.');
    let first = parts.next().unwrap_or("");
    let all = |part: &str, allowed: fn(u8) -> bool| !part.is_empty() && part.bytes().all(allowed);
    all(first, |b| b.is_ascii_digit())
        && parts.all(|part| all(part, |b| b.is_ascii_alphanumeric()))
        && suffix.is_none_or(|suffix| {
            suffix
                .split('.')
                .all(|part| all(part, |b| b.is_ascii_alphanumeric() || b == b'-'))
        })
}

/// Runs of digits and runs of letters; all else parts them.
fn segments(text: &str) -> Vec<Segment> {
    let bytes = text.as_bytes();
    let mut found = Vec::with_capacity(4);
    let mut at = 0;
    while at < bytes.len() {
        let kind: fn(&u8) -> bool = match bytes[at] {
            b if b.is_ascii_digit() => u8::is_ascii_digit,
            b if b.is_ascii_alphabetic() => u8::is_ascii_alphabetic,
            _ => {
                at += 1;
                continue;
            }
        };
        let end = at + bytes[at..].iter().take_while(|b| kind(b)).count();
        found.push(Segment::new(&text[at..end]));
        at = end;
    }
    found
}

/// Drops the zeros that do not count: those at the end of the numbers before
/// the first word, and those at the very end.
fn canonical(mut all: Vec<Segment>) -> Box<[Segment]> {
    while all.last().is_some_and(Segment::is_zero) {
        all.pop();
    }
    if let Some(word) = all.iter().position(Segment::is_word) {
        let zeros = all[..word]
            .iter()
            .rev()
            .take_while(|segment| segment.is_zero())
            .count();
        all.drain(word - zeros..word);
    }
    all.into_boxed_slice()
}

fn joined(segments: &[Segment]) -> String {
    let mut text = String::new();
    for segment in segments {
        if !text.is_empty() {
            text.push('.');
        }
        text.push_str(&segment.to_string());
    }
    text
}

impl Ord for GemVersion {
    fn cmp(&self, other: &GemVersion) -> Ordering {
        let (left, right) = (&self.canonical, &other.canonical);
        let longest = left.len().max(right.len());
        // The shorter one goes on with zeros, which rank above words.
        (0..longest)
            .map(|at| {
                let left = left.get(at).unwrap_or(&Segment::ZERO);
                left.cmp(right.get(at).unwrap_or(&Segment::ZERO))
            })
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for GemVersion {
    fn partial_cmp(&self, other: &GemVersion) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for GemVersion {
    fn eq(&self, other: &GemVersion) -> bool {
        self.canonical == other.canonical
    }
}

impl Eq for GemVersion {}

impl Hash for GemVersion {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.canonical.hash(state);
    }
}

impl fmt::Display for GemVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> GemVersion {
        text.parse().unwrap()
    }

    #[test]
    fn zeros_that_do_not_count_make_no_difference() {
        assert_eq!(version("1.0.0"), version("1"));
        assert_eq!(version("1.0.a"), version("1.a"));
        assert_eq!(version("1.a.0"), version("1.a"));
        assert_eq!(version("01.0"), version("1"));
        assert_ne!(version("1.0.1"), version("1.1"));
        assert_eq!(version("0"), version("0.0"));
    }

    #[test]
    fn numbers_have_no_bound() {
        let huge = "9".repeat(400);
        let next = version(&format!("1.{huge}.0")).bump();
        assert_eq!(next.as_str(), format!("1.1{}", "0".repeat(400)));
        assert!(version(&huge) < version(&format!("{huge}0")));
        assert!(version("18446744073709551615") < version("18446744073709551616"));
    }

    #[test]
    fn a_pre_release_ranks_below_its_release() {
        assert!(version("1.0.rc1") < version("1.0"));
        assert!(version("1.0-rc1") < version("1.0"));
        assert!(version("1.0.Z") < version("1.0.a"));
        assert!(version("1.0.b10") > version("1.0.b9"));
        assert_eq!(version("1.0-rc1").as_str(), "1.0.pre.rc1");
    }

    #[test]
    fn what_is_no_version_is_refused() {
        for text in [
            "a", "1..0", "1.", ".1", "+1", "1.0 2", "1.x*", "１.0", "1\u{a0}",
        ] {
            assert!(text.parse::<GemVersion>().is_err(), "{text}");
        }
        assert_eq!(version(" \n"), GemVersion::zero());
    }
}
