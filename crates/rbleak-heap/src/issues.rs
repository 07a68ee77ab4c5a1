//! What was wrong with a dump that could be read nevertheless.
//!
//! Real Rubies write lines that are no valid JSON. A line is either
//! *repaired* (its row is in the heap) or *skipped* (it is not). Totals are
//! exact; details are kept for the first lines only.

use std::fmt;

/// Of how many lines the details are kept.
const DETAILS: usize = 1000;

/// What happened to a bad line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IssueKind {
    /// Its object is in the heap.
    Repaired,
    /// Its object is missing.
    Skipped,
}

/// Why a line is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A quote or a backslash that Ruby did not escape ends a string early.
    UnescapedQuote,
    /// A newline that Ruby did not escape splits the line in two or more.
    SplitLine,
    /// Bytes that are not UTF-8 became U+FFFD.
    InvalidUtf8,
    /// A control character stands raw in a string.
    ControlCharacter,
    /// A backslash that starts no JSON escape was taken as it stands.
    InvalidEscape,
    /// The stale bytes that Ruby 3.0.0 to 3.1.2 write into the name of a
    /// method that is not ASCII.
    StaleBytes,
    /// No JSON, and no known way to repair it.
    NotJson,
    /// JSON, but no line of a heap dump.
    NotADumpLine,
    /// A part of the file was never written, and reads as NULs.
    Hole,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::UnescapedQuote => "Ruby left a quote or backslash unescaped",
            Reason::SplitLine => "Ruby left a newline unescaped, which splits the line",
            Reason::InvalidUtf8 => "bytes that are not UTF-8",
            Reason::ControlCharacter => "Ruby left a control character unescaped",
            Reason::InvalidEscape => "Ruby left a backslash unescaped",
            Reason::StaleBytes => "stale bytes in a method name (a bug of Ruby 3.0.0 to 3.1.2)",
            Reason::NotJson => "not JSON",
            Reason::NotADumpLine => "JSON, but no line of a heap dump",
            Reason::Hole => "NUL bytes where a part of the file was never written",
        })
    }
}

/// One bad line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Its number in the (decompressed) file, from 1.
    pub line: u64,
    /// What happened to it.
    pub kind: IssueKind,
    /// Why.
    pub reason: Reason,
}

/// The dump stops before its end, or is not one dump.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Truncation {
    /// The incomplete line, or the one after the last complete line.
    pub line: u64,
    /// How that is known.
    pub cause: Cut,
}

/// How it is known that a dump is not whole.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cut {
    /// The dump ends in the middle of a line.
    MidLine,
    /// What the decompressor said: the compressed file is cut or damaged.
    Decompression(String),
    /// The file got shorter while it was read.
    Shrunk,
    /// The file got longer while it was read: it is still being written.
    Growing,
    /// The file was written to while it was read.
    Rewritten,
}

impl fmt::Display for Truncation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line;
        match &self.cause {
            Cut::MidLine => write!(f, "the dump ends in the middle of line {line}"),
            Cut::Decompression(message) => write!(
                f,
                "the compressed file ends early or is damaged, at line {line}: {message}"
            ),
            Cut::Shrunk => write!(
                f,
                "the file got shorter while it was read, and ends before line {line}"
            ),
            Cut::Growing => write!(
                f,
                "the file is still being written, and was read up to line {line}"
            ),
            Cut::Rewritten => write!(
                f,
                "the file was written to while it was read, up to line {line}"
            ),
        }
    }
}

/// Everything that was wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Issues {
    repaired: u64,
    skipped: u64,
    details: Vec<Issue>,
    truncation: Option<Truncation>,
}

impl Issues {
    /// Whether the dump was as it should be.
    pub fn is_empty(&self) -> bool {
        self.repaired == 0 && self.skipped == 0 && self.truncation.is_none()
    }

    /// How many objects come from repaired lines (a line that newlines split
    /// counts once).
    pub fn repaired(&self) -> u64 {
        self.repaired
    }

    /// How many lines could not be used.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }

    /// The first 1,000 bad lines in the order of the file.
    pub fn details(&self) -> &[Issue] {
        &self.details
    }

    /// Where the dump stops, if it is cut off.
    pub fn truncated(&self) -> Option<&Truncation> {
        self.truncation.as_ref()
    }

    pub(crate) fn add(&mut self, line: u64, kind: IssueKind, reason: Reason) {
        match kind {
            IssueKind::Repaired => self.repaired += 1,
            IssueKind::Skipped => self.skipped += 1,
        }
        if self.details.len() < DETAILS {
            self.details.push(Issue { line, kind, reason });
        }
    }

    /// Adds those of the next part of a dump, which begins after `lines`.
    pub(crate) fn append(&mut self, lines: u64, later: Issues) {
        self.repaired += later.repaired;
        self.skipped += later.skipped;
        let room = DETAILS - self.details.len();
        let details = later.details.into_iter().take(room);
        self.details.extend(details.map(|issue| Issue {
            line: lines + issue.line,
            ..issue
        }));
        if let Some(mut truncation) = later.truncation {
            truncation.line += lines;
            self.truncation = Some(truncation);
        }
    }

    pub(crate) fn truncate(&mut self, line: u64, decompression: Option<String>) {
        let cause = decompression.map_or(Cut::MidLine, Cut::Decompression);
        self.cut(line, cause);
    }

    pub(crate) fn forget_cut(&mut self) {
        self.truncation = None;
    }

    pub(crate) fn cut(&mut self, line: u64, cause: Cut) {
        self.truncation = Some(Truncation { line, cause });
    }
}
