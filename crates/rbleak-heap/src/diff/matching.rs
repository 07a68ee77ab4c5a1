//! Whether an object of one dump is an object of another.
//!
//! Whatever depends on the kind of an object alone is worked out once a kind.

use super::changes::Changes;
use super::{Identity, IdentityUsed};
use crate::columns::{ABSENT, KindColumn};
use crate::heap::Heap;
use crate::ids::ObjectId;
use crate::kinds::Kind;
use crate::object_type::ObjectType;
use crate::parallel;
use rustc_hash::FxHashMap;
use std::hash::Hash;
use std::ops::Range;

/// Rows that are worth a thread.
const MIN_ROWS: usize = 1 << 12;

/// Compares objects of several heaps.
#[derive(Debug)]
pub(super) struct Matcher<'h> {
    pub(super) heaps: &'h [Heap],
    pub(super) identity: IdentityUsed,
    /// For each heap and each of its kinds.
    marks: Vec<Vec<Mark>>,
    /// For each heap and each of its kinds a number that those share whose name
    /// and site are equal: of most objects this answers what marks would.
    alike: Vec<Vec<u32>>,
    /// From each dump to the next.
    changes: Vec<Changes>,
}

/// Numbers that equal things of all heaps share: every heap numbers its own.
#[derive(Clone, Copy, Debug)]
struct Mark {
    /// Type and word of the class.
    class: u32,
    /// Type and name of the class.
    name: u32,
    site: u32,
}

/// The number of each of many values, in the order of their appearance.
struct Numbers<T>(FxHashMap<T, u32>);

impl<T: Eq + Hash> Numbers<T> {
    fn of(&mut self, value: T) -> u32 {
        let next = self.0.len() as u32;
        *self.0.entry(value).or_insert(next)
    }
}

impl<'h> Matcher<'h> {
    pub(super) fn new(heaps: &'h [Heap], identity: Identity) -> Matcher<'h> {
        let mut classes = Numbers(FxHashMap::default());
        let mut names = Numbers(FxHashMap::default());
        let mut sites = Numbers(FxHashMap::default());
        let marks: Vec<Vec<Mark>> = heaps
            .iter()
            .enumerate()
            .map(|(i, heap)| {
                // Sites are strings to compare: once a site, not once a kind.
                let sites: Vec<_> = heap
                    .sites()
                    .map(|site| sites.of(heap.site_info(site)))
                    .collect();
                let kinds = heap.columns.kind_table.iter();
                kinds
                    .map(|kind| Mark {
                        class: if kind.object_type == ObjectType::Imemo {
                            // What stands there is no class: like no other's.
                            ABSENT - i as u32
                        } else {
                            let word = heap.columns.class_words.get(kind.class as usize);
                            classes.of((kind.object_type, word))
                        },
                        name: names.of((kind.object_type, heap.class_name_of(kind))),
                        site: heap
                            .site_of(kind)
                            .map_or(ABSENT, |site| sites[site.index()]),
                    })
                    .collect()
            })
            .collect();
        let mut likes = Numbers(FxHashMap::default());
        let alike = marks
            .iter()
            .map(|marks| {
                let likes = marks.iter().map(|mark| likes.of((mark.name, mark.site)));
                likes.collect()
            })
            .collect();
        let identity = match identity {
            Identity::Address => IdentityUsed::Address,
            Identity::Auto if heaps.iter().all(Heap::is_traced) => IdentityUsed::Traced,
            Identity::Auto => IdentityUsed::Untraced,
        };
        let mut matcher = Matcher {
            heaps,
            identity,
            marks,
            alike,
            changes: Vec::new(),
        };
        let pairs = 0..heaps.len() - 1;
        matcher.changes = pairs.map(|from| Changes::find(&matcher, from)).collect();
        matcher
    }

    /// From dump `from` to the next.
    pub(super) fn changes(&self, from: usize) -> &Changes {
        &self.changes[from]
    }

    /// Rows of the last heap, in order: all that are not surely in every heap
    /// before.
    pub(super) fn maybe_new(&self) -> Vec<u32> {
        let last = self.heaps.len() - 1;
        let heap = &self.heaps[last];
        let traced = self.heaps.iter().filter(|heap| heap.is_traced()).count();
        if self.identity != IdentityUsed::Address && traced > 0 && traced < self.heaps.len() {
            // What two objects of untraced dumps have in common with a third
            // one need not be what they have in common.
            return (0..heap.len() as u32).collect();
        }
        // In a bitmap they are in order.
        let mut bits = vec![0_u64; heap.len().div_ceil(64)];
        let mut note = |row: u32| bits[row as usize / 64] |= 1 << (row % 64);
        for &(row, _) in &self.changes[last - 1].new {
            note(row);
        }
        for (from, changes) in self.changes[..last - 1].iter().enumerate() {
            let later = &self.heaps[from + 1];
            let parts = in_parts(&changes.new, |changes| {
                let addresses = changes.iter().map(|&(row, _)| later.index.address(row));
                let rows = addresses.filter_map(|address| heap.index.find(address));
                rows.collect::<Vec<_>>()
            });
            parts.into_iter().flatten().for_each(&mut note);
        }
        let words = bits.iter().zip((0..).step_by(64));
        let rows = words.flat_map(|(&word, first)| {
            (0..64).filter_map(move |bit| (word >> bit & 1 == 1).then_some(first + bit))
        });
        rows.collect()
    }

    /// Whether two objects at the same address are the same.
    #[inline]
    pub(super) fn same(&self, (i, a): (usize, u32), (j, b): (usize, u32)) -> bool {
        if self.identity == IdentityUsed::Address {
            return true;
        }
        // Generation and site as far as both dumps were traced.
        let (one, other) = (&self.heaps[i], &self.heaps[j]);
        let are_traced = one.is_traced() && other.is_traced();
        if self.alike(i, a) != self.alike(j, b) {
            let (first, second) = (self.mark(i, a), self.mark(j, b));
            if first.class != second.class && first.name != second.name {
                return false;
            }
            if are_traced && first.site != second.site {
                return false;
            }
        }
        !are_traced
            || one.columns.generations.get(a as usize) == other.columns.generations.get(b as usize)
    }

    #[inline]
    fn alike(&self, heap: usize, row: u32) -> u32 {
        self.alike[heap][self.heaps[heap].columns.kinds.get(row as usize) as usize]
    }

    #[inline]
    fn mark(&self, heap: usize, row: u32) -> Mark {
        self.marks[heap][self.heaps[heap].columns.kinds.get(row as usize) as usize]
    }

    /// What equal objects that moved have in common: type and name of the
    /// class, as a number, and their length.
    #[inline]
    pub(super) fn likeness(&self, heap: usize, row: u32) -> (u32, Option<u64>) {
        let length = self.heaps[heap].length(ObjectId(row));
        (self.mark(heap, row).name, length)
    }

    /// Calls `visit` with `rows` of `heap`, each with the rows of `others` at the
    /// same address ([`ABSENT`] for none); on several threads, each with a value
    /// of its own, which come back in the order of `rows`.
    pub(super) fn visit<T: Default + Send>(
        &self,
        heap: usize,
        rows: &[u32],
        others: &[usize],
        visit: impl Fn(&mut T, u32, &[u32]) + Sync,
    ) -> Vec<T> {
        let index = &self.heaps[heap].index;
        in_parts(rows, |rows| {
            let mut value = T::default();
            let mut found = vec![ABSENT; others.len()];
            for &row in rows {
                let address = index.address(row);
                for (found, &other) in found.iter_mut().zip(others) {
                    *found = self.heaps[other].index.find(address).unwrap_or(ABSENT);
                }
                visit(&mut value, row, &found);
            }
            value
        })
    }

    /// Whether rows that are at the same addresses are the same objects, as
    /// [`Matcher::same`] says of each; `false`, too, if that is not so easily
    /// told. Of dumps that were all traced, or none, this is transitive.
    #[inline]
    pub(super) fn surely_same_rows(
        &self,
        (i, rows): (usize, &Range<usize>),
        (j, theirs): (usize, &Range<usize>),
    ) -> bool {
        if self.identity == IdentityUsed::Address {
            return true;
        }
        let (one, two) = (&self.heaps[i], &self.heaps[j]);
        if !KindColumn::are_alike(
            (&one.columns.kinds, rows.clone(), &self.alike[i]),
            (&two.columns.kinds, theirs.clone(), &self.alike[j]),
        ) {
            return false;
        }
        let are_traced = one.is_traced() && two.is_traced();
        let generations = (&one.columns.generations, &two.columns.generations);
        !are_traced || generations.0.are_same(rows, generations.1, theirs)
    }

    /// The same of one row.
    #[inline]
    pub(super) fn surely_same(&self, (i, a): (usize, u32), (j, b): (usize, u32)) -> bool {
        let row = |row: u32| row as usize..row as usize + 1;
        self.surely_same_rows((i, &row(a)), (j, &row(b)))
    }

    /// How many live objects of heap `from + 1` lie where heap `from` has
    /// another live one.
    pub(super) fn reused(&self, from: usize) -> u64 {
        let new = self.changes[from].new.iter();
        new.filter(|&&(row, found)| self.is_reused(from, found, row))
            .count() as u64
    }

    /// Whether the object `row` of heap `from + 1` lies where heap `from` has
    /// another one, in its row `found`, and both are live.
    #[inline]
    pub(super) fn is_reused(&self, from: usize, found: u32, row: u32) -> bool {
        found != ABSENT
            && !self.same((from, found), (from + 1, row))
            && self.is_live(from + 1, row)
            && self.is_live(from, found)
    }

    #[inline]
    pub(super) fn is_live(&self, heap: usize, row: u32) -> bool {
        self.kind(heap, row).object_type.is_live()
    }

    #[inline]
    pub(super) fn kind(&self, heap: usize, row: u32) -> &Kind {
        self.heaps[heap].columns.kind(row as usize)
    }
}

/// What `work` makes of parts of a slice, on all processors, in order.
pub(super) fn in_parts<I: Sync, T: Send>(items: &[I], work: impl Fn(&[I]) -> T + Sync) -> Vec<T> {
    let threads = parallel::processors();
    let parts = items.chunks(items.len().div_ceil(threads).max(MIN_ROWS));
    parallel::map(parts.collect(), threads, work)
}
