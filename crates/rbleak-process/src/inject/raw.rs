//! The system calls of an injection that no crate wraps. The only module of this
//! crate with `unsafe`.

use std::io;

use crate::Pid;

/// More than the registers of any processor.
const LARGEST_SET: usize = 64 << 10;

/// What has happened to a tracee, as waitpid(2) writes it; `None`: nothing.
pub(super) fn status(pid: Pid) -> io::Result<Option<i32>> {
    let mut status = 0;
    // SAFETY: `status` is a valid place for an int for the whole call.
    let answer = unsafe {
        libc::waitpid(
            pid.0.cast_signed(),
            &raw mut status,
            libc::WNOHANG | libc::__WALL,
        )
    };
    match answer {
        0 => Ok(None),
        1.. => Ok(Some(status)),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Registers of a stopped tracee: the set of that number in elf.h.
pub(super) fn register_set(pid: Pid, set: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; LARGEST_SET];
    let mut vector = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: `vector` names memory of `bytes` that outlives the call, and the
    // kernel writes no more than its length.
    let answer = unsafe {
        libc::ptrace(
            libc::PTRACE_GETREGSET,
            pid.0.cast_signed(),
            set,
            &raw mut vector,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    bytes.truncate(vector.iov_len);
    Ok(bytes)
}

/// Gives a stopped tracee the registers that [`register_set`] read.
pub(super) fn set_register_set(pid: Pid, set: usize, bytes: &[u8]) -> io::Result<()> {
    let mut vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: `vector` names memory of `bytes` that outlives the call; for
    // PTRACE_SETREGSET the kernel only reads it.
    let answer = unsafe {
        libc::ptrace(
            libc::PTRACE_SETREGSET,
            pid.0.cast_signed(),
            set,
            &raw mut vector,
        )
    };
    if answer != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Sends a signal to the main thread; one that has gone needs none.
pub(super) fn signal_main_thread(pid: Pid, signal: u32) {
    let pid = i64::from(pid.0);
    // SAFETY: tgkill(2) takes three numbers and touches no memory of ours.
    unsafe {
        libc::syscall(libc::SYS_tgkill, pid, pid, i64::from(signal));
    }
}

/// Ends a process; one that has ended needs none.
pub(super) fn kill(pid: Pid) {
    // SAFETY: kill(2) takes two numbers and touches no memory of ours.
    unsafe {
        libc::kill(pid.0.cast_signed(), libc::SIGKILL);
    }
}
