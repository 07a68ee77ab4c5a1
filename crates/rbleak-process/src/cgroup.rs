//! The memory that the control group of a process may have: cgroups(7),
//! versions 1 and 2.

use std::fs;
use std::path::{Path, PathBuf};

use rbleak_units::Bytes;

use crate::{Pid, ProcessError, procfs};

/// What the tightest of the groups above a process allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The limit.
    pub limit: Bytes,
    /// What all processes under it hold, with the cache of files.
    pub current: Option<Bytes>,
}

/// The memory limit of a process; `None` if there is none, or none that can be
/// seen.
///
/// # Errors
/// When the group cannot be read; see [`ProcessError`].
pub fn read(pid: Pid) -> Result<Option<MemoryLimit>, ProcessError> {
    let text = procfs::text(pid, "cgroup")?;
    Ok(limit_below(Path::new("/sys/fs/cgroup"), &text))
}

/// The same, below another root, from the text of `/proc/PID/cgroup`.
fn limit_below(root: &Path, text: &str) -> Option<MemoryLimit> {
    let mut tightest: Option<MemoryLimit> = None;
    for line in text.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let (base, limit, current) = if controllers.is_empty() {
            (root.to_owned(), "memory.max", "memory.current")
        } else if controllers.split(',').any(|name| name == "memory") {
            let base = root.join("memory");
            (base, "memory.limit_in_bytes", "memory.usage_in_bytes")
        } else {
            continue;
        };
        // Within a container the group is often not to be seen by its own
        // path: then the root is the container's.
        let mut folder: PathBuf = base.join(group.trim_start_matches('/'));
        loop {
            let number = |file: &str| -> Option<u64> {
                fs::read_to_string(folder.join(file))
                    .ok()?
                    .trim()
                    .parse()
                    .ok()
            };
            // Version 1 writes "no limit" as the largest number of pages.
            if let Some(bytes) = number(limit).filter(|bytes| *bytes < 1 << 60)
                && tightest.is_none_or(|known| bytes < known.limit.0)
            {
                tightest = Some(MemoryLimit {
                    limit: Bytes(bytes),
                    current: number(current).map(Bytes),
                });
            }
            if folder == base || !folder.pop() {
                break;
            }
        }
    }
    tightest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn the_tightest_above_counts() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        file(root, "a/memory.max", "1000\n");
        file(root, "a/memory.current", "700\n");
        file(root, "a/b/memory.max", "max\n");
        let found = limit_below(root, "0::/a/b\n").unwrap();
        assert_eq!(
            (found.limit, found.current),
            (Bytes(1000), Some(Bytes(700)))
        );
        assert_eq!(limit_below(root, "0::/c\n"), None);
    }

    #[test]
    fn version_1_has_a_folder_for_memory() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        file(
            root,
            "memory/x/memory.limit_in_bytes",
            "9223372036854771712\n",
        );
        file(root, "memory/memory.limit_in_bytes", "5000\n");
        let text = "5:cpu:/x\n4:memory:/x\n";
        assert_eq!(limit_below(root, text).unwrap().limit, Bytes(5000));
    }
}
