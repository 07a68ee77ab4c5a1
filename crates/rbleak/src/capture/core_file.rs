//! A dump from a core file.

use super::reach::How;
use super::snapshot;
use super::take::{Captured, both};
use super::target::Target;
use crate::run::{
    AppFacts, CaptureFacts, DumpCost, DumpRecord, LoadFacts, RunDirectory, Status, begun,
};
use anyhow::{Result, anyhow};
use jiff::{Timestamp, ZonedDateTime};
use rbleak_process::Pid;
use rbleak_process::memory::{Core, Memory};
use rbleak_snapshot::Program;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What it is called in a list of processes.
const NAME: &str = "core file";
const FILE: &str = "A.ndjson.zst";
const NAMES: &str = "A.names.ndjson.zst";

/// A core file of a Ruby that can be read.
pub(crate) struct CoreFile {
    core: Core,
    program: Program,
    path: PathBuf,
}

impl CoreFile {
    /// Opens it; `exe` stands for Ruby's program or library.
    pub(crate) fn open(path: &Path, exe: Option<&Path>) -> Result<CoreFile> {
        let core = Core::open(path, exe)?;
        let found = Program::find(core.mappings(), |mapping| core.mapped_file(mapping));
        let program = found.ok_or_else(|| {
            anyhow!(
                "{} is of no Ruby whose program and library are here: name the one that it ran \
                 with --exe FILE (libruby where there is one)",
                path.display()
            )
        })?;
        snapshot::known(&program.description)?;
        Ok(CoreFile {
            core,
            program,
            path: path.to_owned(),
        })
    }
}

/// Writes its dump to a folder, which is there and empty.
pub(crate) fn take_core(from: &CoreFile, folder: PathBuf, redact: bool) -> Result<Captured> {
    let pid = from.core.pid.unwrap_or(Pid(0));
    let target = Target {
        pid,
        name: NAME.to_owned(),
        ruby: Some(from.program.description.clone()),
        start_time: 0,
    };
    let facts = AppFacts {
        target: from.path.display().to_string(),
        mode: "capture".to_owned(),
        ruby: target.version(),
        pid: from.core.pid.map(|pid| pid.0),
        ..AppFacts::default()
    };
    let mut manifest = begun(&ZonedDateTime::now(), facts, LoadFacts::default());
    manifest.capture = Some(CaptureFacts {
        via: How::Core.name().to_owned(),
        process: NAME.to_owned(),
        start_time: 0,
        stopped_ms: None,
        traced_seconds: None,
        redacted: redact,
        trigger: None,
    });
    let mut run = RunDirectory::begin(folder, manifest)?;
    let started = Instant::now();
    let at = Timestamp::now();
    let path = run.join(FILE);
    let (facts, bytes) = both(&path, &run.join(NAMES), |dump, names| {
        let threads = &from.core.threads;
        snapshot::read(
            &from.core,
            &from.program,
            threads,
            redact,
            dump,
            names,
            None,
        )
    })?;
    let (taken, unlike) = snapshot::taken(facts, bytes, Duration::ZERO, started);
    let record = DumpRecord {
        label: "A".to_owned(),
        file_bytes: std::fs::metadata(&path).map_or(0, |found| found.len()),
        file: FILE.to_owned(),
        names: Some(NAMES.to_owned()),
        requests: 0,
        cost: Some(DumpCost {
            at: at.to_string(),
            generation: taken.gc_count,
            how: "snapshot".to_owned(),
            absent: unlike.absent,
            caveat: unlike.caveat,
            pause_ms: 0.0,
            extra_memory_bytes: None,
            seconds: taken.elapsed.as_secs_f64(),
            raw_bytes: taken.bytes.0,
        }),
    };
    run.manifest.dumps.push(record.clone());
    run.manifest.status = Status::Complete;
    run.save()?;
    Ok(Captured {
        target,
        how: How::Core,
        folder: run.path().to_owned(),
        dumps: vec![(record, taken)],
    })
}
