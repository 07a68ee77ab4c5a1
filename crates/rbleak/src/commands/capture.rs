//! `rbleak capture`: heap dumps from a running process.

use super::hunt::interrupt_on_signals;
use crate::capture::{
    self, CaptureArgs, CoreFile, FreezeArgs, InjectArgs, Options, Schedule, choose, document,
    reach, remove_left_overs, take, take_core,
};
use crate::exit::ExitStatus;
use crate::files::{create_private_directory, plain_name};
use crate::shell::{self, Progress};
use anyhow::{Context, Result, bail};
use jiff::ZonedDateTime;
use rbleak_capture::check_headroom;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where captures are kept that no folder is named for.
const RUNS: &str = ".rbleak";
const EVERY: Duration = Duration::from_secs(30);

/// Runs the command.
pub(crate) fn run(args: &CaptureArgs) -> Result<ExitStatus> {
    if args.every.is_some() && args.count < 2 {
        bail!("--every is the time between two dumps: say how many with --count");
    }
    if let Some(folder) = &args.output {
        refuse_full(folder)?;
    }
    if let Some(core) = &args.core {
        return run_core(args, core);
    }
    let interrupt = interrupt_on_signals()?;
    let (targets, remark) = choose(args)?;
    for target in &targets {
        check_headroom(target.pid)?;
    }
    remove_left_overs();
    let progress = Progress::new(args.quiet);
    progress.say("reaching the process");
    let mut reached = Vec::new();
    for target in targets {
        let session = reach(&target, args.via, args.trace.is_some(), &interrupt)?;
        reached.push((target, session));
    }
    let folder = folder(args.output.as_deref())?;
    let mut subjects = Vec::new();
    let one = reached.len() == 1;
    for (target, session) in reached {
        let below = match one {
            true => folder.clone(),
            false => inner(&folder, &target.name, target.pid.0)?,
        };
        subjects.push((target, session, below));
    }
    let schedule = Schedule {
        count: args.count,
        every: args.every.unwrap_or(EVERY),
        trace: args.trace,
    };
    let options = Options {
        redact: args.redact,
        timeout: args.timeout,
    };
    let captured = take(subjects, schedule, options, &interrupt, &progress);
    progress.done();
    // Nothing is left of a capture without a dump.
    let captured = captured.inspect_err(|_| remove_without_dumps(&folder))?;
    shell::show(&document(&captured, &folder, remark), args.format, None)?;
    Ok(ExitStatus::Clean)
}

/// The same of a core file.
fn run_core(args: &CaptureArgs, core: &Path) -> Result<ExitStatus> {
    let from = CoreFile::open(core, args.exe.as_deref())?;
    let folder = folder(args.output.as_deref())?;
    let progress = Progress::new(args.quiet);
    progress.say("reading the core file");
    let captured = take_core(&from, folder.clone(), args.redact);
    progress.done();
    let captured = captured.inspect_err(|_| remove_without_dumps(&folder))?;
    shell::show(&document(&[captured], &folder, None), args.format, None)?;
    Ok(ExitStatus::Clean)
}

/// The helper that keeps a copy of a process, which [`run`] starts.
pub(crate) fn keep(args: &FreezeArgs) -> Result<ExitStatus> {
    capture::keep(args, shell::print)?;
    Ok(ExitStatus::Clean)
}

/// The helper of an injection, which [`run`] starts.
pub(crate) fn help(args: &InjectArgs) -> Result<ExitStatus> {
    shell::print(&capture::help(args))?;
    Ok(ExitStatus::Clean)
}

/// Nothing is written among what is there.
fn refuse_full(folder: &Path) -> Result<()> {
    let is_free = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_free {
        bail!(
            "{} is there already and no empty folder: name a new one with --output",
            folder.display()
        );
    }
    Ok(())
}

/// The folder of this capture, made.
fn folder(given: Option<&Path>) -> Result<PathBuf> {
    let cannot = |path: &Path| {
        format!(
            "cannot create the folder {} for the dumps (another place: --output FOLDER)",
            path.display()
        )
    };
    if let Some(folder) = given {
        match create_private_directory(folder) {
            // It was empty.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.with_context(|| cannot(folder))?,
        }
        return Ok(folder.to_owned());
    }
    let name = ZonedDateTime::now()
        .strftime("capture-%Y-%m-%dT%H-%M-%S")
        .to_string();
    for attempt in 1..100 {
        let path = match attempt {
            1 => Path::new(RUNS).join(&name),
            _ => Path::new(RUNS).join(format!("{name}.{attempt}")),
        };
        match create_private_directory(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(|| cannot(&path)),
        }
    }
    bail!("{RUNS} has too many captures of this second")
}

/// The folder of one of several processes.
fn inner(folder: &Path, name: &str, pid: u32) -> Result<PathBuf> {
    let path = folder.join(format!("{}-{pid}", plain_name(name)));
    create_private_directory(&path).with_context(|| format!("cannot create {}", path.display()))?;
    Ok(path)
}

/// Removes what was made for dumps of which there is none. Files that are not
/// ours keep their folders.
fn remove_without_dumps(folder: &Path) {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    for path in paths.iter().filter(|path| path.is_dir()) {
        remove_without_dumps(path);
    }
    let manifest = folder.join(rbleak_capture::manifest::MANIFEST_FILE);
    if paths.iter().all(|path| *path == manifest || path.is_dir()) {
        let _ = std::fs::remove_file(&manifest);
        // Fails where something is left.
        let _ = std::fs::remove_dir(folder);
    }
}
