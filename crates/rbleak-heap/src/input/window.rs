//! A window on the bytes of an input that moves line by line.
//!
//! The pending bytes always start with a line; a caller who finds that a
//! newline did not end the line asks for the next one and has both in one
//! slice. Memory is bounded by the longest line.

use crate::mapping::Mapping;
use std::io::{self, Read};
use std::ops::Range;
use std::sync::Arc;

/// Mapped pages are given back by this many bytes, so that a large file does
/// not count as memory of this process.
const RELEASE: usize = 4 << 20;

/// See the module.
pub(crate) struct Window {
    source: Source,
    /// Where the pending bytes start in the source's bytes.
    start: usize,
}

enum Source {
    Mapped {
        mapping: Arc<Mapping>,
        end: usize,
        /// What lies before is given back.
        released: usize,
    },
    Stream {
        reader: Box<dyn Read + Send>,
        buffer: Vec<u8>,
        filled: usize,
        ended: bool,
    },
}

impl Window {
    /// These bytes of a mapped file, as far as they exist.
    pub(crate) fn mapped(mapping: Arc<Mapping>, bytes: Range<u64>) -> Window {
        let within =
            |at: u64| usize::try_from(at).map_or(mapping.len(), |at| at.min(mapping.len()));
        let (start, end) = (within(bytes.start), within(bytes.end));
        Window {
            source: Source::Mapped {
                mapping,
                end,
                released: start,
            },
            start: start.min(end),
        }
    }

    /// What a reader yields, read by `block` bytes.
    pub(crate) fn stream(reader: Box<dyn Read + Send>, block: usize) -> Window {
        Window {
            source: Source::Stream {
                reader,
                buffer: vec![0; block],
                filled: 0,
                ended: false,
            },
            start: 0,
        }
    }

    /// The bytes that are loaded and not yet passed.
    #[inline]
    pub(crate) fn pending(&self) -> &[u8] {
        match &self.source {
            Source::Mapped { mapping, end, .. } => &mapping[self.start..*end],
            Source::Stream { buffer, filled, .. } => &buffer[self.start..*filled],
        }
    }

    /// Where the first newline at or after `from` is in the pending bytes,
    /// loading as many as it takes. `None` if the input ends before.
    #[inline]
    pub(crate) fn newline(&mut self, from: usize) -> io::Result<Option<usize>> {
        let mut from = from;
        loop {
            let pending = self.pending();
            if let Some(found) = pending
                .get(from..)
                .and_then(|rest| memchr::memchr(b'\n', rest))
            {
                return Ok(Some(from + found));
            }
            from = from.max(pending.len());
            if !self.load()? {
                return Ok(None);
            }
        }
    }

    /// Passes over `count` pending bytes.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.start += count.min(self.pending().len());
        if let Source::Mapped {
            mapping, released, ..
        } = &mut self.source
            && self.start - *released >= RELEASE
        {
            mapping.release(*released..self.start);
            *released = self.start;
        }
    }

    /// Loads more pending bytes; `false` at the end.
    pub(crate) fn load(&mut self) -> io::Result<bool> {
        let Source::Stream {
            reader,
            buffer,
            filled,
            ended,
        } = &mut self.source
        else {
            return Ok(false);
        };
        if *ended {
            return Ok(false);
        }
        buffer.copy_within(self.start..*filled, 0);
        *filled -= self.start;
        self.start = 0;
        if *filled == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        loop {
            match reader.read(&mut buffer[*filled..]) {
                Ok(0) => {
                    *ended = true;
                    return Ok(false);
                }
                Ok(count) => {
                    *filled += count;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // What was loaded stays readable.
                    *ended = true;
                    return Err(error);
                }
            }
        }
    }
}
