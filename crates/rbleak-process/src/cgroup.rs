//! The memory that the control group of a process may have: cgroups(7),
//! versions 1 and 2.

use std::fs;
use std::path::{Component, Path, PathBuf};

use rbleak_units::Bytes;

use crate::{Pid, ProcessError, procfs};

/// Where control groups are mounted on every distribution in use.
const ROOT: &str = "/sys/fs/cgroup";

/// What the tightest of the groups above a process allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimit {
    /// The limit.
    pub limit: Bytes,
    /// What all processes under it hold, with the cache of files.
    pub current: Option<Bytes>,
}

/// A control group that counts memory: the tightest above a process, or where
/// none has a limit, the process's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryGroup {
    folder: PathBuf,
    version: Version,
}

/// The two versions of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy for each controller.
    One,
    /// One for all.
    Two,
}

/// What a group counted at one moment. What the kernel does not tell is `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GroupMemory {
    /// What its processes hold, with the cache of files.
    pub current: Option<Bytes>,
    /// The part of it that the kernel gives back before it kills: files that
    /// were not read lately.
    pub reclaimable: Option<Bytes>,
    /// The limit, if there is one.
    pub limit: Option<Bytes>,
    /// How often the limit was run into, and memory had to be given back.
    pub limit_hits: Option<u64>,
    /// How many processes were killed for it.
    pub oom_kills: Option<u64>,
}

impl GroupMemory {
    /// What cannot be given back.
    pub fn working_set(&self) -> Option<Bytes> {
        let reclaimable = self.reclaimable.unwrap_or_default();
        Some(Bytes(self.current?.0.saturating_sub(reclaimable.0)))
    }
}

impl MemoryGroup {
    /// The group of a process; `None` where none can be seen that counts
    /// memory.
    ///
    /// # Errors
    /// When the process cannot be looked at; see [`ProcessError`].
    pub fn of(pid: Pid) -> Result<Option<MemoryGroup>, ProcessError> {
        let text = procfs::text(pid, "cgroup")?;
        let own = procfs::text(Pid::own(), "cgroup").unwrap_or_default();
        let inside = procfs::path(pid, "root").join(ROOT.trim_start_matches('/'));
        Ok(MemoryGroup::seen(Path::new(ROOT), &text, &own, &inside))
    }

    /// Of a process in another container our own hierarchy does not show the
    /// group, and its root would be ours: there the process's own is looked at.
    fn seen(root: &Path, text: &str, own: &str, inside: &Path) -> Option<MemoryGroup> {
        let has_old = groups(root, text).any(|(version, ..)| version == Version::One);
        let is_shown = groups(root, text)
            .filter(|(version, ..)| !has_old || *version == Version::One)
            .all(|(_, base, group)| {
                let below = Path::new(group.trim_start_matches('/'));
                let is_plain = |part| matches!(part, Component::Normal(_));
                below.components().all(is_plain) && base.join(below).is_dir()
            });
        match is_shown || text == own {
            true => MemoryGroup::below(root, text),
            false => MemoryGroup::below(inside, text),
        }
    }

    /// The same, below another root, from the text of `/proc/PID/cgroup`.
    fn below(root: &Path, text: &str) -> Option<MemoryGroup> {
        let mut own = None;
        let mut tightest: Option<(Bytes, MemoryGroup)> = None;
        for (version, base, group) in groups(root, text) {
            // Within a container the group is often not to be seen by its own
            // path: then the root is the container's.
            let mut folder = base.join(group.trim_start_matches('/'));
            loop {
                let group = MemoryGroup {
                    folder: folder.clone(),
                    version,
                };
                if let Some(limit) = group.limit()
                    && tightest.as_ref().is_none_or(|(known, _)| limit < *known)
                {
                    tightest = Some((limit, group.clone()));
                }
                if own.is_none() && group.current().is_some() {
                    own = Some(group);
                }
                if folder == base || !folder.pop() {
                    break;
                }
            }
        }
        tightest.map(|(_, group)| group).or(own)
    }

    /// Which version it is of.
    pub fn version(&self) -> Version {
        self.version
    }

    /// What it counts now. A group that has gone counts nothing.
    pub fn read(&self) -> GroupMemory {
        let (stat, events) = match self.version {
            Version::One => ("total_inactive_file", "memory.oom_control"),
            Version::Two => ("inactive_file", "memory.events"),
        };
        GroupMemory {
            current: self.current(),
            reclaimable: self.field("memory.stat", stat).map(Bytes),
            limit: self.limit(),
            limit_hits: match self.version {
                Version::One => self.number("memory.failcnt"),
                Version::Two => self.field(events, "max"),
            },
            oom_kills: self.field(events, "oom_kill"),
        }
    }

    fn current(&self) -> Option<Bytes> {
        let name = match self.version {
            Version::One => "memory.usage_in_bytes",
            Version::Two => "memory.current",
        };
        self.number(name).map(Bytes)
    }

    fn limit(&self) -> Option<Bytes> {
        let name = match self.version {
            Version::One => "memory.limit_in_bytes",
            Version::Two => "memory.max",
        };
        // Version 1 writes "no limit" as the largest number of pages, version 2
        // as a word.
        let limit = self.number(name).filter(|bytes| *bytes < 1 << 60);
        limit.map(Bytes)
    }

    fn number(&self, file: &str) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join(file)).ok()?;
        text.trim().parse().ok()
    }

    /// The number behind a word that begins a line.
    fn field(&self, file: &str, key: &str) -> Option<u64> {
        let text = fs::read_to_string(self.folder.join(file)).ok()?;
        text.lines().find_map(|line| {
            let (name, number) = line.split_once(' ')?;
            (name == key).then(|| number.trim().parse().ok())?
        })
    }
}

/// Version, folder of the hierarchy, and group, of those that count memory.
fn groups<'t>(root: &'t Path, text: &'t str) -> impl Iterator<Item = (Version, PathBuf, &'t str)> {
    text.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        if controllers.is_empty() {
            Some((Version::Two, root.to_owned(), group))
        } else {
            let counts = controllers.split(',').any(|name| name == "memory");
            counts.then(|| (Version::One, root.join("memory"), group))
        }
    })
}

/// The memory limit of a process; `None` if there is none, or none that can be
/// seen.
///
/// # Errors
/// When the group cannot be read; see [`ProcessError`].
pub fn read(pid: Pid) -> Result<Option<MemoryLimit>, ProcessError> {
    let group = MemoryGroup::of(pid)?;
    Ok(group.and_then(|group| limit_of(&group)))
}

fn limit_of(group: &MemoryGroup) -> Option<MemoryLimit> {
    Some(MemoryLimit {
        limit: group.limit()?,
        current: group.current(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn limit_below(root: &Path, text: &str) -> Option<MemoryLimit> {
        limit_of(&MemoryGroup::below(root, text)?)
    }

    #[test]
    fn events_and_what_can_be_given_back_are_read_in_both_versions() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        file(root, "a/memory.max", "max\n");
        file(root, "a/memory.current", "700\n");
        file(root, "a/memory.stat", "anon 1\ninactive_file 200\n");
        file(root, "a/memory.events", "low 0\nmax 5\noom 2\noom_kill 1\n");
        let found = MemoryGroup::below(root, "0::/a/gone\n").unwrap().read();
        assert_eq!(found.limit, None);
        assert_eq!(found.working_set(), Some(Bytes(500)));
        assert_eq!((found.limit_hits, found.oom_kills), (Some(5), Some(1)));

        file(root, "memory/x/memory.usage_in_bytes", "900\n");
        file(root, "memory/x/memory.limit_in_bytes", "1000\n");
        file(root, "memory/x/memory.stat", "total_inactive_file 100\n");
        file(root, "memory/x/memory.failcnt", "7\n");
        file(
            root,
            "memory/x/memory.oom_control",
            "under_oom 0\noom_kill 3\n",
        );
        let group = MemoryGroup::below(root, "4:memory:/x\n0::/\n").unwrap();
        assert_eq!(group.version(), Version::One);
        let found = group.read();
        assert_eq!(
            (found.limit, found.working_set()),
            (Some(Bytes(1000)), Some(Bytes(800)))
        );
        assert_eq!((found.limit_hits, found.oom_kills), (Some(7), Some(3)));
    }

    #[test]
    fn the_group_of_another_container_is_its_own() {
        let [ours, theirs] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        let limit = |text: &str, own: &str| {
            MemoryGroup::seen(ours.path(), text, own, theirs.path()).and_then(|it| it.limit())
        };
        for (folder, bytes) in [(&ours, "100\n"), (&theirs, "200\n")] {
            file(folder.path(), "memory.max", bytes);
            file(folder.path(), "memory/memory.limit_in_bytes", bytes);
        }
        file(ours.path(), "shown/memory.max", "50\n");
        // Version 2, with a namespace of groups for each container.
        assert_eq!(limit("0::/../theirs\n", "0::/\n"), Some(Bytes(200)));
        assert_eq!(limit("0::/\n", "0::/\n"), Some(Bytes(100)));
        assert_eq!(limit("0::/shown\n", "0::/\n"), Some(Bytes(50)));
        // Version 1, without: its group has a name that is not seen here.
        let (text, own) = ("4:memory:/pod/b\n0::/\n", "4:memory:/pod/a\n0::/\n");
        assert_eq!(limit(text, own), Some(Bytes(200)));
        assert_eq!(limit(own, own), Some(Bytes(100)));
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
