//! A file, read in parts on all processors.
//!
//! Cuts only where a line begins as Ruby begins one, so that reading the parts
//! is reading the whole. Knows no columns.

use crate::builder::Builder;
use crate::input::{BLOCK, Plain};
use crate::memory::Meter;
use crate::parallel;
use crate::reader::{Reader, Stop};
use crate::sniff::{START_BYTES, surely_starts_a_record};
use std::io;
use std::ops::Range;

/// Parts for each thread: two even out what is uneven, and each costs tables
/// of its own.
const PARTS_PER_THREAD: u64 = 2;
/// Smaller parts are not worth a thread.
pub(crate) const MIN_PART: u64 = 8 << 20;
/// Bytes in which a record is looked for at a time.
const LOOKED_AT: usize = 1 << 13;
/// No line of a dump is shorter on average.
const BYTES_PER_ROW: u64 = 128;

/// In a dump of more rows, columns are asked for in blocks so large that
/// glibc maps each of them (32 MB are its limit) and gives it back when it is
/// dropped; smaller ones it keeps, and they would count as memory in use.
const LARGE_ROWS: usize = 1 << 20;
const MAPPED_ROWS: usize = 17 << 20;

/// Reads all parts; in the order of the file what each became and whether it
/// was read to its end.
pub(crate) fn read(
    plain: &Plain,
    references: bool,
    part_bytes: u64,
    threads: usize,
    meter: &Meter<'_>,
) -> io::Result<Vec<(Reader, Result<(), Stop>)>> {
    let block = usize::try_from(part_bytes).map_or(BLOCK, |bytes| match bytes {
        0 => BLOCK,
        bytes => bytes.clamp(64, BLOCK),
    });
    let part_bytes = self::part_bytes(part_bytes, plain.length(), threads);
    let cuts = cuts(plain, part_bytes)?;
    let starts = std::iter::once(0).chain(cuts.iter().copied());
    // What is appended while it is read belongs to the last part.
    let ends = cuts.iter().copied().chain([u64::MAX]);
    let parts: Vec<_> = starts.zip(ends).map(|(start, end)| start..end).collect();
    let rows = rows(plain);
    Ok(parallel::map(parts, threads, |part: Range<u64>| {
        let (is_first, is_last) = (part.start == 0, part.end == u64::MAX);
        let mut builder = Builder::new(references);
        builder.columns.reserve(rows);
        let mut reader = Reader::new(builder, is_first, is_last);
        let outcome = reader.run(&mut plain.view(part, block), meter);
        (reader, outcome)
    }))
}

/// For how many rows columns are asked for memory at once. The first part grows
/// by the others, and for all of them what is asked for and not used costs
/// nothing.
pub(crate) fn rows(plain: &Plain) -> usize {
    let rows = usize::try_from(plain.length() / BYTES_PER_ROW).unwrap_or(0);
    if rows > LARGE_ROWS {
        rows.max(MAPPED_ROWS)
    } else {
        rows
    }
}

/// Bytes of each part of a file of this length; `wanted` is 0 for what suits.
pub(crate) fn part_bytes(wanted: u64, length: u64, threads: usize) -> u64 {
    match wanted {
        0 if threads == 1 => u64::MAX,
        0 => (length / (threads as u64 * PARTS_PER_THREAD)).max(MIN_PART),
        bytes => bytes,
    }
}

/// Where parts begin, besides the first.
pub(crate) fn cuts(plain: &Plain, part_bytes: u64) -> io::Result<Vec<u64>> {
    let mut cuts = Vec::new();
    let mut from = part_bytes;
    while from < plain.length() {
        let to = from.saturating_add(part_bytes);
        cuts.extend(record_start(plain, from, to)?);
        from = to;
    }
    Ok(cuts)
}

/// The first line that begins a record, after the first newline at `from` or
/// behind; `None` if there is none before `to`.
pub(crate) fn record_start(plain: &Plain, from: u64, to: u64) -> io::Result<Option<u64>> {
    let mut window = plain.window(from..u64::MAX, LOOKED_AT);
    let mut at = from;
    while let Some(passed) = window.skip_line()? {
        at += passed;
        if at >= to {
            break;
        }
        while window.pending().len() < START_BYTES && window.load()? {}
        if surely_starts_a_record(window.pending()) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}
