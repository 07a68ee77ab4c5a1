//! A part of a mapped file, block by block.
//!
//! Asks for what comes next and gives back what was passed, so that little of a
//! file is in memory at a time. Knows no lines, and not why bytes must be read
//! instead.

use super::mapped::{Map, Mapped};
use super::plain::Part;
use std::ops::Range;
use std::sync::Arc;

/// So much is asked for and given back at a time: that has all processors forget
/// where it was, which takes each of them as long as to read some hundred lines.
const STRIDE: usize = 1 << 21;

/// The kernel maps so much around what is asked for.
const AROUND: usize = 1 << 16;

/// See the module. Offsets are those of the file.
pub(super) struct View {
    map: Map,
    mapped: Arc<Mapped>,
    /// The same bytes, to be read.
    part: Part,
    block: usize,
    /// What is in memory.
    present: Range<usize>,
}

impl View {
    /// Of these bytes of a file, as far as they exist; shown by `block` bytes.
    /// `None` if they must be read.
    pub(super) fn new(map: &Map, part: &Part, block: usize) -> Option<View> {
        let mapped = map.get()?;
        let start = usize::try_from(part.bytes.start).unwrap_or(usize::MAX);
        let start = start.min(mapped.length());
        Some(View {
            map: map.clone(),
            mapped,
            part: part.clone(),
            block,
            present: start / AROUND * AROUND..start,
        })
    }

    /// Where it begins, as long as nothing was asked for.
    pub(super) fn begin(&self) -> usize {
        self.present.end
    }

    pub(super) fn block(&self) -> usize {
        self.block
    }

    fn end(&self) -> usize {
        let end = usize::try_from(self.part.bytes.end).unwrap_or(usize::MAX);
        end.min(self.mapped.length())
    }

    /// Goes on behind `shown`, where what lies before `passed` is no longer
    /// looked at; to where. `None` at the end, and where bytes must be read.
    pub(super) fn load(&mut self, passed: usize, shown: usize) -> Option<usize> {
        let end = self.end().min(shown.saturating_add(self.block));
        if end <= shown {
            return None;
        }
        let passed = passed / STRIDE * STRIDE;
        if passed > self.present.start {
            self.mapped.forget(self.present.start..passed);
            self.present.start = passed;
        }
        if end > self.present.end {
            let next = (end.div_ceil(STRIDE) * STRIDE).min(self.end());
            if !self.mapped.load(&(self.present.end..next)) {
                self.map.give_up();
                return None;
            }
            self.present.end = next;
        }
        Some(end)
    }

    /// Bytes that were shown.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.mapped.bytes(range)
    }

    /// See [`Mapped::fetch`].
    #[inline]
    pub(super) fn fetch(&self, range: Range<usize>) {
        self.mapped.fetch(range);
    }

    /// What is left of the part behind `shown`, to be read; `None` if nothing.
    pub(super) fn into_rest(mut self, shown: usize) -> Option<Part> {
        self.part.bytes.start = shown as u64;
        let is_empty = self.part.bytes.is_empty();
        (!is_empty).then(|| self.part.clone())
    }
}

impl Drop for View {
    fn drop(&mut self) {
        let end = self.present.end.div_ceil(AROUND) * AROUND;
        self.mapped
            .forget(self.present.start..end.min(self.mapped.length()));
    }
}
