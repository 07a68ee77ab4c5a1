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

/// The kernel maps no more than this around what is asked for, in multiples of it:
/// since Linux 6.18 the whole folio of the page cache that it lies in, as far as
/// that is in one page table.
const AROUND: usize = 1 << 21;

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

#[cfg(all(test, target_os = "linux"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Write as _;

    /// Kilobytes of a file that this process has mapped and in memory; `None` if
    /// it is not mapped.
    fn resident(path: &str) -> Option<u64> {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps.lines().skip_while(|line| !line.ends_with(path));
        let size = lines.find_map(|line| line.strip_prefix("Rss:"))?;
        size.trim().trim_end_matches(" kB").parse().ok()
    }

    #[test]
    fn what_was_passed_is_given_back_with_what_came_along() {
        const LENGTH: usize = 9 << 20;
        let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        file.write_all(&vec![7; LENGTH]).unwrap();
        let path = file.into_temp_path();
        let file = Arc::new(File::open(&path).unwrap());
        let map = Map::new(&file);
        let name = path.to_str().unwrap();
        let cuts = [0, 1_000_000, 3_333_333, 7_777_777, LENGTH];
        for bytes in cuts.windows(2) {
            let part = Part {
                file: Arc::clone(&file),
                bytes: bytes[0] as u64..bytes[1] as u64,
            };
            let mut view = View::new(&map, &part, 100_000).unwrap();
            let mut shown = view.begin();
            let mut sum = 0;
            while let Some(end) = view.load(shown, shown) {
                let new = view.bytes(shown..end);
                sum += new.iter().map(|&byte| usize::from(byte)).sum::<usize>();
                shown = end;
                let most = 2 * (STRIDE + AROUND) as u64 / 1024;
                assert!((1..=most).contains(&resident(name).unwrap()));
            }
            assert_eq!((shown, sum), (bytes[1], 7 * (bytes[1] - bytes[0])));
            drop(view);
            assert_eq!(resident(name), Some(0));
        }
    }
}
