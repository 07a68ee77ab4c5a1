//! What grows without new identities: objects that grow in place, and counts
//! by site and class, which hold even where addresses say nothing.

use super::Diff;
use super::matching::Matcher;
use crate::columns::ABSENT;
use crate::group::{Filter, GroupBy, Key};
use crate::heap::Heap;
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
    let earlier: Vec<_> = (0..last).collect();
    let size = |i: usize, row: u32| matcher.heaps[i].shallow_size(ObjectId(row));
    let changes = matcher.changes(last - 1);
    let mut rows = changes.resized.clone();
    rows.extend(changes.new.iter().map(|(row, _)| row));
    let parts = matcher.visit(
        last,
        &rows,
        &earlier,
        |grown: &mut Vec<Grown>, row, found| {
            if found.contains(&ABSENT) || !matcher.is_live(last, row) {
                return;
            }
            // Sizes are compared first: most objects stay as they are.
            let mut later = size(last, row);
            for (i, &before) in found.iter().enumerate().rev() {
                let before = size(i, before);
                if later <= before {
                    return;
                }
                later = before;
            }
            let is_one = found
                .iter()
                .enumerate()
                .all(|(i, &before)| matcher.same((i, before), (last, row)));
            if is_one {
                let sizes = found.iter().enumerate().map(|(i, &row)| size(i, row));
                grown.push(Grown {
                    id: ObjectId(row),
                    sizes: sizes.chain([size(last, row)]).collect(),
                });
            }
        },
    );
    let mut grown: Vec<_> = parts.into_iter().flatten().collect();
    grown.sort_by_key(|grown| (std::cmp::Reverse(grown.growth()), heap.address(grown.id)));
    grown.truncate(top);
    grown
}

/// A row of each kind, how many live objects of it there are, and their
/// bytes.
fn by_kind(heap: &Heap) -> impl Iterator<Item = (ObjectId, Objects, Bytes)> {
    let mut kinds = vec![(ABSENT, Objects(0), Bytes(0)); heap.columns.kind_table.len()];
    for id in heap.ids().filter(|&id| heap.is_live(id)) {
        let (row, objects, bytes) = &mut kinds[heap.columns.kinds.get(id.index()) as usize];
        *row = id.0;
        objects.0 += 1;
        *bytes += heap.shallow_size(id);
    }
    kinds
        .into_iter()
        .filter(|(row, ..)| *row != ABSENT)
        .map(|(row, objects, bytes)| (ObjectId(row), objects, bytes))
}

impl<'h> Diff<'h> {
    /// Groups that have more bytes in the last dump than in the first, the
    /// fastest first. Holds across compaction, except that 2.7 to 3.3 lose
    /// the sites of objects that moved.
    pub fn growth(&self, by: GroupBy, filter: &Filter) -> Vec<GrowthRow<'h>> {
        let dumps = self.heaps().len();
        let mut rows: FxHashMap<Key<'h>, (Vec<Objects>, Vec<Bytes>)> = FxHashMap::default();
        for (i, heap) in self.heaps().iter().enumerate() {
            // Filter and key look at nothing that a kind does not tell.
            for (id, count, size) in by_kind(heap).filter(|&(id, ..)| filter.takes(heap, id)) {
                let (objects, bytes) = rows
                    .entry(Key::new(heap, id, by))
                    .or_insert_with(|| (vec![Objects(0); dumps], vec![Bytes(0); dumps]));
                objects[i].0 += count.0;
                bytes[i] += size;
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
