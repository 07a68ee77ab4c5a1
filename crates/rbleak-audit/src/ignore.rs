//! `.rbleak.yml`: which advisories are passed over, why, and until when.

use crate::advisory::RecordError;
use jiff::civil::Date;
use serde::Deserialize;

/// All ignores of a file.
#[derive(Clone, Debug, Default)]
pub struct Ignores {
    /// In the order in which they are written.
    pub all: Vec<Ignore>,
}

/// One advisory that is passed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignore {
    /// The advisory's id.
    pub id: String,
    /// Why.
    pub reason: String,
    /// The last day; `None` for ever.
    pub until: Option<Date>,
}

impl Ignore {
    /// Whether its last day is over.
    pub fn is_expired(&self, today: Date) -> bool {
        self.until.is_some_and(|until| today > until)
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    audit: Section,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Section {
    #[serde(default)]
    ignore: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    id: String,
    reason: String,
    #[serde(default)]
    until: Option<Date>,
}

impl Ignores {
    /// Reads the file; one without any content has no ignores.
    ///
    /// # Errors
    /// In one sentence what is wrong with it, and where.
    pub fn from_yaml(text: &str) -> Result<Ignores, RecordError> {
        let is_blank = |line: &str| line.is_empty() || line.starts_with('#') || line == "---";
        if text.lines().all(|line| is_blank(line.trim())) {
            return Ok(Ignores::default());
        }
        let file: File = crate::advisory::parse_yaml(text)?;
        let mut all: Vec<Ignore> = Vec::new();
        for entry in file.audit.ignore {
            if entry.reason.trim().is_empty() {
                let what = format!("the ignore of {} gives no reason", entry.id);
                return Err(RecordError::Senseless(what));
            }
            if all.iter().any(|known| known.id == entry.id) {
                let what = format!("{} is ignored twice", entry.id);
                return Err(RecordError::Senseless(what));
            }
            all.push(Ignore {
                id: entry.id,
                reason: entry.reason.trim().to_owned(),
                until: entry.until,
            });
        }
        Ok(Ignores { all })
    }

    /// The ignore of an advisory that holds today.
    pub(crate) fn of(&self, id: &str, today: Date) -> Option<&Ignore> {
        self.all
            .iter()
            .find(|ignore| ignore.id == id && !ignore.is_expired(today))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignore_has_a_reason_and_may_have_a_last_day() {
        let text = "audit:\n  ignore:\n    - id: oj-1027\n      reason: no Oj::Doc here\n      until: 2027-01-31\n";
        let ignores = Ignores::from_yaml(text).unwrap();
        let day = |month, day| jiff::civil::date(2027, month, day);
        assert!(ignores.of("oj-1027", day(1, 31)).is_some());
        assert!(ignores.of("oj-1027", day(2, 1)).is_none());
        assert!(Ignores::from_yaml("").unwrap().all.is_empty());
        assert!(
            Ignores::from_yaml("---\n# nothing yet\n")
                .unwrap()
                .all
                .is_empty()
        );
    }

    #[test]
    fn a_slip_is_no_ignore() {
        for (text, words) in [
            ("audit:\n  ignores: []\n", "unknown field `ignores`"),
            ("audit:\n  ignore:\n    - id: a\n", "missing field `reason`"),
            (
                "audit:\n  ignore:\n    - id: a\n      reason: ' '\n",
                "gives no reason",
            ),
            (
                "audit:\n  ignore:\n    - {id: a, reason: b, until: soon}\n",
                "line 3",
            ),
            (
                "audit:\n  ignore:\n    - {id: a, reason: b, until: 2027-02-30}\n",
                "line 3",
            ),
            (
                "audit:\n  ignore:\n    - {id: a, reason: b}\n    - {id: a, reason: c}\n",
                "twice",
            ),
            ("- a\n", "line 1"),
        ] {
            let error = Ignores::from_yaml(text).unwrap_err().to_string();
            assert!(error.contains(words), "{text}{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
