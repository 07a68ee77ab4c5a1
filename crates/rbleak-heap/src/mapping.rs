//! A file as memory.
//!
//! The one place of this crate with `unsafe`; knows nothing of dumps.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::{Deref, Range};

/// A multiple of what any platform has.
const PAGE: usize = 1 << 16;

/// A whole file, mapped read-only.
pub(crate) struct Mapping(memmap2::Mmap);

impl Mapping {
    /// Maps `file`. If another process cuts the file short while it is being
    /// read, this process is ended by SIGBUS: callers offer to read instead.
    pub(crate) fn new(file: &File) -> io::Result<Mapping> {
        // SAFETY: the mapping is private to this value, is only handed out as
        // a shared slice that lives as long as it, and nothing here writes to
        // the file. A change by another process shows as other bytes, which
        // the scanner takes like any bad line: it validates every byte it
        // relies on and keeps no `str` into the mapping. Truncation by another
        // process raises SIGBUS, which ends the process and corrupts nothing.
        let map = unsafe { memmap2::Mmap::map(file)? };
        // Only a hint: the result does not matter.
        let _ = map.advise(memmap2::Advice::Sequential);
        Ok(Mapping(map))
    }
}

impl Mapping {
    /// Gives the whole pages in a range back to the operating system; they
    /// are loaded again if they are looked at.
    pub(crate) fn release(&self, bytes: Range<usize>) {
        let start = bytes.start.next_multiple_of(PAGE);
        let end = bytes.end / PAGE * PAGE;
        if start < end {
            // SAFETY: the mapping is of a file and nobody writes to it, so
            // that a page given back is read from the file again when it is
            // touched: shared slices stay valid and keep their content.
            let advised = unsafe {
                self.0.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    start,
                    end - start,
                )
            };
            // Only memory is at stake.
            let _ = advised;
        }
    }
}

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
