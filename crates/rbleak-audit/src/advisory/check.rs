//! What an advisory of our own must hold to, beyond being readable.

use super::{Advisory, Subject};
use crate::requirement::Operator;
use crate::version::GemVersion;

impl Advisory {
    /// What is wrong with it, a sentence each; empty where all is well.
    pub fn problems(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut demand = |holds: bool, what: &str| {
            if !holds {
                found.push(what.to_owned());
            }
        };
        demand(is_word(&self.id), "its id is no word");
        demand(is_word(self.subject.name()), "its subject is no name");
        demand(!self.title.trim().is_empty(), "it has no title");
        demand(
            !self.title.contains('\n') && self.title.len() <= 120,
            "its title is no single line of up to 120 bytes",
        );
        demand(!self.description.is_empty(), "it has no description");
        demand(
            self.url
                .strip_prefix("https://")
                .is_some_and(|rest| rest.contains('/') && !rest.contains(char::is_whitespace)),
            "its url is no https:// address of a page",
        );
        demand(!self.affected.is_empty(), "it has no affected range");
        demand(self.nature.is_some(), "it has no nature");
        demand(
            self.evidence
                .as_ref()
                .is_some_and(|text| !text.trim().is_empty()),
            "it has no evidence",
        );
        if let Some(measured) = &self.measured {
            demand(
                measured.bytes_per_call.is_finite() && measured.bytes_per_call > 0.0,
                "its bytes_per_call are no positive number",
            );
            let version = measured.version.parse::<GemVersion>();
            demand(
                version.is_ok_and(|version| self.affects(&version)),
                "it was measured on a version that it does not call leaky",
            );
            demand(
                measured.ruby.parse::<GemVersion>().is_ok(),
                "the Ruby that it was measured on is no version",
            );
            if matches!(self.subject, Subject::Ruby(_)) {
                demand(
                    measured.ruby == measured.version,
                    "a Ruby is measured on itself",
                );
            }
        }
        found.extend(self.contradictions());
        found
    }

    /// Versions that are both affected and fixed, and ranges that no version
    /// satisfies. Tried at every bound and close to both sides of it: between
    /// bounds nothing changes.
    fn contradictions(&self) -> Vec<String> {
        let all = || self.affected.iter().chain(&self.fixed);
        let probes: Vec<GemVersion> = all()
            .flat_map(|range| range.clauses())
            .flat_map(|clause| {
                let bound = clause.bound.to_string();
                let mut near = vec![
                    bound.clone(),
                    format!("{bound}.0.0.0.1"),
                    format!("{bound}.zzz"),
                ];
                if clause.operator == Operator::Pessimistic {
                    let ceiling = clause.bound.bump().to_string();
                    near.extend([ceiling.clone(), format!("{ceiling}.zzz")]);
                }
                near
            })
            .chain(["0".to_owned(), "99999".to_owned()])
            .filter_map(|text| text.parse().ok())
            .collect();
        let mut found = Vec::new();
        for range in all() {
            if !probes.iter().any(|probe| range.allows(probe)) {
                found.push(format!("no version satisfies '{range}'"));
            }
        }
        let affected = |probe: &GemVersion| self.affected.iter().any(|range| range.allows(probe));
        if let Some(both) = probes.iter().find(|p| affected(p) && self.fixes(p)) {
            found.push(format!("{both} is both affected and fixed"));
        }
        found
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['.', '-'])
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
id: x-1
gem: x
title: It leaks
url: https://example.com/x/1
affected: ['>= 1.2, < 1.4']
fixed: ['>= 1.4']
nature: native
description: It does.
certainty: high
evidence: its change log
";

    fn problems(from: &str, to: &str) -> String {
        let text = GOOD.replace(from, to);
        assert_ne!(text, GOOD);
        Advisory::from_yaml(&text, "x-1")
            .unwrap()
            .problems()
            .join("; ")
    }

    #[test]
    fn contradictions_are_found() {
        assert!(
            Advisory::from_yaml(GOOD, "x-1")
                .unwrap()
                .problems()
                .is_empty()
        );
        assert_eq!(
            problems("['>= 1.4']", "['>= 1.3']"),
            "1.4.zzz is both affected and fixed"
        );
        assert_eq!(
            problems("['>= 1.4']", "['~> 1.3.2']"),
            "1.3.2 is both affected and fixed"
        );
        assert_eq!(
            problems("< 1.4'", "< 1.4', '> 3, < 2'"),
            "no version satisfies '> 3, < 2'"
        );
        assert_eq!(
            problems("['>= 1.4']", "['>= 1.4', '= 1.2']"),
            "1.2 is both affected and fixed"
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(
            problems("https://example.com/x/1", "example.com"),
            "its url is no https:// address of a page"
        );
        assert_eq!(
            problems("['>= 1.2, < 1.4']", "[]"),
            "it has no affected range"
        );
        assert_eq!(problems("nature: native\n", ""), "it has no nature");
        let measured =
            "evidence: m\nmeasured: {version: '1.5', ruby: 3.1.7, bytes_per_call: 0, call: x}";
        assert_eq!(
            problems("evidence: its change log", measured),
            "its bytes_per_call are no positive number; it was measured on a version that it does not call leaky"
        );
    }
}
