//! From addresses to rows: what the lines say becomes a heap.

use crate::builder::{Builder, Edges};
use crate::columns::{ABSENT, Sparse};
use crate::heap::Heap;
use crate::ids::{ObjectId, Root};
use crate::index::AddressIndex;
use crate::issues::Issues;
use crate::naming;
use crate::parallel;
use crate::version::Marker;

impl Builder {
    /// Resolves all addresses, on up to `threads` threads.
    pub(crate) fn finish(
        mut self,
        source: String,
        issues: Issues,
        (lines, bytes): (u64, u64),
        threads: usize,
    ) -> Heap {
        self.columns.shrink();
        let index = AddressIndex::new(std::mem::take(&mut self.addresses));
        if !self.columns.shape_ids.is_empty() {
            self.columns.shape_ids.resize(self.columns.len(), ABSENT);
        }
        let mut parts = vec![std::mem::take(&mut self.edges)];
        parts.append(&mut self.later_edges);
        let (starts, references, mut dangling) = if self.keep_references {
            resolve(parts, &index, threads)
        } else {
            (Vec::new(), Vec::new(), 0)
        };
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
        let max_generation = self.columns.generations.max();
        let is_full = !roots.is_empty() && self.columns.len() > 0;
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
            beside: None,
            live_totals: std::sync::OnceLock::new(),
        }
    }
}

/// Compressed sparse rows: where each row's references start, the references
/// that resolve, and how many did not.
fn resolve(
    parts: Vec<Edges>,
    index: &AddressIndex,
    threads: usize,
) -> (Vec<u32>, Vec<ObjectId>, u64) {
    let parts = parallel::map(parts, threads, |part| resolve_part(part, index));
    let rows = parts.iter().map(|part| part.0.len()).sum::<usize>();
    let resolved = parts.iter().map(|part| part.1.len()).sum::<usize>();
    let mut parts = parts.into_iter();
    // The first part grows by the others.
    let (mut starts, mut references, mut dangling) = parts.next().unwrap_or_default();
    starts.reserve_exact(rows + 1 - starts.len());
    references.reserve_exact(resolved - references.len());
    for (later_starts, later_references, later_dangling) in parts {
        let before = references.len() as u32;
        starts.extend(later_starts.iter().map(|&start| before + start));
        references.extend_from_slice(&later_references);
        dangling += later_dangling;
    }
    starts.push(references.len() as u32);
    (starts, references, dangling)
}

fn resolve_part(part: Edges, index: &AddressIndex) -> (Vec<u32>, Vec<ObjectId>, u64) {
    let Edges {
        mut starts,
        addresses,
    } = part;
    let mut references = Vec::with_capacity(addresses.len());
    for row in 0..starts.len() {
        let end = starts
            .get(row + 1)
            .map_or(addresses.len(), |&end| end as usize);
        let of_row = &addresses[starts[row] as usize..end];
        starts[row] = references.len() as u32;
        references.extend(
            of_row
                .iter()
                .filter_map(|&address| index.find(address).map(ObjectId)),
        );
    }
    let dangling = (addresses.len() - references.len()) as u64;
    (starts, references, dangling)
}
