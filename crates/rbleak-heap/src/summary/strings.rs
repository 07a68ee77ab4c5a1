//! Strings with the same value: what they waste.

use super::add;
use super::content::Content;
use crate::graph::Count;
use crate::{Heap, ObjectId, ObjectType, SiteId};
use rbleak_units::{Address, Bytes};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::ops::Range;

/// The Strings of a heap by their values.
#[derive(Clone, Debug, Default)]
pub struct Strings {
    /// All of them.
    pub all: Count,
    /// Those whose value the dump has: ASCII only, and bytes of their own, not
    /// another string's.
    pub with_value: Count,
    /// Different values.
    pub distinct: u64,
    /// All but one of each value.
    pub wasted: Count,
    /// Values that several Strings have, what wastes most first.
    pub duplicates: Vec<Duplicate>,
    /// The Strings of all duplicates.
    members: Vec<ObjectId>,
}

/// A value that several Strings have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Duplicate {
    /// All Strings that have it.
    pub copies: Count,
    /// What all but the largest of them take.
    pub wasted: Bytes,
    /// Bytes of the value.
    pub length: u64,
    members: Range<u32>,
}

impl Strings {
    pub(super) fn new(heap: &Heap, content: Content) -> Strings {
        let mut strings = Strings::default();
        for id in heap.ids().filter(|&id| is_string(heap, id)) {
            add(&mut strings.all, heap.shallow_size(id));
        }
        let mut values = content.values;
        values.sort_unstable();
        values.dedup();
        let mut from = 0;
        while from < values.len() {
            let hash = values[from].hash;
            // Most values are alone: a search would cost more than a look.
            let alike = values[from..].iter();
            let alike = alike.take_while(|value| value.hash == hash).count();
            let members = values[from..from + alike]
                .iter()
                .filter_map(|value| heap.find(Address(value.address)))
                .filter(|&id| is_string(heap, id));
            strings.add(heap, members);
            from += alike;
        }
        strings.duplicates.sort_by(|a, b| {
            let key = |one: &Duplicate| (Reverse(one.wasted), Reverse(one.copies.objects));
            let first = |one: &Duplicate| strings.members[one.members.start as usize];
            key(a).cmp(&key(b)).then_with(|| first(a).cmp(&first(b)))
        });
        strings
    }

    /// The Strings of one value.
    fn add(&mut self, heap: &Heap, members: impl Iterator<Item = ObjectId>) {
        let start = self.members.len();
        // One of each address; sorted by it, as the hashes are equal.
        self.members.extend(members);
        let members = &self.members[start..];
        let mut copies = Count::default();
        let mut largest = Bytes(0);
        for &id in members {
            let bytes = heap.shallow_size(id);
            add(&mut copies, bytes);
            largest = largest.max(bytes);
        }
        let Some(&first) = members.first() else {
            return;
        };
        self.distinct += 1;
        self.with_value.objects.0 += copies.objects.0;
        self.with_value.bytes += copies.bytes;
        if copies.objects.0 < 2 {
            self.members.truncate(start);
            return;
        }
        let wasted = Bytes(copies.bytes.0 - largest.0);
        self.wasted.objects.0 += copies.objects.0 - 1;
        self.wasted.bytes += wasted;
        self.duplicates.push(Duplicate {
            copies,
            wasted,
            length: heap.length(first).unwrap_or(0),
            // Rows are fewer than u32::MAX.
            members: start as u32..self.members.len() as u32,
        });
    }

    /// The Strings that have the value.
    pub fn members(&self, duplicate: &Duplicate) -> &[ObjectId] {
        let Range { start, end } = duplicate.members;
        &self.members[start as usize..end as usize]
    }

    /// Where the Strings that have the value were allocated, the most common
    /// line first; `None` for those without a site.
    pub fn sites(&self, heap: &Heap, duplicate: &Duplicate) -> Vec<(Option<SiteId>, u64)> {
        let mut counts: FxHashMap<Option<SiteId>, u64> = FxHashMap::default();
        for &id in self.members(duplicate) {
            *counts.entry(heap.site(id)).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|&(site, count)| {
            let info = site.map(|site| heap.site_info(site));
            (Reverse(count), info.is_none(), info)
        });
        counts
    }
}

fn is_string(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::String
}
