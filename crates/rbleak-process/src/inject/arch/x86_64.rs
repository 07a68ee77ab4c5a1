//! Of x86-64 and its System V ABI.

use std::io;

use super::{Registers, Vectors};
use crate::inject::raw;
use crate::{Pid, memory};

/// Calls the kernel: `syscall`.
pub(in crate::inject) const SYSCALL: [u8; 2] = [0x0f, 0x05];
/// Instructions lie at multiples of this.
pub(in crate::inject) const ALIGNMENT: usize = 1;
/// Libraries whose call is taken, beside the kernel's own. The C library has one for
/// certain.
pub(in crate::inject) const LIBRARIES: &[&str] = &["libc.", "libc-", "ld-musl"];

/// Calls the kernel. A copy that goes on behind that for itself ends; the process
/// never does, unless its tracer was killed at that very moment: then it fails
/// where everybody sees it.
///
/// ```text
///       syscall
///       test rax, rax
///       jz over
///       int3
/// over: mov eax, 231    exit_group
///       xor edi, edi
///       syscall
///       jmp over
/// ```
pub(in crate::inject) const COPY: [u8; 19] = [
    0x0f, 0x05, 0x48, 0x85, 0xc0, 0x74, 0x01, 0xcc, 0xb8, 0xe7, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05,
    0xeb, 0xf5,
];

/// NT_X86_XSTATE of elf.h.
const XSTATE: usize = 0x202;
/// Left alone below the stack: the red zone of the ABI, and more.
const BELOW_STACK: u64 = 512;
/// No call: what was interrupted is not to be begun again within ours.
const NO_SYSCALL: u64 = u64::MAX;

/// All that may hold an address.
pub(in crate::inject) fn contents(of: &Registers) -> memory::Registers {
    memory::Registers {
        stack_pointer: of.rsp,
        general: vec![
            of.rax, of.rbx, of.rcx, of.rdx, of.rsi, of.rdi, of.rbp, of.r8, of.r9, of.r10, of.r11,
            of.r12, of.r13, of.r14, of.r15,
        ],
    }
}

/// The vector registers of a stopped thread.
pub(in crate::inject) fn vectors(pid: Pid) -> io::Result<Vectors> {
    let bytes = raw::register_set(pid, XSTATE)?;
    Ok(Vectors { set: XSTATE, bytes })
}

/// Never: the kernel decides how what it interrupted goes on when the thread does,
/// by registers that are given back to it.
pub(in crate::inject) fn is_undecided(
    _at: &Registers,
    _instruction: impl FnOnce() -> Option<[u8; SYSCALL.len()]>,
) -> bool {
    false
}

/// Where it goes on.
pub(in crate::inject) fn next(of: &Registers) -> u64 {
    of.rip
}

/// What a call has answered.
pub(in crate::inject) fn answer(of: &Registers) -> u64 {
    of.rax
}

/// Has them call the kernel by the instruction at `at`.
pub(in crate::inject) fn call_kernel(of: &mut Registers, at: u64, call: u64, arguments: [u64; 6]) {
    of.rip = at;
    of.rax = call;
    of.orig_rax = NO_SYSCALL;
    [of.rdi, of.rsi, of.rdx, of.r10, of.r8, of.r9] = arguments;
}

/// Has them call a function that returns to address 0: where in memory that has to
/// be written.
pub(in crate::inject) fn call(
    of: &mut Registers,
    function: u64,
    arguments: [u64; 3],
) -> Option<u64> {
    // Aligned as after a call instruction.
    let stack = ((of.rsp - BELOW_STACK) & !0xf) - 8;
    of.rsp = stack;
    of.rip = function;
    of.rax = 0;
    of.orig_rax = NO_SYSCALL;
    [of.rdi, of.rsi, of.rdx] = arguments;
    Some(stack)
}
