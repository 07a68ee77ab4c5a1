//! A process's parent and start: `/proc/PID/stat`, see proc_pid_stat(5).

use crate::{MissingField, Pid, ProcessError, procfs};

/// The part of `/proc/PID/stat` that places a process among others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The number of the process.
    pub pid: Pid,
    /// The name of the program, at most 15 bytes; the process may change it.
    pub name: String,
    /// `R` running, `S` sleeping, `D` waiting for a disk, `T` stopped,
    /// `Z` zombie, and so on.
    pub state: char,
    /// The process that started it, or the one that took it over.
    pub parent: Pid,
    /// The number of its process group: that of the group's first process.
    pub group: Pid,
    /// When it started, in clock ticks since the machine did. Only good for
    /// comparing: two processes of the same number differ in it.
    pub start_time: u64,
}

impl Stat {
    /// Ended, but not yet collected by its parent.
    pub fn is_zombie(&self) -> bool {
        matches!(self.state, 'Z' | 'X')
    }
}

/// A process's parent and start.
///
/// # Errors
/// See [`ProcessError`].
pub fn read(pid: Pid) -> Result<Stat, ProcessError> {
    procfs::parsed(pid, "stat", parse)
}

/// Reads the text of `/proc/PID/stat`.
///
/// # Errors
/// When a field is missing or is no number.
pub fn parse(text: &str) -> Result<Stat, MissingField> {
    // The name may hold blanks and parentheses: it ends at the last one.
    let (head, tail) = text.rsplit_once(')').ok_or(MissingField("comm"))?;
    let (pid, name) = head.split_once('(').ok_or(MissingField("comm"))?;
    let fields: Vec<&str> = tail.split_ascii_whitespace().collect();
    // proc(5) counts from 1, and `fields` begins with the third.
    let field = |number: usize| fields.get(number - 3).copied();
    Ok(Stat {
        pid: pid.trim().parse().map_err(|_| MissingField("pid"))?,
        name: name.to_owned(),
        state: field(3)
            .and_then(|state| state.chars().next())
            .ok_or(MissingField("state"))?,
        parent: field(4)
            .and_then(|parent| parent.parse().ok())
            .ok_or(MissingField("ppid"))?,
        group: field(5)
            .and_then(|group| group.parse().ok())
            .ok_or(MissingField("pgrp"))?,
        start_time: field(22)
            .and_then(|ticks| ticks.parse().ok())
            .ok_or(MissingField("starttime"))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPTURED: &str = "7712 (puma: (w) 0) S 7700 7712 7700 0 -1 4194304 3187 0 0 0 21 4 0 0 \
                            20 0 4 0 88123 310521856 7296 18446744073709551615\n";

    #[test]
    fn a_name_may_hold_blanks_and_parentheses() {
        let stat = parse(CAPTURED).unwrap();
        assert_eq!(stat.pid, Pid(7712));
        assert_eq!(stat.name, "puma: (w) 0");
        assert_eq!((stat.parent, stat.group), (Pid(7700), Pid(7712)));
        assert_eq!(stat.start_time, 88123);
        assert!(!stat.is_zombie());
    }

    #[test]
    fn who_has_ended_is_a_zombie() {
        assert!(parse(&CAPTURED.replace(" S ", " Z ")).unwrap().is_zombie());
    }

    #[test]
    fn what_is_missing_is_named() {
        assert_eq!(parse(""), Err(MissingField("comm")));
        assert_eq!(parse("x (y) S 1"), Err(MissingField("pid")));
        assert_eq!(parse("1 (y)"), Err(MissingField("state")));
        assert_eq!(parse("1 (y) S"), Err(MissingField("ppid")));
        assert_eq!(parse("1 (y) S 0"), Err(MissingField("pgrp")));
        assert_eq!(parse("1 (y) S 0 0"), Err(MissingField("starttime")));
    }
}
