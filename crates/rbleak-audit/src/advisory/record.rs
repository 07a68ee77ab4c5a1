//! The written form of an advisory: one YAML file each, or many as JSON.

use super::{Advisory, Certainty, Condition, Measured, Nature, Subject, foreign};
use crate::requirement::Requirement;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An advisory as it is written. See `advisories/README.md` for the schema.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gem: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    engine: Option<String>,
    title: String,
    url: String,
    affected: Vec<String>,
    fixed: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    only_when: Option<OnlyWhen>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nature: Option<NatureName>,
    description: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trigger: Option<String>,
    certainty: CertaintyName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    measured: Option<MeasuredRecord>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OnlyWhen {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ruby: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    engine: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    gems: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    library: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    system_library: Option<String>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    yjit: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    setting: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    word_size: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NatureName {
    Native,
    Threads,
    Descriptors,
    UnboundedCache,
    Retention,
    ExternalStore,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum CertaintyName {
    High,
    Medium,
    Low,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MeasuredRecord {
    version: String,
    ruby: String,
    bytes_per_call: f64,
    call: String,
}

/// Why a text is no advisory.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// No YAML, a field too many, one too few, or of another type.
    #[error("{0}")]
    Yaml(String),
    /// A range that RubyGems refuses.
    #[error("{field}: {error}")]
    Range {
        /// `affected`, `fixed`, `only_when.ruby`.
        field: &'static str,
        /// What is wrong with it.
        error: crate::RequirementError,
    },
    /// Something that contradicts itself or says nothing.
    #[error("{0}")]
    Senseless(String),
}

impl Advisory {
    /// Reads one YAML file, in rbleak's own schema or in that of
    /// ruby-mem-advisory-db. `id` is the file's name without its ending; the
    /// own schema must say the same, the other says none.
    ///
    /// # Errors
    /// In one sentence why it is no advisory.
    pub fn from_yaml(text: &str, id: &str) -> Result<Advisory, RecordError> {
        let is_own = text.lines().any(|line| line.starts_with("affected:"));
        if !is_own {
            return foreign::parse(text, id);
        }
        let record: Record = parse_yaml(text)?;
        let advisory = Advisory::try_from(record)?;
        if advisory.id != id {
            return Err(RecordError::Senseless(format!(
                "its id is {}, its file is named {id}",
                advisory.id
            )));
        }
        Ok(advisory)
    }

    /// The written form.
    pub fn to_record(&self) -> Record {
        let ranges = |ranges: &[Requirement]| ranges.iter().map(ToString::to_string).collect();
        Record {
            id: self.id.clone(),
            gem: match &self.subject {
                Subject::Gem(name) => Some(name.clone()),
                Subject::Ruby(_) => None,
            },
            engine: match &self.subject {
                Subject::Gem(_) => None,
                Subject::Ruby(engine) => Some(engine.clone()),
            },
            title: self.title.clone(),
            url: self.url.clone(),
            affected: ranges(&self.affected),
            fixed: ranges(&self.fixed),
            only_when: (!self.conditions.is_empty()).then(|| only_when(&self.conditions)),
            nature: self.nature.map(NatureName::from),
            description: self.description.clone(),
            trigger: self.trigger.clone(),
            certainty: match self.certainty {
                Certainty::High => CertaintyName::High,
                Certainty::Medium => CertaintyName::Medium,
                Certainty::Low => CertaintyName::Low,
            },
            evidence: self.evidence.clone(),
            measured: self.measured.as_ref().map(|measured| MeasuredRecord {
                version: measured.version.clone(),
                ruby: measured.ruby.clone(),
                bytes_per_call: measured.bytes_per_call,
                call: measured.call.clone(),
            }),
        }
    }
}

/// Reads YAML; the error is one line.
pub(crate) fn parse_yaml<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, RecordError> {
    serde_saphyr::from_str(text)
        .map_err(|error| RecordError::Yaml(error.without_snippet().to_string()))
}

pub(super) fn requirements(
    field: &'static str,
    texts: &[String],
) -> Result<Vec<Requirement>, RecordError> {
    texts.iter().map(|text| requirement(field, text)).collect()
}

fn requirement(field: &'static str, text: &str) -> Result<Requirement, RecordError> {
    text.parse()
        .map_err(|error| RecordError::Range { field, error })
}

fn conditions(when: OnlyWhen) -> Result<Vec<Condition>, RecordError> {
    let mut all = Vec::new();
    if let Some(ruby) = when.ruby {
        all.push(Condition::Ruby(requirement("only_when.ruby", &ruby)?));
    }
    all.extend(when.engine.map(Condition::Engine));
    for (name, text) in when.gems {
        let requirement = requirement("only_when.gems", &text)?;
        all.push(Condition::Gem { name, requirement });
    }
    all.extend(when.library.map(Condition::Library));
    all.extend(when.system_library.map(Condition::SystemLibrary));
    if when.yjit {
        all.push(Condition::Yjit);
    }
    all.extend(when.setting.map(Condition::Setting));
    all.extend(when.word_size.map(Condition::WordSize));
    Ok(all)
}

fn only_when(conditions: &[Condition]) -> OnlyWhen {
    let mut when = OnlyWhen::default();
    for condition in conditions {
        match condition.clone() {
            Condition::Ruby(requirement) => when.ruby = Some(requirement.to_string()),
            Condition::Engine(engine) => when.engine = Some(engine),
            Condition::Gem { name, requirement } => {
                when.gems.insert(name, requirement.to_string());
            }
            Condition::Library(text) => when.library = Some(text),
            Condition::SystemLibrary(text) => when.system_library = Some(text),
            Condition::Yjit => when.yjit = true,
            Condition::Setting(text) => when.setting = Some(text),
            Condition::WordSize(bits) => when.word_size = Some(bits),
        }
    }
    when
}

impl TryFrom<Record> for Advisory {
    type Error = RecordError;

    fn try_from(record: Record) -> Result<Advisory, RecordError> {
        let subject = match (record.gem, record.engine) {
            (Some(gem), None) => Subject::Gem(gem),
            (None, Some(engine)) => Subject::Ruby(engine),
            _ => {
                return Err(RecordError::Senseless(
                    "it must name either a gem or an engine".to_owned(),
                ));
            }
        };
        Ok(Advisory {
            id: record.id,
            subject,
            title: record.title,
            url: record.url,
            affected: requirements("affected", &record.affected)?,
            fixed: requirements("fixed", &record.fixed)?,
            conditions: record.only_when.map_or(Ok(Vec::new()), conditions)?,
            nature: record.nature.map(Nature::from),
            description: record.description.trim().to_owned(),
            trigger: record.trigger,
            certainty: match record.certainty {
                CertaintyName::High => Certainty::High,
                CertaintyName::Medium => Certainty::Medium,
                CertaintyName::Low => Certainty::Low,
            },
            evidence: record.evidence,
            measured: record.measured.map(|measured| Measured {
                version: measured.version,
                ruby: measured.ruby,
                bytes_per_call: measured.bytes_per_call,
                call: measured.call,
            }),
        })
    }
}

impl From<NatureName> for Nature {
    fn from(name: NatureName) -> Nature {
        match name {
            NatureName::Native => Nature::Native,
            NatureName::Threads => Nature::Threads,
            NatureName::Descriptors => Nature::Descriptors,
            NatureName::UnboundedCache => Nature::UnboundedCache,
            NatureName::Retention => Nature::Retention,
            NatureName::ExternalStore => Nature::ExternalStore,
        }
    }
}

impl From<Nature> for NatureName {
    fn from(nature: Nature) -> NatureName {
        match nature {
            Nature::Native => NatureName::Native,
            Nature::Threads => NatureName::Threads,
            Nature::Descriptors => NatureName::Descriptors,
            Nature::UnboundedCache => NatureName::UnboundedCache,
            Nature::Retention => NatureName::Retention,
            Nature::ExternalStore => NatureName::ExternalStore,
        }
    }
}
