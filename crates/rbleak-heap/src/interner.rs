//! Strings stored once.
//!
//! Keyed by the bytes as they stand in the dump, so that decoding, and
//! finding out that Ruby wrote no valid JSON, is paid once a distinct string
//! and not once a line.

use crate::issues::Reason;
use crate::scan::decode;
use hashbrown::HashTable;
use rustc_hash::{FxBuildHasher, FxHashMap};
use std::hash::BuildHasher;

/// A string of one [`Interner`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StringId(pub(crate) u32);

/// See the module.
#[derive(Default)]
pub(crate) struct Interner {
    /// Rows of `raws`, by the hash of their bytes.
    table: HashTable<u32>,
    raws: Vec<Raw>,
    by_text: FxHashMap<Box<str>, u32>,
    strings: Vec<Box<str>>,
}

struct Raw {
    bytes: Box<[u8]>,
    string: StringId,
    reason: Option<Reason>,
}

fn hash(bytes: &[u8]) -> u64 {
    FxBuildHasher.hash_one(bytes)
}

impl Interner {
    /// The string that `raw`, the bytes between the quotes of a JSON string,
    /// stands for; with the reason if it is no valid JSON.
    pub(crate) fn intern(&mut self, raw: &[u8]) -> (StringId, Option<Reason>) {
        let hash_of_raw = hash(raw);
        let raws = &self.raws;
        if let Some(&row) = self
            .table
            .find(hash_of_raw, |&row| *raws[row as usize].bytes == *raw)
        {
            let found = &self.raws[row as usize];
            return (found.string, found.reason);
        }
        let (text, reason) = decode(raw);
        let string = self.intern_text(&text);
        // Rows fit: there are no more raw strings than lines times five, and
        // the reader refuses that many lines.
        let row = self.raws.len() as u32;
        self.raws.push(Raw {
            bytes: raw.into(),
            string,
            reason,
        });
        let raws = &self.raws;
        self.table
            .insert_unique(hash_of_raw, row, |&row| hash(&raws[row as usize].bytes));
        (string, reason)
    }

    /// The string `text` itself.
    pub(crate) fn intern_text(&mut self, text: &str) -> StringId {
        if let Some(&id) = self.by_text.get(text) {
            return StringId(id);
        }
        let id = self.strings.len() as u32;
        self.strings.push(text.into());
        self.by_text.insert(text.into(), id);
        StringId(id)
    }

    /// The decoded string.
    pub(crate) fn get(&self, id: StringId) -> &str {
        &self.strings[id.0 as usize]
    }

    /// Only the strings: nothing more will be interned.
    pub(crate) fn into_strings(self) -> Vec<Box<str>> {
        self.strings
    }
}
