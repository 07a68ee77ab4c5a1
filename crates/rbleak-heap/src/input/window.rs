//! A window on the bytes of an input that moves line by line.
//!
//! The pending bytes always start with a line; a caller who finds that a
//! newline did not end the line asks for the next one and has both in one
//! slice. Memory is bounded by the longest line, or, where what no heap keeps
//! may be left out, by what is kept of it.

use super::long_line::{LongLine, LongLines};
use std::io::{self, Read};

/// Of a longer line parts may be left out.
const LONG: usize = 4 << 20;

/// See the module.
pub(crate) struct Window {
    /// `None` if all is loaded.
    reader: Option<Box<dyn Read + Send>>,
    long_lines: LongLines,
    buffer: Vec<u8>,
    /// The pending bytes in the buffer.
    start: usize,
    filled: usize,
    left_out: u64,
}

impl Window {
    /// What a reader yields, read by `block` bytes.
    pub(crate) fn stream(
        reader: Box<dyn Read + Send>,
        block: usize,
        long_lines: LongLines,
    ) -> Window {
        Window {
            reader: Some(reader),
            long_lines,
            buffer: vec![0; block],
            start: 0,
            filled: 0,
            left_out: 0,
        }
    }

    /// Goes on with what another reader yields, once all is passed.
    pub(crate) fn go_on(&mut self, reader: Box<dyn Read + Send>) {
        self.reader = Some(reader);
        self.start = 0;
        self.filled = 0;
        self.left_out = 0;
    }

    /// These bytes.
    pub(crate) fn loaded(buffer: Vec<u8>) -> Window {
        Window {
            reader: None,
            long_lines: LongLines::AsTheyAre,
            start: 0,
            filled: buffer.len(),
            buffer,
            left_out: 0,
        }
    }

    /// The buffer, for other bytes.
    pub(crate) fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    /// The bytes that are loaded and not yet passed.
    #[inline]
    pub(crate) fn pending(&self) -> &[u8] {
        &self.buffer[self.start..self.filled]
    }

    /// The last bytes that were passed, as long as nothing was loaded since.
    #[inline]
    pub(crate) fn passed(&self, bytes: usize) -> &[u8] {
        &self.buffer[self.start - bytes..self.start]
    }

    /// How many bytes of long lines were never pending.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Where the first newline at or after `from` is in the pending bytes,
    /// loading as many as it takes. `None` if the input ends before. What is
    /// pending before `from` stays as it is.
    #[inline]
    pub(crate) fn newline(&mut self, from: usize) -> io::Result<Option<usize>> {
        let mut searched = from;
        let mut long = None;
        loop {
            let pending = self.pending();
            if let Some(found) = pending
                .get(searched..)
                .and_then(|rest| memchr::memchr(b'\n', rest))
            {
                return Ok(Some(searched + found));
            }
            searched = searched.max(pending.len());
            if searched - from >= LONG && self.long_lines != LongLines::AsTheyAre {
                let long = long.get_or_insert_with(|| LongLine::new(self.long_lines));
                let line = &mut self.buffer[self.start + from..self.filled];
                let kept = long.shorten(line);
                self.left_out += (line.len() - kept) as u64;
                self.filled = self.start + from + kept;
                searched = from + kept;
            }
            if !self.load()? {
                return Ok(None);
            }
        }
    }

    /// Passes over the rest of the line and its newline; how many bytes that
    /// were. `None` if the input ends before.
    pub(crate) fn skip_line(&mut self) -> io::Result<Option<u64>> {
        let mut passed = 0;
        loop {
            let pending = self.pending();
            let length = pending.len();
            if let Some(end) = memchr::memchr(b'\n', pending) {
                self.advance(end + 1);
                return Ok(Some(passed + end as u64 + 1));
            }
            self.advance(length);
            passed += length as u64;
            if !self.load()? {
                return Ok(None);
            }
        }
    }

    /// Passes over `count` pending bytes.
    #[inline]
    pub(crate) fn advance(&mut self, count: usize) {
        self.start += count.min(self.pending().len());
    }

    /// Loads more pending bytes; `false` at the end.
    pub(crate) fn load(&mut self) -> io::Result<bool> {
        let Some(reader) = &mut self.reader else {
            return Ok(false);
        };
        self.buffer.copy_within(self.start..self.filled, 0);
        self.filled -= self.start;
        self.start = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let read = read_some(reader, &mut self.buffer[self.filled..]);
        if !matches!(read, Ok(1..)) {
            // What was loaded stays readable.
            self.reader = None;
        }
        self.filled += read.as_ref().copied().unwrap_or(0);
        read.map(|count| count > 0)
    }
}

/// Reads once, whatever signals come.
fn read_some(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
