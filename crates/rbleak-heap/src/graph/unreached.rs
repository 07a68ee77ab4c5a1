//! What no root reaches, and why that may be.

use super::dominators::{Count, Dominators};
use super::layers::Layer;
use rbleak_units::Objects;

/// From this share of dangling references on a dump is torn.
const TORN: f64 = 0.01;

/// Objects that nothing reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unreached {
    /// All of them.
    pub all: Count,
    /// Of these, objects allocated after the last collection, which no
    /// collector has looked at yet; only traced dumps tell.
    pub since_last_collection: Count,
    /// Those on which the others hang: nothing unreached refers to them.
    pub heads: Objects,
    /// Of all references, those to addresses that the dump does not list.
    pub dangling_share: f64,
}

impl Unreached {
    /// Whether other threads ran while the dump was written (Ruby 3.0 to 3.3),
    /// so that parts of it do not fit together.
    pub fn is_torn(&self) -> bool {
        self.dangling_share > TORN
    }
}

impl Dominators<'_> {
    /// What nothing reaches.
    pub fn unreached(&self) -> Unreached {
        let heap = self.heap();
        let mut found = Unreached::default();
        let of = |id| heap.is_live(id) && self.layer(id) == Layer::Unreached;
        let mut is_held = vec![false; heap.len()];
        for id in heap.ids().filter(|&id| of(id)) {
            let bytes = heap.shallow_size(id);
            found.all.add(bytes);
            let generation = heap.generation(id);
            if generation.is_some() && generation == heap.max_generation() {
                found.since_last_collection.add(bytes);
            }
            for &target in heap.references(id) {
                is_held[target.index()] |= target != id;
            }
        }
        let heads = heap.ids().filter(|&id| of(id) && !is_held[id.index()]);
        found.heads = Objects(heads.count() as u64);
        let dangling = heap.dangling_references() as f64;
        let resolved = heap.reference_count() as f64;
        found.dangling_share = dangling / (dangling + resolved).max(1.0);
        found
    }
}
