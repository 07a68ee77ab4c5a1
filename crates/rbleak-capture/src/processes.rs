//! Who belongs to the child: its process group and its descendants, and how
//! much memory each holds. Parsers of `/proc` text are pure, readers thin.

use std::collections::HashSet;
use std::fs;

use rbleak_units::Bytes;

/// One line of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// Ended, and not yet waited for.
    pub(crate) zombie: bool,
}

/// All processes that can be seen.
pub(crate) fn table() -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(|pid| parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect()
}

/// `/proc/PID/stat`; the name in parentheses may hold anything.
fn parse_stat(text: &str) -> Option<Process> {
    let (pid, rest) = text.split_once(' ')?;
    let (_, rest) = rest.rsplit_once(')')?;
    let mut words = rest.split_ascii_whitespace();
    let state = words.next()?;
    Some(Process {
        pid: pid.parse().ok()?,
        parent: words.next()?.parse().ok()?,
        group: words.next()?.parse().ok()?,
        zombie: matches!(state, "Z" | "X"),
    })
}

/// The living among `table` that are `root`, in its group, or descend from
/// either.
pub(crate) fn tree(table: &[Process], root: u32) -> Vec<Process> {
    let mut members: HashSet<u32> = table
        .iter()
        .filter(|process| process.pid == root || process.group == root)
        .map(|process| process.pid)
        .collect();
    loop {
        let before = members.len();
        for process in table {
            if members.contains(&process.parent) {
                members.insert(process.pid);
            }
        }
        if members.len() == before {
            break;
        }
    }
    let mut tree: Vec<Process> = table
        .iter()
        .filter(|process| members.contains(&process.pid) && !process.zombie)
        .copied()
        .collect();
    tree.sort_by_key(|process| process.pid);
    tree
}

/// Whether `ancestor` is above `pid`.
pub(crate) fn descends(table: &[Process], pid: u32, ancestor: u32) -> bool {
    let parent = |pid| table.iter().find(|p| p.pid == pid).map(|p| p.parent);
    let mut current = parent(pid);
    while let Some(above) = current.filter(|&above| above > 1) {
        if above == ancestor {
            return true;
        }
        current = parent(above);
    }
    false
}

/// Resident and proportional set size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    pub(crate) rss: Bytes,
    pub(crate) pss: Option<Bytes>,
}

/// The memory of a process; `None` once it has gone.
pub(crate) fn memory(pid: u32) -> Option<Memory> {
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"));
    if let Some(memory) = rollup.ok().as_deref().and_then(parse_rollup) {
        return Some(memory);
    }
    // Older than Linux 4.14, or not allowed.
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    Some(Memory {
        rss: kilobytes(&status, "VmRSS:")?,
        pss: None,
    })
}

fn parse_rollup(text: &str) -> Option<Memory> {
    Some(Memory {
        rss: kilobytes(text, "Rss:")?,
        pss: kilobytes(text, "Pss:"),
    })
}

fn kilobytes(text: &str, key: &str) -> Option<Bytes> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let number: u64 = line.split_ascii_whitespace().next()?.parse().ok()?;
    Some(Bytes(number * 1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: u32, parent: u32, group: u32) -> Process {
        Process {
            pid,
            parent,
            group,
            zombie: false,
        }
    }

    #[test]
    fn a_name_may_hold_parentheses() {
        let read = parse_stat("42 (puma: (1) ) S 7 40 40 0 -1").unwrap();
        assert_eq!(read, process(42, 7, 40));
        assert!(parse_stat("42 (x) Z 7 40 40").unwrap().zombie);
        assert_eq!(parse_stat(""), None);
    }

    #[test]
    fn the_tree_follows_groups_and_parents() {
        let table = [
            process(10, 1, 10),
            process(11, 10, 10),
            process(12, 11, 12),
            process(13, 1, 10),
            process(14, 1, 14),
        ];
        let pids: Vec<u32> = tree(&table, 10).iter().map(|p| p.pid).collect();
        assert_eq!(pids, [10, 11, 12, 13]);
        assert!(descends(&table, 12, 10) && !descends(&table, 14, 10));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        let text = "55-7f ---p 0 [rollup]\nRss:     10 kB\nPss:      4 kB\nPss_Anon: 1 kB\n";
        let expected = Memory {
            rss: Bytes(10_240),
            pss: Some(Bytes(4_096)),
        };
        assert_eq!(parse_rollup(text), Some(expected));
        assert!(memory(std::process::id()).unwrap().rss > Bytes(0));
    }
}
