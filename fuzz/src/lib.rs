//! What the targets share: how much memory something takes at most, and
//! inputs that are many where the fuzzer found one.
//!
//! A target that links this counts what Rust code allocates on any thread.
//! What a decompressor in C allocates is not among it; `-rss_limit_mb` bounds
//! that.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it came; only
// counters are kept beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grew(layout.size());
        // SAFETY: as this call.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as this call.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Both may exist at once while one is copied to the other.
        grew(size);
        // SAFETY: as this call.
        let moved = unsafe { System.realloc(pointer, layout, size) };
        NOW.fetch_sub(layout.size(), Relaxed);
        moved
    }
}

fn grew(bytes: usize) {
    let now = NOW.fetch_add(bytes, Relaxed) + bytes;
    PEAK.fetch_max(now, Relaxed);
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Does `work`; panics if it had more than `most` bytes allocated at once,
/// beyond what there was before.
pub fn within<T>(most: usize, work: impl FnOnce() -> T) -> T {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let value = work();
    let taken = PEAK.load(Relaxed).saturating_sub(before);
    assert!(taken <= most, "took {taken} bytes where {most} are allowed");
    value
}

/// UTF-8 has no use for it: stands for the number of the copy in [`copies`].
pub const COPY: u8 = 0xf8;

/// `bytes` again and again, with the number of the copy in hexadecimal digits
/// for every [`COPY`]: a few kilobytes with a bad ratio become a hundred with
/// the same ratio.
pub fn copies(bytes: &[u8], count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for copy in 0..count {
        for &byte in bytes {
            match byte {
                COPY => out.extend_from_slice(format!("{copy:05x}").as_bytes()),
                byte => out.push(byte),
            }
        }
    }
    out
}
