//! What changed from one dump to the next, row by row.
//!
//! Everything else that a diff asks is asked of these rows alone: most of a
//! heap stays as it is. Pages are compared 64 slots at a time, so that an
//! address is not looked up but met; of dumps that were read together, rows of
//! equal lines are known, and passed. Knows when objects surely are the same,
//! not what follows from it.

use super::matching::Matcher;
use crate::columns::ABSENT;
use crate::heap::Heap;
use crate::pages::{Page, WORDS};
use crate::parallel;
use crate::twin::Same;

/// Pages that are worth a thread.
const MIN_PAGES: usize = 1 << 7;

/// A row, and the row of the other dump at its address; [`ABSENT`] for none.
pub(super) type Change = (u32, u32);

/// Rows, in no order, of two dumps of which one was taken after the other.
#[derive(Debug, Default)]
pub(super) struct Changes {
    /// Of the earlier one: all that are not surely in the later one, each with
    /// what that has at the same address.
    pub(super) gone: Vec<Change>,
    /// Of the later one: all that are not surely in the earlier one, each with
    /// what that had at the same address.
    pub(super) new: Vec<Change>,
    /// Of the later one: what surely is in both, and may have another size.
    pub(super) resized: Vec<u32>,
}

impl Changes {
    /// From dump `from` to the next.
    pub(super) fn find(matcher: &Matcher<'_>, from: usize) -> Changes {
        let heaps = (&matcher.heaps[from], &matcher.heaps[from + 1]);
        let (Some(before), Some(after)) = (heaps.0.index.pages(), heaps.1.index.pages()) else {
            return Changes::looked_up(matcher, from, heaps);
        };
        let known = match (&heaps.0.beside, &heaps.1.beside) {
            (Some(before), Some(after)) => after.same(before),
            _ => None,
        };
        let parts = after.all().chunks(MIN_PAGES).collect();
        let parts = parallel::map(parts, parallel::processors(), |pages: &[Page]| {
            let mut changes = Changes::default();
            for page in pages {
                match before.page(page.number) {
                    Some(other) => changes.compare(matcher, from, heaps, (other, page), known),
                    None => changes.new.extend(rows(page).map(alone)),
                }
            }
            changes
        });
        let mut all = Changes::default();
        parts.into_iter().for_each(|part| all.add(part));
        let only_before = before.all().iter();
        let only_before = only_before.filter(|page| after.page(page.number).is_none());
        all.gone.extend(only_before.flat_map(rows).map(alone));
        all
    }

    fn add(&mut self, part: Changes) {
        self.gone.extend(part.gone);
        self.new.extend(part.new);
        self.resized.extend(part.resized);
    }

    /// Where a dump is out of order.
    fn looked_up(matcher: &Matcher<'_>, from: usize, heaps: (&Heap, &Heap)) -> Changes {
        let mut changes = Changes::default();
        for row in 0..heaps.1.len() as u32 {
            let other = at_same(heaps.1, heaps.0, row);
            if other != ABSENT && matcher.surely_same((from, other), (from + 1, row)) {
                changes.note_size(heaps, other, row);
            } else {
                changes.new.push((row, other));
            }
        }
        let rows = 0..heaps.0.len() as u32;
        let pairs = rows.map(|row| (row, at_same(heaps.0, heaps.1, row)));
        let is_gone = |&(row, other): &Change| {
            other == ABSENT || !matcher.surely_same((from, row), (from + 1, other))
        };
        changes.gone = pairs.filter(is_gone).collect();
        changes
    }

    /// Compares a page to itself; of the rows in `known` nothing differs.
    fn compare(
        &mut self,
        matcher: &Matcher<'_>,
        from: usize,
        heaps: (&Heap, &Heap),
        (before, after): (&Page, &Page),
        known: Option<&Same>,
    ) {
        for word in 0..WORDS {
            let bits = (before.bits[word], after.bits[word]);
            let rows = (before.rows_of(word), after.rows_of(word));
            // A line is equal to that of the same address alone.
            if bits.0 == bits.1 && known.is_some_and(|known| known.has(rows.1.clone())) {
                continue;
            }
            if bits.0 == bits.1 && matcher.surely_same_rows((from, &rows.0), (from + 1, &rows.1)) {
                let sizes = (&heaps.0.columns.memsizes, &heaps.1.columns.memsizes);
                if !sizes.0.are_same(&rows.0, sizes.1, &rows.1) {
                    for (other, row) in rows.0.zip(rows.1) {
                        self.note_size(heaps, other as u32, row as u32);
                    }
                }
                continue;
            }
            let (mut other, mut row) = (rows.0.start as u32, rows.1.start as u32);
            let mut left = bits.0 | bits.1;
            while left != 0 {
                let bit = left & left.wrapping_neg();
                left ^= bit;
                match (bits.0 & bit != 0, bits.1 & bit != 0) {
                    (true, true) if matcher.surely_same((from, other), (from + 1, row)) => {
                        self.note_size(heaps, other, row);
                    }
                    (true, true) => {
                        self.gone.push((other, row));
                        self.new.push((row, other));
                    }
                    (true, false) => self.gone.push(alone(other)),
                    (false, _) => self.new.push(alone(row)),
                }
                other += u32::from(bits.0 & bit != 0);
                row += u32::from(bits.1 & bit != 0);
            }
        }
    }

    fn note_size(&mut self, (before, after): (&Heap, &Heap), other: u32, row: u32) {
        let size = after.columns.memsizes.get(row as usize);
        if size.is_none() || size != before.columns.memsizes.get(other as usize) {
            self.resized.push(row);
        }
    }
}

/// The row of `other` at the address of a row; [`ABSENT`] for none.
fn at_same(heap: &Heap, other: &Heap, row: u32) -> u32 {
    let address = heap.index.address(row);
    other.index.find(address).unwrap_or(ABSENT)
}

fn alone(row: u32) -> Change {
    (row, ABSENT)
}

fn rows(page: &Page) -> impl Iterator<Item = u32> + use<> {
    let (first, last) = (page.rows_of(0), page.rows_of(WORDS - 1));
    first.start as u32..last.end as u32
}
