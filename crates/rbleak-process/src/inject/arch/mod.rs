//! What of an injection differs from processor to processor: registers, how the
//! kernel and a function are called, and what a call of the kernel looks like in
//! memory. Registers come in and go out; nothing is stopped or written here.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(target_arch = "aarch64")]
pub(super) use aarch64::*;
pub(super) use libc::user_regs_struct as Registers;
#[cfg(target_arch = "x86_64")]
pub(super) use x86_64::*;

/// The registers that [`Registers`] leaves out, as PTRACE_GETREGSET gives them.
pub(super) struct Vectors {
    /// Which set it is, as elf.h numbers them.
    pub(super) set: usize,
    pub(super) bytes: Vec<u8>,
}
