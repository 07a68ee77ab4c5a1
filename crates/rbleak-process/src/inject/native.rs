//! An injection from its beginning to its end, where it is built.

use std::time::Duration;

use super::{InjectError, Injection, raw, symbols, tracee};
use crate::{Pid, status};

/// Has the main thread of a Ruby evaluate `code` when it next can.
///
/// # Errors
/// See [`InjectError`].
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
pub fn unmap(pid: Pid, address: u64, length: u64) -> Result<Duration, InjectError> {
    let syscall = symbols::syscall(pid)?;
    let mut tracee = tracee::Tracee::stop(pid)?;
    tracee.unmap(syscall, address, length)?;
    tracee.release()
}

/// Wakes a main thread that waits for something, so that it sees what it is
/// to evaluate. Sends nothing that the process does not handle.
pub fn kick(pid: Pid, attempt: u32) {
    const SIGCHLD: u32 = 17;
    const SIGVTALRM: u32 = 26;
    // What Ruby's own timer sends; from 3.3 on a thread that waits for another
    // listens to the other one alone.
    let signal = match attempt % 2 {
        0 => SIGVTALRM,
        _ => SIGCHLD,
    };
    if status::read(pid).is_ok_and(|status| status.catches(signal)) {
        raw::signal_main_thread(pid, signal);
    }
}

pub(super) fn refuse_traced(pid: Pid) -> Result<(), InjectError> {
    match status::read(pid)?.tracer {
        Some(tracer) => Err(InjectError::Traced { pid, tracer }),
        None => Ok(()),
    }
}

/// Why the kernel says no, as far as it can be told.
pub(super) fn not_permitted(pid: Pid) -> InjectError {
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
