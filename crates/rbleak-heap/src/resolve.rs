//! From addresses to rows: what the lines say becomes a heap.

use crate::builder::Builder;
use crate::columns::{ABSENT, Sparse};
use crate::heap::Heap;
use crate::ids::{ObjectId, Root};
use crate::index::AddressIndex;
use crate::issues::Issues;
use crate::naming;
use crate::version::Marker;

impl Builder {
    /// Resolves all addresses.
    pub(crate) fn finish(mut self, source: String, issues: Issues, lines: u64, bytes: u64) -> Heap {
        self.starts.push(self.references.len() as u32);
        let index = AddressIndex::new(&self.columns.addresses);
        if !self.columns.shape_ids.is_empty() {
            self.columns
                .shape_ids
                .resize(self.columns.addresses.len(), ABSENT);
        }
        let (starts, references, mut dangling) = resolve(&self.starts, &self.references, &index);
        drop(std::mem::take(&mut self.references));
        let roots = self
            .roots
            .drain(..)
            .map(|(name, addresses)| {
                let references: Vec<_> = addresses
                    .iter()
                    .filter_map(|&address| index.find(address).map(ObjectId))
                    .collect();
                dangling += (addresses.len() - references.len()) as u64;
                Root { name, references }
            })
            .collect::<Vec<_>>();
        // Ruby 2.1 leaves the slot out, which makes the memsize of whatever
        // fits into its slot 0, and zeros are not written.
        let excludes_slot = self.live_without_memsize * 2 > self.live
            && !self.markers.has(Marker::Shape)
            && !self.markers.has(Marker::ImemoType);
        if excludes_slot {
            self.markers.see(Marker::NoMemsize);
        }
        let superclasses = Sparse::new(
            self.superclasses
                .iter()
                .filter_map(|&(row, address)| Some((row, ObjectId(index.find(address)?))))
                .collect(),
        );
        let parts = naming::Parts {
            columns: &self.columns,
            strings: &self.strings,
            index: &index,
            superclasses,
            class_references: &self.class_references,
            has_superclass_key: self.markers.has(Marker::Superclass),
        };
        let names = naming::resolve(parts);
        self.columns.classes_resolved = self
            .columns
            .class_words
            .iter()
            .map(|&word| index.find(word).unwrap_or(ABSENT))
            .collect();
        let max_generation = self
            .columns
            .generations
            .iter()
            .copied()
            .filter(|&generation| generation != ABSENT)
            .max();
        let is_full = !roots.is_empty() && !self.columns.addresses.is_empty();
        Heap {
            source,
            columns: self.columns,
            strings: self.strings.into_strings(),
            index,
            starts,
            references,
            dangling,
            roots,
            shapes: self.shapes,
            names,
            excludes_slot,
            hint: self.markers.hint(is_full),
            max_generation,
            issues,
            lines,
            bytes,
        }
    }
}

/// Compressed sparse rows: where each row's references start, the references
/// that resolve, and how many did not.
fn resolve(
    starts: &[u32],
    addresses: &[u64],
    index: &AddressIndex,
) -> (Vec<u32>, Vec<ObjectId>, u64) {
    let mut new_starts = Vec::with_capacity(starts.len());
    let mut references = Vec::with_capacity(addresses.len());
    for range in starts.windows(2) {
        new_starts.push(references.len() as u32);
        let of_row = &addresses[range[0] as usize..range[1] as usize];
        references.extend(
            of_row
                .iter()
                .filter_map(|&address| index.find(address).map(ObjectId)),
        );
    }
    new_starts.push(references.len() as u32);
    let dangling = (addresses.len() - references.len()) as u64;
    (new_starts, references, dangling)
}
