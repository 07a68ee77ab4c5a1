//! Which folder is meant, and what lies in it.
//!
//! Of a hunt each part may be missing; one that is there and damaged is an
//! error. Nothing outside the folder is opened.

use crate::run::{MEMORY_FILE, Manifest, MemoryPoint, is_sane, parse_memory, parse_samples};
use anyhow::{Context, Result, bail};
use rbleak_capture::RecordedRun;
use rbleak_capture::manifest::MANIFEST_FILE;
use rbleak_report::Value;
use rbleak_trend::Rounds;
use rbleak_trend::recording::{self, ReadOptions, Recording};
use rbleak_units::Bytes;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where runs are kept.
const RUNS: &str = ".rbleak";
const RECORDING_FILE: &str = "memory.ndjson";
/// Reports, samples and the like are some kilobytes each: what is larger is
/// none.
const MOST_BYTES: u64 = 64 << 20;
const HUNT_SCHEMA: &str = "rbleak/hunt/v1";

/// A folder that was looked into.
pub(crate) struct Opened {
    pub(crate) folder: PathBuf,
    /// As the user named it.
    pub(crate) shown: String,
    pub(crate) kind: Kind,
}

/// What was kept in it.
pub(crate) enum Kind {
    Hunt(Box<HuntRun>),
    Capture(Box<Manifest>),
    Watch(Box<Recording>),
}

/// What is there of a hunt.
pub(crate) struct HuntRun {
    pub(crate) manifest: Manifest,
    pub(crate) rounds: Option<Rounds>,
    pub(crate) memory: Vec<MemoryPoint>,
    /// The answer as the hunt wrote it.
    pub(crate) report: Option<Value>,
}

/// The newest run in `.rbleak` of this folder.
pub(crate) fn newest() -> Result<PathBuf> {
    let entries = match std::fs::read_dir(RUNS) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            bail!("there is no {RUNS} in this folder: hunt first, or name a run's folder")
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {RUNS}")),
    };
    let begun = |path: &Path| -> Option<SystemTime> {
        let files = [MANIFEST_FILE, RECORDING_FILE].into_iter();
        let mut times = files.filter_map(|file| path.join(file).metadata().ok()?.modified().ok());
        times.next()
    };
    let runs = entries.filter_map(|entry| {
        let path = entry.ok()?.path();
        Some((begun(&path)?, path))
    });
    match runs.max() {
        Some((_, path)) => Ok(path),
        None => bail!("{RUNS} has no run: hunt first, or name a run's folder"),
    }
}

impl Opened {
    /// Looks into a folder.
    ///
    /// # Errors
    /// If it is no run's, the run did not come to its end, or a file of it is
    /// damaged.
    pub(crate) fn new(folder: &Path) -> Result<Opened> {
        let kind = if folder.join(MANIFEST_FILE).is_file() {
            let manifest = RecordedRun::manifest(folder)?;
            match manifest.capture {
                Some(_) => Kind::Capture(Box::new(manifest)),
                None => Kind::Hunt(Box::new(HuntRun::open(folder, manifest)?)),
            }
        } else if folder.join(RECORDING_FILE).is_file() {
            Kind::Watch(Box::new(recorded(&folder.join(RECORDING_FILE))?))
        } else {
            bail!(no_run(folder));
        };
        Ok(Opened {
            folder: folder.to_owned(),
            shown: shown(folder),
            kind,
        })
    }
}

impl HuntRun {
    fn open(folder: &Path, manifest: Manifest) -> Result<HuntRun> {
        let path = |file: &str| folder.join(file);
        let rounds = match text(&path("samples.csv"))? {
            None => None,
            Some(text) => {
                let samples = parse_samples(&text)
                    .with_context(|| damaged(&path("samples.csv"), "no samples of a hunt"))?;
                if let Some(wrong) = samples.iter().position(|sample| !is_sane(sample)) {
                    bail!(
                        "cannot use {}: line {} has figures that no hunt writes; hunt again",
                        path("samples.csv").display(),
                        wrong + 2
                    );
                }
                let mut rounds = Rounds::default();
                samples.into_iter().for_each(|sample| rounds.push(sample));
                Some(rounds)
            }
        };
        let memory = match text(&path(MEMORY_FILE))? {
            None => Vec::new(),
            Some(text) => parse_memory(&text)
                .with_context(|| damaged(&path(MEMORY_FILE), "no memory of a hunt"))?,
        };
        let report = match text(&path("report.json"))? {
            None => None,
            Some(text) => {
                let value: Value = serde_json::from_str(&text)
                    .with_context(|| format!("cannot use {}", path("report.json").display()))?;
                if value["schema"] != HUNT_SCHEMA {
                    bail!(
                        "cannot use {}: its schema is {}, and this rbleak reads {HUNT_SCHEMA}",
                        path("report.json").display(),
                        value["schema"]
                    );
                }
                Some(value)
            }
        };
        if report.is_none() && rounds.is_none() {
            bail!(
                "the run {} has neither report.json nor samples.csv: there is nothing to tell; hunt again",
                folder.display()
            );
        }
        Ok(HuntRun {
            manifest,
            rounds,
            memory,
            report,
        })
    }
}

/// The folder as the user named it, without the slash that shells put behind it.
fn shown(folder: &Path) -> String {
    let text = folder.display().to_string();
    match text.trim_end_matches('/') {
        "" => text,
        trimmed => trimmed.to_owned(),
    }
}

/// The text of a small file; `None` where there is none.
fn text(path: &Path) -> Result<Option<String>> {
    let mut text = String::new();
    let read =
        File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(read) if read as u64 > MOST_BYTES => bail!(
            "cannot use {}: it is larger than {}, and no hunt writes that much; hunt again",
            path.display(),
            Bytes(MOST_BYTES)
        ),
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

fn recorded(path: &Path) -> Result<Recording> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let options = ReadOptions {
        unit: None,
        every: 1.0,
    };
    recording::read(BufReader::new(file), &options).with_context(|| path.display().to_string())
}

fn damaged(path: &Path, what: &str) -> String {
    format!("cannot use {}: it is {what}; hunt again", path.display())
}

/// Why a folder is none of a run; of a capture of several processes, which of
/// its folders are.
fn no_run(folder: &Path) -> String {
    let shown = folder.display();
    if !folder.is_dir() {
        return format!(
            "there is no folder {shown}: give a run's, such as rbleak hunt makes in .rbleak"
        );
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut inner: Vec<String> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join(MANIFEST_FILE).is_file())
        .map(|path| path.display().to_string())
        .collect();
    inner.sort();
    match inner.as_slice() {
        [] => format!(
            "{shown} is no run: it has neither {MANIFEST_FILE} nor {RECORDING_FILE}; give a folder that rbleak hunt, capture or watch made in .rbleak"
        ),
        some => format!(
            "{shown} has several runs: give one of them: {}",
            some.join(", ")
        ),
    }
}
