//! `--upload`: what a guard keeps goes to another place as well, in a thread of
//! its own, again and again until it is there. A set counts as uploaded when
//! its manifest is: that comes last, and everything is asked for its size after
//! it was written. Knows no dumps; [`store`] knows the places.

#[cfg(feature = "object-store")]
mod objects;
mod store;

pub(crate) use store::Store;

use anyhow::{Context, Result, bail};
use rbleak_capture::manifest::{MANIFEST_FILE, Manifest};
use std::collections::{HashSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

/// After a failure it is tried again in so long, then in twice as long, …
const FIRST_REST: Duration = Duration::from_secs(5);
/// … and so on up to this.
const LONGEST_REST: Duration = Duration::from_secs(300);
/// So long when there is not much time left.
const HURRIED_REST: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// What is to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// What there is of a set, and when it has ended its manifest.
    Set(PathBuf),
    /// One file of the guard's own, as it is then.
    File(PathBuf),
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// All of a set is there, its manifest, too.
    Uploaded { folder: PathBuf, to: String },
    /// Not this time. Told once for each other sentence.
    Failed { path: PathBuf, sentence: String },
    /// It is not here any more.
    Gone { path: PathBuf },
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Uploader {
    jobs: Sender<Job>,
    told: Receiver<Told>,
    left: Arc<AtomicUsize>,
    hurries: Arc<AtomicBool>,
}

impl Uploader {
    /// Starts it. `base` is what paths are relative to, `below` what stands
    /// before them at the other place.
    pub(crate) fn start(store: Store, base: PathBuf, below: String) -> Uploader {
        let (jobs, ordered) = channel();
        let (tell, told) = channel();
        let left = Arc::new(AtomicUsize::new(0));
        let hurries = Arc::new(AtomicBool::new(false));
        let mut queue = Queue {
            store,
            base,
            below,
            done: HashSet::new(),
            tell,
            said: String::new(),
        };
        let (count, hurry) = (Arc::clone(&left), Arc::clone(&hurries));
        thread::spawn(move || queue.work(&ordered, &count, &hurry));
        Uploader {
            jobs,
            told,
            left,
            hurries,
        }
    }

    pub(crate) fn push(&self, job: Job) {
        self.left.fetch_add(1, Ordering::SeqCst);
        // It lives as long as this does.
        let _ = self.jobs.send(job);
    }

    pub(crate) fn told(&self) -> Option<Told> {
        self.told.try_recv().ok()
    }

    /// How much is not there yet.
    pub(crate) fn left(&self) -> usize {
        self.left.load(Ordering::SeqCst)
    }

    /// There is not much time left.
    pub(crate) fn hurry(&self) {
        self.hurries.store(true, Ordering::SeqCst);
    }
}

struct Queue {
    store: Store,
    base: PathBuf,
    below: String,
    /// Files of sets that are there.
    done: HashSet<PathBuf>,
    tell: Sender<Told>,
    /// The last failure, which is not told again and again.
    said: String,
}

impl Queue {
    fn work(&mut self, ordered: &Receiver<Job>, left: &AtomicUsize, hurries: &AtomicBool) {
        let mut waiting: VecDeque<Job> = VecDeque::new();
        let (mut rest, mut not_before) = (FIRST_REST, Instant::now());
        loop {
            match ordered.recv_timeout(TICK) {
                // What is asked for twice is done once.
                Ok(job) if waiting.contains(&job) => {
                    left.fetch_sub(1, Ordering::SeqCst);
                    continue;
                }
                Ok(job) => {
                    waiting.push_back(job);
                    continue;
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if hurries.load(Ordering::SeqCst) {
                rest = HURRIED_REST;
                not_before = not_before.min(Instant::now() + rest);
            }
            if Instant::now() < not_before {
                continue;
            }
            let Some(job) = waiting.front().cloned() else {
                continue;
            };
            match self.perform(&job) {
                Ok(()) => {
                    waiting.pop_front();
                    left.fetch_sub(1, Ordering::SeqCst);
                    rest = FIRST_REST;
                    self.said.clear();
                }
                Err(error) => {
                    // The others first: it may be the one file.
                    waiting.rotate_left(1);
                    not_before = Instant::now() + rest;
                    rest = (rest * 2).min(LONGEST_REST);
                    let sentence = crate::sentence(&error);
                    if sentence != self.said {
                        self.said.clone_from(&sentence);
                        let (Job::Set(path) | Job::File(path)) = job;
                        let _ = self.tell.send(Told::Failed { path, sentence });
                    }
                }
            }
        }
    }

    fn perform(&mut self, job: &Job) -> Result<()> {
        let (Job::Set(path) | Job::File(path)) = job;
        if !path.exists() {
            let path = path.clone();
            let _ = self.tell.send(Told::Gone { path });
            return Ok(());
        }
        match job {
            Job::File(path) => self.put(path),
            Job::Set(folder) => self.set(folder),
        }
    }

    fn set(&mut self, folder: &Path) -> Result<()> {
        let path = folder.join(MANIFEST_FILE);
        let bytes =
            std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let manifest =
            Manifest::parse(&bytes).with_context(|| format!("cannot use {}", path.display()))?;
        for dump in &manifest.dumps {
            for file in [Some(&dump.file), dump.names.as_ref()]
                .into_iter()
                .flatten()
            {
                let file = folder.join(file);
                if !self.done.contains(&file) {
                    self.put(&file)?;
                    self.done.insert(file);
                }
            }
        }
        if manifest.status != rbleak_capture::manifest::Status::Running {
            self.put(&path)?;
            self.done.retain(|file| !file.starts_with(folder));
            let _ = self.tell.send(Told::Uploaded {
                folder: folder.to_owned(),
                to: self.store.place(&self.name(folder)),
            });
        }
        Ok(())
    }

    /// One file, and that all of it is there.
    fn put(&self, path: &Path) -> Result<()> {
        let name = self.name(path);
        let doing = || format!("cannot upload to {}", self.store.place(&name));
        let bytes = self.store.put(path, &name).with_context(doing)?;
        let there = self.store.size(&name).with_context(doing)?;
        if there != bytes {
            bail!("{}: {there} bytes of {bytes} are there", doing());
        }
        Ok(())
    }

    /// What it is called at the other place.
    fn name(&self, path: &Path) -> String {
        let relative = path.strip_prefix(&self.base).unwrap_or(path);
        let mut name = self.below.clone();
        for part in relative.iter() {
            name.push('/');
            name.push_str(&part.to_string_lossy());
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{AppFacts, DumpRecord, LoadFacts, Status, begun};

    fn set(base: &Path, status: Status) -> PathBuf {
        let folder = base.join("guard/set");
        std::fs::create_dir_all(&folder).unwrap();
        let mut manifest = begun(
            &jiff::ZonedDateTime::now(),
            AppFacts::default(),
            LoadFacts::default(),
        );
        manifest.status = status;
        manifest.dumps.push(DumpRecord {
            label: "A".to_owned(),
            file: "A.ndjson.zst".to_owned(),
            names: Some("A.names.ndjson.zst".to_owned()),
            requests: 0,
            file_bytes: 5,
            cost: None,
        });
        std::fs::write(folder.join("A.ndjson.zst"), "dump").unwrap();
        std::fs::write(folder.join("A.names.ndjson.zst"), "names").unwrap();
        std::fs::write(folder.join(MANIFEST_FILE), manifest.to_json().unwrap()).unwrap();
        folder
    }

    fn wait<T>(mut of: impl FnMut() -> Option<T>) -> T {
        let since = Instant::now();
        loop {
            if let Some(found) = of() {
                return found;
            }
            assert!(since.elapsed() < Duration::from_secs(60));
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn dumps_come_first_and_the_manifest_when_the_set_has_ended() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::of(there.path().to_str().unwrap()).unwrap();
        let uploader = Uploader::start(store, here.path().to_owned(), "host".to_owned());
        let folder = set(here.path(), Status::Running);
        uploader.push(Job::Set(folder.clone()));
        wait(|| (uploader.left() == 0).then_some(()));
        let remote = there.path().join("host/guard/set");
        assert_eq!(std::fs::read(remote.join("A.ndjson.zst")).unwrap(), b"dump");
        assert!(!remote.join(MANIFEST_FILE).exists());
        assert_eq!(uploader.told(), None);
        set(here.path(), Status::Complete);
        uploader.push(Job::Set(folder.clone()));
        let told = wait(|| uploader.told());
        let Told::Uploaded { folder: of, to } = told else {
            panic!("{told:?}");
        };
        assert_eq!((of, to), (folder, remote.display().to_string()));
        assert!(remote.join(MANIFEST_FILE).is_file());
    }

    #[test]
    fn what_fails_is_told_once_and_tried_again_until_it_works() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let store = Store::of(there.path().to_str().unwrap()).unwrap();
        let uploader = Uploader::start(store, here.path().to_owned(), "host".to_owned());
        uploader.hurry();
        // A file where a folder should be.
        std::fs::write(there.path().join("host"), "").unwrap();
        let folder = set(here.path(), Status::Complete);
        uploader.push(Job::Set(folder.clone()));
        let told = wait(|| uploader.told());
        assert!(
            matches!(&told, Told::Failed { sentence, .. } if sentence.contains("cannot upload to")),
            "{told:?}"
        );
        assert_eq!(uploader.left(), 1);
        std::fs::remove_file(there.path().join("host")).unwrap();
        let told = wait(|| uploader.told());
        assert!(matches!(told, Told::Uploaded { .. }), "{told:?}");
        uploader.push(Job::File(here.path().join("gone")));
        assert!(matches!(wait(|| uploader.told()), Told::Gone { .. }));
        wait(|| (uploader.left() == 0).then_some(()));
    }
}
