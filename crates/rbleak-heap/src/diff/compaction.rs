//! Whether `GC.compact` moved objects between two dumps.
//!
//! After it an address says nothing about who was there before, so that a
//! diff by identity reads as if thousands of objects were new.

use super::matching::{Matcher, in_parts};
use crate::columns::ABSENT;
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

/// How many objects of each likeness: what stays when an object moves. Not
/// its memsize: 3.2 and later move between slot sizes.
type Likenesses = FxHashMap<(u32, Option<u64>), u64>;

/// Looks at dumps `from` and `from + 1`; not by address alone.
pub(super) fn detect(matcher: &Matcher<'_>, from: usize) -> Option<Compaction> {
    let (before, after) = (&matcher.heaps[from], &matcher.heaps[from + 1]);
    let last = before.max_generation();
    let is_traced = last.is_some() && after.is_traced();
    let (fewest, share) = if is_traced { TRACED } else { UNTRACED };
    // An object that is older than the first dump cannot be new in the
    // second. If allocations were traced, older is what has an earlier
    // generation, or has none: up to 3.3 compaction loses it. Otherwise only
    // code is looked at, which a program at work does not replace; 3.4 leaves
    // code where it is, so that there it is not noticed.
    let is_old = |heap: &Heap, row: u32| {
        if is_traced {
            heap.generation(ObjectId(row))
                .is_none_or(|generation| Some(generation) < last)
        } else {
            is_code(heap, ObjectId(row))
        }
    };
    let changes = matcher.changes(from);
    let goes = in_parts(&changes.gone, |changes| {
        let mut gone = Likenesses::default();
        for &(row, found) in changes {
            if matcher.is_live(from, row)
                && (is_traced || is_code(before, ObjectId(row)))
                && (found == ABSENT || !matcher.same((from + 1, found), (from, row)))
            {
                *gone.entry(matcher.likeness(from, row)).or_default() += 1;
            }
        }
        gone
    });
    let gone = join(goes);
    if gone.values().sum::<u64>() < fewest {
        return None;
    }
    let appears = in_parts(&changes.new, |changes| {
        let mut appeared = Likenesses::default();
        for &(row, found) in changes {
            if (found == ABSENT || !matcher.same((from, found), (from + 1, row)))
                && matcher.is_live(from + 1, row)
                && is_old(after, row)
            {
                *appeared.entry(matcher.likeness(from + 1, row)).or_default() += 1;
            }
        }
        appeared
    });
    let appeared = join(appears);
    let moved: u64 = appeared
        .iter()
        .filter_map(|(likeness, &count)| Some(count.min(*gone.get(likeness)?)))
        .sum();
    let appeared: u64 = appeared.values().sum();
    let is_candidate = |&row: &u32| matcher.is_live(from, row) && is_old(before, row);
    let is_many = moved >= fewest
        && moved * share >= (0..before.len() as u32).filter(is_candidate).count() as u64;
    (is_many && moved * 2 >= appeared).then_some(Compaction {
        from,
        moved: Objects(moved),
    })
}

fn join(parts: impl IntoIterator<Item = Likenesses>) -> Likenesses {
    let mut all = Likenesses::default();
    for (likeness, count) in parts.into_iter().flatten() {
        *all.entry(likeness).or_default() += count;
    }
    all
}

fn is_code(heap: &Heap, id: ObjectId) -> bool {
    match heap.object_type(id) {
        ObjectType::Class | ObjectType::Module | ObjectType::Iclass => true,
        ObjectType::Imemo => matches!(heap.imemo_type(id), Some("iseq" | "ment" | "cref")),
        _ => false,
    }
}
