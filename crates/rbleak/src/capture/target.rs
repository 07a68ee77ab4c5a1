//! Which processes are meant, and why some cannot be captured.

use super::args::{CaptureArgs, Via};
use crate::watch::name_of;
use anyhow::{Result, bail};
use rbleak_process::stat::{self, Stat};
use rbleak_process::{Pid, ProcessError, maps, program, ruby, smaps_rollup, status, tree};
use rbleak_units::Bytes;

/// A Ruby that can be captured.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    pub(crate) pid: Pid,
    /// As it calls itself, for short: `puma`, `worker 1`.
    pub(crate) name: String,
    /// What `ruby -v` prints.
    pub(crate) ruby: Option<String>,
    /// In clock ticks since the machine started.
    pub(crate) start_time: u64,
}

impl Target {
    /// Whether it is still the same process.
    pub(crate) fn lives(&self) -> bool {
        stat::read(self.pid)
            .is_ok_and(|stat| stat.start_time == self.start_time && !stat.is_zombie())
    }

    /// Of its Ruby, without the date and the platform: `3.1.7p261`.
    pub(crate) fn version(&self) -> Option<String> {
        let rest = self.ruby.as_deref()?.strip_prefix("ruby ")?;
        Some(rest.split(' ').next().unwrap_or(rest).to_owned())
    }

    /// Whether somebody has stopped it.
    pub(crate) fn is_stopped(&self) -> bool {
        stat::read(self.pid).is_ok_and(|stat| matches!(stat.state, 'T' | 't'))
    }
}

/// The processes that the arguments mean, and what is worth a remark.
pub(crate) fn choose(args: &CaptureArgs) -> Result<(Vec<Target>, Option<String>)> {
    let Some(root) = args.pid.map(Pid) else {
        bail!("give the PID of a Ruby");
    };
    // Memory can be read of what stands still.
    let check = |stat: &Stat| check(stat, args.via == Via::Snapshot);
    let stat = alive(root)?;
    if !(args.all || args.biggest || args.worker.is_some()) {
        let target = check(&stat)?;
        let workers = workers(root)?;
        let remark = (!workers.is_empty()).then(|| {
            format!(
                "this is the master of {} workers: --worker N, --biggest or --all captures them",
                workers.len()
            )
        });
        return Ok((vec![target], remark));
    }
    if let Some(number) = args.worker {
        let workers = workers(root)?;
        let wanted = format!("worker {number}");
        let Some((found, _)) = workers.iter().find(|(_, name)| *name == wanted) else {
            let names: Vec<&str> = workers.iter().map(|(_, name)| name.as_str()).collect();
            match names.is_empty() {
                true => bail!("process {root} has no workers that are numbered in their titles"),
                false => bail!(
                    "process {root} has no worker {number}: it has {}",
                    names.join(", ")
                ),
            }
        };
        return Ok((vec![check(found)?], None));
    }
    let rubies: Vec<Stat> = tree::read(root)?
        .into_iter()
        .filter(|stat| maps::read(stat.pid).is_ok_and(|mappings| ruby::is_ruby(&mappings)))
        .collect();
    if rubies.is_empty() {
        // Says why: not permitted, say.
        check(&stat)?;
        bail!("there is no Ruby in process {root} or below it");
    }
    if args.all {
        let targets = rubies.iter().map(check).collect::<Result<_>>()?;
        return Ok((targets, None));
    }
    let biggest = rubies.iter().rev().max_by_key(|stat| held(stat.pid));
    Ok((biggest.map(check).transpose()?.into_iter().collect(), None))
}

/// One process by its number, if it can be captured.
pub(crate) fn one(pid: Pid) -> Result<Target> {
    check(&alive(pid)?, false)
}

/// Memory, with shared pages in parts.
fn held(pid: Pid) -> Bytes {
    smaps_rollup::read(pid)
        .map(|memory| memory.pss)
        .or_else(|_| status::read(pid).map(|status| status.rss.unwrap_or_default()))
        .unwrap_or_default()
}

/// The numbered workers below a process.
fn workers(root: Pid) -> Result<Vec<(Stat, String)>> {
    let below = tree::read(root)?.into_iter().skip(1);
    let named = below.map(|stat| {
        let name = name_of(&stat);
        (stat, name)
    });
    Ok(named
        .filter(|(_, name)| name.starts_with("worker "))
        .collect())
}

fn alive(pid: Pid) -> Result<Stat> {
    let stat = stat::read(pid)?;
    if stat.is_zombie() {
        bail!(
            "process {pid} ({}) has ended and waits for its parent to notice (a zombie): there is \
             no heap any more",
            stat.name
        );
    }
    Ok(stat)
}

/// The process, if it can be captured at all.
fn check(stat: &Stat, may_stand_still: bool) -> Result<Target> {
    let pid = stat.pid;
    let name = &stat.name;
    let status = status::read(pid)?;
    if status.rss.is_none() {
        bail!("process {pid} ({name}) is a thread of the kernel: it has no heap");
    }
    let own = rustix::process::geteuid().as_raw();
    if own != 0 && (status.owner.0 != own || status.user != own) {
        bail!("process {pid} ({name}) belongs to another user: run rbleak as that user or as root");
    }
    if program::is_32_bit(pid).map_err(protected)? {
        bail!(
            "process {pid} ({name}) is a program of 32 bits: only those of 64 bits can be captured"
        );
    }
    let mappings = maps::read(pid).map_err(protected)?;
    if !ruby::is_ruby(&mappings) {
        let below = tree::read(pid)?.into_iter().skip(1);
        let ruby = below
            .map(|stat| stat.pid)
            .find(|pid| maps::read(*pid).is_ok_and(|mappings| ruby::is_ruby(&mappings)));
        match ruby {
            Some(ruby) => {
                bail!("process {pid} ({name}) is no Ruby; it has started one: give {ruby}")
            }
            None => bail!("process {pid} ({name}) is no Ruby: give the PID of one"),
        }
    }
    match (stat.state, status.tracer) {
        ('t', Some(tracer)) => bail!(
            "process {pid} ({name}) is traced already, and stopped, by process {tracer}: a debugger \
             has to let go of it first"
        ),
        ('T', _) if may_stand_still => {}
        ('T' | 't', _) => {
            bail!("process {pid} ({name}) is stopped: let it go on first (kill -CONT {pid})")
        }
        _ => {}
    }
    Ok(Target {
        pid,
        name: name_of(stat),
        ruby: ruby::description(pid, &mappings),
        start_time: stat.start_time,
    })
}

/// Of the own user, and not to be looked at: it has changed its user, or its
/// file may not be read.
fn protected(error: ProcessError) -> anyhow::Error {
    match error {
        ProcessError::NotPermitted { pid, .. } => anyhow::anyhow!(
            "process {pid} is protected: it has changed its user, or lives in another container; \
             run rbleak as root"
        ),
        error => error.into(),
    }
}
