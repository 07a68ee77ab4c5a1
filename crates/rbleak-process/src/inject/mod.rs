//! Has a Ruby that was not prepared for it evaluate a piece of code.
//!
//! The main thread, and no other, is stopped for some tenths of a millisecond.
//! In it Ruby's own asynchronous entry is called, `rb_postponed_job_*`, which
//! may be called from a signal handler and so wherever a thread happens to be;
//! then the thread goes on as it was. Ruby evaluates the code at its next safe
//! point, and [`kick`] wakes a thread that waits for something.
//!
//! Whoever stops a thread must be there to let it go on as it was: do this in a
//! process that nobody kills for another's sake. It does not know what the code
//! does, nor how it is known that it ran: the memory that holds it is
//! [`unmap`]ped when the caller says so.

#[cfg(target_arch = "x86_64")]
mod freeze;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // system calls that no crate wraps
mod raw;
#[cfg(target_arch = "x86_64")]
mod symbols;
#[cfg(target_arch = "x86_64")]
mod tracee;

use std::io;
use std::time::Duration;

#[cfg(target_arch = "x86_64")]
pub use freeze::Frozen;

use crate::{Pid, ProcessError};

/// Code waits in a process to be evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Injection {
    /// Where the code lies in the process.
    pub address: u64,
    /// How long that mapping is.
    pub length: u64,
    /// For how long the main thread stood still.
    pub stopped: Duration,
}

/// Why nothing was injected: one sentence each. The process goes on as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InjectError {
    /// Other registers, other calls.
    #[error(
        "injection is built for x86-64 alone: start the process with the agent \
         (rbleak agent --env) to capture it here"
    )]
    Architecture,
    /// The process cannot be looked at.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// No Ruby, a stripped static one, or none that we know.
    #[error(
        "the Ruby in process {pid} does not export {symbol}: nothing can be injected into it; \
         start it with the agent (rbleak agent --env)"
    )]
    NoSymbol {
        /// The process.
        pid: Pid,
        /// What is missing.
        symbol: &'static str,
    },
    /// The kernel does not allow it.
    #[error("not permitted to stop process {pid}: {why}")]
    NotPermitted {
        /// The process.
        pid: Pid,
        /// What to do.
        why: &'static str,
    },
    /// A debugger is there already.
    #[error(
        "process {pid} is traced already, by process {tracer}: a debugger or strace has to \
         let go of it first"
    )]
    Traced {
        /// The process.
        pid: Pid,
        /// Who traces it.
        tracer: Pid,
    },
    /// It has ended.
    #[error("process {pid} ended while it was stopped for the injection")]
    Ended {
        /// The process.
        pid: Pid,
    },
    /// The thread did not stop: it waits within the kernel, for a disk say.
    #[error(
        "the main thread of process {pid} could not be stopped: it waits within the kernel, \
         for a disk or a network file system say; try again"
    )]
    Unstoppable {
        /// The process.
        pid: Pid,
    },
    /// What was called did not do what it should.
    #[error("the injection into process {pid} failed, and it goes on as it was: {what}")]
    Failed {
        /// The process.
        pid: Pid,
        /// What.
        what: String,
    },
    /// The operating system refused.
    #[error("while process {pid} was stopped: {source}")]
    System {
        /// The process.
        pid: Pid,
        /// What it said.
        source: io::Error,
    },
}

/// Has the main thread of a Ruby evaluate `code` when it next can.
///
/// # Errors
/// See [`InjectError`].
#[cfg(target_arch = "x86_64")]
pub fn inject(pid: Pid, code: &str) -> Result<Injection, InjectError> {
    let entries = symbols::find(pid)?;
    refuse_traced(pid)?;
    let mut text = code.as_bytes().to_vec();
    text.push(0);
    let length = (text.len() as u64).next_multiple_of(4096);
    let mut tracee = tracee::Tracee::stop(pid)?;
    let address = tracee.map(entries.syscall, length)?;
    tracee.write(address, &text)?;
    tracee.register(&entries, address)?;
    let stopped = tracee.release()?;
    Ok(Injection {
        address,
        length,
        stopped,
    })
}

/// Gives back the memory of an injection whose code has been evaluated; for how
/// long the main thread stood still.
///
/// # Errors
/// See [`InjectError`].
#[cfg(target_arch = "x86_64")]
pub fn unmap(pid: Pid, address: u64, length: u64) -> Result<Duration, InjectError> {
    let syscall = symbols::syscall(pid)?;
    let mut tracee = tracee::Tracee::stop(pid)?;
    tracee.unmap(syscall, address, length)?;
    tracee.release()
}

/// Wakes a main thread that waits for something, so that it sees what it is
/// to evaluate. Sends nothing that the process does not handle.
#[cfg(target_arch = "x86_64")]
pub fn kick(pid: Pid, attempt: u32) {
    const SIGCHLD: u32 = 17;
    const SIGVTALRM: u32 = 26;
    // What Ruby's own timer sends; from 3.3 on a thread that waits for another
    // listens to the other one alone.
    let signal = match attempt % 2 {
        0 => SIGVTALRM,
        _ => SIGCHLD,
    };
    if crate::status::read(pid).is_ok_and(|status| status.catches(signal)) {
        raw::signal_main_thread(pid, signal);
    }
}

/// As on x86-64.
///
/// # Errors
/// Always.
#[cfg(not(target_arch = "x86_64"))]
pub fn inject(_pid: Pid, _code: &str) -> Result<Injection, InjectError> {
    Err(InjectError::Architecture)
}

/// As on x86-64.
///
/// # Errors
/// Always.
#[cfg(not(target_arch = "x86_64"))]
pub fn unmap(_pid: Pid, _address: u64, _length: u64) -> Result<Duration, InjectError> {
    Err(InjectError::Architecture)
}

/// Nobody waits here.
#[cfg(not(target_arch = "x86_64"))]
pub fn kick(_pid: Pid, _attempt: u32) {}

/// As on x86-64: there is none here.
#[cfg(not(target_arch = "x86_64"))]
#[derive(Debug)]
pub enum Frozen {}

#[cfg(not(target_arch = "x86_64"))]
impl Frozen {
    /// As on x86-64.
    ///
    /// # Errors
    /// Always.
    pub fn of(_pid: Pid) -> Result<Frozen, InjectError> {
        Err(InjectError::Architecture)
    }

    /// As on x86-64.
    pub fn pid(&self) -> Pid {
        match *self {}
    }

    /// As on x86-64.
    pub fn stopped(&self) -> Duration {
        match *self {}
    }

    /// As on x86-64.
    pub fn registers(&self) -> &crate::memory::Registers {
        match *self {}
    }

    /// As on x86-64.
    ///
    /// # Errors
    /// As on x86-64.
    pub fn end(self) -> Result<(bool, Duration), InjectError> {
        match self {}
    }
}

#[cfg(target_arch = "x86_64")]
fn refuse_traced(pid: Pid) -> Result<(), InjectError> {
    match crate::status::read(pid)?.tracer {
        Some(tracer) => Err(InjectError::Traced { pid, tracer }),
        None => Ok(()),
    }
}

/// Why the kernel says no, as far as it can be told.
#[cfg(target_arch = "x86_64")]
fn not_permitted(pid: Pid) -> InjectError {
    let scope = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
    let why = match scope.as_deref().map(str::trim) {
        Ok("1" | "2") => {
            "kernel.yama.ptrace_scope allows it to root and CAP_SYS_PTRACE alone; run rbleak as \
             root (in a container: --cap-add SYS_PTRACE)"
        }
        Ok("3") => "kernel.yama.ptrace_scope forbids it to everybody until the next boot",
        _ => {
            "it takes the process's own user in the same container, or root with CAP_SYS_PTRACE \
             (in a container: --cap-add SYS_PTRACE)"
        }
    };
    InjectError::NotPermitted { pid, why }
}
