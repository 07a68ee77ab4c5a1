//! The folders of guards and of their sets: which there are, and which are
//! removed because newer ones came. Of others' files nothing is touched.

use super::log;
use crate::files::create_private_directory;
use anyhow::{Context, Result, bail};
use jiff::{Timestamp, ZonedDateTime};
use rbleak_capture::manifest::{MANIFEST_FILE, Manifest};
use rustix::fs::{FlockOperation, flock};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What a guard keeps beside its sets.
const OWN_FILES: [&str; 5] = [
    log::FILE,
    log::OLD_FILE,
    "memory.ndjson",
    "memory.csv",
    "report.json",
];
/// What whoever was killed while writing has left.
const UNFINISHED: &str = ".rbleak-";

/// A guard's folder, which is its own for as long as it lives.
#[derive(Debug)]
pub(crate) struct Folder {
    parent: PathBuf,
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// Makes one below `parent`.
    pub(crate) fn create(parent: &Path, now: &ZonedDateTime) -> Result<Folder> {
        let name = now.strftime("guard-%Y-%m-%dT%H-%M-%S").to_string();
        for attempt in 1..100 {
            let path = match attempt {
                1 => parent.join(&name),
                _ => parent.join(format!("{name}.{attempt}")),
            };
            let cannot = || {
                format!(
                    "cannot create {} for dumps (another place: --run-dir DIR)",
                    path.display()
                )
            };
            match create_private_directory(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error).with_context(cannot),
            }
            let lock = File::open(&path).with_context(cannot)?;
            // Where folders cannot be locked nobody else's are looked at either.
            let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
            return Ok(Folder {
                parent: parent.to_owned(),
                path,
                _lock: lock,
            });
        }
        bail!("{} has too many guards of this second", parent.display())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A name for a set that is not there yet: `2026-11-27T20-31-00-worker-1-4711`.
    pub(crate) fn for_set(&self, now: &ZonedDateTime, process: &str, pid: u32) -> PathBuf {
        let time = now.strftime("%Y-%m-%dT%H-%M-%S");
        let name = format!("{time}-{}-{pid}", crate::files::plain_name(process));
        let names = (2..).map(|number| format!("{name}.{number}"));
        let mut paths = std::iter::once(name.clone())
            .chain(names)
            .map(|name| self.path.join(name));
        let free = paths.find(|path| !path.exists());
        free.unwrap_or_else(|| self.path.join(name))
    }

    /// Removes all sets but the newest, this guard's and those of guards that
    /// have ended; what was removed, or could not be.
    pub(crate) fn prune(&self, keep: usize) -> Vec<Result<PathBuf>> {
        let mut sets = Vec::new();
        // Locks of guards that have ended, held while their folders are cut.
        let mut locks = Vec::new();
        for guard in folders(&self.parent) {
            if guard != self.path {
                let Some(lock) = ended(&guard) else { continue };
                locks.push((guard.clone(), lock));
            }
            sets.extend(folders(&guard).into_iter().filter_map(|set| {
                let (manifest, started) = manifest_of(&set)?;
                Some((started, set, manifest))
            }));
        }
        sets.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
        let old = sets.split_off(keep.min(sets.len()));
        let removed = old
            .into_iter()
            .map(|(_, path, manifest)| remove(&path, &manifest).map(|()| path))
            .collect();
        for (guard, _lock) in &locks {
            if folders(guard).is_empty() {
                for file in OWN_FILES {
                    let _ = std::fs::remove_file(guard.join(file));
                }
                // Fails where something is left.
                let _ = std::fs::remove_dir(guard);
            }
        }
        removed
    }
}

fn folders(below: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(below).into_iter().flatten().flatten();
    // No links: what they lead to is not ours.
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut paths: Vec<PathBuf> = folders.map(|entry| entry.path()).collect();
    paths.sort();
    paths
}

/// A lock of a guard's folder, if it is one and the guard has ended.
fn ended(folder: &Path) -> Option<File> {
    if !folder.join(log::FILE).is_file() {
        return None;
    }
    let file = File::open(folder).ok()?;
    flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(file)
}

/// The manifest of a set of a guard's, and when it began.
fn manifest_of(folder: &Path) -> Option<(Manifest, Timestamp)> {
    let bytes = std::fs::read(folder.join(MANIFEST_FILE)).ok()?;
    let manifest = Manifest::parse(&bytes).ok()?;
    manifest.capture.as_ref()?.trigger.as_ref()?;
    let started = manifest.started.parse().ok()?;
    Some((manifest, started))
}

/// Removes what the manifest names, and the folder if nothing else is in it.
fn remove(folder: &Path, manifest: &Manifest) -> Result<()> {
    let named = manifest
        .dumps
        .iter()
        .flat_map(|dump| [Some(&dump.file), dump.names.as_ref()])
        .flatten()
        .map(|file| folder.join(file));
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let unfinished = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(UNFINISHED))
        .map(|entry| entry.path());
    for path in named.chain(unfinished).collect::<Vec<_>>() {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", path.display()));
            }
            _ => {}
        }
    }
    // Last, so that what is left of a failure is found again.
    let manifest = folder.join(MANIFEST_FILE);
    std::fs::remove_file(&manifest)
        .with_context(|| format!("cannot remove {}", manifest.display()))?;
    std::fs::remove_dir(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{AppFacts, CaptureFacts, DumpRecord, LoadFacts, TriggerFacts, begun};
    use std::os::unix::fs::PermissionsExt;

    fn set(folder: &Folder, second: i8, is_guards: bool) -> PathBuf {
        let at = jiff::civil::date(2026, 11, 27).at(20, 0, second, 0);
        let at = at.to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap();
        let path = folder.for_set(&at, "worker 1", 7);
        create_private_directory(&path).unwrap();
        let mut manifest = begun(&at, AppFacts::default(), LoadFacts::default());
        manifest.capture = Some(CaptureFacts {
            via: "agent".to_owned(),
            process: "worker 1".to_owned(),
            start_time: 1,
            stopped_ms: None,
            traced_seconds: None,
            redacted: false,
            trigger: is_guards.then(|| TriggerFacts {
                kind: "leak".to_owned(),
                text: "it leaks".to_owned(),
            }),
        });
        manifest.dumps.push(DumpRecord {
            label: "A".to_owned(),
            file: "A.ndjson.zst".to_owned(),
            names: None,
            requests: 0,
            file_bytes: 1,
            cost: None,
        });
        std::fs::write(path.join("A.ndjson.zst"), "x").unwrap();
        std::fs::write(path.join(".rbleak-x"), "x").unwrap();
        std::fs::write(path.join(MANIFEST_FILE), manifest.to_json().unwrap()).unwrap();
        path
    }

    fn guard(parent: &Path) -> Folder {
        let folder = Folder::create(parent, &ZonedDateTime::now()).unwrap();
        log::Log::begin(folder.path(), &rbleak_report::json!({})).unwrap();
        folder
    }

    #[test]
    fn the_newest_are_kept_and_nothing_else_is_touched() {
        let parent = tempfile::tempdir().unwrap();
        let folder = guard(parent.path());
        let mode = std::fs::metadata(folder.path()).unwrap().permissions();
        assert_eq!(mode.mode() & 0o777, 0o700);
        let sets: Vec<PathBuf> = (0..5).map(|second| set(&folder, second, true)).collect();
        let others = set(&folder, 9, false);
        std::fs::write(sets[0].join("notes.txt"), "mine").unwrap();
        let removed = folder.prune(2);
        assert_eq!(removed.len(), 3);
        assert!(removed[2].is_err(), "the oldest holds a file of somebody's");
        assert!(sets[0].join("notes.txt").is_file());
        assert!(!sets[1].exists() && !sets[2].exists());
        assert!(sets[3].is_dir() && sets[4].is_dir() && others.is_dir());
        assert!(folder.prune(2).is_empty());
    }

    #[test]
    fn guards_that_have_ended_count_and_those_that_live_are_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        let (ended, living) = (guard(parent.path()), guard(parent.path()));
        let (old, theirs) = (set(&ended, 1, true), set(&living, 1, true));
        let ended_path = ended.path().to_owned();
        drop(ended);
        let own = guard(parent.path());
        let newest = set(&own, 5, true);
        let removed = own.prune(1);
        assert_eq!(removed.len(), 1);
        assert!(!old.exists() && !ended_path.exists());
        assert!(theirs.is_dir() && newest.is_dir());
    }

    #[test]
    fn two_sets_of_a_second_have_two_names() {
        let parent = tempfile::tempdir().unwrap();
        let folder = guard(parent.path());
        let (a, b) = (set(&folder, 1, true), set(&folder, 1, true));
        assert_ne!(a, b);
        assert!(a.ends_with("2026-11-27T20-00-01-worker-1-7"), "{a:?}");
    }
}
