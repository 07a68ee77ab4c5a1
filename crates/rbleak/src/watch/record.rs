//! Writes a watch down while it runs: NDJSON, and CSV beside it.
//!
//! Lines are written as a whole at the end of what is known to be good, so that
//! whatever ends the watch, at most the last line is cut, and readers leave it
//! out. A disk that is full loses nothing that was written: what comes
//! meanwhile waits in memory for as long as there is room there. A file that
//! becomes too long is thinned out: every other sample is dropped, and from
//! then on only every other one is taken.

use crate::files::write_atomically;
use anyhow::{Context, Result};
use rbleak_trend::recording::{CSV_HEADER, Header, Row};
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Longer than this no file becomes.
pub(crate) const LONGEST_NDJSON: u64 = 20 << 20;
pub(crate) const LONGEST_CSV: u64 = 10 << 20;
/// What waits for a disk that is full.
const MOST_WAITING: usize = 1 << 20;

/// The two files of a watch.
#[derive(Debug)]
pub(crate) struct Recorder {
    ndjson: Out,
    csv: Out,
    /// Of so many moments one is taken.
    stride: u64,
    moments: u64,
    longest: (u64, u64),
}

/// One file.
#[derive(Debug)]
struct Out {
    path: PathBuf,
    file: File,
    /// Whole lines reach so far.
    good: u64,
    waiting: String,
    /// Lines that there was no room for.
    lost: u64,
    trouble: Option<String>,
}

impl Recorder {
    /// Begins the files `memory.ndjson` and `memory.csv` in a folder.
    pub(crate) fn create(folder: &Path, header: &Header) -> Result<Recorder> {
        let recorder = Recorder {
            ndjson: Out::create(folder.join("memory.ndjson"), &header.to_line())?,
            csv: Out::create(folder.join("memory.csv"), CSV_HEADER)?,
            stride: 1,
            moments: 0,
            longest: (LONGEST_NDJSON, LONGEST_CSV),
        };
        Ok(recorder)
    }

    /// The same with shorter files.
    #[cfg(test)]
    pub(crate) fn at_most(mut self, bytes: u64) -> Recorder {
        self.longest = (bytes, bytes);
        self
    }

    /// Where the NDJSON is.
    pub(crate) fn path(&self) -> &Path {
        &self.ndjson.path
    }

    /// Writes down the rows of one moment.
    pub(crate) fn write(&mut self, rows: &[Row]) {
        let taken = draw(self.moments / self.stride, self.stride);
        let is_taken = self.moments % self.stride == taken;
        self.moments += 1;
        if !is_taken || rows.is_empty() {
            return;
        }
        self.ndjson.append(&lines(rows, Row::to_line));
        self.csv.append(&lines(rows, Row::to_csv));
        if self.ndjson.good > self.longest.0 || self.csv.good > self.longest.1 {
            self.thin();
        }
    }

    /// Drops every other moment of both files.
    fn thin(&mut self) {
        self.ndjson.thin(at_of_ndjson);
        self.csv.thin(at_of_csv);
        self.stride *= 2;
    }

    /// Writes what waits, if it can be written now. What is wrong with the
    /// files, in a sentence.
    pub(crate) fn finish(&mut self) -> Option<String> {
        let [ndjson, csv] = [&mut self.ndjson, &mut self.csv].map(Out::finish);
        ndjson.or(csv)
    }

    /// What is wrong now.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.ndjson
            .trouble
            .as_deref()
            .or(self.csv.trouble.as_deref())
    }

    /// The length of both files.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> u64 {
        self.ndjson.good + self.csv.good
    }
}

fn lines(rows: &[Row], line: impl Fn(&Row) -> String) -> String {
    rows.iter().map(line).collect()
}

/// Which moment of a bucket is taken: not the same one each time, lest a
/// saw-tooth keeps step.
fn draw(bucket: u64, stride: u64) -> u64 {
    (bucket.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % stride
}

impl Out {
    fn create(path: PathBuf, header: &str) -> Result<Out> {
        let failed = || format!("cannot write {}", path.display());
        let mut options = OpenOptions::new();
        let options = options.write(true).create_new(true).mode(0o600);
        let file = options.open(&path).with_context(failed)?;
        file.write_all_at(header.as_bytes(), 0)
            .with_context(failed)?;
        Ok(Out {
            good: header.len() as u64,
            path,
            file,
            waiting: String::new(),
            lost: 0,
            trouble: None,
        })
    }

    fn append(&mut self, lines: &str) {
        if self.waiting.len() + lines.len() <= MOST_WAITING {
            self.waiting.push_str(lines);
        } else {
            self.lost += lines.lines().count() as u64;
        }
        self.flush();
    }

    fn flush(&mut self) {
        match self.file.write_all_at(self.waiting.as_bytes(), self.good) {
            Ok(()) => {
                self.good += self.waiting.len() as u64;
                self.waiting.clear();
                self.trouble = None;
            }
            Err(error) => {
                // Half a line would be taken for a bad one later.
                let _ = self.file.set_len(self.good);
                self.trouble = Some(format!("cannot write {}: {error}", self.path.display()));
            }
        }
    }

    fn finish(&mut self) -> Option<String> {
        self.flush();
        let lost = self.lost + self.waiting.lines().count() as u64;
        match (&self.trouble, lost) {
            (None, 0) => None,
            (None, lost) => Some(format!(
                "{lost} samples are not in {}: the disk was full for too long",
                self.path.display()
            )),
            (Some(trouble), lost) => Some(format!(
                "{trouble}; the last {lost} samples are not in it, what was written before is whole"
            )),
        }
    }

    /// Keeps one of two moments: the lines that have the same time.
    fn thin(&mut self, at: fn(&str) -> Option<&str>) {
        let thinned = write_atomically(&self.path, |out| -> io::Result<u64> {
            let input = BufReader::new(File::open(&self.path)?);
            let (mut moment, mut last, mut written) = (0_u64, String::new(), 0);
            for line in input.lines() {
                let line = line?;
                let keeps = match at(&line) {
                    // A header.
                    None => true,
                    Some(time) => {
                        if time != last {
                            moment += 1;
                            last = time.to_owned();
                        }
                        moment % 2 == draw(moment / 2, 2)
                    }
                };
                if keeps {
                    out.write_all(line.as_bytes())?;
                    out.write_all(b"\n")?;
                    written += line.len() as u64 + 1;
                }
            }
            Ok(written)
        });
        // Where there is no room for that, the file grows on, until there is.
        if let Ok(written) = thinned
            && let Ok(file) = OpenOptions::new().write(true).open(&self.path)
        {
            self.file = file;
            self.good = written;
        }
    }
}

/// The time of a line, as it is written; `None` of a header. Quotes within a
/// name are escaped, so that this is no name's.
fn at_of_ndjson(line: &str) -> Option<&str> {
    const KEY: &str = "\"at_seconds\":";
    let rest = &line[line.find(KEY)? + KEY.len()..];
    rest.split([',', '}']).next()
}

fn at_of_csv(line: &str) -> Option<&str> {
    let cell = line.split(',').next()?;
    cell.starts_with(|c: char| c.is_ascii_digit())
        .then_some(cell)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rbleak_trend::Sample;
    use rbleak_trend::recording::{ReadOptions, read};
    use rbleak_units::Bytes;

    fn rows(moment: u64) -> Vec<Row> {
        let row = |name: &str, life| {
            let sample = Sample {
                at: moment as f64 / 10.0,
                life: Some(life),
                rss: Some(Bytes(1000 + moment)),
                ..Sample::default()
            };
            Row::new(name, sample)
        };
        vec![row("a \"at_seconds\":1,", 1), row("b", 2)]
    }

    #[test]
    fn a_file_never_grows_beyond_its_bound_and_stays_even() {
        let folder = tempfile::tempdir().unwrap();
        let header = Header::default();
        let mut recorder = Recorder::create(folder.path(), &header)
            .unwrap()
            .at_most(20_000);
        for moment in 0..20_000 {
            recorder.write(&rows(moment));
            assert!(recorder.ndjson.good < 21_000 && recorder.csv.good < 21_000);
        }
        assert_eq!(recorder.finish(), None);
        for name in ["memory.ndjson", "memory.csv"] {
            let file = BufReader::new(File::open(folder.path().join(name)).unwrap());
            let recording = read(file, &ReadOptions::default()).unwrap();
            assert_eq!(recording.remarks, [""; 0]);
            assert_eq!(recording.tracks.len(), 2, "{name}");
            let life: Vec<f64> = recording.tracks[0]
                .series
                .lives()
                .flatten()
                .map(|sample| sample.at)
                .collect();
            assert!(life.len() > 40, "{}", life.len());
            assert!(life[0] < 100.0 && life[life.len() - 1] > 1900.0, "{life:?}");
            let half = life.iter().filter(|at| **at < 1000.0).count();
            assert!(half * 10 > life.len() * 4 && half * 10 < life.len() * 6);
        }
    }

    #[test]
    fn what_cannot_be_written_is_told_and_the_rest_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut recorder = Recorder::create(folder.path(), &Header::default()).unwrap();
        recorder.write(&rows(0));
        // A file that takes nothing.
        recorder.csv.file = File::open("/dev/null").unwrap();
        recorder.write(&rows(1));
        assert!(recorder.trouble().is_some_and(|t| t.contains("memory.csv")));
        assert!(
            recorder
                .finish()
                .is_some_and(|t| t.contains("the last 2 samples"))
        );
        let path = folder.path().join("memory.csv");
        recorder.csv.file = OpenOptions::new().write(true).open(&path).unwrap();
        recorder.write(&rows(2));
        assert_eq!(recorder.finish(), None, "it was made up for");
        let text = std::fs::read_to_string(path).unwrap();
        assert_eq!(text.lines().count(), 2 + 6, "{text}");
    }
}
