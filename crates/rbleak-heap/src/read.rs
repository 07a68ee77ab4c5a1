//! The loop that reads a dump: lines in, a heap and its issues out.
//!
//! Decides what happens to a bad line, knows neither how bytes come in nor
//! what a field means.

use crate::builder::{Builder, Pushed};
use crate::error::ReadError;
use crate::heap::Heap;
use crate::input::{self, Input, Window};
use crate::issues::{IssueKind, Issues, Reason};
use crate::scan::{Failure, Mode, scan};
use crate::sniff::{HOPELESS_BYTES, hopeless, starts_a_record};
use std::io::{self, Read};
use std::path::Path;

/// Into how many lines raw newlines may split one object's line.
const MAX_SPLITS: u64 = 64;
/// A file without a line of a dump in this many is none.
const HOPELESS_LINES: u64 = 10_000;

/// How a dump is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// Keep who refers to whom (default: yes). A diff needs it not, and is
    /// read faster and in half the memory without.
    pub references: bool,
    /// Map uncompressed files into memory (default: yes). A mapped file that
    /// another process cuts short ends this process; reading does not.
    pub map: bool,
}

impl Default for ReadOptions {
    fn default() -> ReadOptions {
        ReadOptions {
            references: true,
            map: true,
        }
    }
}

impl ReadOptions {
    /// The same with or without references.
    pub fn references(mut self, keep: bool) -> ReadOptions {
        self.references = keep;
        self
    }

    /// The same with or without mapping.
    pub fn map(mut self, map: bool) -> ReadOptions {
        self.map = map;
        self
    }
}

impl Heap {
    /// Reads a dump of Ruby 2.1 or later from a file: plain, gzip or
    /// Zstandard, told by its content.
    ///
    /// # Errors
    ///
    /// Only if the file as a whole is unusable. Bad lines, and a file that is
    /// cut off, are in [`Heap::issues`].
    pub fn open(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Heap, ReadError> {
        let path = path.as_ref();
        let input = input::open(path, options.map)?;
        Reader::new(path.display().to_string(), options).run(input)
    }

    /// Reads a dump from anything, such as standard input; `name` stands for
    /// it in messages.
    ///
    /// # Errors
    ///
    /// As [`Heap::open`].
    pub fn read(
        reader: impl Read + Send + 'static,
        name: &str,
        options: &ReadOptions,
    ) -> Result<Heap, ReadError> {
        let input = input::from_reader(reader, name)?;
        Reader::new(name.to_owned(), options).run(input)
    }
}

struct Reader {
    name: String,
    references: bool,
    builder: Builder,
    issues: Issues,
    lines: u64,
    bytes: u64,
}

/// Why the loop stops early.
enum Stop {
    Io(io::Error),
    Fatal(ReadError),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

impl Reader {
    fn new(name: String, options: &ReadOptions) -> Reader {
        Reader {
            name,
            references: options.references,
            builder: Builder::new(options.references),
            issues: Issues::default(),
            lines: 0,
            bytes: 0,
        }
    }

    fn run(mut self, input: Input) -> Result<Heap, ReadError> {
        let Input {
            mut window,
            compressed,
        } = input;
        match self.all_lines(&mut window) {
            Ok(()) => {}
            Err(Stop::Fatal(error)) => return Err(error),
            Err(Stop::Io(source)) => {
                let at = self.bytes + window.pending().len() as u64;
                let name = self.name;
                if !compressed {
                    return Err(ReadError::Read { name, at, source });
                }
                if self.builder.is_empty() {
                    return Err(ReadError::Decompress { name, at, source });
                }
                self.issues
                    .truncate(self.lines + 1, Some(source.to_string()));
                let bytes = self.bytes;
                return Ok(self.builder.finish(name, self.issues, self.lines, bytes));
            }
        }
        if self.bytes == 0 {
            return Err(ReadError::Empty { name: self.name });
        }
        let is_cut = self.issues.truncated().is_some();
        if self.builder.is_empty() && !is_cut {
            return Err(ReadError::NotADump {
                name: self.name,
                found: "no line of it is a line of a heap dump",
            });
        }
        Ok(self
            .builder
            .finish(self.name, self.issues, self.lines, self.bytes))
    }

    fn all_lines(&mut self, window: &mut Window) -> Result<(), Stop> {
        while window.pending().len() < HOPELESS_BYTES && window.load()? {}
        if let Some(found) = hopeless(window.pending()) {
            return Err(self.not_a_dump(found));
        }
        while let Some(end) = window.newline(0)? {
            self.line(window, end)?;
            if self.lines >= HOPELESS_LINES && self.builder.is_empty() {
                return Err(self.not_a_dump("none of its first lines is a line of a heap dump"));
            }
        }
        self.last_line(window)
    }

    fn not_a_dump(&self, found: &'static str) -> Stop {
        Stop::Fatal(ReadError::NotADump {
            name: self.name.clone(),
            found,
        })
    }

    #[inline]
    fn line(&mut self, window: &mut Window, end: usize) -> Result<(), Stop> {
        let mark = self.builder.references.len();
        let line = &window.pending()[..end];
        let scanned = scan(
            line,
            Mode::Strict,
            &mut self.builder.references,
            self.references,
        );
        match scanned {
            Ok(record) => {
                let pushed = self.builder.push(&record, mark);
                self.settle(pushed, mark, None)?;
            }
            Err(_) if line.trim_ascii().is_empty() => {}
            Err(_) => return self.repair(window, end, mark),
        }
        self.pass(window, end + 1, 1);
        Ok(())
    }

    /// Books what happened to the line that is next.
    #[inline]
    fn settle(
        &mut self,
        pushed: Pushed,
        mark: usize,
        repaired: Option<Reason>,
    ) -> Result<(), Stop> {
        let line = self.lines + 1;
        match pushed {
            Pushed::In(None) if repaired.is_none() => {}
            Pushed::In(reason) => {
                let reason = match reason {
                    Some(Reason::StaleBytes) => Reason::StaleBytes,
                    _ => repaired.or(reason).unwrap_or(Reason::UnescapedQuote),
                };
                self.issues.add(line, IssueKind::Repaired, reason);
            }
            Pushed::NotADumpLine => {
                self.builder.references.truncate(mark);
                self.issues
                    .add(line, IssueKind::Skipped, Reason::NotADumpLine);
            }
            Pushed::TooMany(what) => {
                return Err(Stop::Fatal(ReadError::TooMany {
                    name: self.name.clone(),
                    what,
                }));
            }
        }
        Ok(())
    }

    fn pass(&mut self, window: &mut Window, bytes: usize, lines: u64) {
        let bytes = bytes.min(window.pending().len());
        window.advance(bytes);
        self.bytes += bytes as u64;
        self.lines += lines;
    }

    /// Reads the line up to `end` as Ruby really wrote it, with the lines
    /// after it as long as a raw string goes on.
    fn repair(&mut self, window: &mut Window, end: usize, mark: usize) -> Result<(), Stop> {
        let mut joined = end;
        for splits in 0..=MAX_SPLITS {
            self.builder.references.truncate(mark);
            let scanned = scan(
                &window.pending()[..joined],
                Mode::Repair,
                &mut self.builder.references,
                self.references,
            );
            match scanned {
                Ok(record) => {
                    let reason = if splits > 0 {
                        Reason::SplitLine
                    } else {
                        Reason::UnescapedQuote
                    };
                    let pushed = self.builder.push(&record, mark);
                    self.settle(pushed, mark, Some(reason))?;
                    self.pass(window, joined + 1, splits + 1);
                    return Ok(());
                }
                Err(_) if joined == window.pending().len() => {
                    return self.cut_off(window, mark, splits + 1);
                }
                Err(Failure::Malformed) => break,
                Err(Failure::Incomplete) => {}
            }
            let next = joined + 1;
            let Some(next_end) = window.newline(next)? else {
                let rest = &window.pending()[next..];
                if rest.is_empty() {
                    return self.cut_off(window, mark, splits + 1);
                }
                if starts_a_record(rest) {
                    break;
                }
                joined = window.pending().len();
                continue;
            };
            if starts_a_record(&window.pending()[next..next_end]) {
                break;
            }
            joined = next_end;
        }
        self.builder.references.truncate(mark);
        self.issues
            .add(self.lines + 1, IssueKind::Skipped, Reason::NotJson);
        self.pass(window, end + 1, 1);
        Ok(())
    }

    /// The rest of the file is the beginning of a line, in so many parts.
    fn cut_off(&mut self, window: &mut Window, mark: usize, parts: u64) -> Result<(), Stop> {
        self.builder.references.truncate(mark);
        self.issues.truncate(self.lines + 1, None);
        self.pass(window, usize::MAX, parts);
        Ok(())
    }

    /// What follows the last newline: nothing, a line, or the beginning of
    /// one.
    fn last_line(&mut self, window: &mut Window) -> Result<(), Stop> {
        let line = window.pending();
        let length = line.len();
        if line.trim_ascii().is_empty() {
            self.pass(window, length, u64::from(length > 0));
            return Ok(());
        }
        let mark = self.builder.references.len();
        for mode in [Mode::Strict, Mode::Repair] {
            self.builder.references.truncate(mark);
            let scanned = scan(line, mode, &mut self.builder.references, self.references);
            if let Ok(record) = scanned {
                let pushed = self.builder.push(&record, mark);
                let repaired = (mode == Mode::Repair).then_some(Reason::UnescapedQuote);
                self.settle(pushed, mark, repaired)?;
                self.pass(window, length, 1);
                return Ok(());
            }
        }
        self.builder.references.truncate(mark);
        if !self.builder.is_empty() || starts_a_record(line) {
            self.issues.truncate(self.lines + 1, None);
        }
        self.pass(window, length, 1);
        Ok(())
    }
}
