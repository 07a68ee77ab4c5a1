//! Whether a process can be copied without running out of memory. Pure but for
//! [`Room::of`], which asks the operating system.
//!
//! A forked copy shares all pages until one of the two writes to them. How many
//! that will be nobody knows before: up to 55 % of the memory was seen in a
//! server under load that was dumped for ten seconds. This is a heuristic.

use rbleak_process::cgroup::MemoryGroup;
use rbleak_process::{Pid, available, smaps_rollup, status};
use rbleak_units::Bytes;
use std::fmt;

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
    "a copy of process {pid} may take {need} beside it, and {free} are free {place}: \
     free memory, raise the limit, or capture a smaller worker"
)]
pub struct NoRoom {
    /// The process.
    pub pid: Pid,
    /// What a copy may take.
    pub need: Bytes,
    /// What there is.
    pub free: Bytes,
    /// Where that is all there is.
    pub place: Place,
}

/// Whose limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// That of the process's control group.
    Group,
    /// The machine's memory.
    Machine,
    /// One that the user gave.
    Given,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Place::Group => "in its control group",
            Place::Machine => "in this machine",
            Place::Given => "below the limit that was given",
        })
    }
}

/// What a copy of a process may take, and what is free for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    pid: Pid,
    /// What a copy may take.
    pub need: Bytes,
    /// The least of what is free; what the kernel does not tell limits nothing.
    free: Option<(Bytes, Place)>,
}

impl Room {
    /// As it is now.
    pub fn of(pid: Pid) -> Room {
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

    /// The same where no more than this may be taken.
    #[must_use]
    pub fn at_most(self, free: Bytes) -> Room {
        let known = self.free.filter(|(known, _)| *known <= free);
        Room {
            free: known.or(Some((free, Place::Given))),
            ..self
        }
    }

    /// What is free beyond the need: bytes, negative where there is too little.
    pub fn spare(&self) -> Option<f64> {
        self.free
            .map(|(free, _)| free.0 as f64 - self.need.0 as f64)
    }

    /// Compares the two.
    ///
    /// # Errors
    /// If it may not be enough.
    pub fn check(&self) -> Result<(), NoRoom> {
        match self.free {
            Some((free, place)) if free < self.need => Err(NoRoom {
                pid: self.pid,
                need: self.need,
                free,
                place,
            }),
            _ => Ok(()),
        }
    }
}

/// Compares what a copy may take with what there is.
///
/// # Errors
/// If it may not be enough.
pub fn check(pid: Pid) -> Result<(), NoRoom> {
    Room::of(pid).check()
}

/// What a copy of a process with so much memory of its own may take.
pub fn need(anonymous: Bytes) -> Bytes {
    let percent = anonymous.0 / 100;
    let names = MOST_OF_NAMES.0.min(percent * NAMES_PERCENT);
    Bytes((percent * SHARE_PERCENT + names).max(LEAST.0))
}

fn weigh(pid: Pid, anonymous: Bytes, group: Option<Bytes>, machine: Option<Bytes>) -> Room {
    let all = [(group, Place::Group), (machine, Place::Machine)];
    let least = all
        .into_iter()
        .filter_map(|(free, place)| Some((free?, place)))
        .min_by_key(|(free, _)| *free);
    Room {
        pid,
        need: need(anonymous),
        free: least,
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
        .check()
        .err()
    }

    #[test]
    fn the_tighter_of_group_and_machine_counts() {
        assert_eq!(weighed(1000, None, None), None);
        assert_eq!(weighed(1000, Some(697), Some(8000)), None);
        let group = weighed(1000, Some(690), Some(8000)).unwrap();
        assert_eq!(group.place, Place::Group);
        let machine = weighed(1000, Some(8000), Some(500)).unwrap();
        assert_eq!(machine.place, Place::Machine);
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

    #[test]
    fn a_limit_that_was_given_counts_where_it_is_tighter() {
        let bytes = |mb: u64| Bytes(mb * MB);
        let room = weigh(Pid(7), bytes(100), Some(bytes(500)), None);
        assert_eq!(room.at_most(bytes(600)), room);
        let less = room.at_most(bytes(50));
        assert_eq!(less.check().unwrap_err().place, Place::Given);
        assert!(less.spare().unwrap() < 0.0 && room.spare().unwrap() > 0.0);
        let unknown = weigh(Pid(7), bytes(100), None, None);
        assert_eq!((unknown.spare(), unknown.check()), (None, Ok(())));
    }
}
