//! A file that nobody writes to, in memory without being copied there.
//!
//! What is mapped must not change: Rust takes it for its own, and to touch what
//! was cut off ends the process. So a file is mapped only with a read lease
//! (fcntl(2), `F_SETLEASE`): the kernel gives none as long as anyone may write to
//! it, and lets whoever opens it for writing, or cuts it short, wait until the
//! lease is given back, for 45 seconds at most (`lease-break-time` in
//! proc_sys_fs(5)). Whether somebody waits is asked before any bytes are looked
//! at, and then they are read instead. Where no lease is to be had (of a file of
//! another user, on some network file systems), nothing is mapped. Besides its
//! neighbour `bus_error` the only module of this crate with `unsafe`.

use super::bus_error::Guard;
use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};
use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// fcntl(2), from `asm-generic/fcntl.h`; the crate `libc` lacks it.
const F_SETSIG: i32 = 10;

/// A file with a read lease.
struct Lease(Arc<File>);

impl Lease {
    /// `None` if there is none to be had.
    fn new(file: Arc<File>) -> Option<Lease> {
        // Whoever waits for the lease makes the kernel send a signal: one that is
        // ignored where nobody asked for it.
        let is_quiet = control(&file, F_SETSIG, libc::SIGURG) == Some(0);
        let has_lease = is_quiet && control(&file, libc::F_SETLEASE, libc::F_RDLCK) == Some(0);
        has_lease.then(|| Lease(file))
    }

    /// Nobody waits for it.
    fn is_held(&self) -> bool {
        control(&self.0, libc::F_GETLEASE, 0) == Some(libc::F_RDLCK)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        control(&self.0, libc::F_SETLEASE, libc::F_UNLCK);
    }
}

/// fcntl(2) with an argument that is a number.
fn control(file: &File, command: i32, argument: i32) -> Option<i32> {
    // SAFETY: the descriptor is open, and these commands take numbers and no
    // pointers.
    let answer = unsafe { libc::fcntl(file.as_raw_fd(), command, argument) };
    (answer >= 0).then_some(answer)
}

/// A file, mapped until somebody wants to write to it.
#[derive(Clone)]
pub(super) struct Map(Arc<Mutex<Option<Arc<Mapped>>>>);

impl Map {
    pub(super) fn new(file: &Arc<File>) -> Map {
        Map(Arc::new(Mutex::new(Mapped::new(file).map(Arc::new))))
    }

    /// `None` if the file is not mapped, or no longer.
    pub(super) fn get(&self) -> Option<Arc<Mapped>> {
        self.lock().clone()
    }

    /// It is not to be mapped any longer than somebody looks at it.
    pub(super) fn give_up(&self) {
        self.lock().take();
    }

    fn lock(&self) -> MutexGuard<'_, Option<Arc<Mapped>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub(super) struct Mapped {
    // Dropped in this order: nobody looks at the map any more, and it is gone before
    // the lease is given back.
    /// For who stops the process for longer than the kernel lets others wait.
    _guard: Guard,
    map: Mmap,
    lease: Lease,
}

impl Mapped {
    /// The whole file; `None` where that cannot be done.
    fn new(file: &Arc<File>) -> Option<Mapped> {
        let lease = Lease::new(Arc::clone(file))?;
        // As long as there is the lease, that is its length.
        let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
        // SAFETY: nobody can write to the file as long as there is the lease, which
        // outlives the map. Before bytes are looked at, `load` has seen that it is
        // there; only who then stops the process for longer than the kernel lets
        // others wait can see to it that other bytes are found.
        let map = unsafe { MmapOptions::new().len(length).map(&**file) }.ok()?;
        let start = map.as_ptr() as usize;
        Some(Mapped {
            _guard: Guard::new(start..start + map.len())?,
            map,
            lease,
        })
    }

    pub(super) fn length(&self) -> usize {
        self.map.len()
    }

    /// Brings bytes into memory; whether they are there, and nobody wants to write
    /// to the file. What is loaded is to be looked at soon.
    pub(super) fn load(&self, range: &Range<usize>) -> bool {
        self.map
            .advise_range(Advice::PopulateRead, range.start, range.len())
            .is_ok()
            && self.lease.is_held()
    }

    /// Bytes that were loaded.
    #[inline]
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.map[range]
    }

    /// Has the processor fetch bytes that will be looked at, as far as they are in
    /// memory.
    #[inline]
    pub(super) fn fetch(&self, range: Range<usize>) {
        /// A line of the processor's cache.
        const LINE: usize = 64;
        let bytes = self.map.get(range).unwrap_or_default();
        #[cfg(target_arch = "x86_64")]
        for line in bytes.chunks(LINE) {
            use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: this is a hint, which reads nothing; the address is one of
            // the map.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (bytes, LINE);
    }

    /// Gives memory back. The bytes are what they are.
    pub(super) fn forget(&self, range: Range<usize>) {
        // SAFETY: of a shared map of a file, pages that are given back are read
        // again from the file: nothing that was read changes.
        let _ = unsafe {
            self.map
                .unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len())
        };
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::time::{Duration, Instant};

    #[test]
    fn who_wants_to_write_waits_until_nobody_looks() {
        // Not every file system has leases; this one does.
        let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        let bytes = vec![7; 10_000];
        file.write_all(&bytes).unwrap();
        let open = || Arc::new(File::open(file.path()).unwrap());
        assert!(
            Map::new(&open()).get().is_none(),
            "as long as somebody may write"
        );
        let path = file.into_temp_path();
        let map = Map::new(&Arc::new(File::open(&path).unwrap()));
        let mapped = map.get().unwrap();
        assert!(mapped.load(&(0..10_000)));
        assert_eq!(mapped.bytes(0..10_000), bytes);
        mapped.forget(0..10_000);
        assert_eq!(mapped.bytes(0..10_000), bytes);

        let writer = std::thread::spawn({
            let path = path.to_path_buf();
            move || OpenOptions::new().write(true).truncate(true).open(path)
        });
        let start = Instant::now();
        while mapped.load(&(0..4096)) && start.elapsed() < Duration::from_secs(30) {
            std::thread::yield_now();
        }
        assert!(!mapped.load(&(0..4096)), "the writer was not noticed");
        // Still as it was: the writer waits.
        assert_eq!(mapped.bytes(0..10_000), bytes);
        map.give_up();
        assert!(map.get().is_none());
        drop(mapped);
        writer.join().unwrap().unwrap();
        assert_eq!(path.metadata().unwrap().len(), 0);
    }

    #[test]
    fn what_was_cut_off_all_the_same_is_zeros() {
        let mut file = tempfile::NamedTempFile::new_in("/dev/shm").unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        let path = file.into_temp_path();
        let map = Map::new(&Arc::new(File::open(&path).unwrap()));
        let mapped = map.get().unwrap();
        assert!(mapped.load(&(0..100_000)));
        // As the kernel does it when somebody has waited for too long.
        control(&mapped.lease.0, libc::F_SETLEASE, libc::F_UNLCK);
        let writer = OpenOptions::new().write(true).open(&path).unwrap();
        writer.set_len(10).unwrap();
        let bytes = mapped.bytes(0..100_000);
        assert_eq!(bytes[..10], [7; 10]);
        assert!(bytes[10..].iter().all(|&byte| byte == 0));
        assert!(!mapped.load(&(0..100_000)));
        // Another one is not concerned.
        assert_eq!(Map::new(&mapped.lease.0).get().map(|_| ()), None);
    }
}
