//! Dumps of one process, read side by side.
//!
//! What one of them becomes is what it becomes alone; only that most lines of
//! a later one are the same as in the one before, and need not be read again
//! (see [`twin`](crate::twin)). So each chunk of the first dump is read
//! together with the chunk of the others that lists the same addresses, a
//! block here and a block there, while all of them are in the processor's
//! caches. Neighbouring chunks that the same thread reads become one part.
//! Knows no columns.

use crate::builder::Builder;
use crate::chunks;
use crate::input::{Plain, Window};
use crate::memory::Meter;
use crate::parallel;
use crate::reader::{Reader, Step, Stop};
use crate::scan::address_of;
use crate::twin::{Alignment, Lines, Same, Twin};
use std::io;
use std::ops::Range;
use std::sync::{Mutex, MutexGuard};

/// Smaller chunks are not worth the cut.
const MIN_CHUNK: u64 = 2 << 20;
/// Blocks of three dumps shall fit a processor's second cache together.
const BLOCK: usize = 1 << 17;
/// Of a record, so much tells its address.
const ADDRESS_BYTES: u64 = 48;
/// Pages are not larger; a page's lines take some hundred kilobytes.
const LARGE_PAGE_BITS: u32 = 16;
/// Between places where a page is looked for, and how many these are.
const STEP: u64 = 1 << 16;
const MOST_STEPS: u64 = 1 << 12;

/// Chunks for each thread: as many as it takes for all to end at the same time.
/// They cost nothing, since a thread reads on where it has read up to.
const CHUNKS_PER_THREAD: u64 = 96;

/// What a part became, and whether it was read to its end.
pub(crate) type Parts = Vec<(Reader, Result<(), Stop>)>;

/// What a dump became.
pub(crate) struct Read {
    /// In the order of the file.
    pub(crate) parts: Parts,
    /// What all of them have in common with the dump before.
    pub(crate) same: Same,
}

/// Reads all dumps, in the order in which they were taken. `None` if that makes
/// no sense, and nothing was read.
pub(crate) fn read(
    plains: &[Plain],
    part_bytes: u64,
    threads: usize,
    meters: &[Meter<'_>],
) -> io::Result<Option<Vec<Read>>> {
    let Some(cuts) = cuts(plains, part_bytes, threads)? else {
        return Ok(None);
    };
    let rows: Vec<_> = plains.iter().map(chunks::rows).collect();
    let block = usize::try_from(part_bytes).map_or(BLOCK, |bytes| match bytes {
        0 => BLOCK,
        bytes => bytes.clamp(64, BLOCK),
    });
    let begin = |chunk| {
        let dumps = plains.iter().zip(&cuts).zip(&rows).zip(meters);
        let lanes = dumps.map(|(((plain, cuts), rows), meter)| {
            let mut builder = Builder::new(false);
            builder.columns.reserve(*rows);
            Lane::new(plain, range(cuts, chunk), block, builder, meter)
        });
        lanes.collect::<Vec<_>>()
    };
    let shares = Shares::new(cuts[0].len() + 1, threads);
    let done = parallel::map((0..threads).collect(), threads, |share| {
        let mut pieces = Vec::new();
        while let Some(first) = shares.next(share) {
            let mut lanes = read_together(begin(first));
            let mut last = first;
            while let Some(chunk) = shares.next_after(share, last) {
                for ((lane, plain), cuts) in lanes.iter_mut().zip(plains).zip(&cuts) {
                    lane.go_on(plain, range(cuts, chunk));
                }
                lanes = read_together(lanes);
                last = chunk;
            }
            let read = lanes.into_iter().map(Lane::close);
            pieces.push((first, read.collect::<Vec<_>>()));
        }
        pieces
    });
    let mut pieces: Vec<_> = done.into_iter().flatten().collect();
    pieces.sort_by_key(|(first, _)| *first);
    let mut dumps: Vec<_> = plains
        .iter()
        .map(|_| Read {
            parts: Vec::new(),
            same: Same::default(),
        })
        .collect();
    let mut rows = vec![0; plains.len()];
    for (_, piece) in pieces {
        for ((dump, rows), (part, same)) in dumps.iter_mut().zip(&mut rows).zip(piece) {
            dump.same.append(*rows, &same);
            *rows += part.0.builder.columns.len();
            dump.parts.push(part);
        }
    }
    Ok(Some(dumps))
}

/// Which chunks each thread has still to read: the next ones of its own, and
/// once these are read, half of what another one has left.
struct Shares(Mutex<Vec<Range<usize>>>);

impl Shares {
    fn new(chunks: usize, threads: usize) -> Shares {
        let threads = threads.max(1);
        let start = |share: usize| share * chunks / threads;
        let shares = (0..threads).map(|share| start(share)..start(share + 1));
        Shares(Mutex::new(shares.collect()))
    }

    fn all(&self) -> MutexGuard<'_, Vec<Range<usize>>> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// The next chunk, wherever it is.
    fn next(&self, share: usize) -> Option<usize> {
        let mut shares = self.all();
        if shares[share].is_empty()
            && let Some(largest) = shares.iter_mut().max_by_key(|share| share.len())
        {
            let middle = largest.start + largest.len() / 2;
            let half = middle..largest.end;
            largest.end = middle;
            shares[share] = half;
        }
        shares[share].next()
    }

    /// The chunk that follows on `last`, if it is one of the share.
    fn next_after(&self, share: usize, last: usize) -> Option<usize> {
        let mut shares = self.all();
        match shares[share].start == last + 1 {
            true => shares[share].next(),
            false => None,
        }
    }
}

/// One dump of those that are read together.
struct Lane<'m> {
    reader: Reader,
    window: Window,
    block: usize,
    meter: &'m Meter<'m>,
    /// Once it has come to its end.
    outcome: Option<Result<(), Stop>>,
    /// What the last step passed.
    stretch: Stretch,
    /// How much of the stretch of the dump before was used here.
    used: Used,
    /// To the dump before.
    alignment: Alignment,
}

impl<'m> Lane<'m> {
    fn new(
        plain: &Plain,
        range: Range<u64>,
        block: usize,
        builder: Builder,
        meter: &'m Meter<'m>,
    ) -> Lane<'m> {
        let (is_first, is_last) = (range.start == 0, range.end == u64::MAX);
        Lane {
            reader: Reader::new(builder, is_first, is_last),
            window: plain.view(range, block),
            block,
            meter,
            outcome: None,
            stretch: Stretch::default(),
            used: Used::default(),
            alignment: Alignment::default(),
        }
    }

    /// Goes on with the bytes that follow, if those before were read.
    fn go_on(&mut self, plain: &Plain, range: Range<u64>) {
        if let Some(Ok(())) = self.outcome {
            self.reader.go_on(range.end == u64::MAX);
            self.window = plain.view(range, self.block);
            self.outcome = None;
        }
        self.stretch = Stretch::default();
        self.used = Used::default();
    }

    /// What was read, and what of it the dump before has, too.
    fn close(mut self) -> ((Reader, Result<(), Stop>), Same) {
        self.reader.builder.close();
        let outcome = self.outcome.unwrap_or(Ok(()));
        ((self.reader, outcome), self.alignment.into_same())
    }
}

/// Reads all lanes to their ends.
fn read_together(mut lanes: Vec<Lane<'_>>) -> Vec<Lane<'_>> {
    for at in (0..lanes.len()).rev() {
        while lanes[at].outcome.is_none() {
            step(&mut lanes[..=at], None);
        }
    }
    lanes
}

/// Lines that the window has just passed, each of which became one row.
#[derive(Default)]
struct Stretch {
    row: u32,
    /// From where it begins to the end of what was passed.
    behind: usize,
    bytes: usize,
}

/// What of a stretch was compared to.
#[derive(Default)]
struct Used {
    bytes: usize,
    rows: u32,
}

/// The windows of the lanes behind one, the next first.
struct Later<'a> {
    window: &'a Window,
    others: Option<&'a Later<'a>>,
}

/// Reads on in the last lane, and in those before as far as that needs; `later`
/// are those behind.
fn step(lanes: &mut [Lane<'_>], later: Option<&Later<'_>>) {
    let Some((lane, before)) = lanes.split_last_mut() else {
        return;
    };
    // Each step makes a new stretch: only of that is nothing used.
    while let Some(earlier) = before.last()
        && earlier.outcome.is_none()
        && lane.used.bytes == earlier.stretch.bytes
    {
        lane.used = Used::default();
        let here = Later {
            window: &lane.window,
            others: later,
        };
        step(before, Some(&here));
    }
    let mut twin = before
        .last()
        .filter(|earlier| lane.used.bytes < earlier.stretch.bytes)
        .map(|earlier| {
            let stretch = &earlier.stretch;
            let lines = Lines {
                text: &earlier.window.passed(stretch.behind)[..stretch.bytes],
                ends: &earlier.reader.ends[lane.used.rows as usize..],
                start: lane.used.bytes,
            };
            let row = stretch.row + lane.used.rows;
            Twin::new(&earlier.reader.builder, &mut lane.alignment, lines, row)
        });
    // What the lanes behind will compare with these lines lies in the same place
    // there, more or less.
    let meanwhile = |range: Range<usize>| {
        let mut later = later;
        while let Some(Later { window, others }) = later {
            window.fetch(range.clone());
            later = *others;
        }
    };
    let result = lane
        .reader
        .step(&mut lane.window, lane.meter, twin.as_mut(), meanwhile);
    if let (Some(twin), Some(earlier)) = (twin, before.last()) {
        lane.used.bytes = twin.lines.start;
        lane.used.rows = twin.row - earlier.stretch.row;
    }
    lane.stretch = Stretch::default();
    match result {
        Ok(Step::Usual { usual, row }) => {
            lane.stretch = Stretch {
                row,
                behind: usual.bytes,
                bytes: usual.one_row_each,
            };
        }
        Ok(Step::Unusual) => {}
        Ok(Step::End) => lane.outcome = Some(Ok(())),
        Err(stop) => lane.outcome = Some(Err(stop)),
    }
}

/// For each dump where its chunks begin, besides the first, so that the same
/// chunks of all dumps list the same addresses; `None` if their lines do not
/// say where they lie.
fn cuts(plains: &[Plain], part_bytes: u64, threads: usize) -> io::Result<Option<Vec<Vec<u64>>>> {
    let Some((first, later)) = plains.split_first() else {
        return Ok(None);
    };
    // What later dumps have more of lies behind what the first one has: its last
    // chunk shall be smaller, so that all take the same time.
    let mean = plains.iter().map(Plain::length).sum::<u64>() / plains.len() as u64;
    let part_bytes = match part_bytes {
        0 if threads == 1 => u64::MAX,
        0 => (mean / (threads as u64 * CHUNKS_PER_THREAD)).max(MIN_CHUNK),
        bytes => bytes,
    };
    let mut found = vec![0; plains.len()];
    let mut cuts = vec![Vec::new(); plains.len()];
    for cut in chunks::cuts(first, part_bytes)? {
        let Some(address) = address_at(first, cut)? else {
            continue;
        };
        // Where the one before was found, this one will be, too.
        let passed = cut - found[0];
        found[0] = cut;
        for (plain, found) in later.iter().zip(&mut found[1..]) {
            match near(plain, address, found.saturating_add(passed))? {
                Some(start) if start > *found => *found = start,
                _ => return Ok(None),
            }
        }
        for (cuts, &cut) in cuts.iter_mut().zip(&found) {
            cuts.push(cut);
        }
    }
    let has_parts = threads == 1 || !cuts[0].is_empty() || first.length() < MIN_CHUNK;
    Ok(has_parts.then_some(cuts))
}

/// The bytes of a chunk. What is appended while it is read belongs to the last.
fn range(cuts: &[u64], chunk: usize) -> Range<u64> {
    let start = chunk.checked_sub(1).map_or(0, |before| cuts[before]);
    start..cuts.get(chunk).copied().unwrap_or(u64::MAX)
}

/// The address of the record that starts there, if it has one.
fn address_at(plain: &Plain, start: u64) -> io::Result<Option<u64>> {
    let record = plain.bytes(start..start + ADDRESS_BYTES)?;
    Ok(address_of(&record))
}

/// The start of a record in the same page as `address`, which another dump has
/// at the offset `at`: looked for there first, and then ever farther away.
fn near(plain: &Plain, address: u64, at: u64) -> io::Result<Option<u64>> {
    for steps in 0..MOST_STEPS {
        let distance = steps.div_ceil(2) * STEP;
        let from = match steps % 2 {
            0 => at.checked_add(distance),
            _ => at.checked_sub(distance),
        };
        let Some(from) = from.filter(|&from| from < plain.length()) else {
            continue;
        };
        if let Some(start) = chunks::record_start(plain, from, from + STEP)?
            && let Some(other) = address_at(plain, start)?
            && other >> LARGE_PAGE_BITS == address >> LARGE_PAGE_BITS
        {
            return Ok(Some(start));
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::Memory;
    use crate::input::{self, Input, LongLines};
    use std::io::Write as _;

    fn lines(count: u64, generation: u64) -> Vec<String> {
        let line = |number: u64| {
            let address = 0x7f00_0000_0000 + number / 100 * 0x1_0000 + number % 100 * 40;
            format!(
                "{{\"address\":\"{address:#x}\", \"type\":\"STRING\", \"class\":\"0x7f0000000010\", \"file\":\"a{}.rb\", \"line\":{}, \"generation\":{generation}, \"memsize\":40}}\n",
                number % 7,
                number % 5
            )
        };
        (0..count).map(line).collect()
    }

    /// How many lines of the second dump were taken from the first.
    fn taken(first: &str, second: &str) -> usize {
        let files = [first, second].map(|text| {
            let mut file = tempfile::NamedTempFile::new().unwrap();
            file.write_all(text.as_bytes()).unwrap();
            file
        });
        let plains = files.each_ref().map(|file| {
            let Input::Plain(plain) = input::open(file.path(), LongLines::CutAll).unwrap() else {
                panic!("a plain file");
            };
            plain
        });
        let memory = Memory::unlimited();
        let meters = [memory.meter(false, None), memory.meter(false, None)];
        let lanes = plains
            .iter()
            .zip(&meters)
            .map(|(plain, meter)| Lane::new(plain, 0..u64::MAX, 4096, Builder::new(false), meter));
        let lanes = read_together(lanes.collect());
        let rows = lanes.iter().map(|lane| lane.reader.builder.columns.len());
        let expected = [first, second].map(|text| text.lines().count());
        assert!(rows.eq(expected));
        lanes[1].alignment.taken()
    }

    #[test]
    fn all_chunks_are_given_once_and_those_of_a_share_in_order() {
        for (chunks, threads) in [(0, 1), (1, 3), (7, 1), (48, 2), (100, 7)] {
            let shares = Shares::new(chunks, threads);
            let mut given = Vec::new();
            // The first reads fastest.
            for share in (0..threads).chain(std::iter::repeat_n(0, chunks + 1)) {
                if let Some(first) = shares.next(share) {
                    given.push(first);
                    if let Some(second) = shares.next_after(share, first) {
                        assert_eq!(second, first + 1);
                        given.push(second);
                        assert_eq!(shares.next_after(share, first), None);
                    }
                }
            }
            given.sort_unstable();
            assert!(given.into_iter().eq(0..chunks));
        }
    }

    #[test]
    fn lines_that_are_the_same_are_not_read_again() {
        let one = lines(5_000, 1);
        let whole = one.concat();
        // The first of each kind is.
        assert_eq!(taken(&whole, &whole), 5_000 - 35);
        // New ones, gone ones, whole new pages and gone pages cost little.
        let other = lines(5_000, 2);
        let mut some = one.clone();
        for at in (0..5_000).step_by(50) {
            some[at].clone_from(&other[at]);
        }
        assert!(taken(&whole, &some.concat()) > 4_800);
        let without = one.iter().enumerate().filter(|(at, _)| at % 50 != 3);
        let without: String = without.map(|(_, line)| line.as_str()).collect();
        assert!(taken(&whole, &without) > 4_700);
        assert!(taken(&without, &whole) > 4_700);
        let pages = [&one[..1_000], &one[1_700..]].concat().concat();
        assert!(taken(&whole, &pages) > 2_700);
        assert!(taken(&pages, &whole) > 2_700);
        // Pages in another order are read.
        let turned = [&one[2_500..], &one[..2_500]].concat().concat();
        assert!(taken(&whole, &turned) > 1_000);
        assert_eq!(taken(&whole, &other.concat()), 0);
    }
}
