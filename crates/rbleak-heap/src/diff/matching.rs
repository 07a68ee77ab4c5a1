//! Whether an object of one dump is an object of another.
//!
//! Dumps are walked side by side, page by page, so that an address is not
//! looked up but met; and whatever depends on the kind of an object alone is
//! worked out once a kind.

use super::{Identity, IdentityUsed};
use crate::columns::ABSENT;
use crate::heap::Heap;
use crate::ids::ObjectId;
use crate::kinds::Kind;
use crate::object_type::ObjectType;
use crate::pages::{Page, Pages, WORDS};
use crate::parallel;
use rustc_hash::FxHashMap;
use std::hash::Hash;
use std::ops::Range;

/// Rows that are worth a thread.
const MIN_ROWS: u32 = 1 << 16;

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
}

/// What must be the same in what is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Same {
    /// The objects.
    Objects,
    /// The objects and their sizes.
    Sizes,
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
        Matcher {
            heaps,
            identity,
            marks,
            alike,
        }
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
        self.alike[heap][self.heaps[heap].columns.kinds[row as usize] as usize]
    }

    #[inline]
    fn mark(&self, heap: usize, row: u32) -> Mark {
        self.marks[heap][self.heaps[heap].columns.kinds[row as usize] as usize]
    }

    /// What equal objects that moved have in common: type and name of the
    /// class, as a number, and their length.
    #[inline]
    pub(super) fn likeness(&self, heap: usize, row: u32) -> (u32, Option<u64>) {
        let length = self.heaps[heap].length(ObjectId(row));
        (self.mark(heap, row).name, length)
    }

    /// Calls `visit` with the rows of `heap` in order, each with the rows of
    /// `others` at the same address ([`ABSENT`] for none); on several threads,
    /// each with a value of its own, which come back in the order of the rows.
    /// What is the same in all of them is mostly left out.
    pub(super) fn walk_changed<T: Default + Send>(
        &self,
        heap: usize,
        others: &[usize],
        same: Same,
        visit: impl Fn(&mut T, u32, &[u32]) + Sync,
    ) -> Vec<T> {
        let rows = self.heaps[heap].len() as u32;
        let threads = parallel::processors();
        let step = rows.div_ceil(threads as u32 * 4).max(MIN_ROWS);
        let parts = (0..rows)
            .step_by(step as usize)
            .map(|start| start..start.saturating_add(step).min(rows))
            .collect();
        parallel::map(parts, threads, |part| {
            let mut value = T::default();
            self.walk_rows(heap, others, same, part, |row, found| {
                visit(&mut value, row, found)
            });
            value
        })
    }

    fn walk_rows(
        &self,
        number: usize,
        numbers: &[usize],
        same: Same,
        rows: Range<u32>,
        mut visit: impl FnMut(u32, &[u32]),
    ) {
        let heap = &self.heaps[number];
        let others: Vec<_> = numbers.iter().map(|&other| &self.heaps[other]).collect();
        let all: Option<Vec<&Pages>> = others.iter().map(|other| other.index.pages()).collect();
        if let (Some(pages), Some(others)) = (heap.index.pages(), all) {
            let is_same = |at: usize, own: Range<usize>, theirs: Range<usize>| {
                self.are_same_rows((number, &own), (numbers[at], &theirs), same)
            };
            return walk_pages(pages, &others, rows, is_same, visit);
        }
        // Some dump is out of order.
        let mut found = vec![ABSENT; others.len()];
        for row in rows {
            let address = heap.index.address(row);
            for (found, other) in found.iter_mut().zip(&others) {
                *found = other.index.find(address).unwrap_or(ABSENT);
            }
            visit(row, &found);
        }
    }

    /// Whether rows that are at the same addresses are the same objects; at once
    /// what [`Matcher::same`] says of each, or `false` if that is not so easily
    /// told.
    fn are_same_rows(
        &self,
        (i, rows): (usize, &Range<usize>),
        (j, theirs): (usize, &Range<usize>),
        same: Same,
    ) -> bool {
        let (one, two) = (&self.heaps[i], &self.heaps[j]);
        let sizes = (&one.columns.memsizes, &two.columns.memsizes);
        if same == Same::Sizes && !sizes.0.are_same(rows, sizes.1, theirs) {
            return false;
        }
        if self.identity == IdentityUsed::Address {
            return true;
        }
        let kinds = &one.columns.kinds[rows.clone()];
        let others = &two.columns.kinds[theirs.clone()];
        let mut pairs = kinds.iter().zip(others);
        let alike = (&self.alike[i], &self.alike[j]);
        if !pairs.all(|(&kind, &other)| alike.0[kind as usize] == alike.1[other as usize]) {
            return false;
        }
        let are_traced = one.is_traced() && two.is_traced();
        let generations = (&one.columns.generations, &two.columns.generations);
        !are_traced || generations.0.are_same(rows, generations.1, theirs)
    }

    /// How many live objects of heap `from + 1` lie where heap `from` has
    /// another live one.
    pub(super) fn reused(&self, from: usize) -> u64 {
        let same = Same::Objects;
        let counts = self.walk_changed(from + 1, &[from], same, |count: &mut u64, row, found| {
            *count += u64::from(self.is_reused(from, found[0], row));
        });
        counts.into_iter().sum()
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

/// Calls `visit` with rows and what others have there, but for words of which
/// `is_same` says that each of the others has the same.
fn walk_pages(
    pages: &Pages,
    others: &[&Pages],
    rows: Range<u32>,
    is_same: impl Fn(usize, Range<usize>, Range<usize>) -> bool,
    mut visit: impl FnMut(u32, &[u32]),
) {
    let mut found = vec![ABSENT; others.len()];
    let mut theirs: Vec<Option<&Page>> = Vec::with_capacity(others.len());
    for page in pages.of(&rows) {
        theirs.clear();
        theirs.extend(others.iter().map(|other| other.page(page.number)));
        for word in 0..WORDS {
            let mut left = page.bits[word];
            let own = page.rows_of(word);
            let mut row = own.start as u32;
            let is_same_word = |(at, theirs): (usize, &Option<&Page>)| {
                theirs.is_some_and(|theirs| {
                    theirs.bits[word] == left && is_same(at, own.clone(), theirs.rows_of(word))
                })
            };
            if left == 0 || theirs.iter().enumerate().all(is_same_word) {
                continue;
            }
            while left != 0 {
                let bit = left & left.wrapping_neg();
                left ^= bit;
                if rows.contains(&row) {
                    for (found, theirs) in found.iter_mut().zip(&theirs) {
                        let at = theirs.and_then(|page| page.position(word, bit));
                        *found = at.unwrap_or(ABSENT);
                    }
                    visit(row, &found);
                }
                row += 1;
            }
        }
    }
}
