//! A window on the bytes of an input that moves line by line.
//!
//! The pending bytes always start with a line; a caller who finds that a
//! newline did not end the line asks for the next one and has both in one
//! slice. Memory is bounded by the longest line, or, where what no heap keeps
//! may be left out, by what is kept of it.

use super::long_line::{LongLine, LongLines};
use super::view::View;
use std::io::{self, Read};
use std::ops::Range;

/// Of a longer line parts may be left out.
const LONG: usize = 4 << 20;

/// See the module.
pub(crate) struct Window {
    /// `None` if all is loaded.
    reader: Option<Box<dyn Read + Send>>,
    long_lines: LongLines,
    /// Where the bytes are, if not in the buffer.
    view: Option<View>,
    buffer: Vec<u8>,
    /// The pending bytes in the view or in the buffer.
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
            view: None,
            buffer: vec![0; block],
            start: 0,
            filled: 0,
            left_out: 0,
        }
    }

    /// What a view shows.
    pub(super) fn view(view: View, long_lines: LongLines) -> Window {
        let start = view.begin();
        Window {
            reader: None,
            long_lines,
            view: Some(view),
            buffer: Vec::new(),
            start,
            filled: start,
            left_out: 0,
        }
    }

    /// These bytes.
    pub(crate) fn loaded(buffer: Vec<u8>) -> Window {
        Window {
            reader: None,
            long_lines: LongLines::AsTheyAre,
            view: None,
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
        self.bytes(self.start..self.filled)
    }

    /// Tells that bytes will be looked at, which are or will be pending: counted
    /// from where that begins. Where they need not be read, memory can bring them
    /// in the meantime.
    #[inline]
    pub(crate) fn fetch(&self, range: Range<usize>) {
        if let Some(view) = &self.view {
            view.fetch(self.start + range.start..self.start + range.end);
        }
    }

    /// The last bytes that were passed, as long as nothing was loaded since.
    #[inline]
    pub(crate) fn passed(&self, bytes: usize) -> &[u8] {
        self.bytes(self.start - bytes..self.start)
    }

    #[inline]
    fn bytes(&self, range: Range<usize>) -> &[u8] {
        match &self.view {
            Some(view) => view.bytes(range),
            None => &self.buffer[range],
        }
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
                self.leave_view();
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

    /// From now on what is pending is a copy, and what follows is read.
    fn leave_view(&mut self) {
        if let Some(view) = self.view.take() {
            self.buffer.clear();
            self.buffer
                .extend_from_slice(view.bytes(self.start..self.filled));
            self.buffer.resize(self.buffer.len() + view.block(), 0);
            let part = view.into_rest(self.filled);
            self.reader = part.map(|part| -> Box<dyn Read + Send> { Box::new(part) });
            self.filled -= self.start;
            self.start = 0;
        }
    }

    /// Loads more pending bytes; `false` at the end.
    pub(crate) fn load(&mut self) -> io::Result<bool> {
        if let Some(view) = &mut self.view {
            if let Some(loaded) = view.load(self.start, self.filled) {
                self.filled = loaded;
                return Ok(true);
            }
            self.leave_view();
        }
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
