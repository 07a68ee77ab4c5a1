//! What an object refers to, and what refers to it.
//!
//! As a Rubyist sees it: the instance variables that from 4.0 on lie outside an
//! object are its own, and its class is told apart from what it holds. Knows
//! neither names nor how results are shown.

use crate::graph::{Dominator, Dominators};
use crate::{Heap, ObjectId, ObjectType};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// The objects on one side of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Neighbours {
    /// By references, each with how many there are; what keeps most first.
    pub references: Vec<(ObjectId, u32)>,
    /// Downward its superclass; upward the classes that have it as such.
    pub superclasses: Vec<ObjectId>,
    /// Upward: objects that have it as their class. Downward it is
    /// [`Heap::class_id`].
    pub instances: u64,
    /// Upward: the roots that hold it, as indices into [`Heap::roots`].
    pub roots: Vec<usize>,
}

impl Dominators<'_> {
    /// What an object refers to.
    pub fn references_of(&self, id: ObjectId) -> Neighbours {
        let heap = self.heap();
        let mut counts = BTreeMap::new();
        let mut count = |target: ObjectId| *counts.entry(target).or_insert(0) += 1;
        for &target in heap.references(id) {
            if self.whole(target) == id && target != id {
                let of_part = heap.references(target).iter();
                of_part.for_each(|&inner| count(inner));
            } else {
                count(self.whole(target));
            }
        }
        Neighbours {
            references: self.sorted(counts),
            superclasses: superclass(heap, id).into_iter().collect(),
            ..Neighbours::default()
        }
    }

    /// What refers to an object: one pass over all references.
    pub fn referrers_of(&self, id: ObjectId) -> Neighbours {
        let heap = self.heap();
        let mut found = Neighbours::default();
        let mut counts = BTreeMap::new();
        for other in heap.ids().filter(|&other| heap.is_live(other)) {
            let times = heap.references(other).iter();
            let times = times.filter(|&&target| target == id).count();
            let whole = self.whole(other);
            if times > 0 && (whole != id || other == id) {
                *counts.entry(whole).or_insert(0) += times as u32;
            }
            // Internal records have their own use for the word.
            let is_instance =
                heap.class_id(other) == Some(id) && !heap.object_type(other).is_internal();
            found.instances += u64::from(is_instance);
            if superclass(heap, other) == Some(id) {
                found.superclasses.push(other);
            }
        }
        found.references = self.sorted(counts);
        let roots = heap.roots().iter().enumerate();
        found.roots = roots
            .filter(|(_, root)| root.references.contains(&id))
            .map(|(index, _)| index)
            .collect();
        found
    }

    fn whole(&self, id: ObjectId) -> ObjectId {
        match self.immediate_dominator(id) {
            Some(Dominator::Object(whole)) if self.is_part(id) => whole,
            _ => id,
        }
    }

    fn sorted(&self, counts: BTreeMap<ObjectId, u32>) -> Vec<(ObjectId, u32)> {
        let mut sorted: Vec<_> = counts.into_iter().collect();
        let heap = self.heap();
        sorted.sort_by_cached_key(|&(id, _)| (Reverse(self.retained_size(id)), heap.address(id)));
        sorted
    }
}

fn superclass(heap: &Heap, id: ObjectId) -> Option<ObjectId> {
    match heap.object_type(id) {
        ObjectType::Class | ObjectType::Module | ObjectType::Iclass => heap.superclass(id),
        _ => None,
    }
}
