//! A file of which any part can be read.

use super::Window;
use crate::mapping::Mapping;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// See the module.
pub(crate) struct Plain {
    file: Arc<File>,
    /// Of the file when it was opened.
    length: u64,
    mapping: Option<Arc<Mapping>>,
}

impl Plain {
    pub(crate) fn new(file: File, length: u64, map: bool) -> Plain {
        // Some file systems cannot map; reading is as good.
        let mapping = map.then(|| Mapping::new(&file).ok()).flatten();
        Plain {
            file: Arc::new(file),
            length,
            mapping: mapping.map(Arc::new),
        }
    }

    /// Its length when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Its first bytes.
    pub(crate) fn head(&self, bytes: usize) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.part(0..bytes as u64).read_to_end(&mut head)?;
        Ok(head)
    }

    /// A window on these bytes, as far as they exist; loaded by `block`
    /// bytes.
    pub(crate) fn window(&self, bytes: Range<u64>, block: usize) -> Window {
        match &self.mapping {
            Some(mapping) => Window::mapped(Arc::clone(mapping), bytes),
            None => Window::stream(Box::new(self.part(bytes)), block),
        }
    }

    fn part(&self, bytes: Range<u64>) -> Part {
        Part {
            file: Arc::clone(&self.file),
            bytes,
        }
    }
}

/// Reads a range. Several threads may read the same file: each read says
/// where.
struct Part {
    file: Arc<File>,
    bytes: Range<u64>,
}

impl Read for Part {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.bytes.end.saturating_sub(self.bytes.start);
        let length = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.file.read_at(&mut buffer[..length], self.bytes.start)?;
        self.bytes.start += count as u64;
        Ok(count)
    }
}
