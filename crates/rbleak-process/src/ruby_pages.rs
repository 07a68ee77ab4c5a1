//! How many pages of Ruby's own heap lie in a stretch of memory, found from
//! outside and without symbols.
//!
//! Each page of the heap is aligned to its size and begins with a pointer to
//! its `struct heap_page` (gc.c), in which `start`, the address of the first
//! slot, points back into the page. A neighbouring mapping is merged with it by
//! the kernel, so that pages are counted one by one and not by mappings.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use crate::{Pid, procfs};

/// Addresses that are looked at, at most. Of more, every second, third, … is,
/// and the count is an estimate.
const MOST_LOOKS: u64 = 1 << 18;

/// How a version of Ruby lays out its heap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The size of a page, and what it is aligned to.
    pub page: u64,
    /// Where in `struct heap_page` the address of the first slot is.
    pub start: u64,
    /// Where in it the number of slots is, 16 bits wide.
    pub total: u64,
    /// Where in it the size of a slot is, 16 bits wide; `None`: always 40.
    pub slot_size: Option<u64>,
}

/// From which version on a layout holds: gc.c, default.c of the tags.
const LAYOUTS: [((u32, u32), Layout); 5] = [
    ((2, 7), layout(16 << 10, 24, 0, None)),
    ((3, 1), layout(16 << 10, 32, 2, Some(0))),
    ((3, 2), layout(64 << 10, 32, 2, Some(0))),
    ((3, 4), layout(64 << 10, 40, 2, Some(0))),
    ((4, 1), layout(64 << 10, 8, 26, Some(24))),
];
/// Nothing is known of later ones.
const LATEST: (u32, u32) = (4, 1);

const fn layout(page: u64, start: u64, total: u64, slot_size: Option<u64>) -> Layout {
    Layout {
        page,
        start,
        total,
        slot_size,
    }
}

impl Layout {
    /// The layout of the Ruby that describes itself as
    /// `ruby 3.1.7p261 (2025-03-26 …`; `None` for versions that are not known.
    pub fn of(description: &str) -> Option<Layout> {
        let version = description.strip_prefix("ruby ")?;
        let mut parts = version.split(|c: char| !c.is_ascii_digit());
        let mut part = || parts.next()?.parse().ok();
        let version: (u32, u32) = (part()?, part()?);
        let of_it = LAYOUTS.iter().rev().find(|(from, _)| version >= *from);
        of_it
            .filter(|_| version <= LATEST)
            .map(|(_, layout)| *layout)
    }
}

/// The memory of a process, to look for pages in.
#[derive(Debug)]
pub struct Pages {
    memory: File,
    layout: Layout,
    /// Every so many addresses are looked at.
    stride: u64,
}

impl Pages {
    /// To look through `bytes` of memory in all. `None` where the memory of
    /// the process must not be read.
    pub fn open(pid: Pid, layout: Layout, bytes: u64) -> Option<Pages> {
        Some(Pages {
            memory: File::open(procfs::path(pid, "mem")).ok()?,
            layout,
            stride: (bytes / layout.page / MOST_LOOKS).max(1),
        })
    }

    /// The pages in a range of addresses; `is_own` says where the process has
    /// memory that it can write to.
    pub fn count(&self, range: Range<u64>, is_own: &dyn Fn(u64) -> bool) -> u64 {
        let page = self.layout.page;
        let mut found = 0;
        let mut at = range.start.next_multiple_of(page);
        while at.saturating_add(page) <= range.end {
            if self.is_page(at, is_own) {
                found += 1;
            }
            at += page * self.stride;
        }
        found * self.stride
    }

    fn is_page(&self, at: u64, is_own: &dyn Fn(u64) -> bool) -> bool {
        let Some(heap_page) = self.word(at) else {
            return false;
        };
        if heap_page % 8 != 0 || !is_own(heap_page) {
            return false;
        }
        let start = self.word(heap_page + self.layout.start);
        start.is_some_and(|start| start > at && start < at + self.layout.page)
    }

    fn word(&self, at: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.memory.read_exact_at(&mut bytes, at).ok()?;
        Some(u64::from_ne_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_follows_the_version() {
        let of = |version: &str| Layout::of(version).map(|l| (l.page >> 10, l.start));
        assert_eq!(of("ruby 2.7.8p225 (2023-03-30) [x]"), Some((16, 24)));
        assert_eq!(of("ruby 3.0.0p0 (…)"), Some((16, 24)));
        assert_eq!(of("ruby 3.1.7p261 (…)"), Some((16, 32)));
        assert_eq!(of("ruby 3.3.11 (…)"), Some((64, 32)));
        assert_eq!(of("ruby 4.0.5 (…)"), Some((64, 40)));
        assert_eq!(of("ruby 4.1.0dev (…)"), Some((64, 8)));
        for unknown in [
            "ruby 2.6.10 (…)",
            "ruby 4.2.0 (…)",
            "ruby",
            "truffleruby 24",
        ] {
            assert_eq!(of(unknown), None, "{unknown}");
        }
    }
}
