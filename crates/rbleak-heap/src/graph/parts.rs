//! Internal objects that are parts of others: an object's `fields`.
//!
//! From 4.0 instance variables that do not fit into an object lie in an IMEMO
//! of their own, whose `class` is the owner. To a Rubyist they are one object,
//! so that they are one node.

use crate::{Heap, ObjectId, ObjectType};

const WHOLE: u32 = u32::MAX;

/// Which objects are parts of which.
#[derive(Clone, Debug, Default)]
pub(super) struct Parts {
    /// Of each row the row it is a part of, or `WHOLE`; empty where the heap
    /// has no parts, as before 4.0.
    wholes: Vec<u32>,
    /// The same from the whole, sorted.
    parts: Vec<(ObjectId, ObjectId)>,
}

impl Parts {
    pub(super) fn new(heap: &Heap) -> Parts {
        let mut found = Parts::default();
        if !heap.ids().any(|id| is_fields(heap, id)) {
            return found;
        }
        // Fields that were outgrown still name their owner: they are garbage,
        // and what they hold is not what the owner holds.
        for owner in heap.ids().filter(|&id| !is_fields(heap, id)) {
            for &part in heap.references(owner) {
                if is_fields(heap, part) && heap.class_id(part) == Some(owner) {
                    found.parts.push((owner, part));
                }
            }
        }
        found.parts.sort_unstable();
        found.parts.dedup();
        found.wholes = vec![WHOLE; heap.len()];
        for &(whole, part) in &found.parts {
            found.wholes[part.index()] = whole.index() as u32;
        }
        found
    }

    /// What an object is a part of, or itself.
    #[inline]
    pub(super) fn whole(&self, id: ObjectId) -> ObjectId {
        match self.wholes.get(id.index()) {
            None | Some(&WHOLE) => id,
            Some(&whole) => ObjectId::from_index(whole as usize),
        }
    }

    /// The parts of an object, itself not among them.
    pub(super) fn of(&self, id: ObjectId) -> impl Iterator<Item = ObjectId> + '_ {
        let from = self.parts.partition_point(|&(whole, _)| whole < id);
        self.parts[from..]
            .iter()
            .take_while(move |&&(whole, _)| whole == id)
            .map(|&(_, part)| part)
    }
}

fn is_fields(heap: &Heap, id: ObjectId) -> bool {
    heap.object_type(id) == ObjectType::Imemo && heap.imemo_type(id) == Some("fields")
}
