//! A control group with a limit, where this user may make one.
#![allow(dead_code, unreachable_pub)] // each test file takes its own share

use std::fs;
use std::path::{Path, PathBuf};

/// Removed with the test; its processes have ended by then.
pub struct Group {
    folder: PathBuf,
}

impl Group {
    /// Puts a process into a new group of its own; `None` where that is not
    /// permitted, or the machine has none.
    pub fn around(pid: u32, limit: u64) -> Option<Group> {
        // Version 1, then 2, as they are mounted.
        let places = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        places
            .iter()
            .find_map(|(root, file)| Group::below(Path::new(root), file, pid, limit))
    }

    fn below(root: &Path, file: &str, pid: u32, limit: u64) -> Option<Group> {
        let folder = root.join(format!("rbleak-test-{pid}"));
        fs::create_dir(&folder).ok()?;
        let group = Group { folder };
        let limited = fs::write(group.folder.join(file), limit.to_string());
        let moved =
            limited.and_then(|()| fs::write(group.folder.join("cgroup.procs"), pid.to_string()));
        moved.ok().map(|()| group)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // What still lives in it goes back to where it came from.
        if let (Some(parent), Ok(left)) = (
            self.folder.parent(),
            fs::read_to_string(self.folder.join("cgroup.procs")),
        ) {
            for pid in left.lines() {
                let _ = fs::write(parent.join("cgroup.procs"), pid);
            }
        }
        let _ = fs::remove_dir(&self.folder);
    }
}
