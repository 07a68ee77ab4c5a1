//! Of aarch64 and its procedure call standard (AAPCS64).
//!
//! The kernel tells another story here of a call that it interrupted: a tracer sees
//! a thread that is about to make the same call once more, with the same arguments.
//! That a sleep goes on with the rest of its time is decided when the thread runs
//! again, and would be forgotten if it were made to run somewhere else first: see
//! [`is_undecided`]. No other processor's ABI is known here.

use std::io;

use super::{Registers, Vectors};
use crate::inject::raw;
use crate::{Pid, memory};

/// Calls the kernel: `svc #0`.
pub(in crate::inject) const SYSCALL: [u8; 4] = 0xd400_0001_u32.to_le_bytes();
/// Instructions lie at multiples of this.
pub(in crate::inject) const ALIGNMENT: usize = 4;
/// None beside the kernel's own: a thread may be waiting in one of a library's, and
/// were it sent to that very one, the kernel would take it for the call that it
/// interrupted.
pub(in crate::inject) const LIBRARIES: &[&str] = &[];

/// Calls the kernel. A copy that goes on behind that for itself ends; the process
/// never does, unless its tracer was killed at that very moment: then it fails
/// where everybody sees it.
///
/// ```text
///       svc #0
///       cbz x0, over
///       brk #0
/// over: mov x8, #94     exit_group
///       mov x0, #0
///       svc #0
///       b over
/// ```
pub(in crate::inject) const COPY: [u8; 28] = [
    0x01, 0x00, 0x00, 0xd4, 0x40, 0x00, 0x00, 0xb4, 0x00, 0x00, 0x20, 0xd4, 0xc8, 0x0b, 0x80, 0xd2,
    0x00, 0x00, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xfd, 0xff, 0xff, 0x17,
];

/// Of elf.h: NT_PRFPREG, NT_ARM_SVE and NT_ARM_SSVE.
const PLAIN: usize = 2;
const SCALABLE: usize = 0x405;
const STREAMING: usize = 0x40b;
/// `struct user_sve_header` of asm/ptrace.h: its size, where its flags are, and that
/// what follows it are scalable registers.
const HEADER: usize = 16;
const FLAGS_AT: usize = 12;
const HAS_SCALABLE: u8 = 1;

/// The ABI knows no red zone; leave room all the same.
const BELOW_STACK: u64 = 512;
/// PSTATE.BTYPE: that the instruction before was an indirect branch, whose target has
/// to be marked as one.
const BRANCHED: u64 = 3 << 10;
const CALL: usize = 8;
const LINK: usize = 30;
/// Without the flags that may come with it.
const FUTEX_OPERATION: u64 = 0x7f;

/// All that may hold an address.
pub(in crate::inject) fn contents(of: &Registers) -> memory::Registers {
    memory::Registers {
        stack_pointer: of.sp,
        general: of.regs.to_vec(),
    }
}

/// The vector registers of a stopped thread: the scalable ones where it has any in
/// use, for a call of the kernel clears what the plain ones do not hold of them.
pub(in crate::inject) fn vectors(pid: Pid) -> io::Result<Vectors> {
    let in_use = |set| {
        // Most processors have none.
        let bytes = raw::register_set(pid, set).unwrap_or_default();
        let flags = bytes.get(FLAGS_AT).copied().unwrap_or_default();
        (bytes.len() > HEADER && flags & HAS_SCALABLE != 0).then_some(Vectors { set, bytes })
    };
    if in_use(STREAMING).is_some() {
        return Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "its main thread is in the streaming mode of SME, where no function can be called; \
             try again",
        ));
    }
    if let Some(vectors) = in_use(SCALABLE) {
        return Ok(vectors);
    }
    let bytes = raw::register_set(pid, PLAIN)?;
    Ok(Vectors { set: PLAIN, bytes })
}

/// Whether a call of the kernel was interrupted that would begin again with all of its
/// time; `instruction` reads what is to be done next. If the thread runs on for a moment
/// and is interrupted once more, it makes another call in its place, `restart_syscall`,
/// and that can be done at any time.
pub(in crate::inject) fn is_undecided(
    at: &Registers,
    instruction: impl FnOnce() -> Option<[u8; SYSCALL.len()]>,
) -> bool {
    let has_time = match at.regs[CALL].cast_signed() {
        libc::SYS_nanosleep => true,
        libc::SYS_clock_nanosleep => at.regs[1] & libc::TIMER_ABSTIME as u64 == 0,
        libc::SYS_futex => {
            at.regs[1] & FUTEX_OPERATION == libc::FUTEX_WAIT as u64 && at.regs[3] != 0
        }
        // Others take a point in time, or write down what is left.
        _ => false,
    };
    has_time && instruction() == Some(SYSCALL)
}

/// Where it goes on.
pub(in crate::inject) fn next(of: &Registers) -> u64 {
    of.pc
}

/// What a call has answered.
pub(in crate::inject) fn answer(of: &Registers) -> u64 {
    of.regs[0]
}

/// Has them call the kernel by the instruction at `at`.
pub(in crate::inject) fn call_kernel(of: &mut Registers, at: u64, call: u64, arguments: [u64; 6]) {
    of.pc = at;
    of.pstate &= !BRANCHED;
    of.regs[CALL] = call;
    of.regs[..6].copy_from_slice(&arguments);
}

/// Has them call a function that returns to address 0: where in memory that has to
/// be written. Nowhere: it is a register.
pub(in crate::inject) fn call(
    of: &mut Registers,
    function: u64,
    arguments: [u64; 3],
) -> Option<u64> {
    of.sp = (of.sp - BELOW_STACK) & !0xf;
    of.pc = function;
    of.pstate &= !BRANCHED;
    of.regs[LINK] = 0;
    of.regs[..3].copy_from_slice(&arguments);
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interrupted(call: libc::c_long, arguments: [u64; 6]) -> bool {
        let mut registers = Registers {
            regs: [0; 31],
            sp: 0,
            pc: 0,
            pstate: 0,
        };
        call_kernel(&mut registers, 0x1000, call as u64, arguments);
        is_undecided(&registers, || Some(SYSCALL))
    }

    #[test]
    fn what_would_begin_again_with_all_of_its_time_is_undecided() {
        const TIME: u64 = 0x2000;
        let private = (libc::FUTEX_WAIT | libc::FUTEX_PRIVATE_FLAG) as u64;
        let bitset = (libc::FUTEX_WAIT_BITSET | libc::FUTEX_PRIVATE_FLAG) as u64;
        assert!(interrupted(libc::SYS_nanosleep, [TIME, 0, 0, 0, 0, 0]));
        assert!(interrupted(
            libc::SYS_clock_nanosleep,
            [1, 0, TIME, 0, 0, 0]
        ));
        assert!(!interrupted(
            libc::SYS_clock_nanosleep,
            [1, 1, TIME, 0, 0, 0]
        ));
        assert!(interrupted(libc::SYS_futex, [0, private, 0, TIME, 0, 0]));
        assert!(!interrupted(libc::SYS_futex, [0, private, 0, 0, 0, 0]));
        assert!(!interrupted(libc::SYS_futex, [0, bitset, 0, TIME, 0, 0]));
        assert!(!interrupted(libc::SYS_ppoll, [0, 0, TIME, 0, 0, 0]));
        assert!(!interrupted(
            libc::SYS_restart_syscall,
            [TIME, 0, 0, 0, 0, 0]
        ));
        let mut elsewhere = Registers {
            regs: [0; 31],
            sp: 0,
            pc: 0,
            pstate: 0,
        };
        elsewhere.regs[CALL] = libc::SYS_nanosleep as u64;
        assert!(
            !is_undecided(&elsewhere, || Some([0; 4])),
            "its number alone is left over"
        );
        assert!(!is_undecided(&elsewhere, || None));
    }

    #[test]
    fn a_branch_that_was_interrupted_is_no_branch_to_what_is_called() {
        let mut registers = Registers {
            regs: [7; 31],
            sp: 0x7ff_fff8,
            pc: 0x1000,
            pstate: 0x6000_0c00,
        };
        assert_eq!(call(&mut registers, 0x4000, [1, 2, 3]), None);
        assert_eq!(registers.pstate, 0x6000_0000);
        assert_eq!((registers.pc, registers.regs[LINK]), (0x4000, 0));
        assert_eq!(registers.regs[..4], [1, 2, 3, 7]);
        assert_eq!(registers.sp % 16, 0, "as the ABI has it");
        assert!(registers.sp <= 0x7ff_fff8 - BELOW_STACK);
    }
}
