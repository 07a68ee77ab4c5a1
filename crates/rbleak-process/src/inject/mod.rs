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

// What ptrace(2) does to registers differs from processor to processor.
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod arch;
#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
mod elsewhere;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod freeze;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod native;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
#[allow(unsafe_code)] // system calls that no crate wraps
mod raw;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod symbols;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
mod tracee;

use std::io;
use std::time::Duration;

#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
pub use elsewhere::{Frozen, inject, kick, unmap};
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub use freeze::Frozen;
#[cfg(any(target_arch = "aarch64", target_arch = "x86_64"))]
pub use native::{inject, kick, unmap};

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
        "injection is built for x86-64 and aarch64 alone: start the process with the agent \
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
