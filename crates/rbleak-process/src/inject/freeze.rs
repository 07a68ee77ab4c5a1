//! A copy of a process that never runs: its memory as it was at one moment, while
//! the process itself goes on.
//!
//! The main thread is made to call `clone` and goes on. The copy is traced from
//! its first moment on and stays stopped; should its tracer be killed, the kernel
//! ends it, and were it let go on nevertheless, all that it would find to run is a
//! call that ends it. Its end sends no signal, and no `wait` of the process sees
//! it; what is left of it then, an entry in the table of processes, the main thread
//! is made to collect.

use std::fs;
use std::time::{Duration, Instant};

use super::native::refuse_traced;
use super::tracee::Tracee;
use super::{InjectError, arch, raw, symbols};
use crate::memory::Registers;
use crate::{Pid, procfs};

/// Pages are no smaller; the kernel rounds up.
const PAGE: u64 = 4096;
/// A copy that was killed for want of memory may take a while.
const PATIENCE: Duration = Duration::from_secs(10);
/// Copies of an rbleak that was killed itself: there are few.
const MOST_LEFT: usize = 64;

/// A copy that stands still.
#[derive(Debug)]
pub struct Frozen {
    of: Pid,
    copy: Pid,
    /// Its number as the process sees it.
    inner: u64,
    stopped: Duration,
    registers: Registers,
    is_ended: bool,
}

impl Frozen {
    /// Copies a process.
    ///
    /// # Errors
    /// See [`InjectError`]. The process goes on as it was.
    pub fn of(pid: Pid) -> Result<Frozen, InjectError> {
        refuse_traced(pid)?;
        let syscall = symbols::syscall(pid)?;
        let mut tracee = Tracee::stop(pid)?;
        let registers = tracee.contents();
        let page = tracee.map_code(syscall, PAGE)?;
        let cloned = tracee
            .write(page, &arch::COPY)
            .and_then(|()| tracee.copy(page));
        // With or without a copy.
        let unmapped = tracee.unmap(syscall, page, PAGE);
        let released = tracee.release();
        let (copy, inner) = cloned?;
        let mut frozen = Frozen {
            of: pid,
            copy,
            inner,
            stopped: Duration::ZERO,
            registers,
            is_ended: false,
        };
        unmapped?;
        frozen.stopped = released?;
        frozen.settle(page)?;
        Ok(frozen)
    }

    /// Has the copy hold nothing but its memory.
    fn settle(&self, page: u64) -> Result<(), InjectError> {
        let mut copy = Tracee::adopt(self.copy)?;
        // The other ends of its pipes wait for the process alone. Older kernels
        // cannot: then they wait for the copy's end.
        let _ = copy.close_all(page);
        copy.leave();
        // Only to make it the first to go.
        let _ = fs::write(procfs::path(self.copy, "oom_score_adj"), "1000");
        Ok(())
    }

    /// Its number: its memory is in `/proc`.
    pub fn pid(&self) -> Pid {
        self.copy
    }

    /// For how long the main thread stood still.
    pub fn stopped(&self) -> Duration {
        self.stopped
    }

    /// What the registers of the main thread held.
    pub fn registers(&self) -> &Registers {
        &self.registers
    }

    /// Ends the copy; whether it was whole until now, and for how long the main
    /// thread stood still to collect what was left.
    ///
    /// # Errors
    /// If the copy cannot be seen to end, or the main thread not be stopped again:
    /// then an entry in the table of processes stays until the process ends, or
    /// the next copy does.
    pub fn end(mut self) -> Result<(bool, Duration), InjectError> {
        let was_whole = self.kill()?;
        Ok((was_whole, self.collect()?))
    }

    fn kill(&mut self) -> Result<bool, InjectError> {
        self.is_ended = true;
        let pid = self.copy;
        let system = |source| InjectError::System { pid, source };
        let has_ended = |status: Option<i32>| status.is_some_and(|it| !libc::WIFSTOPPED(it));
        let before = raw::status(pid).map_err(system)?;
        let was_whole = before.is_none();
        raw::kill(pid);
        let since = Instant::now();
        let mut is_over = has_ended(before);
        while !is_over {
            if since.elapsed() > PATIENCE {
                return Err(InjectError::Failed {
                    pid: self.of,
                    what: "its copy does not end".to_owned(),
                });
            }
            std::thread::sleep(Duration::from_millis(1));
            is_over = has_ended(raw::status(pid).map_err(system)?);
        }
        Ok(was_whole)
    }

    fn collect(&self) -> Result<Duration, InjectError> {
        let syscall = symbols::syscall(self.of)?;
        let mut numbers = vec![self.inner];
        numbers.extend(left_behind(self.of));
        let mut tracee = Tracee::stop(self.of)?;
        for number in numbers {
            // One that is not there: so much the better.
            let _ = tracee.collect(syscall, number);
        }
        tracee.release()
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if !self.is_ended {
            // Whoever drops it tells of another failure.
            let _ = self.kill();
            let _ = self.collect();
        }
    }
}

/// The numbers, as the process sees them, of ended copies that nobody collected:
/// children whose end sends no signal.
fn left_behind(pid: Pid) -> Vec<u64> {
    let list = procfs::path(pid, &format!("task/{pid}/children"));
    let children = fs::read_to_string(list).unwrap_or_default();
    let numbers = children.split_whitespace().filter_map(|it| it.parse().ok());
    numbers.filter_map(ended_copy).take(MOST_LEFT).collect()
}

fn ended_copy(child: u32) -> Option<u64> {
    /// Behind the name in proc_pid_stat(5): the state, and the signal.
    const SIGNAL: usize = 35;
    let path = |file| procfs::path(Pid(child), file);
    let stat = fs::read_to_string(path("stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
    if fields.first() != Some(&"Z") || fields.get(SIGNAL) != Some(&"0") {
        return None;
    }
    let status = fs::read_to_string(path("status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().last()?.parse().ok()
}
