//! What a forked copy writes, read as it comes: its dump, its names, and the
//! line with which it says that it is done. Knows neither the agent nor files.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rbleak_process::{Pid, smaps_rollup};
use rbleak_units::Bytes;
use rustix::event::{PollFd, PollFlags};
use rustix::pipe::{PipeFlags, fcntl_setpipe_size, pipe_with};
use rustix::process::{Signal, kill_process};

use crate::connection::{Fault, wait, would_block};
use crate::interrupt::Interrupt;
use crate::protocol::{self, Answer};

/// What a pipe holds: the writer waits less often. The most that is allowed
/// without privileges.
const PIPE_BYTES: usize = 1 << 20;
/// The memory of the copy is looked at so often at most, …
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// … and for so small a part of the time: one in so many.
const LOOK_SHARE: u32 = 20;

/// The ends at which a copy is read.
pub(crate) struct Copy {
    dump: Option<File>,
    names: Option<File>,
    status: File,
}

/// Where it goes.
pub(crate) struct Sinks<'s> {
    pub(crate) dump: &'s mut dyn Write,
    pub(crate) names: &'s mut dyn Write,
}

/// What was read.
pub(crate) struct Taken {
    /// Of the dump.
    pub(crate) bytes: u64,
    pub(crate) extra_memory: Option<Bytes>,
}

impl Copy {
    /// The ends for reading, and those to be handed over, in their order.
    pub(crate) fn prepare() -> io::Result<(Copy, Vec<OwnedFd>)> {
        let mut writers = Vec::new();
        let mut pipe = || -> io::Result<File> {
            let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
            // Of the reading end alone: the writer is to wait.
            rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK)?;
            // Smaller ones will do, where there is a limit.
            let _ = fcntl_setpipe_size(&reader, PIPE_BYTES);
            writers.push(writer);
            Ok(File::from(reader))
        };
        let (dump, names, status) = (pipe()?, pipe()?, pipe()?);
        let copy = Copy {
            dump: Some(dump),
            names: Some(names),
            status,
        };
        Ok((copy, writers))
    }

    /// Reads until the copy says that it is done. [`Fault::Closed`]: it went
    /// without a word; [`Fault::Silent`]: `limit` is over. `child` is whose
    /// memory is looked at, and who is killed when it is not done.
    pub(crate) fn read(
        &mut self,
        sinks: Sinks<'_>,
        child: Option<Pid>,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Taken, Fault> {
        let result = self.read_all(sinks, child, limit, interrupt);
        if result.is_err()
            && let Some(pid) = child.and_then(|child| i32::try_from(child.0).ok())
            && let Some(pid) = rustix::process::Pid::from_raw(pid)
        {
            // It would notice the closed pipe with its next write.
            let _ = kill_process(pid, Signal::KILL);
        }
        result
    }

    fn read_all(
        &mut self,
        sinks: Sinks<'_>,
        child: Option<Pid>,
        limit: Duration,
        interrupt: &Interrupt,
    ) -> Result<Taken, Fault> {
        let started = Instant::now();
        let mut buffer = vec![0; PIPE_BYTES];
        let mut memory = Memory::new(child);
        let mut bytes = 0;
        let mut said = Vec::new();
        loop {
            {
                let open = [self.dump.as_ref(), self.names.as_ref(), Some(&self.status)];
                let mut ready: Vec<PollFd<'_>> = open
                    .into_iter()
                    .flatten()
                    .map(|file| PollFd::new(file, PollFlags::IN))
                    .collect();
                wait(&mut ready)?;
            }
            bytes += pass_on(&mut self.dump, sinks.dump, &mut buffer)?;
            pass_on(&mut self.names, sinks.names, &mut buffer)?;
            let mut status = Some(&self.status);
            let closed = match status.as_mut().map(|file| file.read(&mut buffer)) {
                Some(Ok(count)) => {
                    said.extend_from_slice(&buffer[..count]);
                    count == 0
                }
                Some(Err(error)) if !would_block(&error) => return Err(Fault::System(error)),
                _ => false,
            };
            if said.contains(&b'\n') {
                // All that it wrote lies in the pipes.
                while let more @ 1.. = pass_on(&mut self.dump, sinks.dump, &mut buffer)? {
                    bytes += more;
                }
                while pass_on(&mut self.names, sinks.names, &mut buffer)? > 0 {}
                return done(&said).map(|()| Taken {
                    bytes,
                    extra_memory: memory.most,
                });
            }
            if closed {
                return Err(Fault::Closed);
            }
            if interrupt.is_requested() {
                return Err(Fault::Interrupted);
            }
            if started.elapsed() > limit {
                return Err(Fault::Silent(limit));
            }
            memory.look();
        }
    }
}

/// What the copy said at its end.
fn done(said: &[u8]) -> Result<(), Fault> {
    let line = String::from_utf8_lossy(said);
    match protocol::answer(line.trim_end_matches('\n')) {
        Some(Answer::Done(_)) => Ok(()),
        Some(Answer::Failed(fields)) => Err(Fault::Refused(fields)),
        _ => Err(Fault::Garbled(line.into_owned())),
    }
}

/// Passes on what there is; how much it was. At the end of file the reader is
/// taken away, lest it be ready for ever.
fn pass_on(
    reader: &mut Option<File>,
    sink: &mut dyn Write,
    buffer: &mut [u8],
) -> Result<u64, Fault> {
    let Some(file) = reader else {
        return Ok(0);
    };
    match file.read(buffer) {
        Ok(0) => *reader = None,
        Ok(count) => {
            sink.write_all(&buffer[..count]).map_err(Fault::Sink)?;
            return Ok(count as u64);
        }
        Err(error) if would_block(&error) => {}
        Err(error) => return Err(Fault::System(error)),
    }
    Ok(0)
}

/// The memory that the copy has for itself: pages that it or the process has
/// written to since the fork.
struct Memory {
    child: Option<Pid>,
    most: Option<Bytes>,
    next: Instant,
}

impl Memory {
    fn new(child: Option<Pid>) -> Memory {
        Memory {
            child,
            most: None,
            next: Instant::now(),
        }
    }

    fn look(&mut self) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        if let Some(memory) = self.child.and_then(|child| smaps_rollup::read(child).ok()) {
            self.most = self.most.max(Some(memory.private));
        }
        self.next = now + LOOK_EVERY.max(now.elapsed() * LOOK_SHARE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(writers: Vec<OwnedFd>, mut copy: Copy, limit: Duration) -> Result<Vec<u8>, Fault> {
        let (mut dump, mut names) = (Vec::new(), Vec::new());
        let sinks = Sinks {
            dump: &mut dump,
            names: &mut names,
        };
        let read = copy.read(sinks, None, limit, &Interrupt::new());
        drop(writers);
        read.map(|read| {
            assert_eq!(read.bytes, dump.len() as u64);
            dump
        })
    }

    #[test]
    fn its_word_ends_it_and_not_the_end_of_a_file_that_others_hold_open() {
        let (copy, ends) = Copy::prepare().unwrap();
        let files: Vec<File> = ends.into_iter().map(File::from).collect();
        let held: Vec<OwnedFd> = files
            .iter()
            .map(|file| file.try_clone().unwrap().into())
            .collect();
        (&files[0]).write_all(&[7; 4000]).unwrap();
        (&files[2]).write_all(b"ok\n").unwrap();
        drop(files);
        assert_eq!(read(held, copy, Duration::MAX).unwrap(), [7; 4000]);
    }

    #[test]
    fn silence_and_an_end_without_a_word_are_told_apart() {
        let (copy, ends) = Copy::prepare().unwrap();
        let silent = read(ends, copy, Duration::from_millis(60));
        assert!(matches!(silent, Err(Fault::Silent(_))));
        let (copy, _) = Copy::prepare().unwrap();
        let gone = read(Vec::new(), copy, Duration::MAX);
        assert!(matches!(gone, Err(Fault::Closed)));
    }
}
