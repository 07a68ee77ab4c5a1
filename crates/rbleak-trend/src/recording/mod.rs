//! Recordings of memory: our own format, written by whoever samples and read
//! here, and those that others write. Bytes in, values out; whose bytes they
//! are, the caller knows.
//!
//! # Format, version 1
//!
//! Lines of JSON (NDJSON). The first is the header, every other one a sample
//! of one process:
//!
//! ```text
//! {"schema":"rbleak/recording/v1","started_at":"2026-11-23T14:02:11Z","command":"puma","every_seconds":1,"limit_bytes":536870912}
//! {"at_seconds":0.0,"process":"worker 0","life":7712,"requests":0,"rss_bytes":104857600,"pss_bytes":52428800,"anonymous_bytes":94371840,"live_slots":210000,"malloc_in_use_bytes":70000000,"uss_bytes":48000000}
//! ```
//!
//! Figures that are dear to read (PSS, USS, slots, malloc's) may be in some of
//! the lines only; where the memory was looked through, `kinds_bytes` says what
//! it is used for.
//!
//! `at_seconds` counts from `started_at`. `process` names a row that goes on
//! over restarts, `life` differs from one life of it to the next. What is not
//! known is left out, and unknown members are ignored, so that a version only
//! gains members. The CSV beside it has the same names as its columns, below a
//! line `# rbleak/recording/v1`. Both can be cut off anywhere: a last line that
//! is not whole is left out.

mod error;
mod own;
mod plain;
mod prometheus;
mod table;
mod time;
mod units;

use crate::sample::Sample;
use crate::series::MemorySeries;
use rbleak_units::Bytes;
use std::io::{BufRead, Read};

pub use error::RecordingError;
pub use own::{CSV_HEADER, Header, Row, SCHEMA};
pub use units::Unit;

/// How to read what does not say it by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReadOptions {
    /// The unit of memory columns; goes before what a header says.
    pub unit: Option<Unit>,
    /// Seconds between lines that carry no time.
    pub every: f64,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        // What derailed waits between its lines.
        ReadOptions {
            unit: None,
            every: 5.0,
        }
    }
}

/// Where a recording comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Our own, as lines of JSON.
    Ndjson,
    /// A table with a header, ours too.
    Csv,
    /// Bare numbers, as derailed writes them.
    Numbers,
    /// The answer to a Prometheus range query.
    Prometheus,
}

/// What was recorded.
#[derive(Clone, Debug)]
pub struct Recording {
    /// How it was written.
    pub format: Format,
    /// The header, where it has ours.
    pub header: Header,
    /// The processes, in the order of their first samples.
    pub tracks: Vec<Track>,
    /// What was assumed, and what was left out: a sentence each.
    pub remarks: Vec<String>,
}

/// The samples of one process, or of what takes its place after a restart.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its name; empty where there is only one without a name.
    pub name: String,
    /// Its samples.
    pub series: MemorySeries,
}

/// Reads a recording of any known format, in bounded memory except for
/// Prometheus's, which comes as one value.
///
/// # Errors
/// In a sentence, with the line; see [`RecordingError`].
pub fn read(mut input: impl BufRead, options: &ReadOptions) -> Result<Recording, RecordingError> {
    if !(options.every.is_finite() && options.every > 0.0) {
        return Err(RecordingError::Interval);
    }
    let mut start = String::new();
    let mut line = 0;
    // Blank lines before the first.
    while start.trim().is_empty() {
        start.clear();
        line += 1;
        if read_line(&mut input, &mut start)? == 0 {
            return Err(RecordingError::Empty);
        }
    }
    let start = start.trim_start_matches('\u{feff}').to_owned();
    if start.trim_start().starts_with('{') {
        if let Some(header) = own::header(&start)? {
            return own::read(header, input, line);
        }
        let mut text = start;
        input
            .read_to_string(&mut text)
            .map_err(RecordingError::Read)?;
        return prometheus::read(&text, options);
    }
    let first = start.split([',', ';', '\t']).next().unwrap_or_default();
    let is_number = |text: &str| text.trim().parse::<f64>().is_ok();
    if is_number(&start) || (is_number(first) && !start.contains([',', ';', '\t'])) {
        return plain::read(&start, input, line, options);
    }
    if !start.contains(|c: char| c.is_alphanumeric()) || start.contains('\0') {
        return Err(RecordingError::Unknown);
    }
    table::read(&start, input, line, options)
}

/// One more line; what is not UTF-8 is no recording.
fn read_line(input: &mut impl BufRead, line: &mut String) -> Result<usize, RecordingError> {
    // A line without an end would fill the memory.
    const LONGEST: u64 = 1 << 20;
    let read = input.take(LONGEST).read_line(line);
    match read {
        Ok(read) if read as u64 == LONGEST => Err(RecordingError::Unknown),
        Ok(read) => Ok(read),
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Err(RecordingError::Unknown)
        }
        Err(error) => Err(RecordingError::Read(error)),
    }
}

/// Puts samples into the track of their process, and looks after the time.
#[derive(Default)]
struct Tracks(Vec<Track>);

impl Tracks {
    fn push(&mut self, name: &str, sample: Sample, line: usize) -> Result<(), RecordingError> {
        let place = self.0.iter().position(|track| track.name == name);
        let place = place.unwrap_or_else(|| {
            self.0.push(Track {
                name: name.to_owned(),
                series: MemorySeries::new(),
            });
            self.0.len() - 1
        });
        let series = &mut self.0[place].series;
        if let Some(last) = series.last()
            && sample.at < last.at
        {
            return Err(RecordingError::Backwards {
                line,
                by: last.at - sample.at,
            });
        }
        series.push(sample);
        Ok(())
    }

    /// Tracks named by PIDs of which none overlaps with another are one
    /// process that was restarted.
    fn join_restarts(self) -> Vec<Track> {
        let span = |track: &Track| {
            let first = track.series.lives().next().and_then(|life| life.first());
            Some((first?.at, track.series.last()?.at))
        };
        let spans: Vec<Option<(f64, f64)>> = self.0.iter().map(span).collect();
        let apart = spans
            .windows(2)
            .all(|pair| matches!(pair, [Some(a), Some(b)] if a.1 <= b.0));
        if self.0.len() < 2 || !apart {
            return self.0;
        }
        let samples = self
            .0
            .iter()
            .flat_map(|track| track.series.lives().flatten());
        vec![Track {
            name: String::new(),
            series: samples.copied().collect(),
        }]
    }
}

/// A finite amount of memory.
fn amount(value: f64, line: usize) -> Result<Bytes, RecordingError> {
    if value.is_finite() && value >= 0.0 {
        Ok(Bytes(value.round() as u64))
    } else {
        Err(RecordingError::NoAmount {
            line,
            text: value.to_string(),
        })
    }
}

#[cfg(test)]
mod tests;
