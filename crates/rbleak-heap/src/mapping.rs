//! A file as memory.
//!
//! The one place of this crate with `unsafe`; knows nothing of dumps.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::ops::Deref;

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

impl Deref for Mapping {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}
