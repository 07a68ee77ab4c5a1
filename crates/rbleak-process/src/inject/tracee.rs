//! A main thread that is stopped, made to call something, and let go on as it
//! was, whatever happens meanwhile.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace;

use super::arch::{self, Registers, Vectors};
use super::native::not_permitted;
use super::symbols::{Entries, Postpone};
use super::{InjectError, raw};
use crate::{Pid, procfs};

/// How long a thread may take to stop, and a call to return.
const PATIENCE: Duration = Duration::from_secs(3);
/// So long it is looked for without a pause: a stop takes less as a rule.
const EAGER: Duration = Duration::from_millis(2);
const NAP: Duration = Duration::from_micros(200);
/// Signals may come between any two instructions; not without end.
const MOST_STEPS: u32 = 100;
/// So often a thread may go on before what it was interrupted in is given up: each
/// time for twice as long, 50 ms together.
const MOST_MOMENTS: u32 = 8;
/// The event of a stop that was asked for, PTRACE_EVENT_STOP.
const EVENT_STOP: i32 = 128;
const MMAP: u64 = libc::SYS_mmap as u64;
const MUNMAP: u64 = libc::SYS_munmap as u64;
const CLONE: u64 = libc::SYS_clone as u64;
const WAIT4: u64 = libc::SYS_wait4 as u64;
const CLOSE_RANGE: u64 = libc::SYS_close_range as u64;

/// A stopped main thread. Dropping it lets it go on as it was.
pub(super) struct Tracee {
    pid: Pid,
    memory: File,
    since: Instant,
    saved: Option<(Registers, Option<Vectors>)>,
    attached: bool,
    /// Signals that came meanwhile: sent again once it goes on.
    held: Vec<i32>,
    /// The copy that it has made.
    copied: Option<Pid>,
}

/// Why a tracee has stopped.
enum Stop {
    /// As it was asked to.
    Asked,
    /// Before a signal reaches it.
    Signal(i32),
    /// Within a call that has made a copy of it.
    Copied,
}

impl Tracee {
    /// Stops the main thread.
    pub(super) fn stop(pid: Pid) -> Result<Tracee, InjectError> {
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(procfs::path(pid, "mem"))
            .map_err(|error| match error.kind() {
                io::ErrorKind::PermissionDenied => not_permitted(pid),
                io::ErrorKind::NotFound => InjectError::Ended { pid },
                _ => InjectError::System { pid, source: error },
            })?;
        let since = Instant::now();
        ptrace::seize(number(pid), ptrace::Options::empty()).map_err(|error| match error {
            Errno::EPERM => not_permitted(pid),
            error => failure(pid, error),
        })?;
        let mut tracee = Tracee {
            pid,
            memory,
            since,
            saved: None,
            attached: true,
            held: Vec::new(),
            copied: None,
        };
        ptrace::interrupt(number(pid)).map_err(|error| failure(pid, error))?;
        match tracee.wait()? {
            Some(Stop::Signal(signal)) => tracee.held.push(signal),
            Some(Stop::Asked | Stop::Copied) => {}
            None => return Err(InjectError::Unstoppable { pid }),
        }
        let registers = tracee.decided()?;
        let vectors = arch::vectors(pid).map_err(|source| InjectError::System { pid, source })?;
        tracee.saved = Some((registers, Some(vectors)));
        Ok(tracee)
    }

    /// The registers with which the thread can go on at any time.
    fn decided(&mut self) -> Result<Registers, InjectError> {
        let pid = self.pid;
        let mut registers = self.registers()?;
        for moment in 0..MOST_MOMENTS {
            let instruction = || {
                let mut bytes = [0; arch::SYSCALL.len()];
                let read = self
                    .memory
                    .read_exact_at(&mut bytes, arch::next(&registers));
                read.is_ok().then_some(bytes)
            };
            if !arch::is_undecided(&registers, instruction) {
                break;
            }
            ptrace::cont(number(pid), None).map_err(|error| failure(pid, error))?;
            std::thread::sleep(NAP * (1 << moment));
            ptrace::interrupt(number(pid)).map_err(|error| failure(pid, error))?;
            match self.wait()? {
                Some(Stop::Signal(signal)) => self.held.push(signal),
                Some(Stop::Asked | Stop::Copied) => {}
                None => return Err(InjectError::Unstoppable { pid }),
            }
            registers = self.registers()?;
        }
        Ok(registers)
    }

    /// A copy of a tracee, which is traced from its first moment on.
    pub(super) fn adopt(pid: Pid) -> Result<Tracee, InjectError> {
        let system = |source| InjectError::System { pid, source };
        let memory = OpenOptions::new()
            .read(true)
            .write(true)
            .open(procfs::path(pid, "mem"))
            .map_err(system)?;
        let mut copy = Tracee {
            pid,
            memory,
            since: Instant::now(),
            saved: None,
            // Never let go on.
            attached: false,
            held: Vec::new(),
            copied: None,
        };
        if copy.wait()?.is_none() {
            return Err(InjectError::Unstoppable { pid });
        }
        // No tracee that anybody still needs: it goes with its tracer.
        ptrace::setoptions(number(pid), ptrace::Options::PTRACE_O_EXITKILL)
            .map_err(|error| failure(pid, error))?;
        let registers = copy.registers()?;
        copy.saved = Some((registers, None));
        Ok(copy)
    }

    /// Leaves it stopped.
    pub(super) fn leave(self) {}

    /// What its registers held when it stopped.
    pub(super) fn contents(&self) -> crate::memory::Registers {
        arch::contents(&self.as_it_was())
    }

    /// Has it make a copy of itself, by the call at `at`: the copy's number, and
    /// the same as the process sees it. The copy is stopped, and traced by us.
    pub(super) fn copy(&mut self, at: u64) -> Result<(Pid, u64), InjectError> {
        let pid = self.pid;
        let options = |it| ptrace::setoptions(number(pid), it);
        options(ptrace::Options::PTRACE_O_TRACECLONE).map_err(|error| failure(pid, error))?;
        // No signal at its end, and nothing that is shared.
        let inner = self.syscall(at, CLONE, [0; 6])?;
        options(ptrace::Options::empty()).map_err(|error| failure(pid, error))?;
        match self.copied.take() {
            Some(copy) => Ok((copy, inner)),
            None => Err(self.stuck("its copy was not seen")),
        }
    }

    /// Has it close all descriptors, by the call at `at`.
    pub(super) fn close_all(&mut self, at: u64) -> Result<(), InjectError> {
        self.syscall(at, CLOSE_RANGE, [0, u64::from(u32::MAX), 0, 0, 0, 0])?;
        Ok(())
    }

    /// Has it collect what is left of a copy that has ended.
    pub(super) fn collect(&mut self, syscall: u64, copy: u64) -> Result<(), InjectError> {
        let how = (libc::WNOHANG | libc::__WCLONE) as u64;
        self.syscall(syscall, WAIT4, [copy, 0, how, 0, 0, 0])?;
        Ok(())
    }

    /// New memory in the process, for code.
    pub(super) fn map_code(&mut self, syscall: u64, length: u64) -> Result<u64, InjectError> {
        let access = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        let kind = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        self.syscall(syscall, MMAP, [0, length, access, kind, u64::MAX, 0])
    }

    /// New memory in the process, for reading and writing.
    pub(super) fn map(&mut self, syscall: u64, length: u64) -> Result<u64, InjectError> {
        let access = (libc::PROT_READ | libc::PROT_WRITE) as u64;
        let kind = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS) as u64;
        self.syscall(syscall, MMAP, [0, length, access, kind, u64::MAX, 0])
    }

    pub(super) fn unmap(
        &mut self,
        syscall: u64,
        address: u64,
        length: u64,
    ) -> Result<(), InjectError> {
        self.syscall(syscall, MUNMAP, [address, length, 0, 0, 0, 0])?;
        Ok(())
    }

    pub(super) fn write(&self, address: u64, bytes: &[u8]) -> Result<(), InjectError> {
        let written = self.memory.write_all_at(bytes, address);
        written.map_err(|source| InjectError::System {
            pid: self.pid,
            source,
        })
    }

    /// Has Ruby evaluate the text at `code` when it next can.
    pub(super) fn register(&mut self, entries: &Entries, code: u64) -> Result<(), InjectError> {
        let full = || InjectError::Failed {
            pid: self.pid,
            what: "its table of postponed jobs is full; try again".to_owned(),
        };
        match entries.postpone {
            Postpone::RegisterOne(register) => {
                let full = full();
                // An int: 0 for a full table.
                match self.call(register, [0, entries.eval, code])? as u32 {
                    0 => Err(full),
                    _ => Ok(()),
                }
            }
            Postpone::Trigger {
                preregister,
                trigger,
            } => {
                let full = full();
                let handle = self.call(preregister, [0, entries.eval, code])? as u32;
                if handle == u32::MAX {
                    return Err(full);
                }
                self.call(trigger, [u64::from(handle), 0, 0])?;
                Ok(())
            }
        }
    }

    /// Lets it go on as it was; for how long it stood still.
    pub(super) fn release(mut self) -> Result<Duration, InjectError> {
        self.let_go()?;
        Ok(self.since.elapsed())
    }

    fn let_go(&mut self) -> Result<(), InjectError> {
        if !std::mem::take(&mut self.attached) {
            return Ok(());
        }
        let restored = match self.saved.take() {
            None => Ok(()),
            Some((registers, vectors)) => vectors
                .map_or(Ok(()), |it| {
                    raw::set_register_set(self.pid, it.set, &it.bytes)
                })
                .map_err(|source| InjectError::System {
                    pid: self.pid,
                    source,
                })
                .and_then(|()| self.set_registers(&registers)),
        };
        let detached = ptrace::detach(number(self.pid), None);
        for signal in self.held.drain(..) {
            raw::signal_main_thread(self.pid, signal.cast_unsigned());
        }
        restored?;
        detached.map_err(|error| failure(self.pid, error))
    }

    /// Steps over an instruction that calls the kernel.
    fn syscall(&mut self, at: u64, call: u64, arguments: [u64; 6]) -> Result<u64, InjectError> {
        let mut registers = self.as_it_was();
        arch::call_kernel(&mut registers, at, call, arguments);
        self.set_registers(&registers)?;
        for _ in 0..MOST_STEPS {
            ptrace::step(number(self.pid), None).map_err(|error| failure(self.pid, error))?;
            match self.wait()? {
                Some(Stop::Signal(libc::SIGTRAP) | Stop::Asked) => {}
                Some(Stop::Signal(signal)) => self.held.push(signal),
                Some(Stop::Copied) => {
                    let event = ptrace::getevent(number(self.pid));
                    let copy = event.map_err(|error| failure(self.pid, error))?;
                    self.copied = u32::try_from(copy).ok().map(Pid);
                    // The call has not returned yet.
                    continue;
                }
                None => return Err(self.stuck("a call of the kernel did not return")),
            }
            let now = self.registers()?;
            if arch::next(&now) == at + arch::SYSCALL.len() as u64 {
                // Errors are the last page of numbers.
                let answer = arch::answer(&now);
                let error = answer.cast_signed();
                if (-4095..0).contains(&error) {
                    return Err(InjectError::System {
                        pid: self.pid,
                        source: io::Error::from_raw_os_error(-error as i32),
                    });
                }
                return Ok(answer);
            }
        }
        Err(self.stuck("signals kept coming"))
    }

    /// Calls a function, which returns to address 0: there the thread stops.
    fn call(&mut self, function: u64, arguments: [u64; 3]) -> Result<u64, InjectError> {
        let mut registers = self.as_it_was();
        if let Some(place) = arch::call(&mut registers, function, arguments) {
            self.write(place, &0_u64.to_ne_bytes())?;
        }
        self.set_registers(&registers)?;
        for _ in 0..MOST_STEPS {
            ptrace::cont(number(self.pid), None).map_err(|error| failure(self.pid, error))?;
            match self.wait()? {
                Some(Stop::Signal(signal)) => {
                    let now = self.registers()?;
                    if signal == libc::SIGSEGV && arch::next(&now) == 0 {
                        return Ok(arch::answer(&now));
                    }
                    if signal == libc::SIGSEGV {
                        return Err(self.stuck("what was called went astray"));
                    }
                    self.held.push(signal);
                }
                Some(Stop::Asked | Stop::Copied) => {}
                None => return Err(self.stuck("what was called did not return")),
            }
        }
        Err(self.stuck("signals kept coming"))
    }

    /// Stops it again if it runs, so that it can be let go on as it was.
    fn stuck(&mut self, what: &str) -> InjectError {
        if ptrace::getregs(number(self.pid)).is_err() && ptrace::interrupt(number(self.pid)).is_ok()
        {
            // If it does not stop, nothing can be restored.
            let _ = self.wait();
        }
        InjectError::Failed {
            pid: self.pid,
            what: what.to_owned(),
        }
    }

    /// Waits for a stop; `None` if there is none in time.
    fn wait(&self) -> Result<Option<Stop>, InjectError> {
        let pid = self.pid;
        let since = Instant::now();
        loop {
            let status = raw::status(pid).map_err(|source| InjectError::System { pid, source })?;
            match status {
                Some(status) if libc::WIFSTOPPED(status) => {
                    return Ok(Some(match status >> 16 {
                        EVENT_STOP => Stop::Asked,
                        libc::PTRACE_EVENT_CLONE => Stop::Copied,
                        _ => Stop::Signal(libc::WSTOPSIG(status)),
                    }));
                }
                Some(_) => return Err(InjectError::Ended { pid }),
                None if since.elapsed() > PATIENCE => return Ok(None),
                None if since.elapsed() > EAGER => std::thread::sleep(NAP),
                None => std::thread::yield_now(),
            }
        }
    }

    fn as_it_was(&self) -> Registers {
        match &self.saved {
            Some((registers, _)) => *registers,
            None => unreachable!("registers are saved before anything is called"),
        }
    }

    fn registers(&self) -> Result<Registers, InjectError> {
        ptrace::getregs(number(self.pid)).map_err(|error| failure(self.pid, error))
    }

    fn set_registers(&self, registers: &Registers) -> Result<(), InjectError> {
        ptrace::setregs(number(self.pid), *registers).map_err(|error| failure(self.pid, error))
    }
}

impl Drop for Tracee {
    fn drop(&mut self) {
        // Whoever drops it tells of another failure.
        let _ = self.let_go();
    }
}

fn number(pid: Pid) -> nix::unistd::Pid {
    nix::unistd::Pid::from_raw(pid.0.cast_signed())
}

fn failure(pid: Pid, error: Errno) -> InjectError {
    match error {
        Errno::ESRCH => InjectError::Ended { pid },
        error => InjectError::System {
            pid,
            source: error.into(),
        },
    }
}
