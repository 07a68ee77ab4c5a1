//! Tables with a header: a column of time and one or more of memory.

use super::time::seconds;
use super::units::{Unit, quantity};
use super::{Format, Header, ReadOptions, Recording, RecordingError, Tracks, amount};
use crate::sample::Sample;
use csv::{ReaderBuilder, StringRecord};
use rbleak_units::Bytes;
use std::io::{BufRead, Cursor, Read};

/// A figure that a column may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Rss,
    Pss,
    Anonymous,
    MallocInUse,
    LiveSlots,
}

impl Figure {
    pub(super) fn put(self, sample: &mut Sample, value: Bytes) {
        match self {
            Figure::Rss => sample.rss = Some(value),
            Figure::Pss => sample.pss = Some(value),
            Figure::Anonymous => sample.anonymous = Some(value),
            Figure::MallocInUse => sample.malloc_in_use = Some(value),
            Figure::LiveSlots => sample.live_slots = Some(value.as_f64()),
        }
    }
}

/// What a column holds, by its name.
enum Column {
    Time { factor: f64 },
    Figure { figure: Figure, unit: Option<Unit> },
    Requests,
    Life,
    Process,
    Other,
}

/// The figure that a name stands for.
pub(super) fn figure(name: &str) -> Option<Figure> {
    let name = name.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    Some(if has(&["pss", "proportional"]) {
        Figure::Pss
    } else if has(&["live_slots", "live slots"]) {
        Figure::LiveSlots
    } else if has(&["malloc"]) {
        Figure::MallocInUse
    } else if has(&["anonymous", "anon"]) {
        Figure::Anonymous
    } else if has(&["rss", "resident", "memory", "working_set"]) || words(&name).contains(&"mem") {
        Figure::Rss
    } else {
        return None;
    })
}

fn words(name: &str) -> Vec<&str> {
    let parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    parts.filter(|part| !part.is_empty()).collect()
}

fn column(name: &str) -> Column {
    const TIMES: [&str; 12] = [
        "time",
        "timestamp",
        "at",
        "t",
        "ts",
        "date",
        "datetime",
        "elapsed",
        "seconds",
        "epoch",
        "sec",
        "second",
    ];
    let lower = name.trim().to_ascii_lowercase();
    let words = words(&lower);
    if let Some(figure) = figure(&lower) {
        let unit = words.iter().rev().find_map(|word| Unit::named(word));
        return Column::Figure { figure, unit };
    }
    if words.iter().any(|word| TIMES.contains(word)) {
        let factor = match words.last() {
            Some(&"ms") if words.contains(&"elapsed") => 1e-3,
            Some(&"minutes" | &"min") => 60.0,
            _ => 1.0,
        };
        return Column::Time { factor };
    }
    match words.as_slice() {
        ["requests"] | ["request", "count"] => Column::Requests,
        ["life"] | ["pid"] => Column::Life,
        ["process"] | ["worker"] | ["name"] | ["instance"] => Column::Process,
        _ => Column::Other,
    }
}

pub(super) fn read(
    start: &str,
    input: impl BufRead,
    line: usize,
    options: &ReadOptions,
) -> Result<Recording, RecordingError> {
    // Our own names itself on the first line.
    let is_comment = start.trim_start().starts_with('#');
    if is_comment && start.contains("rbleak/recording/") && !start.contains(super::SCHEMA) {
        return Err(RecordingError::Newer {
            schema: start.trim_start_matches(['#', ' ']).trim().to_owned(),
        });
    }
    let separators = [b';', b'\t', b','];
    let mut input = Cursor::new(start.as_bytes().to_vec()).chain(input);
    let mut head = String::new();
    let mut skipped = line - 1;
    loop {
        head.clear();
        if super::read_line(&mut input, &mut head)? == 0 {
            return Err(RecordingError::Empty);
        }
        skipped += 1;
        if !head.trim().is_empty() && !head.trim_start().starts_with('#') {
            break;
        }
    }
    let separator = separators
        .into_iter()
        .max_by_key(|&s| head.bytes().filter(|&b| b == s).count())
        .unwrap_or(b',');
    let mut reader = ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .comment(Some(b'#'))
        .from_reader(Cursor::new(head.clone().into_bytes()).chain(input));
    let mut records = reader.records();
    let first = match records.next() {
        Some(record) => record.map_err(|error| bad_line(&error, skipped))?,
        None => return Err(RecordingError::Empty),
    };
    let mut table = Table::new(&first, options)?;
    if table.headless {
        table.take(&first, skipped)?;
    }
    for record in records {
        let record = record.map_err(|error| bad_line(&error, skipped))?;
        let own = record
            .position()
            .map_or(1, |position| position.line() as usize);
        table.take(&record, skipped - 1 + own)?;
    }
    table.finish()
}

fn bad_line(error: &csv::Error, skipped: usize) -> RecordingError {
    if let csv::ErrorKind::Utf8 { .. } = error.kind() {
        return RecordingError::Unknown;
    }
    RecordingError::BadLine {
        line: error
            .position()
            .map_or(skipped, |p| p.line() as usize + skipped - 1),
        text: "it is no line of a table".to_owned(),
    }
}

/// How many values are looked at before a unit is guessed.
const LOOKED_AT: usize = 20;

struct Table<'o> {
    columns: Vec<Column>,
    headless: bool,
    options: &'o ReadOptions,
    header: String,
    has_process: bool,
    tracks: Tracks,
    remarks: Vec<String>,
    /// Rows that wait until the unit is known.
    waiting: Vec<(StringRecord, usize)>,
    guessed: Option<Unit>,
    in_cells: Option<Option<Unit>>,
    /// A row that is cut off is only good as the last one.
    short: Option<usize>,
}

impl<'o> Table<'o> {
    fn new(first: &StringRecord, options: &'o ReadOptions) -> Result<Table<'o>, RecordingError> {
        let headless = first.len() == 2
            && first
                .iter()
                .all(|cell| quantity(cell).is_some() || seconds(cell, 1.0).is_some());
        let mut columns: Vec<Column> = if headless {
            vec![
                Column::Time { factor: 1.0 },
                Column::Figure {
                    figure: Figure::Rss,
                    unit: None,
                },
            ]
        } else {
            first.iter().map(column).collect()
        };
        let header = first.iter().collect::<Vec<_>>().join(",");
        // The first of each kind counts.
        for i in 0..columns.len() {
            let same = |other: &Column| match (&columns[i], other) {
                (Column::Time { .. }, Column::Time { .. }) => true,
                (Column::Figure { figure: a, .. }, Column::Figure { figure: b, .. }) => a == b,
                (Column::Process, Column::Process) | (Column::Life, Column::Life) => true,
                _ => false,
            };
            if columns[..i].iter().any(same) {
                columns[i] = Column::Other;
            }
        }
        if !columns.iter().any(|c| matches!(c, Column::Figure { .. })) {
            return Err(RecordingError::NoMemory { header });
        }
        if !columns.iter().any(|c| matches!(c, Column::Time { .. })) {
            return Err(RecordingError::NoTime { header });
        }
        let mut remarks = Vec::new();
        if headless {
            remarks.push("without a header: taken as time and RSS".to_owned());
        }
        Ok(Table {
            has_process: columns.iter().any(|c| matches!(c, Column::Process)),
            columns,
            headless,
            options,
            header,
            tracks: Tracks::default(),
            remarks,
            waiting: Vec::new(),
            guessed: None,
            in_cells: None,
            short: None,
        })
    }

    /// The unit of a memory column, as far as flag and header tell it.
    fn told(&self, unit: Option<Unit>) -> Option<Unit> {
        self.options.unit.or(unit)
    }

    fn take(&mut self, record: &StringRecord, line: usize) -> Result<(), RecordingError> {
        if record.iter().all(|cell| cell.trim().is_empty()) {
            return Ok(());
        }
        if let Some(short) = self.short {
            return Err(self.too_short(short));
        }
        if record.len() < self.columns.len() {
            self.short = Some(line);
            return Ok(());
        }
        let untold = self.columns.iter().any(|column| {
            matches!(column, Column::Figure { figure, unit } if *figure != Figure::LiveSlots && self.told(*unit).is_none())
        });
        if untold && self.guessed.is_none() {
            self.waiting.push((record.clone(), line));
            return if self.waiting.len() == LOOKED_AT {
                self.guess()
            } else {
                Ok(())
            };
        }
        self.sample(record, line)
    }

    fn too_short(&self, line: usize) -> RecordingError {
        RecordingError::BadLine {
            line,
            text: format!("it has fewer cells than the header {:?}", self.header),
        }
    }

    fn guess(&mut self) -> Result<(), RecordingError> {
        let mut values = Vec::new();
        let mut named = false;
        for (record, _) in &self.waiting {
            for (cell, column) in record.iter().zip(&self.columns) {
                if let Column::Figure { figure, unit: None } = column
                    && *figure != Figure::LiveSlots
                    && let Some((value, unit)) = quantity(cell)
                {
                    named |= unit.is_some();
                    values.push(value);
                }
            }
        }
        values.sort_by(f64::total_cmp);
        let unit = Unit::guessed(values.get(values.len() / 2).copied().unwrap_or(0.0));
        self.guessed = Some(unit);
        if !named && !values.is_empty() {
            self.remarks.push(format!(
                "no unit is named: taken as {} by the size of the values, a guess (--unit)",
                unit.name()
            ));
        }
        for (record, line) in std::mem::take(&mut self.waiting) {
            self.sample(&record, line)?;
        }
        Ok(())
    }

    fn sample(&mut self, record: &StringRecord, line: usize) -> Result<(), RecordingError> {
        let mut sample = Sample::default();
        let mut name = "";
        let mut life = "";
        for (cell, column) in record.iter().zip(&self.columns) {
            let cell = cell.trim();
            match column {
                Column::Time { factor } => {
                    sample.at = seconds(cell, *factor).ok_or(RecordingError::BadTime {
                        line,
                        text: cell.to_owned(),
                    })?;
                }
                Column::Figure { .. } if cell.is_empty() => {}
                Column::Figure { figure, unit } => {
                    let no_amount = || RecordingError::NoAmount {
                        line,
                        text: cell.to_owned(),
                    };
                    let (value, own) = quantity(cell).ok_or_else(no_amount)?;
                    let factor = if *figure == Figure::LiveSlots {
                        1.0
                    } else {
                        let told = self.options.unit.or(*unit);
                        let before = *self.in_cells.get_or_insert(own);
                        let mixed = RecordingError::MixedUnits {
                            line,
                            text: cell.to_owned(),
                        };
                        match (told, own, before) {
                            (Some(told), Some(own), _) if told != own => return Err(mixed),
                            (None, Some(_), None) | (None, None, Some(_)) => return Err(mixed),
                            (_, Some(own), _) => own.bytes(),
                            (told, None, _) => told.or(self.guessed).unwrap_or(Unit::Bytes).bytes(),
                        }
                    };
                    let value = amount(value * factor, line).map_err(|_| no_amount())?;
                    figure.put(&mut sample, value);
                }
                Column::Requests => {
                    sample.requests = cell.parse().ok().filter(|v: &f64| v.is_finite())
                }
                Column::Life => {
                    life = cell;
                    sample.life = cell.parse().ok();
                }
                Column::Process => name = cell,
                Column::Other => {}
            }
        }
        let name = if self.has_process { name } else { life };
        self.tracks.push(name, sample, line)
    }

    fn finish(mut self) -> Result<Recording, RecordingError> {
        if !self.waiting.is_empty() {
            self.guess()?;
        }
        if let Some(line) = self.short {
            if self.tracks.0.is_empty() {
                return Err(self.too_short(line));
            }
            self.remarks.push(format!(
                "line {line}, the last, is not whole and is left out"
            ));
        }
        if self.tracks.0.is_empty() {
            return Err(RecordingError::Empty);
        }
        let tracks = if self.has_process {
            self.tracks.0
        } else {
            self.tracks.join_restarts()
        };
        Ok(Recording {
            format: Format::Csv,
            header: Header::default(),
            tracks,
            remarks: self.remarks,
        })
    }
}
