//! Strings stored once.
//!
//! Keyed by the bytes as they stand in the dump, so that decoding, and
//! finding out that Ruby wrote no valid JSON, is paid once a distinct string
//! and not once a line.

use crate::issues::Reason;
use crate::scan::decode;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
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
    /// Rows of `strings`, by the hash of their text.
    by_text: HashTable<u32>,
    strings: Vec<Box<str>>,
}

/// A string as it stands in the dump.
pub(crate) struct Raw {
    /// `None` if it is the string itself.
    bytes: Option<Box<[u8]>>,
    pub(crate) string: StringId,
    /// Why it is no valid JSON.
    pub(crate) reason: Option<Reason>,
}

fn hash(bytes: &[u8]) -> u64 {
    FxBuildHasher.hash_one(bytes)
}

fn bytes_of<'a>(raw: &'a Raw, strings: &'a [Box<str>]) -> &'a [u8] {
    match &raw.bytes {
        Some(bytes) => bytes,
        None => strings[raw.string.0 as usize].as_bytes(),
    }
}

impl Interner {
    /// The string that `raw`, the bytes between the quotes of a JSON string,
    /// stands for; with the reason if it is no valid JSON.
    pub(crate) fn intern(&mut self, raw: &[u8]) -> (StringId, Option<Reason>) {
        let number = self.intern_raw(raw);
        let found = self.raw(number);
        (found.string, found.reason)
    }

    /// The number of `raw` among the raw strings.
    pub(crate) fn intern_raw(&mut self, raw: &[u8]) -> u32 {
        let hash_of_raw = hash(raw);
        if let Some(&number) = self
            .table
            .find(hash_of_raw, |&number| self.is_raw(number, raw))
        {
            return number;
        }
        let (text, reason) = decode(raw);
        let string = self.intern_text(&text);
        // Rows fit: there are no more raw strings than lines times five, and
        // the reader refuses that many lines.
        let number = self.raws.len() as u32;
        self.raws.push(Raw {
            bytes: (text.as_bytes() != raw).then(|| raw.into()),
            string,
            reason,
        });
        let (raws, strings) = (&self.raws, &self.strings);
        self.table.insert_unique(hash_of_raw, number, |&number| {
            hash(bytes_of(&raws[number as usize], strings))
        });
        number
    }

    /// What a raw string stands for.
    pub(crate) fn raw(&self, number: u32) -> &Raw {
        &self.raws[number as usize]
    }

    /// Whether a raw string is `bytes`.
    #[inline]
    pub(crate) fn is_raw(&self, number: u32, bytes: &[u8]) -> bool {
        *bytes_of(self.raw(number), &self.strings) == *bytes
    }

    /// The string `text` itself.
    pub(crate) fn intern_text(&mut self, text: &str) -> StringId {
        let strings = &self.strings;
        let hash_of_text = hash(text.as_bytes());
        if let Some(&id) = self
            .by_text
            .find(hash_of_text, |&id| *strings[id as usize] == *text)
        {
            return StringId(id);
        }
        let id = self.strings.len() as u32;
        self.strings.push(text.into());
        let strings = &self.strings;
        self.by_text.insert_unique(hash_of_text, id, |&id| {
            hash(strings[id as usize].as_bytes())
        });
        StringId(id)
    }

    /// The decoded string.
    pub(crate) fn get(&self, id: StringId) -> &str {
        &self.strings[id.0 as usize]
    }

    /// Takes over the strings of another: the number here of each of its
    /// strings. What stood raw there is forgotten, since no line of it will
    /// follow.
    pub(crate) fn absorb(&mut self, other: Interner) -> Vec<StringId> {
        other
            .strings
            .iter()
            .map(|text| self.intern_text(text))
            .collect()
    }

    /// Only the strings: nothing more will be interned.
    pub(crate) fn into_strings(self) -> Vec<Box<str>> {
        self.strings
    }
}
