//! How much memory there is to be had: of the machine (`/proc/meminfo`, see
//! proc(5)) and of the control groups that this process is in.
//!
//! A container's limit is a control group's, and what goes beyond it is killed
//! without a word. Both versions of control groups are read as the kernel's
//! documentation describes them (`cgroup-v2.rst`, `cgroup-v1/memory.rst`).

use crate::{Pid, ProcessError, procfs, status::kilobytes};
use rbleak_units::Bytes;
use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted on every distribution in use.
const CGROUPS: &str = "/sys/fs/cgroup";

/// What there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Available {
    /// What can be had now without driving anybody out of memory: the page
    /// cache counts as free.
    pub free: Bytes,
    /// What there is altogether, swap included: nobody gets more.
    pub total: Bytes,
    /// Whether the limit of a control group is what counts.
    pub is_group: bool,
}

/// What there is for this process.
///
/// # Errors
///
/// If `/proc/meminfo` cannot be read or lacks a line that it has had since
/// Linux 3.14. Control groups that cannot be read limit nothing.
pub fn read() -> Result<Available, ProcessError> {
    let pid = Pid::own();
    let failed = |source| ProcessError::reading(pid, "meminfo", source);
    let text = fs::read_to_string("/proc/meminfo").map_err(failed)?;
    let machine = parse(&text).map_err(|source| ProcessError::Malformed {
        pid,
        file: "meminfo",
        source,
    })?;
    let groups = procfs::text(pid, "cgroup").unwrap_or_default();
    let folders = folders(&groups);
    let limits = folders.iter().filter_map(|folder| group(folder));
    Ok(limits.fold(machine, |least, group| Available {
        free: least.free.min(group.free),
        total: least.total.min(group.total),
        is_group: least.is_group || group.total < least.total || group.free < least.free,
    }))
}

/// Reads the text of `/proc/meminfo`.
///
/// # Errors
///
/// When a line is missing.
pub fn parse(text: &str) -> Result<Available, crate::MissingField> {
    let total = kilobytes(text, "MemTotal")?;
    let swap = kilobytes(text, "SwapTotal").unwrap_or_default();
    let free_swap = kilobytes(text, "SwapFree").unwrap_or_default();
    Ok(Available {
        free: kilobytes(text, "MemAvailable")? + free_swap,
        total: total + swap,
        is_group: false,
    })
}

/// The folders of the groups in `/proc/self/cgroup` that may limit memory, and
/// of those above them.
fn folders(text: &str) -> Vec<PathBuf> {
    let mut folders = Vec::new();
    for line in text.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(path)) =
            (fields.next(), fields.next(), fields.next())
        else {
            continue;
        };
        let root = match controllers {
            "" => PathBuf::from(CGROUPS),
            list if list.split(',').any(|it| it == "memory") => Path::new(CGROUPS).join("memory"),
            _ => continue,
        };
        let path = Path::new(path.trim_start_matches('/'));
        // Within a container the path may be that of the host, while the
        // container's own group is mounted as the root.
        folders.extend(path.ancestors().map(|above| root.join(above)));
    }
    folders
}

/// What a group leaves; `None` if it limits nothing.
fn group(folder: &Path) -> Option<Available> {
    let number = |file: &str| -> Option<u64> {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        // "max" is no limit.
        text.trim().parse().ok()
    };
    let limit = number("memory.max").or_else(|| number("memory.limit_in_bytes"))?;
    let used = number("memory.current").or_else(|| number("memory.usage_in_bytes"))?;
    let stat = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    let cache = ["inactive_file", "total_inactive_file"]
        .iter()
        .find_map(|key| value(&stat, key))
        .unwrap_or(0);
    Some(Available {
        free: Bytes(limit.saturating_sub(used.saturating_sub(cache))),
        total: Bytes(limit),
        is_group: true,
    })
}

fn value(stat: &str, key: &str) -> Option<u64> {
    stat.lines().find_map(|line| {
        let (name, number) = line.split_once(' ')?;
        (name == key).then(|| number.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_its_memory_and_swap() {
        let text = "MemTotal:  1000 kB\nMemFree: 10 kB\nMemAvailable: 600 kB\nSwapTotal: 50 kB\nSwapFree: 20 kB\n";
        let machine = parse(text).unwrap();
        assert_eq!(machine.total, Bytes(1050 * 1024));
        assert_eq!(machine.free, Bytes(620 * 1024));
        assert!(parse("MemTotal: 1 kB\n").is_err());
    }

    #[test]
    fn groups_of_both_versions_are_found_with_those_above() {
        let shown = |text: &str| -> Vec<String> {
            let all = folders(text).into_iter();
            all.map(|folder| folder.display().to_string()).collect()
        };
        assert_eq!(
            shown("0::/user.slice/app\n"),
            [
                "/sys/fs/cgroup/user.slice/app",
                "/sys/fs/cgroup/user.slice",
                "/sys/fs/cgroup/"
            ]
        );
        assert_eq!(
            shown("5:cpu:/x\n4:memory,hugetlb:/docker\nrubbish\n"),
            ["/sys/fs/cgroup/memory/docker", "/sys/fs/cgroup/memory/"]
        );
    }

    #[test]
    fn a_group_leaves_what_it_does_not_use_itself() {
        let folder = tempfile::tempdir().unwrap();
        let write = |file: &str, text: &str| std::fs::write(folder.path().join(file), text);
        assert_eq!(group(folder.path()), None);
        write("memory.max", "max\n").unwrap();
        write("memory.current", "900\n").unwrap();
        assert_eq!(group(folder.path()), None);
        write("memory.max", "1000\n").unwrap();
        write("memory.stat", "anon 5\ninactive_file 300\n").unwrap();
        let left = group(folder.path()).unwrap();
        assert_eq!((left.free, left.total), (Bytes(400), Bytes(1000)));
    }

    #[test]
    fn this_process_has_some() {
        let here = read().unwrap();
        assert!(here.free > Bytes(0) && here.free <= here.total, "{here:?}");
    }
}
