//! All advisories at hand, by what they are about, and where they are from.

use crate::advisory::{Advisory, Record, RecordError, Subject};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Advisories by subject.
#[derive(Clone, Debug, Default)]
pub struct Database {
    by_gem: HashMap<String, Vec<Advisory>>,
    by_engine: HashMap<String, Vec<Advisory>>,
}

impl Database {
    /// The advisories about a gem, sorted by id.
    pub fn about_gem(&self, name: &str) -> &[Advisory] {
        self.by_gem.get(name).map_or(&[], Vec::as_slice)
    }

    /// The advisories about a Ruby, by engine, sorted by id.
    pub fn about_ruby(&self, engine: &str) -> &[Advisory] {
        self.by_engine.get(engine).map_or(&[], Vec::as_slice)
    }

    /// How many advisories there are.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// All of them, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Advisory> {
        self.by_gem
            .values()
            .chain(self.by_engine.values())
            .flatten()
    }

    /// Puts `advisory` in, in place of one of the same id about the same.
    pub fn insert(&mut self, advisory: Advisory) {
        let by_name = match &advisory.subject {
            Subject::Gem(_) => &mut self.by_gem,
            Subject::Ruby(_) => &mut self.by_engine,
        };
        let known = by_name
            .entry(advisory.subject.name().to_owned())
            .or_default();
        match known.binary_search_by(|other| other.id.cmp(&advisory.id)) {
            Ok(at) => known[at] = advisory,
            Err(at) => known.insert(at, advisory),
        }
    }
}

impl FromIterator<Advisory> for Database {
    fn from_iter<I: IntoIterator<Item = Advisory>>(advisories: I) -> Database {
        let mut database = Database::default();
        for advisory in advisories {
            database.insert(advisory);
        }
        database
    }
}

/// Advisories in one file, with where they are from: what rbleak carries, and
/// what an update leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Store {
    schema: String,
    /// The repository; `None` for what rbleak carries.
    pub source: Option<String>,
    /// The commit that they are of.
    pub commit: Option<String>,
    /// The day that they are of: `2026-11-23`.
    pub date: jiff::civil::Date,
    /// Whether they are all that rbleak knows, or come on top of what it
    /// carries.
    pub is_whole: bool,
    advisories: Vec<Record>,
}

const SCHEMA: &str = "rbleak/advisories/v1";

/// Why a store cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Cut or damaged.
    #[error("it is damaged ({0})")]
    Json(#[from] serde_json::Error),
    /// Of another version of rbleak.
    #[error("it is of another version of rbleak ({0})")]
    Schema(String),
    /// One of its advisories says nothing.
    #[error("it is damaged ({0})")]
    Record(#[from] RecordError),
}

impl Store {
    /// A store of these advisories, sorted.
    pub fn new(
        source: Option<String>,
        commit: Option<String>,
        date: jiff::civil::Date,
        is_whole: bool,
        database: &Database,
    ) -> Store {
        let mut advisories: Vec<&Advisory> = database.iter().collect();
        advisories.sort_by(|a, b| (&a.subject, &a.id).cmp(&(&b.subject, &b.id)));
        Store {
            schema: SCHEMA.to_owned(),
            source,
            commit,
            date,
            is_whole,
            advisories: advisories.into_iter().map(Advisory::to_record).collect(),
        }
    }

    /// Reads what [`to_json`](Store::to_json) wrote.
    ///
    /// # Errors
    /// Where it is cut, damaged, or of another version.
    pub fn from_json(text: &str) -> Result<Store, StoreError> {
        let store: Store = serde_json::from_str(text)?;
        if store.schema != SCHEMA {
            return Err(StoreError::Schema(store.schema));
        }
        Ok(store)
    }

    /// The whole of it in one JSON object.
    ///
    /// # Errors
    /// None that is known of: it holds texts and numbers alone.
    pub fn to_json(&self) -> Result<String, StoreError> {
        Ok(serde_json::to_string(self)?)
    }

    /// How many advisories it holds.
    pub fn len(&self) -> usize {
        self.advisories.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.advisories.is_empty()
    }

    /// Puts its advisories into `database`.
    ///
    /// # Errors
    /// Where one of them says nothing.
    pub fn into_database(self, database: &mut Database) -> Result<(), StoreError> {
        for record in self.advisories {
            database.insert(Advisory::try_from(record)?);
        }
        Ok(())
    }
}
