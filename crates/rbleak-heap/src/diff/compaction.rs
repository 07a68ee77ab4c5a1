//! Whether `GC.compact` moved objects between two dumps.
//!
//! After it an address says nothing about who was there before, so that a
//! diff by identity reads as if thousands of objects were new.

use super::IdentityUsed;
use super::matching::Matcher;
use crate::heap::Heap;
use crate::ids::ObjectId;
use crate::object_type::ObjectType;
use rbleak_units::Objects;
use rustc_hash::FxHashMap;

/// How many objects must have moved, at least, and one in how many, of those
/// that are looked at: of code, which stays, fewer are no coincidence.
const TRACED: (u64, u64) = (50, 100);
const UNTRACED: (u64, u64) = (20, 1000);

/// Objects moved between a dump and the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Index of the earlier dump.
    pub from: usize,
    /// How many objects are recognised at another address. A lower bound.
    pub moved: Objects,
}

/// What stays when an object moves. Not its memsize: 3.2 and later move
/// between slot sizes.
type Likeness<'h> = (ObjectType, &'h str, Option<u64>);

/// Looks at dumps `from` and `from + 1`.
pub(super) fn detect(matcher: &Matcher<'_>, from: usize) -> Option<Compaction> {
    // By address alone nothing is ever recognised as moved.
    if matcher.identity == IdentityUsed::Address {
        let auto = Matcher::new(matcher.heaps, super::Identity::Auto);
        return detect(&auto, from);
    }
    let (before, after) = (&matcher.heaps[from], &matcher.heaps[from + 1]);
    let last = before.max_generation();
    let is_traced = last.is_some() && after.is_traced();
    let (fewest, share) = if is_traced { TRACED } else { UNTRACED };
    // An object that is older than the first dump cannot be new in the
    // second. If allocations were traced, older is what has an earlier
    // generation, or has none: up to 3.3 compaction loses it. Otherwise only
    // code is looked at, which a program at work does not replace; 3.4 leaves
    // code where it is, so that there it is not noticed.
    let is_old = |heap: &Heap, id: ObjectId| {
        if is_traced {
            heap.generation(id)
                .is_none_or(|generation| Some(generation) < last)
        } else {
            is_code(heap, id)
        }
    };
    let candidates = |heap: &Heap| {
        heap.ids()
            .filter(|&id| heap.is_live(id) && is_old(heap, id))
            .count() as u64
    };
    let mut gone: FxHashMap<Likeness<'_>, u64> = FxHashMap::default();
    for id in before.ids() {
        if before.is_live(id)
            && (is_traced || is_code(before, id))
            && matcher.same_in(from + 1, from, id).is_none()
        {
            *gone.entry(likeness(before, id)).or_default() += 1;
        }
    }
    if gone.values().sum::<u64>() < fewest {
        return None;
    }
    let mut appeared = 0;
    let mut moved = 0;
    for id in after.ids() {
        if after.is_live(id) && is_old(after, id) && matcher.same_in(from, from + 1, id).is_none() {
            appeared += 1;
            if let Some(count @ 1..) = gone.get_mut(&likeness(after, id)) {
                *count -= 1;
                moved += 1;
            }
        }
    }
    let is_many = moved >= fewest && moved * share >= candidates(before);
    (is_many && moved * 2 >= appeared).then_some(Compaction {
        from,
        moved: Objects(moved),
    })
}

fn likeness(heap: &Heap, id: ObjectId) -> Likeness<'_> {
    (heap.object_type(id), heap.class_name(id), heap.length(id))
}

fn is_code(heap: &Heap, id: ObjectId) -> bool {
    match heap.object_type(id) {
        ObjectType::Class | ObjectType::Module | ObjectType::Iclass => true,
        ObjectType::Imemo => matches!(heap.imemo_type(id), Some("iseq" | "ment" | "cref")),
        _ => false,
    }
}
