//! Why a recording cannot be read: one sentence each.

use std::io;

/// Why a recording cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Nothing in it, or blank lines only.
    #[error("it is empty: nothing was recorded")]
    Empty,
    /// None of the known formats.
    #[error(
        "this is no recording of memory that is known: give rbleak's own, a CSV with a header, \
         bare numbers, or the JSON of a Prometheus range query"
    )]
    Unknown,
    /// Ours, but newer.
    #[error("it is a recording of {schema}, and this rbleak reads rbleak/recording/v1: update it")]
    Newer {
        /// What the header says.
        schema: String,
    },
    /// A table without a column of memory.
    #[error("no column of memory in the header {header:?}: name one rss, pss or memory")]
    NoMemory {
        /// The header.
        header: String,
    },
    /// A table without a column of time.
    #[error("no column of time in the header {header:?}: name one time, timestamp or seconds")]
    NoTime {
        /// The header.
        header: String,
    },
    /// A cell that is no number of the kind it should be.
    #[error("line {line}: {text:?} is no amount of memory")]
    NoAmount {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A time that cannot be read.
    #[error("line {line}: {text:?} is no time: give seconds, epoch milliseconds or RFC 3339")]
    BadTime {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// A line that is not what the first ones promise.
    #[error("line {line}: {text}")]
    BadLine {
        /// Counted from 1.
        line: usize,
        /// What is wrong.
        text: String,
    },
    /// Times that go back.
    #[error("line {line}: the time goes back by {by} s: sort the recording, or give one at a time")]
    Backwards {
        /// Counted from 1.
        line: usize,
        /// Seconds.
        by: f64,
    },
    /// One column, several units.
    #[error("line {line}: {text:?} is in another unit than the lines before: give one unit")]
    MixedUnits {
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Prometheus answered, but not with series.
    #[error("this answer of Prometheus holds no series: {why}")]
    Prometheus {
        /// What is wrong.
        why: String,
    },
    /// Seconds between lines that are none.
    #[error("the time between samples must be a positive number of seconds")]
    Interval,
    /// It cannot be read at all.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
}
