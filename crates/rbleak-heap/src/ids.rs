//! Small handles and plain values that the whole crate speaks of.
//!
//! Handles are rows of one [`crate::Heap`]; they mean nothing in another.

use std::fmt;

/// An object of one heap: its dense row number. Never an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(crate) u32);

impl ObjectId {
    /// The row, from 0 to `Heap::len() - 1`.
    pub fn index(self) -> usize {
        self.0 as usize
    }

    /// The object in a row. A row that the heap does not have makes the
    /// heap's methods panic.
    pub fn from_index(row: usize) -> ObjectId {
        debug_assert!(row <= u32::MAX as usize);
        ObjectId(row as u32)
    }
}

/// An allocation site of one heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SiteId(pub(crate) u32);

impl SiteId {
    /// The row in the heap's table of sites.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// `GC.count` when an object was allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub u32);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where an object was allocated, as `ObjectSpace.trace_object_allocations`
/// saw it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AllocationSite<'h> {
    /// The path as Ruby has it: absolute, relative or `(eval)`.
    pub file: &'h str,
    /// The line; 0 where Ruby knows none (code in C).
    pub line: u32,
    /// The method, without its class.
    pub method: Option<&'h str>,
}

impl fmt::Display for AllocationSite<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line == 0 {
            f.write_str(self.file)
        } else {
            write!(f, "{}:{}", self.file, self.line)
        }
    }
}

/// One of the places from which the garbage collector starts to mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root {
    /// Ruby's word for it: `vm`, `machine_context`, `global_tbl`, …
    pub name: String,
    /// What it holds, in the order of the dump; repetitions as they stand.
    /// Empty if the heap was read without references.
    pub references: Vec<ObjectId>,
}
