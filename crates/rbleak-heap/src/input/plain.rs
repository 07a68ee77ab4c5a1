//! A file of which any part can be read.

use super::mapped::Map;
use super::view::View;
use super::{LongLines, Window};
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::SystemTime;

/// See the module.
pub(crate) struct Plain {
    file: Arc<File>,
    map: Map,
    /// Of the file when it was opened.
    length: u64,
    written: Option<SystemTime>,
    long_lines: LongLines,
}

/// What happened to a file while it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It got shorter.
    Shrunk,
    /// It got longer.
    Grown,
    /// It was written to, and is as long as before.
    Rewritten,
}

impl Plain {
    pub(crate) fn new(file: File, metadata: &Metadata, long_lines: LongLines) -> Plain {
        let file = Arc::new(file);
        Plain {
            map: Map::new(&file),
            file,
            length: metadata.len(),
            written: metadata.modified().ok(),
            long_lines,
        }
    }

    /// What happened to it since it was opened, of which `read` bytes were
    /// read.
    pub(crate) fn change(&self, read: u64) -> io::Result<Option<Change>> {
        let metadata = self.file.metadata()?;
        let now = metadata.len();
        Ok(if now < self.length || read < self.length {
            Some(Change::Shrunk)
        } else if now > self.length {
            Some(Change::Grown)
        } else if metadata.modified().ok() != self.written {
            Some(Change::Rewritten)
        } else {
            None
        })
    }

    /// Its length when it was opened.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Its first bytes.
    pub(crate) fn head(&self, bytes: usize) -> io::Result<Vec<u8>> {
        self.bytes(0..bytes as u64)
    }

    /// These bytes, as far as they exist.
    pub(crate) fn bytes(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.part(range).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// A window on these bytes, as far as they exist; loaded by `block`
    /// bytes.
    pub(crate) fn window(&self, bytes: Range<u64>, block: usize) -> Window {
        Window::stream(Box::new(self.part(bytes)), block, self.long_lines)
    }

    /// The same without a copy of them, where that can be.
    pub(crate) fn view(&self, bytes: Range<u64>, block: usize) -> Window {
        match View::new(&self.map, &self.part(bytes.clone()), block) {
            Some(view) => Window::view(view, self.long_lines),
            None => self.window(bytes, block),
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
#[derive(Clone)]
pub(super) struct Part {
    pub(super) file: Arc<File>,
    pub(super) bytes: Range<u64>,
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
