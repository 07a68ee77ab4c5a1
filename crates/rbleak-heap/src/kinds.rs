//! What many objects have in common, stored once.
//!
//! A heap has millions of objects of some ten thousand kinds: a row keeps a
//! number of four bytes for its type, class, detail and site, and whatever
//! depends on nothing else is worked out once a kind.

use crate::object_type::ObjectType;
use hashbrown::HashTable;
use rustc_hash::FxBuildHasher;
use std::hash::BuildHasher;

/// See the module. [`crate::columns::ABSENT`] for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Kind {
    pub(crate) object_type: ObjectType,
    /// Into `Columns::class_words`.
    pub(crate) class: u32,
    /// A string: `struct` of DATA, `imemo_type` of IMEMO, `node_type` of
    /// NODE, `name` of CLASS and MODULE.
    pub(crate) detail: u32,
    /// Into `Columns::site_table`.
    pub(crate) site: u32,
}

/// From a kind to its number.
#[derive(Default)]
pub(crate) struct KindNumbers(HashTable<u32>);

fn hash(kind: &Kind) -> u64 {
    // Two words instead of four fields: this is asked once a line.
    let first = u64::from(kind.class) << 32 | u64::from(kind.site);
    let second = u64::from(kind.detail) << 8 | kind.object_type as u64;
    FxBuildHasher.hash_one((first, second))
}

impl KindNumbers {
    /// The number of `kind` in `kinds`, where it is added if it is new.
    #[inline]
    pub(crate) fn number(&mut self, kind: Kind, kinds: &mut Vec<Kind>) -> u32 {
        let hash_of_kind = hash(&kind);
        if let Some(&number) = self
            .0
            .find(hash_of_kind, |&number| kinds[number as usize] == kind)
        {
            return number;
        }
        // There are no more kinds than rows.
        let number = kinds.len() as u32;
        kinds.push(kind);
        self.0.insert_unique(hash_of_kind, number, |&number| {
            hash(&kinds[number as usize])
        });
        number
    }
}
