//! Rows as `heapy diff` prints them, for scripts and tutorials that grep.
//!
//! Heapy compares addresses only and sums up the lines of the *second* dump:
//! those that the first does not have and, of three, that the third has. It
//! counts every line, so SHAPE lines and free slots too; a line without
//! memsize counts 0. Unlike heapy this also counts lines that had to be
//! repaired, which heapy reports as not parseable.

use crate::heap::Heap;
use rustc_hash::{FxHashMap, FxHashSet};
use std::cmp::Reverse;
use std::fmt;

/// One line of heapy's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeapyRow<'h> {
    /// Three dumps were compared and not two.
    pub retained: bool,
    /// The type as it stands in the dump.
    pub object_type: &'h str,
    /// How many lines.
    pub count: u64,
    /// The sum of their memsizes, in bytes.
    pub bytes: u64,
    /// The same over all rows.
    pub total_bytes: u64,
    /// `file` as it stands in the dump.
    pub file: Option<&'h str>,
    /// `line` as it stands in the dump.
    pub line: Option<u64>,
}

impl fmt::Display for HeapyRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} objects of size {}/{} (in bytes) at: {}:",
            if self.retained {
                "Retained"
            } else {
                "Allocated"
            },
            self.object_type,
            self.count,
            self.bytes,
            self.total_bytes,
            self.file.unwrap_or_default(),
        )?;
        match self.line {
            Some(line) => write!(f, "{line}"),
            None => Ok(()),
        }
    }
}

/// Type, file and line.
type Row<'h> = (&'h str, Option<&'h str>, Option<u64>);

/// The addresses of a dump, shapes included.
struct Addresses<'h> {
    heap: &'h Heap,
    shapes: FxHashSet<u64>,
}

impl<'h> Addresses<'h> {
    fn new(heap: &'h Heap) -> Addresses<'h> {
        Addresses {
            heap,
            shapes: heap
                .shapes()
                .all()
                .iter()
                .map(|shape| shape.address.0)
                .collect(),
        }
    }

    fn has(&self, address: rbleak_units::Address) -> bool {
        self.heap.find(address).is_some() || self.shapes.contains(&address.0)
    }
}

/// What `heapy diff BEFORE AFTER [RETAINED]` prints, most objects first.
pub fn heapy_rows<'h>(
    before: &'h Heap,
    after: &'h Heap,
    retained: Option<&'h Heap>,
) -> Vec<HeapyRow<'h>> {
    let before_addresses = Addresses::new(before);
    let retained_addresses = retained.map(Addresses::new);
    let counts = |address| {
        !before_addresses.has(address)
            && retained_addresses
                .as_ref()
                .is_none_or(|retained| retained.has(address))
    };
    let mut rows: FxHashMap<Row<'h>, (u64, u64)> = FxHashMap::default();
    let mut add = |key, bytes: u64| {
        let (count, sum) = rows.entry(key).or_default();
        *count += 1;
        *sum += bytes;
    };
    for id in after.ids().filter(|&id| counts(after.address(id))) {
        let (file, line) = match after.raw_site(id) {
            Some((file, line)) => (Some(file), line),
            None => (None, None),
        };
        let key = (after.object_type(id).as_str(), file, line);
        add(key, after.raw_memsize(id).unwrap_or(0));
    }
    for shape in after.shapes().all() {
        if counts(shape.address) {
            add(("SHAPE", None, None), shape.memsize.0);
        }
    }
    // Roots have no address, which to heapy is one address.
    if before.roots().is_empty() && retained.is_none_or(|heap| !heap.roots().is_empty()) {
        for _ in after.roots() {
            add(("ROOT", None, None), 0);
        }
    }
    let total_bytes = rows.values().map(|(_, bytes)| bytes).sum();
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|((object_type, file, line), (count, bytes))| HeapyRow {
            retained: retained.is_some(),
            object_type,
            count,
            bytes,
            total_bytes,
            file,
            line,
        })
        .collect();
    rows.sort_by_key(|row| (Reverse(row.count), row.object_type, row.file, row.line));
    rows
}
