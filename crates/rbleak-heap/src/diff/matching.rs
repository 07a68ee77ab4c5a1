//! Whether an object of one dump is an object of another.

use super::{Identity, IdentityUsed};
use crate::heap::Heap;
use crate::ids::ObjectId;
use crate::object_type::ObjectType;
use rustc_hash::FxHashMap;

/// Compares objects of several heaps.
#[derive(Debug)]
pub(super) struct Matcher<'h> {
    pub(super) heaps: &'h [Heap],
    pub(super) identity: IdentityUsed,
    /// For each heap and each of its sites, a number that equal sites of all
    /// heaps share: every heap numbers its own.
    sites: Vec<Vec<u32>>,
}

const NO_SITE: u32 = u32::MAX;

impl<'h> Matcher<'h> {
    pub(super) fn new(heaps: &'h [Heap], identity: Identity) -> Matcher<'h> {
        let mut numbers = FxHashMap::default();
        let sites = heaps
            .iter()
            .map(|heap| {
                heap.sites()
                    .map(|site| {
                        let next = numbers.len() as u32;
                        *numbers.entry(heap.site_info(site)).or_insert(next)
                    })
                    .collect()
            })
            .collect();
        let identity = match identity {
            Identity::Address => IdentityUsed::Address,
            Identity::Auto if heaps.iter().all(Heap::is_traced) => IdentityUsed::Traced,
            Identity::Auto => IdentityUsed::Untraced,
        };
        Matcher {
            heaps,
            identity,
            sites,
        }
    }

    /// The row in heap `other` of the object that is row `id` of `heap`.
    #[inline]
    pub(super) fn same_in(&self, other: usize, heap: usize, id: ObjectId) -> Option<ObjectId> {
        let found = self.heaps[other].find(self.heaps[heap].address(id))?;
        self.same((other, found), (heap, id)).then_some(found)
    }

    #[inline]
    fn same(&self, (i, a): (usize, ObjectId), (j, b): (usize, ObjectId)) -> bool {
        if self.identity == IdentityUsed::Address {
            return true;
        }
        let (first, second) = (&self.heaps[i], &self.heaps[j]);
        first.object_type(a) == second.object_type(b)
            && self.same_allocation((i, a), (j, b))
            && same_class(first, a, second, b)
    }

    /// Same generation and site, as far as both dumps were traced.
    #[inline]
    fn same_allocation(&self, (i, a): (usize, ObjectId), (j, b): (usize, ObjectId)) -> bool {
        let (first, second) = (&self.heaps[i], &self.heaps[j]);
        if !first.is_traced() || !second.is_traced() {
            return true;
        }
        first.generation(a) == second.generation(b) && self.site(i, a) == self.site(j, b)
    }

    #[inline]
    fn site(&self, heap: usize, id: ObjectId) -> u32 {
        self.heaps[heap]
            .site(id)
            .map_or(NO_SITE, |site| self.sites[heap][site.index()])
    }

    /// How many live objects of heap `from + 1` lie where heap `from` has
    /// another live one.
    pub(super) fn reused(&self, from: usize) -> u64 {
        let (earlier, later) = (&self.heaps[from], &self.heaps[from + 1]);
        let is_reused = |&id: &ObjectId| {
            later.is_live(id)
                && earlier.find(later.address(id)).is_some_and(|old| {
                    earlier.is_live(old) && !self.same((from, old), (from + 1, id))
                })
        };
        later.ids().filter(is_reused).count() as u64
    }
}

/// The class word changes when an object gets a singleton class, the class
/// that it is called by does not.
#[inline]
fn same_class(first: &Heap, a: ObjectId, second: &Heap, b: ObjectId) -> bool {
    let is_imemo = first.object_type(a) == ObjectType::Imemo;
    (!is_imemo && first.class(a) == second.class(b)) || first.class_name(a) == second.class_name(b)
}
