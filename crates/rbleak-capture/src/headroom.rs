//! Whether a process can be copied without running out of memory. Pure but for
//! [`check`], which asks the operating system.
//!
//! A forked copy shares all pages until one of the two writes to them. How many
//! that will be nobody knows before: up to 55 % of the memory was seen in a
//! server under load that was dumped for ten seconds. This is a heuristic.

use rbleak_process::cgroup::MemoryGroup;
use rbleak_process::{Pid, available, smaps_rollup, status};
use rbleak_units::Bytes;

/// Of the process's own memory.
const SHARE_PERCENT: u64 = 60;
/// What writing down the names takes, which collects no garbage: it goes by how
/// much code is loaded (50 MB were seen of a Rails app), and is less in a small
/// process.
const NAMES_PERCENT: u64 = 33;
const MOST_OF_NAMES: Bytes = Bytes(96 << 20);
/// What a copy needs however small the process is.
const LEAST: Bytes = Bytes(16 << 20);

/// There is too little.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a copy of process {pid} may take {need} beside it, and {free} are free in {}: \
     free memory, raise the limit, or capture a smaller worker",
    if *.is_group { "its control group" } else { "this machine" }
)]
pub struct NoRoom {
    /// The process.
    pub pid: Pid,
    /// What a copy may take.
    pub need: Bytes,
    /// What there is.
    pub free: Bytes,
    /// Whether the limit of the process's control group is what counts.
    pub is_group: bool,
}

/// Compares what a copy may take with what there is. What the kernel does not
/// tell limits nothing.
///
/// # Errors
/// If it may not be enough.
pub fn check(pid: Pid) -> Result<(), NoRoom> {
    let anonymous = status::read(pid)
        .ok()
        .and_then(|status| status.anonymous)
        .or_else(|| smaps_rollup::read(pid).ok().map(|it| it.anonymous))
        .unwrap_or_default();
    let group = MemoryGroup::of(pid).ok().flatten().and_then(|group| {
        let read = group.read();
        let used = read.working_set()?;
        Some(Bytes(read.limit?.0.saturating_sub(used.0)))
    });
    let machine = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| Some(available::parse(&text).ok()?.free));
    weigh(pid, anonymous, group, machine)
}

fn weigh(
    pid: Pid,
    anonymous: Bytes,
    group: Option<Bytes>,
    machine: Option<Bytes>,
) -> Result<(), NoRoom> {
    let percent = anonymous.0 / 100;
    let names = MOST_OF_NAMES.0.min(percent * NAMES_PERCENT);
    let need = Bytes((percent * SHARE_PERCENT + names).max(LEAST.0));
    let all = [(group, true), (machine, false)];
    let least = all
        .into_iter()
        .filter_map(|(free, is_group)| Some((free?, is_group)))
        .min_by_key(|(free, _)| *free);
    match least {
        Some((free, is_group)) if free < need => Err(NoRoom {
            pid,
            need,
            free,
            is_group,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1 << 20;

    fn weighed(anonymous: u64, group: Option<u64>, machine: Option<u64>) -> Option<NoRoom> {
        let bytes = |mb: u64| Bytes(mb * MB);
        weigh(
            Pid(7),
            bytes(anonymous),
            group.map(bytes),
            machine.map(bytes),
        )
        .err()
    }

    #[test]
    fn the_tighter_of_group_and_machine_counts() {
        assert_eq!(weighed(1000, None, None), None);
        assert_eq!(weighed(1000, Some(697), Some(8000)), None);
        let group = weighed(1000, Some(690), Some(8000)).unwrap();
        assert!(group.is_group);
        let machine = weighed(1000, Some(8000), Some(500)).unwrap();
        assert!(!machine.is_group);
        assert!(
            weighed(1, Some(8), None).is_some(),
            "a small one needs some"
        );
        let text = group.to_string();
        assert!(
            text.contains("process 7") && text.contains("control group"),
            "{text}"
        );
    }
}
