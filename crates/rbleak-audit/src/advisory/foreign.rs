//! Advisories in the schema of ruby-mem-advisory-db, which bundler-leak reads.
//!
//! Unlike bundler-leak, `leaky_versions` is believed: what is neither in it nor
//! patched does not leak.

use super::record::{RecordError, parse_yaml, requirements};
use super::{Advisory, Certainty, Subject};
use crate::requirement::Requirement;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Foreign {
    gem: String,
    url: String,
    title: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    leaky_versions: Option<Vec<String>>,
    #[serde(default)]
    patched_versions: Option<Vec<String>>,
    #[serde(default)]
    unaffected_versions: Option<Vec<String>>,
}

pub(super) fn parse(text: &str, id: &str) -> Result<Advisory, RecordError> {
    let foreign: Foreign = parse_yaml(text)?;
    let leaky = foreign.leaky_versions.unwrap_or_default();
    let affected = if leaky.is_empty() {
        // All but the patched ones; "0.a" is the least of all versions.
        vec![all_versions()]
    } else {
        requirements("leaky_versions", &leaky)?
    };
    let patched = foreign.patched_versions.unwrap_or_default();
    let mut fixed = requirements("patched_versions", &patched)?;
    // As good as fixed for who asks whether a version leaks.
    let unaffected = foreign.unaffected_versions.unwrap_or_default();
    fixed.extend(requirements("unaffected_versions", &unaffected)?);
    Ok(Advisory {
        id: id.to_owned(),
        subject: Subject::Gem(foreign.gem),
        title: foreign.title.trim().to_owned(),
        url: foreign.url,
        affected,
        fixed,
        conditions: Vec::new(),
        nature: None,
        description: foreign.description.unwrap_or_default().trim().to_owned(),
        trigger: None,
        certainty: Certainty::Medium,
        evidence: None,
        measured: None,
    })
}

fn all_versions() -> Requirement {
    ">= 0.a".parse().unwrap_or_else(|_| Requirement::any())
}
