//! Lines that an earlier dump of the same process has, too.
//!
//! From one dump to the next nearly every object stays as it is, where it is:
//! its line is the same, byte for byte, and comes after the same lines. Of
//! such a line everything is known from the row that it became there. That
//! two lines are equal is all that is ever concluded from; where dumps lie
//! differently, fewer lines are. Knows neither files nor parts.

use crate::builder::Builder;
use crate::columns::ABSENT;
use crate::pages::{Walk, page_number};
use crate::scan::address_of;
use std::ops::Range;
use std::sync::Arc;

/// So many pages that the earlier dump seems not to have are waited for one of
/// its next page before that counts as gone.
const PATIENCE: u32 = 2;

/// Which rows became of lines that the dump before has, too: nothing about them
/// differs. A bit a row.
#[derive(Default)]
pub(crate) struct Same(Vec<u64>);

impl Same {
    /// Of all bits of the range that lie in one word: the word and they.
    fn words(rows: Range<usize>) -> impl Iterator<Item = (usize, u64)> {
        let first = rows.start / 64;
        let end = match rows.is_empty() {
            true => first,
            false => rows.end.div_ceil(64),
        };
        (first..end).map(move |word| {
            let from = rows.start.saturating_sub(word * 64);
            let to = (rows.end - word * 64).min(64);
            (word, (u64::MAX << from) & (u64::MAX >> (64 - to)))
        })
    }

    fn note(&mut self, rows: Range<usize>) {
        for (word, bits) in Same::words(rows) {
            if word >= self.0.len() {
                self.0.resize(word + 1, 0);
            }
            self.0[word] |= bits;
        }
    }

    /// Adds those of the next part, before which there are so many rows.
    pub(crate) fn append(&mut self, rows: usize, later: &Same) {
        let (word, shift) = (rows / 64, rows as u32 % 64);
        self.0.resize(self.0.len().max(word + later.0.len() + 1), 0);
        for (at, &bits) in (word..).zip(&later.0) {
            self.0[at] |= bits << shift;
            // In two steps: a shift by 64 is none.
            self.0[at + 1] |= bits >> 1 >> (63 - shift);
        }
    }

    /// Whether all of these are among them.
    #[inline]
    pub(crate) fn has(&self, rows: Range<usize>) -> bool {
        let bits = |word: usize| self.0.get(word).copied().unwrap_or(0);
        Same::words(rows).all(|(word, wanted)| bits(word) & wanted == wanted)
    }
}

/// What a heap has in common with the one that was read before it.
pub(crate) struct Beside {
    /// Which heap this is: no other has the same.
    this: Arc<()>,
    earlier: Option<(Arc<()>, Same)>,
}

impl Beside {
    /// Of the heap that comes after `earlier`.
    pub(crate) fn new(earlier: Option<&Beside>, same: Same) -> Beside {
        Beside {
            this: Arc::new(()),
            earlier: earlier.map(|earlier| (Arc::clone(&earlier.this), same)),
        }
    }

    /// The rows that both have, if that was the one before.
    pub(crate) fn same(&self, earlier: &Beside) -> Option<&Same> {
        let (before, same) = self.earlier.as_ref()?;
        Arc::ptr_eq(before, &earlier.this).then_some(same)
    }
}

/// How two dumps lie beside each other, from block to block.
#[derive(Default)]
pub(crate) struct Alignment {
    /// For each kind of the earlier dump the number of the same one here;
    /// [`ABSENT`] as long as no line told.
    kinds: Vec<u32>,
    same: Same,
    /// How many lines were taken and not read.
    taken: usize,
    /// Scratch: kinds of lines that are the same.
    known: Vec<u32>,
    /// Where it is among the earlier dump's addresses.
    walk: Walk,
    /// The page of the earlier dump that counts as gone.
    gone: Option<u64>,
    /// The page here that was missed last, and how many were in a row.
    missed: Option<u64>,
    misses: u32,
}

impl Alignment {
    /// How many lines were taken.
    #[cfg(test)]
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// What became of lines that the earlier dump has, too.
    pub(crate) fn into_same(self) -> Same {
        self.same
    }

    /// So many of the last rows of `builder` did.
    fn note(&mut self, builder: &Builder, rows: usize) {
        let end = builder.columns.len();
        self.same.note(end - rows..end);
    }

    fn put_kind(&mut self, earlier: u32, here: u32) {
        let earlier = earlier as usize;
        if earlier >= self.kinds.len() {
            self.kinds.resize(earlier + 1, ABSENT);
        }
        self.kinds[earlier] = here;
    }
}

/// The number here of a kind of the earlier dump.
#[inline]
fn known_kind(kinds: &[u32], earlier: u32) -> Option<u32> {
    let kind = kinds.get(earlier as usize).copied();
    kind.filter(|&kind| kind != ABSENT)
}

/// Whole lines, each of which became one row.
#[derive(Clone, Copy)]
pub(crate) struct Lines<'a> {
    /// All that were there, also those that are passed.
    pub(crate) text: &'a [u8],
    /// Where each of those that are left ends, behind its newline.
    pub(crate) ends: &'a [u32],
    /// Where the first of them begins.
    pub(crate) start: usize,
}

impl Lines<'_> {
    fn left(&self) -> &[u8] {
        &self.text[self.start..]
    }

    /// Passes over the first ones.
    #[inline]
    fn pass(&mut self, lines: usize) {
        if let Some(last) = lines.checked_sub(1) {
            self.start = self.ends[last] as usize;
            self.ends = &self.ends[lines..];
        }
    }
}

/// What is left of the earlier dump's lines.
pub(crate) struct Twin<'a> {
    earlier: &'a Builder,
    alignment: &'a mut Alignment,
    pub(crate) lines: Lines<'a>,
    /// The row of the first.
    pub(crate) row: u32,
    /// The address in the first, once it was asked for.
    address: Option<u64>,
}

impl<'a> Twin<'a> {
    pub(crate) fn new(
        earlier: &'a Builder,
        alignment: &'a mut Alignment,
        lines: Lines<'a>,
        row: u32,
    ) -> Twin<'a> {
        Twin {
            earlier,
            alignment,
            lines,
            row,
            address: None,
        }
    }

    #[inline]
    pub(crate) fn is_used_up(&self) -> bool {
        self.lines.ends.is_empty()
    }

    /// Appends to `builder` what the first lines of `pending` say, as far as
    /// they are the next ones here, which these are.
    #[inline]
    pub(crate) fn give(&mut self, pending: &[u8], builder: &mut Builder) -> Lines<'a> {
        let mut given = self.lines;
        let same = given.start + common(given.left(), pending);
        let all = given.ends.partition_point(|&end| end as usize <= same);
        if all == 0 {
            given.ends = &[];
            return given;
        }
        let row = self.row as usize;
        let kinds = &self.earlier.columns.kinds;
        let alignment = &mut *self.alignment;
        let known = (row..row + all).map_while(|row| known_kind(&alignment.kinds, kinds.get(row)));
        alignment.known.clear();
        alignment.known.extend(known);
        let lines = builder.push_same(self.earlier, row, &alignment.known, &mut alignment.walk);
        self.alignment.taken += lines;
        self.alignment.note(builder, lines);
        self.pass(lines);
        given.ends = &given.ends[..lines];
        given
    }

    /// The line at `address`, here without its newline, was read and is the
    /// last row of `builder`: passes over its equal and over what comes before
    /// that.
    ///
    /// Dumps list page after page, each in the order of addresses, but pages in
    /// any order: that of the earlier dump, if they were there.
    pub(crate) fn pass_to(&mut self, address: u64, line: &[u8], builder: &Builder) {
        let page = page_number(address);
        while let Some(next) = self.next_address() {
            let next_page = page_number(next);
            if next_page == page {
                self.alignment.missed = None;
                self.alignment.misses = 0;
                if next > address {
                    return;
                }
                if next == address {
                    self.pass_equal(line, builder);
                    return;
                }
            } else if !self.is_passed(next_page, page, builder) {
                return;
            }
            self.pass(1);
        }
    }

    /// Whether the dump here is beyond a page that is next in the earlier one,
    /// since it has come to `page`.
    fn is_passed(&mut self, next: u64, page: u64, builder: &Builder) -> bool {
        if self.alignment.gone == Some(next) || builder.addresses.page(next).is_some() {
            return true;
        }
        if let Some(order) = self.earlier.addresses.page(page) {
            let next = self.earlier.addresses.page(next);
            return next.is_some_and(|next| next < order);
        }
        let alignment = &mut self.alignment;
        if alignment.missed != Some(page) {
            alignment.missed = Some(page);
            alignment.misses += 1;
        }
        let is_gone = alignment.misses >= PATIENCE;
        if is_gone {
            alignment.misses = 0;
            alignment.gone = Some(next);
        }
        is_gone
    }

    /// Passes over the next line, which is at the address of `line`.
    fn pass_equal(&mut self, line: &[u8], builder: &Builder) {
        let rest = self.lines.left().strip_prefix(line);
        if rest.is_some_and(|rest| rest.starts_with(b"\n"))
            && let Some(last) = builder.columns.len().checked_sub(1)
        {
            let earlier = self.earlier.columns.kinds.get(self.row as usize);
            self.alignment
                .put_kind(earlier, builder.columns.kinds.get(last));
            self.alignment.note(builder, 1);
        }
        self.pass(1);
    }

    /// Passes over the next lines.
    #[inline]
    fn pass(&mut self, lines: usize) {
        self.lines.pass(lines);
        self.row += lines as u32;
        self.address = None;
    }

    #[inline]
    fn next_address(&mut self) -> Option<u64> {
        if self.address.is_none() && !self.is_used_up() {
            self.address = address_of(self.lines.left());
        }
        self.address
    }
}

/// How many bytes both begin with.
#[inline]
fn common(one: &[u8], other: &[u8]) -> usize {
    /// The first are compared as fast as memory allows, the last leave nothing
    /// to be looked at again.
    const SIZES: [usize; 4] = [1024, 128, 16, 1];
    let mut same = 0;
    for size in SIZES {
        let chunks = one[same..].chunks_exact(size);
        let pairs = chunks.zip(other[same..].chunks_exact(size));
        same += size * pairs.take_while(|(one, other)| one == other).count();
    }
    same
}

#[cfg(test)]
mod tests {
    use super::{Same, common};

    #[test]
    fn rows_of_parts_are_those_of_the_whole() {
        let noted = [0..1, 3..70, 127..129, 190..256, 300..301];
        for cut in [0, 1, 63, 64, 65, 128, 200, 320] {
            let mut parts = [Same::default(), Same::default()];
            for row in noted.clone().into_iter().flatten() {
                let (part, row) = (
                    usize::from(row >= cut),
                    row - if row >= cut { cut } else { 0 },
                );
                parts[part].note(row..row + 1);
            }
            let [mut same, later] = parts;
            same.append(cut, &later);
            let mut together = Same::default();
            noted
                .clone()
                .into_iter()
                .for_each(|rows| together.note(rows));
            for same in [same, together] {
                for rows in (0..330).flat_map(|at| [at..at, at..at + 1, at..at + 64]) {
                    let all = rows
                        .clone()
                        .all(|row| noted.iter().any(|some| some.contains(&row)));
                    assert_eq!(same.has(rows.clone()), all, "{rows:?}, cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn what_is_common_ends_with_the_first_byte_that_differs() {
        let one = vec![b'a'; 600];
        for at in 0..600 {
            let mut other = one.clone();
            other[at] = b'b';
            assert_eq!(common(&one, &other), at);
            assert_eq!(common(&one[..at], &one), at);
            assert_eq!(common(&one, &one[..at]), at);
        }
    }
}
