//! Slots by size: how full the heap's pages are, and what lies outside them.

use super::add;
use super::content::Content;
use crate::graph::Count;
use crate::{Heap, ObjectType};
use rbleak_units::{Bytes, Objects};
use std::collections::BTreeMap;

/// Ruby's only size of slots before 3.2 on 64-bit machines.
const OLD_SLOT: u32 = 40;

/// All slots of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Slots {
    /// Bytes of one slot; `None` where the dump does not say.
    pub size: Option<u32>,
    /// Objects in them, with all that they take.
    pub live: Count,
    /// What the objects take of this within their slots. The rest was taken
    /// from `malloc`.
    pub inside: Bytes,
    /// Listed as free; a dump lists them only with `full: true`.
    pub free: Objects,
    /// Dead objects that wait for their finalizer, and what compaction left.
    pub dead: Objects,
}

impl Slots {
    /// What the objects take outside their slots.
    pub fn outside(&self) -> Bytes {
        Bytes(self.live.bytes.0.saturating_sub(self.inside.0))
    }
}

/// Slots by size, the smallest first.
pub(super) fn slots(heap: &Heap, content: &Content) -> Vec<Slots> {
    let is_old = !content.has_slot_sizes() && heap.shapes().all().is_empty();
    let mut by_size: BTreeMap<Option<u32>, Slots> = BTreeMap::new();
    for id in heap.ids() {
        let size = match is_old {
            true => Some(OLD_SLOT),
            false => content.slot_size(heap.address(id)),
        };
        let slots = by_size.entry(size).or_default();
        slots.size = size;
        match heap.object_type(id) {
            ObjectType::None => slots.free.0 += 1,
            object_type if !object_type.is_live() => slots.dead.0 += 1,
            _ => {
                let bytes = heap.shallow_size(id);
                add(&mut slots.live, bytes);
                // What is not known lies outside, as a whole.
                slots.inside += bytes.min(Bytes(u64::from(size.unwrap_or(0))));
            }
        }
    }
    by_size.into_values().collect()
}
