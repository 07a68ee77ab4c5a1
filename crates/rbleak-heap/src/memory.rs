//! How much memory heaps take, told before they are built, and held to.
//!
//! What a heap takes goes with its rows and references, and so does what an
//! analysis works on; both are counted while dumps are read, and estimated
//! from samples where a file can be read anywhere. Knows neither the machine
//! nor what a caller does about a refusal.

use crate::input::{self, Input, LongLines, Plain};
use crate::{ReadError, parallel};
use rbleak_units::Bytes;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What is to be done with heaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Analysis {
    /// Two or more are compared, none with references.
    Diff,
    /// Two or more are compared and what is new is followed to its holders.
    Holders,
    /// Shortest paths in one.
    Paths,
    /// Dominators of one; a second, without references, may be its base.
    Dominators,
}

/// Bytes at the peak, measured as the peak of resident memory on dumps of 0.7
/// to 4.6 million objects with 1.7 to 2 references each, on two processors.
/// The estimate shall not lie below the peak, and not above 1.7 times it.
struct Cost {
    /// For each row of a heap that was read without references.
    row: u64,
    /// For each row of a heap with references.
    linked_row: u64,
    reference: u64,
    /// For each row and reference of the largest heap, on which the analysis
    /// works.
    work_row: u64,
    work_reference: u64,
}

/// The program, its threads and buffers, tables of names.
const BASE: u64 = 20 << 20;
/// Parts are read side by side and joined. Beside references that is little;
/// without them it is what the peak consists of, until a dump is so large that
/// the allocator gives every block back.
const JOINED_ROW: u64 = 45;
const JOINED_ROWS: u64 = 3 << 18;

impl Analysis {
    fn cost(self) -> Cost {
        let (work_row, work_reference) = match self {
            Analysis::Diff => (2, 0),
            Analysis::Holders => (55, 8),
            Analysis::Paths => (60, 22),
            Analysis::Dominators => (40, 18),
        };
        Cost {
            // A base is compared, too.
            row: if self == Analysis::Dominators { 22 } else { 10 },
            linked_row: 16,
            reference: 4,
            work_row,
            work_reference,
        }
    }
}

/// Rows and references of one heap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Lines with an address.
    pub rows: u64,
    /// 0 where they are not read.
    pub references: u64,
    /// Whether they are read.
    pub is_linked: bool,
}

/// The memory that heaps may take that are read for one analysis.
#[derive(Debug)]
pub struct Memory {
    allowed: Option<u64>,
    analysis: Analysis,
    /// Heaps that are read.
    heaps: std::sync::Mutex<Vec<Extent>>,
    /// What streams are read through.
    buffers: AtomicU64,
}

impl Memory {
    /// As much as there is.
    pub fn unlimited() -> Memory {
        Memory {
            allowed: None,
            analysis: Analysis::Diff,
            heaps: std::sync::Mutex::default(),
            buffers: AtomicU64::new(0),
        }
    }

    /// No more than `allowed`, for all heaps together and the analysis.
    pub fn limited(allowed: Bytes, analysis: Analysis) -> Memory {
        Memory {
            allowed: Some(allowed.0),
            analysis,
            ..Memory::unlimited()
        }
    }

    /// What is allowed.
    pub fn allowed(&self) -> Option<Bytes> {
        self.allowed.map(Bytes)
    }

    /// What heaps of this extent and the analysis take together.
    pub fn needed(analysis: Analysis, heaps: &[Extent]) -> Bytes {
        let cost = analysis.cost();
        let of = |heap: &Extent| {
            if heap.is_linked {
                heap.rows * cost.linked_row + heap.references * cost.reference
            } else {
                heap.rows * cost.row
            }
        };
        let work = |heap: &Extent| {
            let joined = match heap.is_linked {
                true => 0,
                false => heap.rows.min(JOINED_ROWS) * JOINED_ROW,
            };
            let work_on = match analysis {
                // A base is no part of the graph.
                Analysis::Dominators if !heap.is_linked => 0,
                _ => heap.rows * cost.work_row + heap.references * cost.work_reference,
            };
            work_on + joined
        };
        let heaps_only: u64 = heaps.iter().map(of).sum();
        Bytes(BASE + heaps_only + heaps.iter().map(work).max().unwrap_or(0))
    }

    /// Counts buffers, which are there while the rest grows.
    pub(crate) fn buffers(&self, bytes: u64) {
        self.buffers.fetch_add(bytes, Relaxed);
    }

    /// What is counted so far, with the heaps as they are or will be.
    fn needs(&self, heaps: &[Extent]) -> Bytes {
        let buffers = Bytes(self.buffers.load(Relaxed));
        Memory::needed(self.analysis, heaps) + buffers
    }

    /// Starts to count a heap.
    pub(crate) fn meter(&self, is_linked: bool, input: Option<Passed>) -> Meter<'_> {
        let heap = {
            let mut heaps = lock(&self.heaps);
            heaps.push(Extent {
                is_linked,
                ..Extent::default()
            });
            heaps.len() - 1
        };
        Meter {
            memory: self,
            heap,
            input,
            rows: AtomicU64::new(0),
            references: AtomicU64::new(0),
            passed: AtomicU64::new(0),
        }
    }
}

fn lock<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// More memory is needed than is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) needed: Bytes,
    pub(crate) allowed: Bytes,
    /// The whole is not known: it may be more.
    pub(crate) is_least: bool,
}

/// Counts a heap while it is read, on any thread.
#[derive(Debug)]
pub(crate) struct Meter<'m> {
    memory: &'m Memory,
    /// Which of the memory's heaps.
    heap: usize,
    input: Option<Passed>,
    rows: AtomicU64,
    references: AtomicU64,
    /// Bytes that were booked.
    passed: AtomicU64,
}

/// How much there is of an input whose length is known, and how much of that
/// was read.
#[derive(Debug)]
pub(crate) enum Passed {
    /// So many bytes, of which the booked ones are read.
    Counted(u64),
    /// So many bytes, compressed, of which so many were consumed.
    Told(u64, Arc<AtomicU64>),
}

impl Passed {
    /// The part that is read, once it tells anything.
    fn part(&self, booked: u64) -> Option<f64> {
        let (length, passed) = match self {
            Passed::Counted(length) => (*length, booked),
            Passed::Told(length, consumed) => (*length, consumed.load(Relaxed)),
        };
        let tells = length > 0 && passed >= length / EARLIEST;
        tells.then(|| (passed as f64 / length as f64).min(1.0))
    }
}

/// What is extrapolated from less than one part in so many says nothing.
const EARLIEST: u64 = 32;
/// By how much what is extrapolated must exceed what is allowed.
const SURPLUS: f64 = 1.2;

impl Meter<'_> {
    /// Books so many more.
    pub(crate) fn add(&self, rows: u64, references: u64, passed: u64) -> Result<(), Excess> {
        let Some(allowed) = self.memory.allowed else {
            return Ok(());
        };
        let rows = self.rows.fetch_add(rows, Relaxed) + rows;
        let references = self.references.fetch_add(references, Relaxed) + references;
        let passed = self.passed.fetch_add(passed, Relaxed) + passed;
        let mut heaps = lock(&self.memory.heaps);
        let own = &mut heaps[self.heap];
        own.rows = own.rows.max(rows);
        own.references = match own.is_linked {
            true => own.references.max(references),
            false => 0,
        };
        let needed = self.memory.needs(&heaps);
        let part = self.input.as_ref().and_then(|input| input.part(passed));
        let whole = part.map(|part| {
            let mut heaps = heaps.clone();
            let own = &mut heaps[self.heap];
            own.rows = (own.rows as f64 / part) as u64;
            own.references = (own.references as f64 / part) as u64;
            self.memory.needs(&heaps)
        });
        let is_too_much = whole.is_some_and(|whole| whole.as_f64() > allowed as f64 * SURPLUS);
        if needed.0 <= allowed && !is_too_much {
            return Ok(());
        }
        Err(Excess {
            needed: whole.map_or(needed, |whole| whole.max(needed)),
            allowed: Bytes(allowed),
            is_least: whole.is_none(),
        })
    }
}

/// Places at which a file is looked at.
const SAMPLES: u64 = 32;
const SAMPLE_BYTES: u64 = 1 << 16;

/// How many rows and references a plain file has, from samples all over it;
/// `None` for what cannot be read anywhere: compressed files and pipes.
///
/// # Errors
///
/// As [`crate::Heap::open`].
pub fn estimate(path: &Path, references: bool) -> Result<Option<Extent>, ReadError> {
    // What is read from a pipe is gone.
    if !path.is_file() {
        return Ok(None);
    }
    match input::open(path, LongLines::CutAll)? {
        Input::Stream(_) => Ok(None),
        Input::Plain(plain) => {
            sampled(&plain, references)
                .map(Some)
                .map_err(|source| ReadError::Read {
                    name: path.display().to_string(),
                    at: 0,
                    source,
                })
        }
    }
}

fn sampled(plain: &Plain, references: bool) -> io::Result<Extent> {
    let length = plain.length();
    let step = (length / SAMPLES).max(SAMPLE_BYTES);
    let starts = (0..SAMPLES).map(|at| at * step);
    let starts: Vec<u64> = starts.take_while(|&start| start < length).collect();
    let samples = parallel::map(starts, 1, |start| plain.bytes(start..start + SAMPLE_BYTES));
    let (mut bytes, mut lines, mut found) = (0, 0, 0);
    for sample in samples {
        let sample = sample?;
        bytes += sample.len() as u64;
        lines += memchr::memchr_iter(b'\n', &sample).count() as u64;
        found += elements(&sample);
    }
    // One more, since the last line may have no newline.
    let whole = |count: u64| (count as f64 * length as f64 / bytes.max(1) as f64) as u64 + 1;
    Ok(Extent {
        rows: whole(lines),
        references: if references { whole(found) } else { 0 },
        is_linked: references,
    })
}

/// How many addresses stand in arrays, whose elements have no key before
/// them.
fn elements(text: &[u8]) -> u64 {
    let starts = memchr::memmem::find_iter(text, b"\"0x");
    starts
        .filter(|&at| at > 0 && matches!(text[at - 1], b'[' | b' ' | b','))
        .count() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extent(rows: u64) -> Extent {
        Extent {
            rows,
            references: 2 * rows,
            is_linked: true,
        }
    }

    #[test]
    fn what_is_read_so_far_tells_what_the_whole_needs() {
        let allowed = Memory::needed(Analysis::Dominators, &[extent(1_000_000)]);
        let memory = Memory::limited(allowed, Analysis::Dominators);
        let meter = memory.meter(true, Some(Passed::Counted(1000)));
        // Too little to tell.
        assert_eq!(meter.add(100_000, 200_000, 10), Ok(()));
        let excess = meter.add(1, 2, 40).unwrap_err();
        assert!(!excess.is_least);
        assert!(excess.needed > allowed, "{}", excess.needed);
        // As dense as allowed.
        let memory = Memory::limited(allowed, Analysis::Dominators);
        let meter = memory.meter(true, Some(Passed::Counted(1000)));
        for _ in 0..9 {
            assert_eq!(meter.add(100_000, 200_000, 100), Ok(()));
        }
        assert!(meter.add(100_001, 200_000, 100).is_err());
    }

    #[test]
    fn a_stream_is_stopped_at_the_bound_and_heaps_add_up() {
        let allowed = Memory::needed(Analysis::Diff, &[extent(1_000_000), extent(1_000_000)]);
        let memory = Memory::limited(allowed, Analysis::Diff);
        let first = memory.meter(true, None);
        assert_eq!(first.add(1_000_000, 2_000_000, 5), Ok(()));
        let second = memory.meter(true, None);
        assert_eq!(second.add(1_000_000, 2_000_000, 5), Ok(()));
        let excess = second.add(100, 0, 5).unwrap_err();
        assert!(excess.is_least);
        assert_eq!(excess.allowed, allowed);
    }

    #[test]
    fn references_are_told_from_other_addresses() {
        let line = br#"{"address":"0x8", "class":"0x10", "references":["0x18", "0x20","0x28"]}"#;
        assert_eq!(elements(line), 3);
    }
}
