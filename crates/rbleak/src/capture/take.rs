//! Takes dumps through sessions, and keeps them in folders of the layout of a
//! run, one for each process.

use super::reach::{How, Reached};
use super::snapshot::{self, Unlike};
use super::target::Target;
use crate::files::write_atomically;
use crate::run::{
    AppFacts, CaptureFacts, DumpCost, DumpRecord, LoadFacts, RunDirectory, Status, TriggerFacts,
    begun,
};
use crate::shell::Progress;
use anyhow::{Context, Result};
use jiff::{Timestamp, ZonedDateTime};
use rbleak_capture::{CopyTaken, Interrupt, LiveError, Redactor, Session, check_headroom};
use rbleak_process::Pid;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Little of the processor, which the process needs too.
const COMPRESSION: i32 = 1;
/// A wait looks for signals, and for the end of processes, so often.
const TICK: Duration = Duration::from_millis(50);

/// How many, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) count: u8,
    pub(crate) every: Duration,
    /// Allocations are traced for so long before the first.
    pub(crate) trace: Option<Duration>,
}

/// How each is taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) redact: bool,
    pub(crate) timeout: Duration,
}

/// A process and what was taken of it.
pub(crate) struct Captured {
    pub(crate) target: Target,
    pub(crate) how: How,
    pub(crate) folder: PathBuf,
    pub(crate) dumps: Vec<(DumpRecord, CopyTaken)>,
}

/// A process under capture.
pub(crate) struct Subject {
    target: Target,
    reached: Reached,
    run: RunDirectory,
    dumps: Vec<(DumpRecord, CopyTaken)>,
}

/// Takes the dumps of all of them, each into its folder, which is there and
/// empty.
///
/// # Errors
/// Where one cannot be taken. What was taken before stays, and the manifests
/// say how it ended.
pub(crate) fn take(
    reached: Vec<(Target, Reached, PathBuf)>,
    schedule: Schedule,
    options: Options,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Vec<Captured>> {
    let mut subjects = Vec::new();
    for (target, reached, folder) in reached {
        subjects.push(Subject::begin(target, reached, folder, schedule, options)?);
    }
    let result = take_all(&mut subjects, schedule, options, interrupt, progress);
    let (status, error) = match &result {
        Ok(()) => (Status::Complete, None),
        Err(_) if interrupt.is_requested() => (Status::Interrupted, None),
        Err(error) => (Status::Failed, Some(crate::sentence(error))),
    };
    for subject in &mut subjects {
        let saved = subject.end(status, error.clone());
        // A full disk is told once.
        if result.is_ok() {
            saved?;
        }
    }
    result?;
    let captured = subjects.into_iter().map(|subject| Captured {
        target: subject.target,
        how: subject.reached.how,
        folder: subject.run.path().to_owned(),
        dumps: subject.dumps,
    });
    Ok(captured.collect())
}

fn take_all(
    subjects: &mut [Subject],
    schedule: Schedule,
    options: Options,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<()> {
    if let Some(time) = schedule.trace {
        for subject in subjects.iter_mut() {
            subject.trace(true)?;
        }
        progress.say("tracing allocations");
        wait(subjects, Instant::now() + time, interrupt)?;
    }
    let started = Instant::now();
    for index in 0..schedule.count {
        let label = char::from(b'A' + index).to_string();
        wait(
            subjects,
            started + schedule.every * u32::from(index),
            interrupt,
        )?;
        for subject in subjects.iter_mut() {
            progress.say(format!("dump {label} of {}", subject.target.name));
            subject.dump(&label, options, interrupt)?;
        }
    }
    if schedule.trace.is_some() {
        for subject in subjects {
            subject.trace(false)?;
        }
    }
    Ok(())
}

/// Waits, as long as all of them live.
fn wait(subjects: &mut [Subject], until: Instant, interrupt: &Interrupt) -> Result<()> {
    loop {
        for subject in subjects.iter() {
            let pid = subject.target.pid;
            if interrupt.is_requested() {
                return Err(LiveError::Interrupted { pid }.into());
            }
            if !subject.target.lives() {
                let doing = "the next dump was waited for";
                return Err(LiveError::Ended { pid, doing }.into());
            }
        }
        let now = Instant::now();
        if now >= until {
            return Ok(());
        }
        std::thread::sleep(TICK.min(until - now));
    }
}

impl Subject {
    /// Begins the manifest in a folder that is there and empty.
    pub(crate) fn begin(
        target: Target,
        reached: Reached,
        folder: PathBuf,
        schedule: Schedule,
        options: Options,
    ) -> Result<Subject> {
        let about = reached.session.as_ref().map(Session::about);
        let pid = target.pid;
        let facts = AppFacts {
            target: format!("{} {pid}", target.name),
            mode: "capture".to_owned(),
            directory: std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap_or_default(),
            agent_directory: about
                .map(|it| it.agent_directory.clone())
                .unwrap_or_default(),
            frameworks: about.map(|it| it.frameworks.clone()).unwrap_or_default(),
            ruby: about.map(|it| it.ruby.clone()).or_else(|| target.version()),
            pid: Some(pid.0),
            ..AppFacts::default()
        };
        let mut manifest = begun(&ZonedDateTime::now(), facts, LoadFacts::default());
        manifest.capture = Some(CaptureFacts {
            via: reached.how.name().to_owned(),
            process: target.name.clone(),
            start_time: target.start_time,
            stopped_ms: reached.how.stopped().map(millis),
            traced_seconds: schedule.trace.map(|time| time.as_secs_f64()),
            redacted: options.redact,
            trigger: None,
        });
        let run = RunDirectory::begin(folder, manifest)?;
        Ok(Subject {
            target,
            reached,
            run,
            dumps: Vec::new(),
        })
    }

    /// What made somebody capture it, for its manifest.
    pub(crate) fn because(&mut self, trigger: TriggerFacts) {
        if let Some(facts) = &mut self.run.manifest.capture {
            facts.trigger = Some(trigger);
        }
    }

    /// Goes on with another session: one that failed is of no use any more.
    pub(crate) fn go_on_with(&mut self, reached: Reached) {
        self.reached = reached;
    }

    /// The process.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        self.run.path()
    }

    fn trace(&mut self, on: bool) -> Result<(), LiveError> {
        match &mut self.reached.session {
            Some(session) => session.trace(on),
            None => Ok(()),
        }
    }

    /// Writes down how it ended.
    pub(crate) fn end(&mut self, status: Status, error: Option<String>) -> Result<()> {
        self.run.manifest.status = status;
        self.run.manifest.error = error;
        self.run.save()
    }

    /// One dump with its names: both appear when both are whole. How long its
    /// file is, and for how long the process stood still.
    pub(crate) fn dump(
        &mut self,
        label: &str,
        options: Options,
        interrupt: &Interrupt,
    ) -> Result<(u64, Duration)> {
        check_headroom(self.target.pid)?;
        let (file, names) = (
            format!("{label}.ndjson.zst"),
            format!("{label}.names.ndjson.zst"),
        );
        let at = Timestamp::now();
        let (path, names_path) = (self.run.join(&file), self.run.join(&names));
        let (taken, unlike) = match &mut self.reached.session {
            Some(session) => {
                let pid = self.target.pid;
                let taken = both(&path, &names_path, |dump, names| {
                    asked(session, dump, names, options, pid)
                })?;
                (taken, Unlike::default())
            }
            None => both(&path, &names_path, |dump, names| {
                snapshot::take(&self.target, dump, names, options, interrupt)
            })?,
        };
        let record = DumpRecord {
            label: label.to_owned(),
            file_bytes: std::fs::metadata(&path).map_or(0, |found| found.len()),
            file,
            names: Some(names),
            requests: 0,
            cost: Some(DumpCost {
                at: at.to_string(),
                generation: taken.gc_count,
                how: match self.reached.session {
                    Some(_) => "forked",
                    None => "snapshot",
                }
                .to_owned(),
                absent: unlike.absent,
                caveat: unlike.caveat,
                pause_ms: millis(taken.pause),
                extra_memory_bytes: taken.extra_memory.map(|bytes| bytes.0),
                seconds: taken.elapsed.as_secs_f64(),
                raw_bytes: taken.bytes.0,
            }),
        };
        let told = (record.file_bytes, taken.pause);
        self.run.manifest.dumps.push(record.clone());
        self.dumps.push((record, taken));
        self.run.save()?;
        Ok(told)
    }
}

/// Has the agent write both.
fn asked(
    session: &mut Session,
    dump: &mut dyn Write,
    names: &mut dyn Write,
    options: Options,
    pid: Pid,
) -> Result<CopyTaken> {
    if !options.redact {
        return Ok(session.copy(dump, names, options.timeout)?);
    }
    let mut redacted = Redactor::new(dump);
    let taken = session.copy(&mut redacted, names, options.timeout)?;
    redacted
        .finish()
        .map_err(|error| LiveError::Sink(error, pid))?;
    Ok(taken)
}

/// Writes two files, compressed, which come from one source at a time of its
/// own choosing.
pub(super) fn both<T>(
    dump: &Path,
    names: &Path,
    fill: impl FnOnce(&mut dyn Write, &mut dyn Write) -> Result<T>,
) -> Result<T> {
    write_atomically(dump, |dump| -> Result<T> {
        let mut dump = zstd::Encoder::new(dump, COMPRESSION)?;
        let taken = write_atomically(names, |names| -> Result<T> {
            let mut names = zstd::Encoder::new(names, COMPRESSION)?;
            let taken = fill(&mut dump, &mut names)?;
            names.finish()?;
            Ok(taken)
        })?;
        dump.finish()?;
        Ok(taken)
    })
    .with_context(|| format!("cannot write {}", dump.display()))
}

pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
