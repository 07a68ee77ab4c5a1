//! Requirements on versions, by RubyGems' rules exactly: `~> 1.2, != 1.2.3`.
//!
//! Source: `Gem::Requirement` of RubyGems 3.3.3 to 4.0.10, which all agree.

use crate::version::{GemVersion, is_ruby_space};
use std::fmt;
use std::str::FromStr;

/// How a version is compared with a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
    /// `>`
    Greater,
    /// `<`
    Less,
    /// `>=`
    AtLeast,
    /// `<=`
    AtMost,
    /// `~>`: at least the bound, and below the bound with its last number but
    /// one raised.
    Pessimistic,
}

impl Operator {
    /// The longer ones first, as one may begin another.
    const ALL: [(&'static str, Operator); 7] = [
        ("!=", Operator::NotEqual),
        (">=", Operator::AtLeast),
        ("<=", Operator::AtMost),
        ("~>", Operator::Pessimistic),
        ("=", Operator::Equal),
        (">", Operator::Greater),
        ("<", Operator::Less),
    ];

    /// As it is written.
    pub fn as_str(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Greater => ">",
            Operator::Less => "<",
            Operator::AtLeast => ">=",
            Operator::AtMost => "<=",
            Operator::Pessimistic => "~>",
        }
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An operator and a bound: `>= 1.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Clause {
    /// How a version is compared.
    pub operator: Operator,
    /// With what.
    pub bound: GemVersion,
    /// The first version that `~>` excludes.
    ceiling: Option<GemVersion>,
}

impl Clause {
    /// Whether `version` satisfies it.
    pub fn allows(&self, version: &GemVersion) -> bool {
        match self.operator {
            Operator::Equal => *version == self.bound,
            Operator::NotEqual => *version != self.bound,
            Operator::Greater => *version > self.bound,
            Operator::Less => *version < self.bound,
            Operator::AtLeast => *version >= self.bound,
            Operator::AtMost => *version <= self.bound,
            Operator::Pessimistic => {
                *version >= self.bound
                    && self
                        .ceiling
                        .as_ref()
                        .is_some_and(|ceiling| version.release() < *ceiling)
            }
        }
    }

    fn new(operator: Operator, bound: GemVersion) -> Clause {
        Clause {
            ceiling: (operator == Operator::Pessimistic).then(|| bound.bump()),
            operator,
            bound,
        }
    }
}

impl FromStr for Clause {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Clause, RequirementError> {
        let refused = || RequirementError(text.to_owned());
        let rest = text.trim_start_matches(is_ruby_space);
        let (operator, rest) = Operator::ALL
            .iter()
            .find_map(|(word, operator)| Some((*operator, rest.strip_prefix(word)?)))
            .unwrap_or((Operator::Equal, rest));
        let bound = rest.trim_matches(is_ruby_space);
        if bound.is_empty() {
            return Err(refused());
        }
        let bound = bound.parse().map_err(|_| refused())?;
        Ok(Clause::new(operator, bound))
    }
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.operator, self.bound)
    }
}

/// Clauses of which all must be satisfied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    clauses: Vec<Clause>,
}

/// A text that RubyGems refuses as a requirement.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no requirement such as '~> 1.2' or '>= 1.0'")]
pub struct RequirementError(pub String);

impl Requirement {
    /// The requirement that every release satisfies: `>= 0`.
    pub fn any() -> Requirement {
        Requirement {
            clauses: vec![Clause::new(Operator::AtLeast, GemVersion::zero())],
        }
    }

    /// Whether `version` satisfies all clauses.
    pub fn allows(&self, version: &GemVersion) -> bool {
        self.clauses.iter().all(|clause| clause.allows(version))
    }

    /// The clauses in the order in which they were written, each text once.
    pub fn clauses(&self) -> &[Clause] {
        &self.clauses
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    /// Reads clauses parted by commas, as lockfiles and Gemfiles write them.
    /// An empty text is `>= 0`.
    fn from_str(text: &str) -> Result<Requirement, RequirementError> {
        // As Ruby's split: what is empty after the last comma does not count.
        let text = text.trim_end_matches(',');
        if text.is_empty() {
            return Ok(Requirement::any());
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut clauses = Vec::new();
        for part in text.split(',') {
            let part = part.trim_matches(is_ruby_space);
            if !seen.contains(&part) {
                seen.push(part);
                clauses.push(part.parse()?);
            }
        }
        Ok(Requirement { clauses })
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, clause) in self.clauses.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{clause}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(requirement: &str, version: &str) -> bool {
        let requirement: Requirement = requirement.parse().unwrap();
        requirement.allows(&version.parse().unwrap())
    }

    #[test]
    fn the_pessimistic_operator_lets_the_last_number_rise() {
        assert!(allows("~> 1.2", "1.9.9"));
        assert!(!allows("~> 1.2", "2.0"));
        // Its release is 2.0, which is not below 2.
        assert!(!allows("~> 1.2", "2.0.rc1"));
        assert!(allows("~> 1", "1.99"));
        assert!(!allows("~> 1", "2"));
        assert!(allows("~> 0.12.3, != 0.12.10", "0.12.11"));
        assert!(!allows("~> 0.12.3, != 0.12.10", "0.12.10.0"));
    }

    #[test]
    fn what_is_no_requirement_is_refused() {
        for text in [
            "=< 1.0",
            "banana",
            "~1.0",
            "> = 1.0",
            "^1.0",
            "=",
            ">=.5",
            ",1",
            "1, ",
            ">= 1.0 < 2.0",
            "<2||>3",
            " ",
            "'1'",
        ] {
            assert!(text.parse::<Requirement>().is_err(), "{text:?}");
        }
        assert_eq!("".parse(), Ok(Requirement::any()));
        assert_eq!(">= 0".parse(), Ok(Requirement::any()));
    }
}
