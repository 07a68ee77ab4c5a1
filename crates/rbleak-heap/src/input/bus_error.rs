//! What happens when bytes of a map are looked at that are no longer in the file.
//!
//! The kernel then sends SIGBUS, which ends a process. Here zeros come to stand in
//! their place, and whoever reads them finds out later that the file was cut (see
//! [`Mapped::load`](super::mapped::Mapped::load)). A SIGBUS from elsewhere goes to
//! whom it went before. Of `unsafe` there is what a signal's handler needs: it
//! loads atomics and calls mmap(2), nothing else.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

/// More files than these are not mapped at a time.
const PLACES: usize = 64;

/// The addresses of one map.
struct Place {
    /// 0: none.
    start: AtomicUsize,
    end: AtomicUsize,
}

static ALL: [Place; PLACES] = [const {
    Place {
        start: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
    }
}; PLACES];

/// Held while places are taken; the handler takes none.
static TAKING: Mutex<()> = Mutex::new(());

/// What was there before, and the size of a page.
static BEFORE: OnceLock<Option<(libc::sigaction, usize)>> = OnceLock::new();

/// Addresses where zeros stand for what is no longer there.
pub(super) struct Guard(&'static Place);

impl Guard {
    /// `None` if too many are guarded, or the system does not let us.
    pub(super) fn new(addresses: Range<usize>) -> Option<Guard> {
        BEFORE.get_or_init(install).as_ref()?;
        let _taking = TAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let free = |place: &&Place| place.start.load(Ordering::Acquire) == 0;
        let place = ALL.iter().find(free)?;
        place.end.store(addresses.end, Ordering::Release);
        place.start.store(addresses.start, Ordering::Release);
        Some(Guard(place))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.start.store(0, Ordering::Release);
    }
}

fn install() -> Option<(libc::sigaction, usize)> {
    // SAFETY: a struct of numbers and pointers, for which zeros are a value.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = handle;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    let mut before = action;
    // SAFETY: no pointers; a size that any system has.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    let page = usize::try_from(page).ok().filter(|page| *page > 0)?;
    // SAFETY: both point to such structs, and the handler is one that may be called
    // at any time: see there.
    let answer = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) };
    (answer == 0).then_some((before, page))
}

extern "C" fn handle(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let Some(Some((before, page))) = BEFORE.get() else {
        // Right between the call and its answer: it comes again.
        return;
    };
    // SAFETY: the kernel gives a handler with SA_SIGINFO a valid one, of which
    // SIGBUS has an address.
    let address = unsafe { (*info).si_addr() } as usize;
    let is_ours = ALL.iter().any(|place| {
        let start = place.start.load(Ordering::Acquire);
        start != 0 && (start..place.end.load(Ordering::Acquire)).contains(&address)
    });
    if is_ours {
        let start = address / page * page;
        // SAFETY: the page belongs to a map that is there as long as its place is
        // taken, and that nobody has but to read; mmap(2) is a mere system call.
        let answer = unsafe {
            libc::mmap(
                start as *mut libc::c_void,
                *page,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
                -1,
                0,
            )
        };
        if answer != libc::MAP_FAILED {
            return;
        }
    }
    let is_function = !matches!(before.sa_sigaction, libc::SIG_DFL | libc::SIG_IGN);
    if is_function && before.sa_flags & libc::SA_SIGINFO != 0 {
        type Handler = extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
        // SAFETY: with this flag it is such a function, which sigaction(2) gave.
        let before: Handler = unsafe { std::mem::transmute(before.sa_sigaction) };
        before(signal, info, context);
        return;
    }
    // SAFETY: what was there before, given by sigaction(2). The signal comes again
    // once this returns, and goes there.
    unsafe { libc::sigaction(signal, before, std::ptr::null_mut()) };
}
