//! What is new, by the old object that keeps it.
//!
//! The best single test for a leak: mark what is new since an earlier dump and
//! credit each object to its nearest dominator that is not. A list, an array, a
//! tree of Hashes that grew then stand there with all that they took in.

use super::dominators::{Count, Dominator, Dominators};
use crate::ObjectId;
use crate::trace::{Parent, Reach};
use rustc_hash::FxHashMap;

/// How new objects were credited to an old one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Credit {
    /// It dominates them: they would go with it.
    Dominator,
    /// Several things hold them, so that only roots dominate them; it is the
    /// first old object on a shortest way from a root.
    Way,
}

/// An old object (or a root) and what is new below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// What keeps the new objects.
    pub point: Dominator,
    /// Why it is said to.
    pub credit: Credit,
    /// All that is new below it.
    pub new: Count,
    /// Of these, objects that hang on it directly.
    pub entries: u64,
}

impl Dominators<'_> {
    /// Everything for which `is_new` is true and that is reached, the measuring
    /// excepted, by what keeps it; the largest first.
    pub fn suspects(&self, is_new: impl Fn(ObjectId) -> bool) -> Vec<Suspect> {
        let mut piles = Piles::default();
        // The nearest old dominator of each new rank; dominators come first.
        let mut points = vec![0_u32; self.tree.reached()];
        let mut shared = Vec::new();
        for rank in 1..self.tree.reached() as u32 {
            let Some(id) = self.object_of_rank(rank).filter(|&id| is_new(id)) else {
                continue;
            };
            let above = self.tree.dominator_rank(rank);
            let is_entry = !self.object_of_rank(above).is_some_and(&is_new);
            let point = if is_entry {
                above
            } else {
                points[above as usize]
            };
            points[rank as usize] = point;
            let point = self.dominator_of_rank(point);
            if self.is_tool(id) {
                continue;
            }
            if self.is_opened_cached(point, &mut piles.opened) {
                shared.push(id);
            } else {
                piles.add(self, point, Credit::Dominator, id, is_entry);
            }
        }
        self.credit_ways(&shared, &is_new, &mut piles);
        let mut found: Vec<Suspect> = piles.found.into_values().collect();
        found.sort_by(|a, b| {
            (b.new.bytes, b.new.objects)
                .cmp(&(a.new.bytes, a.new.objects))
                .then_with(|| (a.point, a.credit).cmp(&(b.point, b.credit)))
        });
        found
    }

    /// Credits what no single object keeps along shortest ways.
    fn credit_ways(
        &self,
        shared: &[ObjectId],
        is_new: impl Fn(ObjectId) -> bool,
        piles: &mut Piles,
    ) {
        if shared.is_empty() {
            return;
        }
        let heap = self.heap();
        let mut is_shared = vec![false; heap.len()];
        for &id in shared {
            is_shared[id.index()] = true;
        }
        let reach = Reach::new(heap, self.input.names);
        let mut points: FxHashMap<ObjectId, Dominator> = FxHashMap::default();
        for &id in reach.order() {
            if !is_new(id) {
                continue;
            }
            let (point, is_entry) = match reach.parent(id) {
                Parent::Object(above) if is_new(above) => (points[&above], false),
                Parent::Object(above) => (Dominator::Object(above), true),
                Parent::Root(index) => (Dominator::Root(index), true),
                Parent::Finalizers | Parent::Unreached => (Dominator::Roots, true),
            };
            points.insert(id, point);
            if is_shared[id.index()] {
                piles.add(self, point, Credit::Way, id, is_entry);
            }
        }
    }

    /// Many new objects have one point, and telling walks down from it.
    fn is_opened_cached(&self, point: Dominator, opened: &mut FxHashMap<Dominator, bool>) -> bool {
        *opened.entry(point).or_insert_with(|| self.is_opened(point))
    }
}

#[derive(Default)]
struct Piles {
    found: FxHashMap<(Dominator, Credit), Suspect>,
    opened: FxHashMap<Dominator, bool>,
}

impl Piles {
    fn add(
        &mut self,
        dominators: &Dominators<'_>,
        point: Dominator,
        credit: Credit,
        id: ObjectId,
        is_entry: bool,
    ) {
        let suspect = self.found.entry((point, credit)).or_insert(Suspect {
            point,
            credit,
            new: Count::default(),
            entries: 0,
        });
        suspect.new.add(dominators.own_size(id));
        suspect.entries += u64::from(is_entry);
    }
}
