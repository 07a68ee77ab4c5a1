//! One connection to one agent: a line out, a line back, and meanwhile
//! perhaps a dump through a pipe. Every wait ends: by an answer, by the other
//! side's death, by silence that lasts too long, or by the user's interrupt.
//! Knows no command by name.

use std::io::{self, IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};

use crate::interrupt::Interrupt;
use crate::private_directory::Pipe;
use crate::protocol::{self, Answer, Fields};

/// How often a wait looks at the interrupt.
const SLICE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 50_000_000,
};

/// Why a command brought no result.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The user asked to stop.
    Interrupted,
    /// The other side has gone.
    Closed,
    /// Nothing was heard for this long.
    Silent(Duration),
    /// The agent answered `err`.
    Refused(Fields),
    /// The agent answered what is no answer.
    Garbled(String),
    /// The sink of a dump refused it.
    Sink(io::Error),
    /// The operating system refused.
    System(io::Error),
}

/// A connected agent.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: UnixStream,
    /// What has been read and is not yet a line.
    pending: Vec<u8>,
}

impl Connection {
    /// Connects; an error means that nobody listens (any more).
    pub(crate) fn open(socket: &Path) -> io::Result<Connection> {
        let stream = UnixStream::connect(socket)?;
        stream.set_nonblocking(true)?;
        Ok(Connection {
            stream,
            pending: Vec::new(),
        })
    }

    /// Sends a command and waits for its answer, for at most `patience`
    /// without a sign of life.
    pub(crate) fn call(
        &mut self,
        line: &str,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Fields, Fault> {
        self.send(line)?;
        let mut heard = Instant::now();
        loop {
            let mut ready = [PollFd::new(&self.stream, PollFlags::IN)];
            wait(&mut ready)?;
            if !ready[0].revents().is_empty() {
                heard = Instant::now();
                if let Some(fields) = self.answer()? {
                    return Ok(fields);
                }
            }
            check(heard, patience, interrupt)?;
        }
    }

    /// Like [`Connection::call`], for a command that writes to `pipe`, whose
    /// bytes go to `sink`.
    pub(crate) fn call_with_pipe(
        &mut self,
        line: &str,
        mut pipe: Pipe,
        sink: &mut dyn Write,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<(Fields, u64), Fault> {
        self.send(line)?;
        let mut buffer = vec![0; 1 << 16];
        let mut heard = Instant::now();
        let mut bytes = 0;
        let mut fields = None;
        loop {
            let mut ready = [
                PollFd::new(&pipe.reader, PollFlags::IN),
                PollFd::new(&self.stream, PollFlags::IN),
            ];
            wait(&mut ready)?;
            let (piped, answered) = (ready[0].revents(), ready[1].revents());
            if !(piped.is_empty() && answered.is_empty()) {
                heard = Instant::now();
            }
            if !piped.is_empty() {
                match pipe.reader.read(&mut buffer) {
                    // All writers have closed it, and there had been one.
                    Ok(0) if piped.contains(PollFlags::HUP) => {
                        drop(pipe);
                        let fields = match fields {
                            Some(fields) => fields,
                            None => self.rest(patience, interrupt)?,
                        };
                        return Ok((fields, bytes));
                    }
                    Ok(count) => {
                        if let Err(error) = sink.write_all(&buffer[..count]) {
                            // The writer meets a closed pipe and says so; the
                            // connection stays in step.
                            drop(pipe);
                            if fields.is_none() {
                                match self.rest(patience, interrupt) {
                                    Ok(_) | Err(Fault::Refused(_)) => {}
                                    Err(fault) => return Err(fault),
                                }
                            }
                            return Err(Fault::Sink(error));
                        }
                        bytes += count as u64;
                    }
                    Err(error) if would_block(&error) => {}
                    Err(error) => return Err(Fault::System(error)),
                }
            }
            if fields.is_none() && !answered.is_empty() {
                fields = self.answer()?;
            }
            check(heard, patience, interrupt)?;
        }
    }

    /// Like [`Connection::call`], for a command that asks for descriptors with
    /// a line of progress: they are handed over, and closed on this side.
    pub(crate) fn call_with_descriptors(
        &mut self,
        line: &str,
        descriptors: Vec<OwnedFd>,
        patience: Duration,
        interrupt: &Interrupt,
    ) -> Result<Fields, Fault> {
        self.send(line)?;
        let heard = Instant::now();
        loop {
            match self.next()? {
                Some(Answer::Progress) => break,
                Some(Answer::Done(_)) => return Err(Fault::Garbled("it asked for none".into())),
                Some(Answer::Failed(fields)) => return Err(Fault::Refused(fields)),
                None => wait(&mut [PollFd::new(&self.stream, PollFlags::IN)])?,
            }
            check(heard, patience, interrupt)?;
        }
        for descriptor in descriptors {
            self.hand_over(descriptor)?;
        }
        self.call("", patience, interrupt)
    }

    /// One byte with a descriptor, as recv_io of Ruby wants it: SCM_RIGHTS of
    /// unix(7).
    fn hand_over(&mut self, descriptor: OwnedFd) -> Result<(), Fault> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let rights = [descriptor.as_fd()];
        control.push(SendAncillaryMessage::ScmRights(&rights));
        sendmsg(
            &self.stream,
            &[IoSlice::new(b"d")],
            &mut control,
            SendFlags::NOSIGNAL,
        )
        .map_err(|error| gone_or(error.into()))?;
        Ok(())
    }

    /// Who listens at the other end, as the kernel says: process and user.
    pub(crate) fn peer(&self) -> io::Result<(u32, u32)> {
        let peer = rustix::net::sockopt::socket_peercred(&self.stream)?;
        let pid = u32::try_from(peer.pid.as_raw_nonzero().get()).unwrap_or_default();
        Ok((pid, peer.uid.as_raw()))
    }

    /// Waits for the answer to what was sent before.
    fn rest(&mut self, patience: Duration, interrupt: &Interrupt) -> Result<Fields, Fault> {
        self.call("", patience, interrupt)
    }

    fn send(&mut self, line: &str) -> Result<(), Fault> {
        let mut rest = line.as_bytes();
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if would_block(&error) => {
                    wait(&mut [PollFd::new(&self.stream, PollFlags::OUT)])?;
                }
                Err(error) => return Err(gone_or(error)),
            }
        }
        Ok(())
    }

    /// Reads what there is; the fields of the answer once it is complete.
    fn answer(&mut self) -> Result<Option<Fields>, Fault> {
        loop {
            match self.next()? {
                Some(Answer::Done(fields)) => return Ok(Some(fields)),
                Some(Answer::Failed(fields)) => return Err(Fault::Refused(fields)),
                Some(Answer::Progress) => {}
                None => return Ok(None),
            }
        }
    }

    /// Reads what there is; the next line of it.
    fn next(&mut self) -> Result<Option<Answer>, Fault> {
        let mut buffer = [0; 4096];
        let closed = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break true,
                Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
                Err(error) if would_block(&error) => break false,
                Err(error) => return Err(gone_or(error)),
            }
        };
        if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
            let line = String::from_utf8_lossy(&self.pending[..end]).into_owned();
            self.pending.drain(..=end);
            return match protocol::answer(&line) {
                None => Err(Fault::Garbled(line)),
                answer => Ok(answer),
            };
        }
        if closed {
            return Err(Fault::Closed);
        }
        Ok(None)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

pub(crate) fn wait(ready: &mut [PollFd<'_>]) -> Result<(), Fault> {
    match poll(ready, Some(&SLICE)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(Fault::System(error.into())),
    }
}

fn check(heard: Instant, patience: Duration, interrupt: &Interrupt) -> Result<(), Fault> {
    if interrupt.is_requested() {
        return Err(Fault::Interrupted);
    }
    if heard.elapsed() > patience {
        return Err(Fault::Silent(patience));
    }
    Ok(())
}

pub(crate) fn would_block(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
    )
}

fn gone_or(error: io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Fault::Closed,
        _ => Fault::System(error),
    }
}
