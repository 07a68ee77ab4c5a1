//! What grows without new identities: objects that grow in place, and counts
//! by site and class, which hold even where addresses say nothing.

use super::Diff;
use super::matching::Matcher;
use crate::group::{Filter, GroupBy, Key};
use crate::ids::ObjectId;
use rbleak_units::{Bytes, Objects, SignedBytes};
use rustc_hash::FxHashMap;

/// An object that grew from each dump to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grown {
    /// Its row in the last heap.
    pub id: ObjectId,
    /// Its shallow size in each dump.
    pub sizes: Vec<Bytes>,
}

impl Grown {
    /// From the first dump to the last.
    pub fn growth(&self) -> SignedBytes {
        match (self.sizes.first(), self.sizes.last()) {
            (Some(&first), Some(&last)) => last - first,
            _ => SignedBytes(0),
        }
    }
}

/// How much each dump has of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrowthRow<'h> {
    /// What the group has in common.
    pub key: Key<'h>,
    /// Objects in each dump.
    pub objects: Vec<Objects>,
    /// Bytes in each dump.
    pub bytes: Vec<Bytes>,
}

impl GrowthRow<'_> {
    /// From the first dump to the last.
    pub fn growth(&self) -> SignedBytes {
        match (self.bytes.first(), self.bytes.last()) {
            (Some(&first), Some(&last)) => last - first,
            _ => SignedBytes(0),
        }
    }
}

pub(super) fn grown(matcher: &Matcher<'_>, top: usize) -> Vec<Grown> {
    let last = matcher.heaps.len() - 1;
    let heap = &matcher.heaps[last];
    let mut grown: Vec<_> = heap
        .ids()
        .filter(|&id| heap.is_live(id))
        .filter_map(|id| {
            let mut sizes = Vec::new();
            for (i, earlier) in matcher.heaps[..last].iter().enumerate() {
                let size = earlier.shallow_size(matcher.same_in(i, last, id)?);
                if sizes.last().is_some_and(|&before| size <= before) {
                    return None;
                }
                sizes.push(size);
            }
            let size = heap.shallow_size(id);
            if sizes.last().is_some_and(|&before| size <= before) {
                return None;
            }
            sizes.push(size);
            Some(Grown { id, sizes })
        })
        .collect();
    grown.sort_by_key(|grown| (std::cmp::Reverse(grown.growth()), heap.address(grown.id)));
    grown.truncate(top);
    grown
}

impl<'h> Diff<'h> {
    /// Groups that have more bytes in the last dump than in the first, the
    /// fastest first. Holds across compaction, except that 2.7 to 3.3 lose
    /// the sites of objects that moved.
    pub fn growth(&self, by: GroupBy, filter: &Filter) -> Vec<GrowthRow<'h>> {
        let dumps = self.heaps().len();
        let mut rows: FxHashMap<Key<'h>, (Vec<Objects>, Vec<Bytes>)> = FxHashMap::default();
        for (i, heap) in self.heaps().iter().enumerate() {
            for id in heap
                .ids()
                .filter(|&id| heap.is_live(id) && filter.takes(heap, id))
            {
                let (objects, bytes) = rows
                    .entry(Key::new(heap, id, by))
                    .or_insert_with(|| (vec![Objects(0); dumps], vec![Bytes(0); dumps]));
                objects[i].0 += 1;
                bytes[i] += heap.shallow_size(id);
            }
        }
        let mut rows: Vec<_> = rows
            .into_iter()
            .map(|(key, (objects, bytes))| GrowthRow {
                key,
                objects,
                bytes,
            })
            .filter(|row| row.growth().0 > 0)
            .collect();
        rows.sort_by(|a, b| b.growth().cmp(&a.growth()).then_with(|| a.key.cmp(&b.key)));
        rows
    }
}
