//! The loop that reads a part of a dump: lines in, columns and issues out.
//!
//! Decides what happens to a bad line, knows neither how bytes come in nor
//! what a field means. A part that begins and ends where Ruby begins a line
//! becomes what the same lines become in one go: no line is ever joined with
//! one that begins a record.

use crate::builder::{Builder, Pushed};
use crate::input::{BLOCK, Window};
use crate::issues::{IssueKind, Issues, Reason};
use crate::memory::{Excess, Meter};
use crate::scan::{Failure, Fields, Mode, quick, scan};
use crate::sniff::{has_hole, starts_a_record};
use crate::twin::Twin;
use std::io;
use std::ops::Range;

/// Into how many lines raw newlines may split one object's line.
const MAX_SPLITS: u64 = 64;
/// Lines are fetched so many bytes before they are read: memory takes about as long
/// as that.
const AHEAD: usize = 1 << 12;
/// Memory is looked at after so many bytes.
const METERED: u64 = 1 << 20;
/// A file without a line of a dump in this many is none.
pub(crate) const HOPELESS_LINES: u64 = 10_000;

/// See the module. Line numbers are those of the part.
pub(crate) struct Reader {
    pub(crate) builder: Builder,
    pub(crate) issues: Issues,
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
    /// Where each line ends, behind its newline, of those of the last step of
    /// which the row says everything.
    pub(crate) ends: Vec<u32>,
    /// Lines before the first that is in.
    pub(crate) first: Option<u64>,
    /// Lines that a newline ends.
    pub(crate) ended_lines: u64,
    /// It is no dump that was cut if there is no line of one before.
    is_cut_in_doubt: bool,
    /// What of rows, references and bytes was booked.
    metered: (u64, u64, u64),
    /// Whether rows keep what they refer to.
    wanted: bool,
    is_first: bool,
    is_last: bool,
}

/// How far a step came.
pub(crate) enum Step {
    /// Over these lines, of which the first became `row`; they are the last
    /// that the window passed.
    Usual { usual: Usual, row: u32 },
    /// Over what had to be looked at closely.
    Unusual,
    /// Over the last line.
    End,
}

/// Lines that are as usual.
pub(crate) struct Usual {
    /// All of them.
    pub(crate) bytes: usize,
    /// The first of them, of which the row says everything.
    pub(crate) one_row_each: usize,
}

/// Why the loop stops early.
pub(crate) enum Stop {
    Io(io::Error),
    /// None of many lines is one of a dump.
    Hopeless,
    TooMany(&'static str),
    TooLarge(Excess),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

impl Reader {
    /// For a part that may be the first or the last or both.
    pub(crate) fn new(builder: Builder, is_first: bool, is_last: bool) -> Reader {
        Reader {
            wanted: builder.keeps_references(),
            builder,
            issues: Issues::default(),
            lines: 0,
            bytes: 0,
            ends: Vec::new(),
            first: None,
            ended_lines: 0,
            is_cut_in_doubt: false,
            metered: (0, 0, 0),
            is_first,
            is_last,
        }
    }

    /// Reads all of the window.
    pub(crate) fn run(&mut self, window: &mut Window, meter: &Meter<'_>) -> Result<(), Stop> {
        while !matches!(self.step(window, meter, None, |_| {})?, Step::End) {}
        self.builder.close();
        Ok(())
    }

    /// Goes on behind what was read, which ended where a record begins.
    pub(crate) fn go_on(&mut self, is_last: bool) {
        self.is_last = is_last;
    }

    /// Reads the lines that are loaded, as long as they are as usual, or one
    /// that is not; with a twin, no further than that goes. `meanwhile` is called
    /// with each line's place among the loaded ones while it is read.
    pub(crate) fn step(
        &mut self,
        window: &mut Window,
        meter: &Meter<'_>,
        twin: Option<&mut Twin<'_>>,
        meanwhile: impl Fn(Range<usize>),
    ) -> Result<Step, Stop> {
        if self.bytes - self.metered.2 >= METERED {
            self.meter(meter)?;
        }
        let Some(end) = window.newline(0)? else {
            self.ended_lines = self.lines;
            self.last_line(window)?;
            self.bytes += window.left_out();
            self.meter(meter)?;
            return Ok(Step::End);
        };
        let row = self.builder.columns.len() as u32;
        let usual = self.usual_lines(window, twin, meanwhile)?;
        if usual.bytes > 0 {
            window.advance(usual.bytes);
            return Ok(Step::Usual { usual, row });
        }
        self.line(window, end)?;
        if self.is_first && self.lines >= HOPELESS_LINES && self.first.is_none() {
            return Err(Stop::Hopeless);
        }
        Ok(Step::Unusual)
    }

    /// Books what came in since the last time.
    pub(crate) fn meter(&mut self, meter: &Meter<'_>) -> Result<(), Stop> {
        let before = self.metered;
        let references = self.builder.edges.addresses.len() as u64;
        self.metered = (self.builder.columns.len() as u64, references, self.bytes);
        meter
            .add(
                self.metered.0 - before.0,
                self.metered.1 - before.1,
                self.metered.2 - before.2,
            )
            .map_err(Stop::TooLarge)
    }

    /// Reads lines as long as they are as usual and loaded.
    fn usual_lines(
        &mut self,
        window: &Window,
        mut twin: Option<&mut Twin<'_>>,
        meanwhile: impl Fn(Range<usize>),
    ) -> Result<Usual, Stop> {
        let pending = window.pending();
        let pending = &pending[..pending.len().min(BLOCK)];
        let mut usual = Usual {
            bytes: 0,
            one_row_each: 0,
        };
        let mut is_regular = true;
        self.ends.clear();
        loop {
            if let Some(twin) = &mut twin {
                let given = twin.give(&pending[usual.bytes..], &mut self.builder);
                if let Some(&end) = given.ends.last() {
                    self.has_first();
                    let bytes = end as usize - given.start;
                    if is_regular {
                        // Blocks are much smaller than 4 GB.
                        let moved = usual.bytes.wrapping_sub(given.start) as u32;
                        let ends = given.ends.iter().map(|end| end.wrapping_add(moved));
                        self.ends.extend(ends);
                        usual.one_row_each += bytes;
                    }
                    usual.bytes += bytes;
                    self.lines += given.ends.len() as u64;
                    self.bytes += bytes as u64;
                }
                if twin.is_used_up() {
                    break;
                }
            }
            let text = &pending[usual.bytes..];
            let Some(length) = memchr::memchr(b'\n', text) else {
                break;
            };
            let line = &text[..length];
            let end = usual.bytes + length + 1;
            window.fetch(usual.bytes + AHEAD..end + AHEAD);
            meanwhile(usual.bytes..end);
            if has_hole(line) {
                break;
            }
            let references = &mut self.builder.edges.addresses;
            let mark = references.len();
            let mut fields = Fields::default();
            let memo = &mut self.builder.memo;
            let object_type = quick(text, length, &mut fields, references, self.wanted, memo);
            let Some(object_type) = object_type else {
                references.truncate(mark);
                break;
            };
            let pushed = self.builder.push_object(object_type, &fields, None, mark);
            is_regular &= matches!(pushed, Pushed::In(None)) && fields.memsize.is_some();
            self.settle(pushed, mark, None)?;
            if let Some(twin) = &mut twin {
                twin.pass_to(fields.address, line, &self.builder);
            }
            usual.bytes += length + 1;
            if is_regular {
                usual.one_row_each = usual.bytes;
                self.ends.push(usual.bytes as u32);
            }
            self.lines += 1;
            self.bytes += length as u64 + 1;
        }
        Ok(usual)
    }

    /// Adds what the next part became, on up to `threads` threads.
    pub(crate) fn append(&mut self, mut later: Reader, threads: usize) -> Result<(), Stop> {
        if later.is_cut_in_doubt && self.builder.is_empty() {
            later.issues.forget_cut();
        }
        // As if it had been looked at after every line.
        let without = self.lines + later.first.unwrap_or(later.ended_lines);
        if self.first.is_none() && without >= HOPELESS_LINES {
            return Err(Stop::Hopeless);
        }
        self.builder
            .append(later.builder, threads)
            .map_err(Stop::TooMany)?;
        self.issues.append(self.lines, later.issues);
        let first = later.first.map(|first| self.lines + first);
        self.first = self.first.or(first);
        self.lines += later.lines;
        self.bytes += later.bytes;
        Ok(())
    }

    #[inline]
    fn line(&mut self, window: &mut Window, end: usize) -> Result<(), Stop> {
        let mark = self.builder.edges.addresses.len();
        let line = &window.pending()[..end];
        if has_hole(line) {
            self.issues
                .add(self.lines + 1, IssueKind::Skipped, Reason::Hole);
            self.pass(window, end + 1, 1);
            return Ok(());
        }
        let scanned = scan(
            line,
            Mode::Strict,
            &mut self.builder.edges.addresses,
            self.wanted,
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
            Pushed::In(None) if repaired.is_none() => self.has_first(),
            Pushed::In(reason) => {
                self.has_first();
                let reason = match reason {
                    Some(Reason::StaleBytes) => Reason::StaleBytes,
                    _ => repaired.or(reason).unwrap_or(Reason::UnescapedQuote),
                };
                self.issues.add(line, IssueKind::Repaired, reason);
            }
            Pushed::NotADumpLine => {
                self.builder.edges.addresses.truncate(mark);
                self.issues
                    .add(line, IssueKind::Skipped, Reason::NotADumpLine);
            }
            Pushed::TooMany(what) => {
                return Err(Stop::TooMany(what));
            }
        }
        Ok(())
    }

    #[inline]
    fn has_first(&mut self) {
        if self.first.is_none() {
            self.first = Some(self.lines);
        }
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
            self.builder.edges.addresses.truncate(mark);
            let scanned = scan(
                &window.pending()[..joined],
                Mode::Repair,
                &mut self.builder.edges.addresses,
                self.wanted,
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
                if rest.is_empty() && !self.is_last {
                    // The next part begins with a record.
                    break;
                }
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
        self.builder.edges.addresses.truncate(mark);
        self.issues
            .add(self.lines + 1, IssueKind::Skipped, Reason::NotJson);
        self.pass(window, end + 1, 1);
        Ok(())
    }

    /// The rest of the file is the beginning of a line, in so many parts.
    fn cut_off(&mut self, window: &mut Window, mark: usize, parts: u64) -> Result<(), Stop> {
        self.builder.edges.addresses.truncate(mark);
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
        let mark = self.builder.edges.addresses.len();
        let modes: &[Mode] = match has_hole(line) {
            true => &[],
            false => &[Mode::Strict, Mode::Repair],
        };
        for &mode in modes {
            self.builder.edges.addresses.truncate(mark);
            let scanned = scan(line, mode, &mut self.builder.edges.addresses, self.wanted);
            if let Ok(record) = scanned {
                let pushed = self.builder.push(&record, mark);
                let repaired = (mode == Mode::Repair).then_some(Reason::UnescapedQuote);
                self.settle(pushed, mark, repaired)?;
                self.pass(window, length, 1);
                return Ok(());
            }
        }
        self.builder.edges.addresses.truncate(mark);
        let is_cut = !self.builder.is_empty() || starts_a_record(line);
        // Of a later part the parts before it decide.
        if is_cut || !self.is_first {
            self.issues.truncate(self.lines + 1, None);
            self.is_cut_in_doubt = !is_cut;
        }
        self.pass(window, length, 1);
        Ok(())
    }
}
