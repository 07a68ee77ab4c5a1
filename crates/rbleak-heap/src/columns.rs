//! The columns that a heap is made of.
//!
//! Plain storage: four bytes a row and field where a struct with strings would
//! take hundreds. What a value means is said where it is read.

use crate::interner::StringId;
use crate::object_type::ObjectType;

/// Absent, in a column of u32.
pub(crate) const ABSENT: u32 = u32::MAX;
/// Look into the overflow list, in a column of sizes. Rows are fewer.
pub(crate) const OVERFLOW: u32 = u32::MAX - 1;

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

/// Sizes that nearly always fit 32 bits.
#[derive(Default)]
pub(crate) struct Sizes {
    column: Vec<u32>,
    overflow: Vec<(u32, u64)>,
}

impl Sizes {
    #[inline]
    pub(crate) fn push(&mut self, row: u32, value: Option<u64>) {
        self.column.push(match value {
            None => ABSENT,
            Some(value) if value < u64::from(OVERFLOW) => value as u32,
            Some(value) => {
                self.overflow.push((row, value));
                OVERFLOW
            }
        });
    }

    #[inline]
    pub(crate) fn get(&self, row: usize) -> Option<u64> {
        match self.column[row] {
            ABSENT => None,
            OVERFLOW => self
                .overflow
                .binary_search_by_key(&(row as u32), |(row, _)| *row)
                .ok()
                .map(|at| self.overflow[at].1),
            value => Some(u64::from(value)),
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

/// One element a row, unless said otherwise; [`ABSENT`] for nothing.
#[derive(Default)]
pub(crate) struct Columns {
    pub(crate) addresses: Vec<u64>,
    pub(crate) types: Vec<ObjectType>,
    /// Into `class_words`.
    pub(crate) classes: Vec<u32>,
    /// A string: `struct` of DATA, `imemo_type` of IMEMO, `node_type` of
    /// NODE, `name` of CLASS and MODULE.
    pub(crate) details: Vec<u32>,
    /// Into `site_table`.
    pub(crate) sites: Vec<u32>,
    pub(crate) generations: Vec<u32>,
    pub(crate) memsizes: Sizes,
    pub(crate) lengths: Sizes,
    /// Empty before 3.2.
    pub(crate) shape_ids: Vec<u32>,
    /// Sparse: slot sizes of rows without memsize.
    pub(crate) slot_sizes: Vec<(u32, u64)>,
    /// Sparse: rows that say so.
    pub(crate) singletons: Vec<u32>,
    /// Sparse.
    pub(crate) real_class_names: Vec<(u32, StringId)>,
    /// The distinct words of `class`.
    pub(crate) class_words: Vec<u64>,
    /// The row of each of `class_words`.
    pub(crate) classes_resolved: Vec<u32>,
    /// The distinct sites.
    pub(crate) site_table: Vec<Site>,
}
