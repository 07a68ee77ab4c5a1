//! The version to go to.

use super::Leak;
use crate::advisory::Advisory;
use crate::requirement::Operator;
use crate::version::GemVersion;

/// Which version is free of the leaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// This one: the least one that is named as fixed.
    AtLeast(GemVersion),
    /// The first release after this one, whose number is not known.
    After(GemVersion),
    /// None of them has a release that is known to fix it, or no version
    /// fixes them all.
    Unknown,
}

impl Remedy {
    /// The least version above `current` that is named as fixed by one of
    /// `leaks`, fixes all of them that have a fix, and has none of `relevant`.
    pub(super) fn find(current: &GemVersion, leaks: &[Leak<'_>], relevant: &[&Advisory]) -> Remedy {
        let fixable = || {
            leaks
                .iter()
                .map(|leak| leak.advisory)
                .filter(|a| !a.fixed.is_empty())
        };
        let unfixable = |advisory: &Advisory| {
            leaks
                .iter()
                .any(|leak| leak.advisory.fixed.is_empty() && leak.advisory.id == advisory.id)
        };
        let clauses = || {
            fixable()
                .flat_map(|advisory| &advisory.fixed)
                .flat_map(|range| range.clauses())
        };
        let is_free = |version: &GemVersion| {
            fixable().all(|advisory| advisory.fixes(version))
                && relevant
                    .iter()
                    .all(|advisory| unfixable(advisory) || !advisory.affects(version))
        };
        let named = clauses()
            .filter(|clause| {
                matches!(
                    clause.operator,
                    Operator::AtLeast | Operator::Equal | Operator::Pessimistic
                )
            })
            .map(|clause| &clause.bound)
            .filter(|bound| *bound > current && is_free(bound))
            .min();
        if let Some(version) = named {
            return Remedy::AtLeast(version.clone());
        }
        clauses()
            .filter(|clause| clause.operator == Operator::Greater)
            .map(|clause| &clause.bound)
            .filter(|bound| *bound >= current)
            .find(|bound| {
                let after: Result<GemVersion, _> = format!("{bound}.0.0.0.1").parse();
                after.is_ok_and(|after| is_free(&after))
            })
            .map_or(Remedy::Unknown, |bound| Remedy::After(bound.clone()))
    }
}
