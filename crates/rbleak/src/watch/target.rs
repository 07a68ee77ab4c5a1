//! What a watch can begin with, and what is to be known of it.

use super::rows::Title;
use crate::doctor::look::ruby_below;
use anyhow::{Result, bail};
use rbleak_process::cgroup::MemoryGroup;
use rbleak_process::stat::{self, Stat};
use rbleak_process::{Pid, ProcessError, cmdline, maps, status};

/// The process, if it has memory that could be watched, and its control group.
pub(crate) fn check(pid: Pid) -> Result<(Stat, Option<MemoryGroup>)> {
    let stat = stat::read(pid)?;
    if stat.is_zombie() {
        bail!(
            "process {pid} ({}) has ended and waits for its parent to notice (a zombie): it has no memory to watch",
            stat.name
        );
    }
    if status::read(pid)?.rss.is_none() {
        bail!(
            "process {pid} ({}) is a thread of the kernel: it has no memory to watch",
            stat.name
        );
    }
    // Where no group can be seen there is none to be shown.
    Ok((stat, MemoryGroup::of(pid).unwrap_or_default()))
}

/// What a process is called for short.
pub(crate) fn name_of(stat: &Stat) -> String {
    Title::of(&cmdline::read(stat.pid).unwrap_or_default(), &stat.name).name
}

/// What is not as one would expect.
pub(crate) fn notes(root: &Stat) -> Vec<String> {
    let pid = root.pid;
    if let Err(ProcessError::NotPermitted { .. }) = maps::read(pid) {
        let owner = status::read(pid).map(|status| status.user).ok();
        let own = status::read(Pid::own()).map(|status| status.user).ok();
        let why = match owner == own {
            true => "is protected".to_owned(),
            false => "belongs to another user".to_owned(),
        };
        return vec![format!(
            "process {pid} {why}: RSS and anonymous memory are watched, \
             PSS, USS and memory by kind are not permitted; run as that user or as root for them"
        )];
    }
    match ruby_below(pid) {
        Ok(None) => vec![format!(
            "no Ruby is seen in process {pid} ({}) or below it: its memory is watched all the same",
            root.name
        )],
        _ => Vec::new(),
    }
}
