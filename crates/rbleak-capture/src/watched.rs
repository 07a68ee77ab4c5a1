//! A command that is started with the agent in it and then left alone: nobody
//! drives it, and it need not serve anything. Its Rubies, or others that have an
//! agent, are asked one at a time, by a thread of the caller's if the answer is not
//! to be waited for.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ffi::OsString;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rbleak_process::Pid;

use crate::agent::{Agent, Glance};
use crate::child::Child;
use crate::connection::Fault;
use crate::error::CaptureError;
use crate::interrupt::Interrupt;
use crate::launch::{Launch, Mode};
use crate::live::Session;
use crate::private_directory::PrivateDirectory;

/// A running command. Dropping it kills everything it started.
#[derive(Debug)]
pub struct Watched {
    // Dropped in this order: the child ends before its directory goes.
    child: Child,
    directory: Arc<PrivateDirectory>,
    stop_timeout: Duration,
}

/// A process without an agent is looked at again after so long: it may become a
/// Ruby that has one.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Asks Rubies for their figures. May go to another thread.
#[derive(Debug)]
pub struct Glances {
    agents: Agents,
    interrupt: Interrupt,
}

/// Where the agents are.
#[derive(Debug)]
enum Agents {
    /// Those of a [`Watched`]: the connections stay.
    Started {
        directory: Arc<PrivateDirectory>,
        connected: BTreeMap<u32, Agent>,
    },
    /// In processes that were prepared for captures. They speak to one client at a
    /// time, so that each connection is given up at once. By their PIDs, those in
    /// which there was none.
    Resident { without: BTreeMap<u32, Instant> },
}

impl Watched {
    /// Starts the command of [`Mode::Server`]; its port and concurrency mean
    /// nothing here. The environment is the inherited one, with the agent in
    /// `RUBYOPT`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(launch: &Launch) -> Result<Watched, CaptureError> {
        Watched::start_with(launch, true)
    }

    /// The same without the agent: its Rubies can be asked nothing.
    ///
    /// # Errors
    /// As above.
    pub fn start_plain(launch: &Launch) -> Result<Watched, CaptureError> {
        Watched::start_with(launch, false)
    }

    fn start_with(launch: &Launch, with_agent: bool) -> Result<Watched, CaptureError> {
        if !launch.directory.is_dir() {
            return Err(CaptureError::Missing {
                path: launch.directory.clone(),
            });
        }
        let (program, arguments) = match &launch.mode {
            Mode::Server { command, .. } => command.split_first(),
            Mode::InProcess { .. } | Mode::Code { .. } => None,
        }
        .ok_or_else(|| CaptureError::Spawn {
            program: String::new(),
            source: std::io::ErrorKind::NotFound.into(),
        })?;
        let directory = PrivateDirectory::create(&launch.private_bases())?;
        let agent: [(&str, OsString); 3] = [
            ("RBLEAK_DIR", directory.path().into()),
            ("RBLEAK_OWNED", "1".into()),
            ("RUBYOPT", launch.rubyopt(&directory.agent())),
        ];
        let more = if with_agent { &agent[..] } else { &[] };
        let child = Child::start(launch, program.as_ref(), arguments, more)?;
        Ok(Watched {
            child,
            directory: Arc::new(directory),
            stop_timeout: launch.stop_timeout,
        })
    }

    /// The root of the process tree.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// How it ended, such as `exit status: 1`; `None` while it lives.
    pub fn ended(&mut self) -> Option<String> {
        self.child.ended()
    }

    /// The last lines of what it wrote.
    pub fn log_tail(&self) -> String {
        self.child.log_tail()
    }

    /// For asking its Rubies; each should be asked by one of these only.
    pub fn glances(&self, interrupt: &Interrupt) -> Glances {
        Glances {
            agents: Agents::Started {
                directory: Arc::clone(&self.directory),
                connected: BTreeMap::new(),
            },
            interrupt: interrupt.clone(),
        }
    }

    /// Ends it: asks first, kills after the stop timeout.
    pub fn stop(mut self) {
        self.child.stop(self.stop_timeout);
    }
}

impl Glances {
    /// For asking processes that rbleak did not start: those that have a resident
    /// agent answer.
    pub fn of_residents(interrupt: &Interrupt) -> Glances {
        Glances {
            agents: Agents::Resident {
                without: BTreeMap::new(),
            },
            interrupt: interrupt.clone(),
        }
    }

    /// Makes a process collect its garbage, and reads what is left; `None` if
    /// there is no agent in it, or none any more. Waits while the process is
    /// busy.
    pub fn ask(&mut self, pid: u32) -> Option<Glance> {
        match &mut self.agents {
            Agents::Started {
                directory,
                connected,
            } => {
                let agent = match connected.entry(pid) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(free) => {
                        free.insert(Agent::connect(&directory.socket(pid)).ok()?)
                    }
                };
                match agent.glance(&self.interrupt) {
                    Ok(glance) => Some(glance),
                    // It could not this time; the connection is in step.
                    Err(Fault::Refused(_)) => None,
                    Err(_) => {
                        connected.remove(&pid);
                        None
                    }
                }
            }
            Agents::Resident { without } => {
                if without
                    .get(&pid)
                    .is_some_and(|at| at.elapsed() < LOOK_AGAIN)
                {
                    return None;
                }
                // One that is busy with a capture is asked again in its turn.
                let Some(mut session) = Session::find(Pid(pid), &self.interrupt).ok()? else {
                    without.insert(pid, Instant::now());
                    return None;
                };
                session.glance().ok()
            }
        }
    }

    /// Forgets processes that have ended: all but these.
    pub fn keep(&mut self, living: &[u32]) {
        match &mut self.agents {
            Agents::Started { connected, .. } => connected.retain(|pid, _| living.contains(pid)),
            Agents::Resident { without } => without.retain(|pid, _| living.contains(pid)),
        }
    }
}
