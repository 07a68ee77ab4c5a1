//! The columns that a heap is made of.
//!
//! Plain storage: eight bytes a row where a struct with strings would take
//! hundreds. What many rows share (type, class, site) is a row of a table of
//! its own, see the module `kinds`. What a value means is said where it is
//! read.

use crate::interner::StringId;
use crate::kinds::Kind;
use crate::parallel;
use std::ops::Range;

/// Absent, in a column of u32.
pub(crate) const ABSENT: u32 = u32::MAX;
/// The first number that is no row.
pub(crate) const TOO_MANY: usize = u32::MAX as usize - 1;

/// So many rows take longer to be moved than a thread to start.
const WORTH_A_THREAD: usize = 1 << 18;

/// Absent, in a column of u16.
const SHORT_ABSENT: u16 = u16::MAX;
/// Look into the overflow list, in a column of u16.
const SHORT_OVERFLOW: u16 = u16::MAX - 1;

/// Values of few rows, ascending by row.
#[derive(Clone, Debug)]
pub(crate) struct Sparse<T>(Vec<(u32, T)>);

impl<T> Default for Sparse<T> {
    fn default() -> Sparse<T> {
        Sparse(Vec::new())
    }
}

impl<T> Sparse<T> {
    /// `rows` must ascend.
    pub(crate) fn new(rows: Vec<(u32, T)>) -> Sparse<T> {
        debug_assert!(rows.is_sorted_by_key(|(row, _)| *row));
        Sparse(rows)
    }

    pub(crate) fn get(&self, row: u32) -> Option<&T> {
        let at = self.0.binary_search_by_key(&row, |(row, _)| *row).ok()?;
        Some(&self.0[at].1)
    }
}

/// Numbers of kinds, in 16 bits as long as all of them fit.
pub(crate) enum KindColumn {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

impl Default for KindColumn {
    fn default() -> KindColumn {
        KindColumn::Short(Vec::new())
    }
}

impl KindColumn {
    pub(crate) fn len(&self) -> usize {
        match self {
            KindColumn::Short(column) => column.len(),
            KindColumn::Long(column) => column.len(),
        }
    }

    #[inline]
    fn push(&mut self, kind: u32) {
        match (&mut *self, u16::try_from(kind)) {
            (KindColumn::Short(column), Ok(kind)) => column.push(kind),
            _ => self.lengthen().push(kind),
        }
    }

    /// Of a row, which must exist.
    #[inline]
    pub(crate) fn get(&self, row: usize) -> u32 {
        match self {
            KindColumn::Short(column) => u32::from(column[row]),
            KindColumn::Long(column) => column[row],
        }
    }

    /// Of these rows, which must exist.
    #[inline]
    pub(crate) fn of(&self, rows: Range<usize>) -> impl Iterator<Item = u32> {
        let (short, long) = match self {
            KindColumn::Short(column) => (&column[rows], &[][..]),
            KindColumn::Long(column) => (&[][..], &column[rows]),
        };
        let short = short.iter().map(|&kind| u32::from(kind));
        short.chain(long.iter().copied())
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = u32> {
        self.of(0..self.len())
    }

    /// Whether two columns have the same at these rows, given what the numbers of
    /// each stand for.
    #[inline]
    pub(crate) fn are_alike(
        (one, rows, meaning): (&KindColumn, Range<usize>, &[u32]),
        (other, theirs, their_meaning): (&KindColumn, Range<usize>, &[u32]),
    ) -> bool {
        let is_alike = |one: usize, other: usize| meaning[one] == their_meaning[other];
        match (one, other) {
            (KindColumn::Short(one), KindColumn::Short(other)) => {
                let mut pairs = one[rows].iter().zip(&other[theirs]);
                pairs.all(|(&one, &other)| is_alike(one.into(), other.into()))
            }
            _ => {
                let mut pairs = one.of(rows).zip(other.of(theirs));
                pairs.all(|(one, other)| is_alike(one as usize, other as usize))
            }
        }
    }

    /// Appends numbers below `end`.
    #[inline]
    fn extend(&mut self, kinds: impl Iterator<Item = u32>, end: usize) {
        match self {
            KindColumn::Short(column) if end <= 1 << 16 => {
                column.extend(kinds.map(|kind| kind as u16));
            }
            _ => self.lengthen().extend(kinds),
        }
    }

    fn lengthen(&mut self) -> &mut Vec<u32> {
        if let KindColumn::Short(column) = self {
            let mut long = Vec::with_capacity(column.capacity());
            long.extend(column.iter().map(|&kind| u32::from(kind)));
            *self = KindColumn::Long(long);
        }
        match self {
            KindColumn::Long(column) => column,
            KindColumn::Short(_) => unreachable!("it was made long above"),
        }
    }

    fn reserve(&mut self, rows: usize) {
        let _ = match self {
            KindColumn::Short(column) => column.try_reserve(rows),
            KindColumn::Long(column) => column.try_reserve(rows),
        };
    }

    fn shrink(&mut self) {
        match self {
            KindColumn::Short(column) => column.shrink_to_fit(),
            KindColumn::Long(column) => column.shrink_to_fit(),
        }
    }
}

/// Sizes that nearly always fit 16 bits: few objects are larger than 64 kB,
/// and a heap of many such has few objects.
#[derive(Default)]
pub(crate) struct Sizes {
    column: Vec<u16>,
    overflow: Vec<(u32, u64)>,
}

impl Sizes {
    #[inline]
    fn push(&mut self, row: u32, value: Option<u64>) {
        self.column.push(match value {
            None => SHORT_ABSENT,
            Some(value) if value < u64::from(SHORT_OVERFLOW) => value as u16,
            Some(value) => {
                self.overflow.push((row, value));
                SHORT_OVERFLOW
            }
        });
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<u64> {
        match self.column[row] {
            SHORT_ABSENT => None,
            SHORT_OVERFLOW => self
                .overflow
                .binary_search_by_key(&(row as u32), |(row, _)| *row)
                .ok()
                .map(|at| self.overflow[at].1),
            value => Some(u64::from(value)),
        }
    }

    /// Of all rows together; `None` if one of them has none.
    pub(crate) fn sum(&self) -> Option<u64> {
        let mut sum: u64 = self.overflow.iter().map(|(_, size)| size).sum();
        for part in self.column.chunks(1 << 12) {
            if part.contains(&SHORT_ABSENT) {
                return None;
            }
            // Fits: no value has more than 16 bits, no part more than 12.
            let short = |&size: &u16| match size {
                SHORT_OVERFLOW => 0,
                size => u32::from(size),
            };
            sum += u64::from(part.iter().map(short).sum::<u32>());
        }
        Some(sum)
    }

    /// Whether rows surely have the same sizes as rows of another heap, one by
    /// one, and all of them have one.
    pub(crate) fn are_same(
        &self,
        rows: &Range<usize>,
        other: &Sizes,
        theirs: &Range<usize>,
    ) -> bool {
        let column = &self.column[rows.clone()];
        let mut pairs = column.iter().zip(&other.column[theirs.clone()]);
        rows.len() == theirs.len()
            && pairs.all(|(&size, &other)| size == other && size < SHORT_OVERFLOW)
    }

    fn extend_same(&mut self, other: &Sizes, rows: Range<usize>) {
        let first = self.column.len();
        let same = &other.column[rows.clone()];
        self.column.extend_from_slice(same);
        // Without a way out of the loop many are looked at at once.
        let has_overflow = |any: bool, &size: &u16| any | (size == SHORT_OVERFLOW);
        if !same.iter().fold(false, has_overflow) {
            return;
        }
        for (at, row) in rows.enumerate() {
            if self.column[first + at] == SHORT_OVERFLOW
                && let Some(value) = other.get(row)
            {
                self.overflow.push(((first + at) as u32, value));
            }
        }
    }

    fn append(&mut self, later: Sizes) {
        let rows = self.column.len() as u32;
        self.column.extend_from_slice(&later.column);
        let moved = later.overflow.iter().map(|&(row, size)| (row + rows, size));
        self.overflow.extend(moved);
    }
}

/// Generations, in 16 bits until one does not fit.
pub(crate) enum Generations {
    Short(Vec<u16>),
    Long(Vec<u32>),
}

impl Default for Generations {
    fn default() -> Generations {
        Generations::Short(Vec::new())
    }
}

impl Generations {
    #[inline]
    fn push(&mut self, generation: Option<u64>) {
        match (&mut *self, generation) {
            (Generations::Short(column), None) => column.push(SHORT_ABSENT),
            (Generations::Short(column), Some(generation))
                if generation < u64::from(SHORT_ABSENT) =>
            {
                column.push(generation as u16);
            }
            _ => {
                let generation =
                    generation.map_or(ABSENT, |it| it.min(u64::from(ABSENT - 1)) as u32);
                self.lengthen().push(generation);
            }
        }
    }

    fn lengthen(&mut self) -> &mut Vec<u32> {
        if let Generations::Short(column) = self {
            let wide = column.iter().map(|&short| match short {
                SHORT_ABSENT => ABSENT,
                short => u32::from(short),
            });
            let mut long = Vec::with_capacity(column.capacity());
            long.extend(wide);
            *self = Generations::Long(long);
        }
        match self {
            Generations::Long(column) => column,
            Generations::Short(_) => unreachable!("it was made long above"),
        }
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<u32> {
        match self {
            Generations::Short(column) => Some(column[row])
                .filter(|&it| it != SHORT_ABSENT)
                .map(u32::from),
            Generations::Long(column) => Some(column[row]).filter(|&it| it != ABSENT),
        }
    }

    /// Whether rows have the same generations as rows of another heap, one by
    /// one.
    pub(crate) fn are_same(
        &self,
        rows: &Range<usize>,
        other: &Generations,
        theirs: &Range<usize>,
    ) -> bool {
        match (self, other) {
            (Generations::Short(column), Generations::Short(other)) => {
                // A few rows each time: a call would take longer.
                let pairs = column[rows.clone()].iter().zip(&other[theirs.clone()]);
                rows.len() == theirs.len() && pairs.into_iter().all(|(one, other)| one == other)
            }
            _ => {
                let pairs = rows.clone().zip(theirs.clone());
                rows.len() == theirs.len()
                    && pairs
                        .into_iter()
                        .all(|(row, their)| self.get(row) == other.get(their))
            }
        }
    }

    /// The latest.
    pub(crate) fn max(&self) -> Option<u32> {
        match self {
            Generations::Short(column) => {
                // Wraps what is absent to 0, so that the loop has no branch.
                let next = column.iter().map(|it| it.wrapping_add(1)).max()?;
                next.checked_sub(1).map(u32::from)
            }
            Generations::Long(column) => {
                let next = column.iter().map(|it| it.wrapping_add(1)).max()?;
                next.checked_sub(1)
            }
        }
    }

    fn extend_same(&mut self, other: &Generations, rows: Range<usize>) {
        match (&mut *self, other) {
            (Generations::Short(column), Generations::Short(other)) => {
                column.extend_from_slice(&other[rows]);
            }
            _ => {
                for row in rows {
                    self.push(other.get(row).map(u64::from));
                }
            }
        }
    }

    fn append(&mut self, mut later: Generations) {
        match (&mut *self, &mut later) {
            (Generations::Short(column), Generations::Short(later)) => {
                column.extend_from_slice(later);
            }
            _ => self.lengthen().extend_from_slice(later.lengthen()),
        }
    }
}

/// An allocation site as the dump has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    pub(crate) file: StringId,
    pub(crate) line: Option<u64>,
    pub(crate) method: Option<StringId>,
    /// Not the `(null)` of Ruby to 2.7.
    pub(crate) is_known: bool,
}

/// The numbers of one row.
pub(crate) struct Row {
    pub(crate) kind: u32,
    pub(crate) generation: Option<u64>,
    pub(crate) memsize: Option<u64>,
    pub(crate) length: Option<u64>,
}

/// One element a row, unless said otherwise.
#[derive(Default)]
pub(crate) struct Columns {
    /// Into `kind_table`.
    pub(crate) kinds: KindColumn,
    pub(crate) generations: Generations,
    pub(crate) memsizes: Sizes,
    pub(crate) lengths: Sizes,
    /// Empty before 3.2 and without references; [`ABSENT`] for none.
    pub(crate) shape_ids: Vec<u32>,
    /// Sparse: slot sizes of rows without memsize.
    pub(crate) slot_sizes: Vec<(u32, u64)>,
    /// Sparse: rows that say so.
    pub(crate) singletons: Vec<u32>,
    /// Sparse.
    pub(crate) real_class_names: Vec<(u32, StringId)>,
    /// The distinct kinds.
    pub(crate) kind_table: Vec<Kind>,
    /// The distinct words of `class`.
    pub(crate) class_words: Vec<u64>,
    /// The row of each of `class_words`.
    pub(crate) classes_resolved: Vec<u32>,
    /// The distinct sites.
    pub(crate) site_table: Vec<Site>,
}

impl Columns {
    pub(crate) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// What a row is.
    #[inline]
    pub(crate) fn kind(&self, row: usize) -> &Kind {
        &self.kind_table[self.kinds.get(row) as usize]
    }

    #[inline]
    pub(crate) fn push(&mut self, row: &Row) {
        let at = self.kinds.len() as u32;
        self.kinds.push(row.kind);
        self.generations.push(row.generation);
        self.memsizes.push(at, row.memsize);
        self.lengths.push(at, row.length);
    }

    /// Appends rows of another dump, which are of these kinds here.
    pub(crate) fn extend_same(&mut self, other: &Columns, rows: Range<usize>, kinds: &[u32]) {
        let end = self.kind_table.len();
        self.kinds.extend(kinds.iter().copied(), end);
        self.generations
            .extend_same(&other.generations, rows.clone());
        self.memsizes.extend_same(&other.memsizes, rows.clone());
        self.lengths.extend_same(&other.lengths, rows);
    }

    /// Asks for memory for so many rows at once: growing in steps copies, and
    /// what is asked for and not written costs nothing.
    pub(crate) fn reserve(&mut self, rows: usize) {
        // A system that promises no more memory than it has may refuse. Then
        // the columns grow as rows come in.
        self.kinds.reserve(rows);
        let _ = self.memsizes.column.try_reserve(rows);
        let _ = self.lengths.column.try_reserve(rows);
        let _ = match &mut self.generations {
            Generations::Short(column) => column.try_reserve(rows),
            Generations::Long(column) => column.try_reserve(rows),
        };
    }

    /// Appends the rows of the next part of a dump, whose kinds and strings
    /// have other numbers there. Tables of distinct values are not touched.
    pub(crate) fn append(
        &mut self,
        later: Columns,
        kinds: &[u32],
        strings: &[StringId],
        threads: usize,
    ) {
        let rows = self.len();
        let moved = |row: u32| rows as u32 + row;
        let threads = match later.len() {
            WORTH_A_THREAD.. => threads,
            _ => 1,
        };
        // One column after the other, so that little exists twice.
        let append_sizes = || {
            self.memsizes.append(later.memsizes);
            self.lengths.append(later.lengths);
        };
        parallel::both(threads, append_sizes, || {
            let numbers = later.kinds.all().map(|kind| kinds[kind as usize]);
            self.kinds.extend(numbers, self.kind_table.len());
            drop(later.kinds);
            self.generations.append(later.generations);
        });
        if !later.shape_ids.is_empty() {
            self.shape_ids.resize(rows, ABSENT);
            self.shape_ids.extend_from_slice(&later.shape_ids);
        }
        let slot_sizes = later.slot_sizes.iter();
        self.slot_sizes
            .extend(slot_sizes.map(|&(row, size)| (moved(row), size)));
        self.singletons
            .extend(later.singletons.iter().map(|&row| moved(row)));
        let names = later.real_class_names.iter();
        self.real_class_names
            .extend(names.map(|&(row, name)| (moved(row), strings[name.0 as usize])));
    }

    /// Gives back what was asked for and not used.
    pub(crate) fn shrink(&mut self) {
        self.kinds.shrink();
        self.memsizes.column.shrink_to_fit();
        self.lengths.column.shrink_to_fit();
        match &mut self.generations {
            Generations::Short(column) => column.shrink_to_fit(),
            Generations::Long(column) => column.shrink_to_fit(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_the_same_once_one_does_not_fit() {
        let numbers = [0, 7, 65_535, 65_536, 3, 70_000];
        for cut in 0..=numbers.len() {
            let mut columns = [KindColumn::default(), KindColumn::default()];
            for (at, &number) in numbers.iter().enumerate() {
                columns[usize::from(at >= cut)].push(number);
            }
            let [mut column, later] = columns;
            column.extend(later.all(), 70_001);
            assert_eq!(column.len(), numbers.len());
            assert!(column.all().eq(numbers));
            assert!(
                numbers
                    .iter()
                    .enumerate()
                    .all(|(row, &kind)| column.get(row) == kind)
            );
            // Numbers of another heap that stand for the same.
            let own: Vec<u32> = (0..70_001).collect();
            let mut short = KindColumn::default();
            short.extend([2, 1, 0].into_iter(), 3);
            assert!(matches!(short, KindColumn::Short(_)));
            let meaning = [65_535, 7, 0];
            let theirs = (&short, 0..2, &meaning[..]);
            assert!(!KindColumn::are_alike(
                (&column, 1..3, &own),
                theirs.clone()
            ));
            let mut turned = KindColumn::default();
            turned.extend([1, 0].into_iter(), 2);
            let theirs = (&turned, 0..2, &[65_535, 7][..]);
            assert!(KindColumn::are_alike((&column, 1..3, &own), theirs));
        }
    }
}
