//! Which objects of the last dump were not there in the first.
//!
//! With two dumps: what was allocated between them and is still there. With
//! three or more: what is new since the first, was seen before the last, and
//! is alive in the last. An address is no identity, because the collector
//! hands slots out again; see [`Identity`].
//!
//! Knows heaps, neither files nor how results are shown.

mod changes;
mod compaction;
mod growth;
mod matching;
mod problems;

use crate::columns::ABSENT;
use crate::heap::Heap;
use crate::ids::ObjectId;
pub use compaction::Compaction;
pub use growth::{Grown, GrowthRow};
use matching::Matcher;
pub use problems::{DiffProblem, Severity};
use rbleak_units::{Bytes, Objects};

/// When an object of one dump is the same as one of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Identity {
    /// Same address, type, class, allocation site and generation. Of dumps
    /// without traced allocations: same address, type and class.
    #[default]
    Auto,
    /// Same address: heapy's notion. On a busy server a third of what it
    /// calls retained is not, and a quarter of what is it misses.
    Address,
}

/// The identity that could be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdentityUsed {
    /// With generation and site: exact.
    Traced,
    /// At least one dump has no generations; a slot that was reused for
    /// another object of the same class looks like the same object.
    Untraced,
    /// As asked for.
    Address,
}

/// An object that is new since the first dump and alive in the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Survivor {
    /// Its row in the last heap.
    pub id: ObjectId,
    /// Its row in the heap where it was first seen.
    pub first_id: ObjectId,
    /// The index of that heap: 1 or more.
    pub first_seen: usize,
}

/// Slots that hold another object in a later dump.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// Index of the earlier dump; the later one is the next.
    pub from: usize,
    /// How many addresses both have with different objects.
    pub slots: Objects,
}

/// What comparing addresses alone would have said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AddressOnly {
    /// Objects it would call new and still there.
    pub objects: Objects,
    /// Their bytes.
    pub bytes: Bytes,
    /// Of these, objects that are not.
    pub wrong: Objects,
    /// Survivors it would not name: they lie in slots that were taken in the
    /// first dump.
    pub missed: Objects,
}

/// Fewer than two dumps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a diff needs two dumps or more, in the order in which they were taken; {given} given")]
pub struct DiffError {
    /// How many there were.
    pub given: usize,
}

/// The difference between dumps of one process.
#[derive(Debug)]
pub struct Diff<'h> {
    matcher: Matcher<'h>,
    survivors: Vec<Survivor>,
    newest: Vec<ObjectId>,
    untraced: u64,
    reuse: Vec<Reuse>,
    address_only: AddressOnly,
    compactions: Vec<Compaction>,
    problems: Vec<DiffProblem>,
}

/// Compares dumps of one process in the order in which they were taken.
///
/// A diff that makes no sense (other process, wrong order) is still
/// returned: look at [`Diff::problems`] first.
///
/// # Errors
///
/// If there are fewer than two.
pub fn diff(heaps: &[Heap], identity: Identity) -> Result<Diff<'_>, DiffError> {
    let [_, .., last] = heaps else {
        return Err(DiffError { given: heaps.len() });
    };
    let mut diff = Diff {
        matcher: Matcher::new(heaps, identity),
        survivors: Vec::new(),
        newest: Vec::new(),
        untraced: 0,
        reuse: Vec::new(),
        address_only: AddressOnly::default(),
        compactions: Vec::new(),
        problems: Vec::new(),
    };
    let before_last = diff.place(last);
    let reused = (0..heaps.len() - 2).map(|from| diff.matcher.reused(from));
    diff.reuse = reused
        .chain([before_last])
        .enumerate()
        .map(|(from, slots)| Reuse {
            from,
            slots: Objects(slots),
        })
        .collect();
    // By address alone nothing is ever recognised as moved.
    let auto = (identity == Identity::Address).then(|| Matcher::new(heaps, Identity::Auto));
    let matcher = auto.as_ref().unwrap_or(&diff.matcher);
    diff.compactions = (0..heaps.len() - 1)
        .filter_map(|from| compaction::detect(matcher, from))
        .collect();
    diff.problems = problems::find(heaps, &diff.compactions);
    Ok(diff)
}

impl<'h> Diff<'h> {
    /// Books the objects of the last heap; how many of them lie where the one
    /// before has another.
    fn place(&mut self, heap: &Heap) -> u64 {
        let last = self.heaps().len() - 1;
        let earlier: Vec<_> = (0..last).collect();
        let matcher = &self.matcher;
        let parts = matcher.visit(
            last,
            &matcher.maybe_new(),
            &earlier,
            |placed: &mut Placed, row, found| {
                let first = (0..last)
                    .find(|&i| found[i] != ABSENT && matcher.same((i, found[i]), (last, row)));
                if first != Some(0) && matcher.is_live(last, row) {
                    placed.add(heap, row, first, found);
                }
                placed.reused += u64::from(matcher.is_reused(last - 1, found[last - 1], row));
            },
        );
        let mut reused = 0;
        for part in parts {
            self.survivors.extend(part.survivors);
            self.newest.extend(part.newest);
            self.untraced += part.untraced;
            let sum = &mut self.address_only;
            sum.objects.0 += part.address_only.objects.0;
            sum.bytes += part.address_only.bytes;
            sum.wrong.0 += part.address_only.wrong.0;
            sum.missed.0 += part.address_only.missed.0;
            reused += part.reused;
        }
        reused
    }

    /// The dumps.
    pub fn heaps(&self) -> &'h [Heap] {
        self.matcher.heaps
    }

    /// The last dump, whose rows the results refer to.
    pub fn last(&self) -> &'h Heap {
        &self.heaps()[self.heaps().len() - 1]
    }

    /// The identity that was used.
    pub fn identity(&self) -> IdentityUsed {
        self.matcher.identity
    }

    /// What is new since the first dump, was seen before the last, and is
    /// alive in the last; of two dumps, what is new. In the order of the last
    /// dump.
    pub fn survivors(&self) -> &[Survivor] {
        &self.survivors
    }

    /// Only in the last of three or more dumps: whether they will survive is
    /// not known, but a site that grows goes on having some.
    pub fn newest(&self) -> &[ObjectId] {
        &self.newest
    }

    /// Survivors without a generation. In traced dumps an object without one
    /// is older than the tracing.
    pub fn untraced_survivors(&self) -> Objects {
        Objects(self.untraced)
    }

    /// Reused slots from each dump to the next.
    pub fn reuse(&self) -> &[Reuse] {
        &self.reuse
    }

    /// Reused slots altogether.
    pub fn reused_slots(&self) -> Objects {
        Objects(self.reuse.iter().map(|reuse| reuse.slots.0).sum())
    }

    /// What comparing addresses alone would have said.
    pub fn address_only(&self) -> AddressOnly {
        self.address_only
    }

    /// Whether objects moved between dumps. Survivors are then wrong: use
    /// [`Diff::growth`].
    pub fn compacted(&self) -> bool {
        !self.compactions.is_empty()
    }

    /// Between which dumps objects moved.
    pub fn compactions(&self) -> &[Compaction] {
        &self.compactions
    }

    /// Why the result may be wrong, worst first.
    pub fn problems(&self) -> &[DiffProblem] {
        &self.problems
    }

    /// Objects that are the same in every dump and were larger in each than
    /// in the one before, such as an Array that is appended to; by growth,
    /// the largest `top`.
    pub fn grown(&self, top: usize) -> Vec<Grown> {
        growth::grown(&self.matcher, top)
    }
}

/// What came of some of the last heap's rows.
#[derive(Default)]
struct Placed {
    survivors: Vec<Survivor>,
    newest: Vec<ObjectId>,
    untraced: u64,
    reused: u64,
    address_only: AddressOnly,
}

impl Placed {
    /// Books a live object that is not in the first dump: `first` is the dump
    /// where it was seen first, `found` what each dump has at its address.
    fn add(&mut self, heap: &Heap, row: u32, first: Option<usize>, found: &[u32]) {
        let id = ObjectId(row);
        let last = found.len();
        let survivor = match first {
            Some(first_seen) => Some(Survivor {
                id,
                first_id: ObjectId(found[first_seen]),
                first_seen,
            }),
            // With two dumps there is no earlier one to have been seen in.
            None if last == 1 => Some(Survivor {
                id,
                first_id: id,
                first_seen: last,
            }),
            None => {
                self.newest.push(id);
                None
            }
        };
        let in_first = found[0] != ABSENT;
        let earlier = last == 1 || found[1..].iter().any(|&row| row != ABSENT);
        if !in_first && earlier {
            self.address_only.objects.0 += 1;
            self.address_only.bytes += heap.shallow_size(id);
            self.address_only.wrong.0 += u64::from(survivor.is_none());
        }
        if let Some(survivor) = survivor {
            self.address_only.missed.0 += u64::from(in_first || !earlier);
            self.untraced += u64::from(heap.generation(id).is_none());
            self.survivors.push(survivor);
        }
    }
}
