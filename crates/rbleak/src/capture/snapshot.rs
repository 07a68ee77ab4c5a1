//! Dumps from the memory of a process: of a copy that never runs, or of the process
//! itself where somebody has stopped it.

use super::frozen::{Kept, freeze};
use super::take::Options;
use super::target::Target;
use anyhow::{Context, Result, anyhow, bail};
use rbleak_capture::{CopyTaken, Interrupt, LiveError};
use rbleak_process::memory::{Live, Memory, Registers};
use rbleak_process::{Pid, exports, maps};
use rbleak_snapshot::{Facts, Program, Subject};
use rbleak_units::{Bytes, Objects};
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Whether the Ruby of a process is one that can be read.
pub(super) fn check(target: &Target) -> Result<()> {
    let program = program(target.pid, &maps::read(target.pid)?)?;
    known(&program.description)
        .with_context(|| format!("cannot read the memory of process {}", target.pid))
}

/// Whether it is known how the Ruby that describes itself so lays out its memory.
pub(super) fn known(description: &str) -> Result<()> {
    if let Some((_, platform)) = description.rsplit_once('[')
        && !platform.starts_with("x86_64-")
    {
        bail!(
            "how Ruby lays out its objects is known here of x86-64 alone, and this one is for {}: \
             take --via agent or --via inject",
            platform.trim_end_matches(']')
        );
    }
    Ok(rbleak_snapshot::check(description)?)
}

fn program(pid: Pid, mappings: &[maps::Mapping]) -> Result<Program> {
    Program::find(mappings, |mapping| exports::mapped_file(pid, mapping)).ok_or_else(|| {
        anyhow!("which Ruby process {pid} runs cannot be told from its files: it cannot be read")
    })
}

/// In what a dump from memory is unlike one of Ruby's own.
#[derive(Default)]
pub(super) struct Unlike {
    /// What it has not.
    pub(super) absent: Vec<String>,
    /// How far it can be trusted.
    pub(super) caveat: Option<String>,
}

/// Takes one dump, and says in what it is unlike Ruby's own.
pub(super) fn take(
    target: &Target,
    dump: &mut dyn Write,
    names: &mut dyn Write,
    options: Options,
    interrupt: &Interrupt,
) -> Result<(CopyTaken, Unlike)> {
    let pid = target.pid;
    let started = Instant::now();
    let program = program(pid, &maps::read(pid)?)?;
    // What stands still needs no copy.
    let kept = match target.is_stopped() {
        true => None,
        false => Some(freeze(pid)?),
    };
    let limits = Limits {
        pid,
        until: started + options.timeout,
        limit: options.timeout,
        interrupt,
    };
    let threads: Vec<Registers> = kept.iter().map(|it| it.registers.clone()).collect();
    let live = Live::open(kept.as_ref().map_or(pid, |it| it.copy))?;
    let read = read(
        &live,
        &program,
        &threads,
        options.redact,
        dump,
        names,
        Some(limits),
    );
    let pause = kept.as_ref().map_or(Duration::ZERO, |it| it.stopped);
    let again = kept.map(Kept::end).transpose();
    if !target.lives() {
        let doing = "its memory was read";
        return Err(LiveError::Ended { pid, doing }.into());
    }
    // What was read of a copy that had gone says nothing.
    let pause = pause + again?.unwrap_or_default();
    let (facts, bytes) = read?;
    Ok(taken(facts, bytes, pause, started))
}

/// What is kept of a dump from memory.
pub(super) fn taken(
    facts: Facts,
    bytes: u64,
    pause: Duration,
    started: Instant,
) -> (CopyTaken, Unlike) {
    let taken = CopyTaken {
        pause,
        extra_memory: None,
        gc_count: facts.generation.unwrap_or_default(),
        live_slots: Objects(facts.live()),
        bytes: Bytes(bytes),
        elapsed: started.elapsed(),
    };
    let unlike = Unlike {
        caveat: facts.caveat(),
        absent: facts.absent.into_iter().map(str::to_owned).collect(),
    };
    (taken, unlike)
}

/// Writes the dump of what a memory holds; how long it is.
pub(super) fn read(
    memory: &dyn Memory,
    program: &Program,
    threads: &[Registers],
    redact: bool,
    dump: &mut dyn Write,
    names: &mut dyn Write,
    limits: Option<Limits<'_>>,
) -> Result<(Facts, u64)> {
    let subject = Subject {
        memory,
        description: &program.description,
        machine: program.machine,
        shapes: program.shapes,
        data: program.data.clone(),
        threads,
        has_chunks: program.has_chunks,
        redact,
    };
    let mut counted = Counted {
        sink: io::BufWriter::with_capacity(1 << 16, dump),
        bytes: 0,
        limits,
    };
    let mut names = io::BufWriter::new(names);
    let written = rbleak_snapshot::write(&subject, &mut counted, &mut names);
    if let Some(limits) = &counted.limits {
        limits.check()?;
    }
    let facts = written?;
    counted.flush()?;
    names.flush()?;
    Ok((facts, counted.bytes))
}

/// What ends a dump before its end.
pub(super) struct Limits<'i> {
    pid: Pid,
    until: Instant,
    limit: Duration,
    interrupt: &'i Interrupt,
}

impl Limits<'_> {
    fn check(&self) -> Result<()> {
        let pid = self.pid;
        if self.interrupt.is_requested() {
            return Err(LiveError::Interrupted { pid }.into());
        }
        if Instant::now() > self.until {
            bail!(
                "the memory of process {pid} was not read within {} s; the process goes on; give it \
                 more time with --timeout",
                self.limit.as_secs()
            );
        }
        Ok(())
    }
}

/// Counts what goes through, and stops it when it takes too long.
struct Counted<'w, 'i> {
    sink: io::BufWriter<&'w mut dyn Write>,
    bytes: u64,
    limits: Option<Limits<'i>>,
}

/// Between two looks at the clock.
const LOOK_EVERY: u64 = 1 << 20;

impl Write for Counted<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.sink.write(bytes)?;
        let before = self.bytes / LOOK_EVERY;
        self.bytes += written as u64;
        let is_due = self.bytes / LOOK_EVERY != before;
        match &self.limits {
            // Which of them it is, is told by whoever asks again.
            Some(limits) if is_due && limits.check().is_err() => {
                Err(io::Error::other("it took too long"))
            }
            _ => Ok(written),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rubies_of_other_processors_are_refused_by_name() {
        let of = |platform: &str| {
            known(&format!(
                "ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [{platform}]"
            ))
        };
        assert!(of("x86_64-linux-gnu").is_ok());
        assert!(of("x86_64-linux-musl").is_ok());
        let refused = of("aarch64-linux-gnu").unwrap_err().to_string();
        assert!(
            refused.contains("this one is for aarch64-linux-gnu: take --via agent"),
            "{refused}"
        );
        let unknown = known("ruby 3.0.7 (2024) [x86_64-linux]").unwrap_err();
        assert!(unknown.to_string().contains("known: "), "{unknown}");
    }
}
