//! A process that rbleak did not start, spoken to through the agent in it: a
//! session of one client, at whose end the agent forgets what it was told.
//! How the agent came into the process is not known here.

use std::io::Write;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rbleak_process::{Pid, ProcessError, local_sockets};
use rbleak_units::{Bytes, Objects};

use crate::agent::{Glance, required};
use crate::app::exception;
use crate::connection::{Connection, Fault};
use crate::copying::{Copy, Sinks};
use crate::interrupt::Interrupt;
use crate::protocol::{Fields, command};

/// The agent's own commands of a capture, as this rbleak knows them.
const PROTOCOL: u64 = 1;
/// How long an agent may take to answer: with busy threads beside it each of
/// its steps waits for its turn.
const PATIENCE: Duration = Duration::from_secs(20);

/// Why nothing was got out of a process.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LiveError {
    /// The user asked to stop.
    #[error("interrupted; process {pid} goes on as before")]
    Interrupted {
        /// The process.
        pid: Pid,
    },
    /// The process, or the agent in it, has gone.
    #[error("process {pid} ended while {doing}")]
    Ended {
        /// The process.
        pid: Pid,
        /// What was going on.
        doing: &'static str,
    },
    /// Nothing was heard.
    #[error(
        "the agent in process {pid} did not answer within {} s while {doing}: \
         the process may be stopped, or no thread of it gives up the interpreter's lock", waited.as_secs()
    )]
    Silent {
        /// The process.
        pid: Pid,
        /// What was going on.
        doing: &'static str,
        /// For how long.
        waited: Duration,
    },
    /// It took too long, and the copy was ended.
    #[error(
        "the dump of process {pid} was not done within {} s: the copy that wrote it was ended, \
         the process goes on; give it more time with --timeout", limit.as_secs()
    )]
    TooLong {
        /// The process.
        pid: Pid,
        /// How long it might take.
        limit: Duration,
    },
    /// The copy that wrote the dump is gone.
    #[error(
        "the forked copy of process {pid} that wrote the dump was killed, for want of memory say; \
         the process itself goes on"
    )]
    CopyKilled {
        /// The process.
        pid: Pid,
    },
    /// The agent could not.
    #[error("the agent in process {pid} failed while {doing}: {class}: {message}")]
    Failed {
        /// The process.
        pid: Pid,
        /// What was going on.
        doing: &'static str,
        /// The exception's class.
        class: String,
        /// The first line of its message.
        message: String,
    },
    /// The agent does not want to speak to us.
    #[error("the agent in process {pid} answers nobody now: {message}")]
    Refused {
        /// The process.
        pid: Pid,
        /// Why.
        message: String,
    },
    /// The agent belongs to another rbleak.
    #[error(
        "the agent in process {pid} is of another version of rbleak: restart the process, \
         after `rbleak agent --env` has brought it up to date"
    )]
    OtherVersion {
        /// The process.
        pid: Pid,
    },
    /// The answer makes no sense.
    #[error("the answer of the agent in process {pid} while {doing} makes no sense: {message}")]
    Garbled {
        /// The process.
        pid: Pid,
        /// What was going on.
        doing: &'static str,
        /// What is wrong with it.
        message: String,
    },
    /// What the dump was written to refused it.
    #[error("cannot write the dump: {0}; process {1} goes on as before")]
    Sink(#[source] std::io::Error, Pid),
    /// The operating system refused something.
    #[error("while {doing} of process {pid}: {source}")]
    System {
        /// The process.
        pid: Pid,
        /// What was going on.
        doing: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

/// For how long an agent that speaks to another client is asked again: a watch
/// comes for a moment only.
const BUSY: Duration = Duration::from_secs(5);
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// What a process says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speaker {
    /// Its number as it sees it: another than ours, within a container.
    pub pid: u32,
    /// `RUBY_VERSION`.
    pub ruby: String,
    /// `Rack 2.2.22`, `Rails 6.1.7`, … as loaded.
    pub frameworks: Vec<String>,
    /// Where the agent's files lie, or lay: what was allocated there is its own.
    pub agent_directory: PathBuf,
}

/// A dump that was taken by a forked copy, and what it cost the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyTaken {
    /// For how long the process stood still: for the fork.
    pub pause: Duration,
    /// What the copy did not share with the process any more when it was
    /// largest, as far as it was seen: the memory that it took beside it.
    pub extra_memory: Option<Bytes>,
    /// `GC.count` when it was taken: the generation.
    pub gc_count: u64,
    /// Slots in use when it was taken, garbage included.
    pub live_slots: Objects,
    /// How long the dump is, as Ruby wrote it.
    pub bytes: Bytes,
    /// From the command to the last byte.
    pub elapsed: Duration,
}

/// What a look for an agent has found.
enum Look {
    Found(Box<Session>),
    Nobody,
    /// One that hung up on us: a guest that was about to leave, or one that speaks to
    /// another client, whose word of that is lost when it hangs up before it has
    /// read ours.
    Closed,
}

/// A connected process.
#[derive(Debug)]
pub struct Session {
    pid: Pid,
    connection: Connection,
    about: Speaker,
    interrupt: Interrupt,
}

impl Session {
    /// Connects to the agent that listens in a process; `None` if there is
    /// none.
    ///
    /// # Errors
    /// If there is one that does not answer, or of another rbleak.
    pub fn find(pid: Pid, interrupt: &Interrupt) -> Result<Option<Session>, LiveError> {
        let since = Instant::now();
        loop {
            let found = Session::look(pid, interrupt);
            let is_busy = match &found {
                Ok(Look::Closed) | Err(LiveError::Refused { .. }) => true,
                Ok(Look::Nobody | Look::Found(_)) | Err(_) => false,
            };
            if !is_busy || since.elapsed() >= BUSY || interrupt.is_requested() {
                return found.map(|look| match look {
                    Look::Found(session) => Some(*session),
                    Look::Nobody | Look::Closed => None,
                });
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    fn look(pid: Pid, interrupt: &Interrupt) -> Result<Look, LiveError> {
        let mut look = Look::Nobody;
        // What must not be looked at is told by whoever looks next.
        let sockets = local_sockets::read(pid).unwrap_or_default();
        let agents = sockets.iter().filter(|socket| is_agents(&socket.path));
        for path in agents.map(|socket| &socket.path) {
            let Some(connection) = connect(pid, path) else {
                continue;
            };
            match Session::greet(pid, connection, interrupt)? {
                Some(session) => return Ok(Look::Found(Box::new(session))),
                None => look = Look::Closed,
            }
        }
        Ok(look)
    }

    /// Connects to one under a name that is known; `None` if nobody listens.
    pub(crate) fn at(
        pid: Pid,
        path: &Path,
        interrupt: &Interrupt,
    ) -> Result<Option<Session>, LiveError> {
        match Connection::open(path) {
            Ok(connection) => Session::greet(pid, connection, interrupt),
            Err(_) => Ok(None),
        }
    }

    /// `None`: it was about to leave.
    fn greet(
        pid: Pid,
        mut connection: Connection,
        interrupt: &Interrupt,
    ) -> Result<Option<Session>, LiveError> {
        let doing = "it was greeted";
        let answer = connection.call(&command("about", &[]), PATIENCE, interrupt);
        let fields = match answer {
            Err(Fault::Closed) if rbleak_process::stat::read(pid).is_ok() => return Ok(None),
            answer => answer.map_err(|fault| match fault {
                Fault::Refused(fields) if fields.text("class") == Some("Refused") => {
                    let message = fields.text("message").unwrap_or_default().to_owned();
                    LiveError::Refused { pid, message }
                }
                // Of a time before there was such a command.
                Fault::Refused(fields) if fields.text("class") == Some("ArgumentError") => {
                    LiveError::OtherVersion { pid }
                }
                fault => told(pid, fault, doing),
            })?,
        };
        if fields.number("agent") != Some(PROTOCOL) {
            return Err(LiveError::OtherVersion { pid });
        }
        let about = about(&fields).map_err(|fault| told(pid, fault, doing))?;
        Ok(Some(Session {
            pid,
            connection,
            about,
            interrupt: interrupt.clone(),
        }))
    }

    /// What the process says of itself.
    pub fn about(&self) -> &Speaker {
        &self.about
    }

    /// Switches allocation tracing on or off. It goes off with the session.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn trace(&mut self, on: bool) -> Result<(), LiveError> {
        let line = command("trace", &[("on", if on { "1" } else { "0" })]);
        let answer = self.connection.call(&line, PATIENCE, &self.interrupt);
        let doing = "allocation tracing was switched";
        answer
            .map(drop)
            .map_err(|fault| told(self.pid, fault, doing))
    }

    /// A full collection, and what is left after it.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn glance(&mut self) -> Result<Glance, LiveError> {
        let line = command("glance", &[]);
        let answer = self.connection.call(&line, PATIENCE, &self.interrupt);
        let doing = "it was asked for its figures";
        answer
            .and_then(|fields| Glance::of(&fields))
            .map_err(|fault| told(self.pid, fault, doing))
    }

    /// Whether the agent still answers.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn check(&mut self) -> Result<(), LiveError> {
        let line = command("about", &[]);
        let answer = self.connection.call(&line, PATIENCE, &self.interrupt);
        let doing = "the next dump was waited for";
        answer
            .map(drop)
            .map_err(|fault| told(self.pid, fault, doing))
    }

    /// Has the process fork, and the copy write its heap and the names that go
    /// with it; ends the copy when `limit` is over.
    ///
    /// # Errors
    /// See [`LiveError`]. After one the session is of no use any more, and
    /// dropping it ends what it left.
    pub fn copy(
        &mut self,
        dump: &mut dyn Write,
        names: &mut dyn Write,
        limit: Duration,
    ) -> Result<CopyTaken, LiveError> {
        let pid = self.pid;
        let doing = "it was dumped";
        let started = Instant::now();
        let (mut copy, ends) =
            Copy::prepare().map_err(|source| LiveError::System { pid, doing, source })?;
        let answer = self.connection.call_with_descriptors(
            &command("copy", &[]),
            ends,
            PATIENCE,
            &self.interrupt,
        );
        let fields = answer.map_err(|fault| told(pid, fault, doing))?;
        // Its numbers are ours only where its own is.
        let child = fields.number("child").and_then(|it| u32::try_from(it).ok());
        let child = child.filter(|_| self.about.pid == pid.0).map(Pid);
        let read = copy.read(
            Sinks { dump, names },
            child.filter(|child| is_child(*child, pid)),
            limit,
            &self.interrupt,
        );
        let read = read.map_err(|fault| match fault {
            Fault::Silent(limit) => LiveError::TooLong { pid, limit },
            Fault::Closed => LiveError::CopyKilled { pid },
            fault => told(pid, fault, doing),
        })?;
        let number = |key| required(&fields, key).map_err(|fault| told(pid, fault, doing));
        let pause = fields.float("pause_ms").unwrap_or(0.0).max(0.0);
        Ok(CopyTaken {
            pause: Duration::try_from_secs_f64(pause / 1000.0).unwrap_or_default(),
            extra_memory: read.extra_memory,
            gc_count: number("gc_count")?,
            live_slots: Objects(number("live_slots")?),
            bytes: Bytes(read.bytes),
            elapsed: started.elapsed(),
        })
    }
}

/// Removes sockets below `folders` on which nobody listens any more: processes
/// that were killed leave theirs behind.
pub fn remove_stale_sockets(folders: &[PathBuf]) {
    let entries = folders
        .iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten());
    for entry in entries {
        let is_socket = entry.file_type().is_ok_and(|kind| kind.is_socket());
        if !is_socket || !is_agents(&entry.path()) {
            continue;
        }
        let refused = std::os::unix::net::UnixStream::connect(entry.path())
            .is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionRefused);
        if refused {
            // Another rbleak may have been faster.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// By the names that agents give to sockets and their folders.
fn is_agents(path: &Path) -> bool {
    let named = |part: Option<&std::ffi::OsStr>, is_so: &dyn Fn(&str) -> bool| {
        part.and_then(|name| name.to_str()).is_some_and(is_so)
    };
    named(path.file_name(), &|name| name.ends_with(".sock"))
        && named(path.parent().and_then(Path::file_name), &|name| {
            name.starts_with("rbleak-")
        })
}

/// The path as it stands, or seen through the process's eyes: whichever leads
/// to this very process.
fn connect(pid: Pid, path: &Path) -> Option<Connection> {
    let outside = local_sockets::seen_from_outside(pid, path);
    [path, &outside].into_iter().find_map(|path| {
        let connection = Connection::open(path).ok()?;
        let (peer, _) = connection.peer().ok()?;
        (peer == pid.0).then_some(connection)
    })
}

fn is_child(child: Pid, parent: Pid) -> bool {
    rbleak_process::stat::read(child).is_ok_and(|stat| stat.parent == parent)
}

fn about(fields: &Fields) -> Result<Speaker, Fault> {
    let frameworks = [("Rack", "rack"), ("Rails", "rails"), ("Puma", "puma")];
    let loaded = frameworks
        .iter()
        .filter_map(|(name, key)| Some(format!("{name} {}", fields.text(key)?)));
    Ok(Speaker {
        pid: u32::try_from(required(fields, "pid")?).unwrap_or_default(),
        ruby: fields.text("ruby").unwrap_or_default().to_owned(),
        frameworks: loaded.collect(),
        agent_directory: fields.text("directory").unwrap_or_default().into(),
    })
}

fn told(pid: Pid, fault: Fault, doing: &'static str) -> LiveError {
    match fault {
        Fault::Interrupted => LiveError::Interrupted { pid },
        Fault::Closed => match rbleak_process::stat::read(pid) {
            Err(ProcessError::NoSuchProcess { .. }) => LiveError::Ended { pid, doing },
            Ok(stat) if stat.is_zombie() => LiveError::Ended { pid, doing },
            _ => LiveError::Refused {
                pid,
                message: "it closed the connection".to_owned(),
            },
        },
        Fault::Silent(waited) => LiveError::Silent { pid, doing, waited },
        Fault::Refused(fields) => {
            let (class, message, _) = exception(&fields);
            LiveError::Failed {
                pid,
                doing,
                class,
                message,
            }
        }
        Fault::Garbled(message) => LiveError::Garbled {
            pid,
            doing,
            message,
        },
        Fault::Sink(source) => LiveError::Sink(source, pid),
        Fault::System(source) => LiveError::System { pid, doing, source },
    }
}
