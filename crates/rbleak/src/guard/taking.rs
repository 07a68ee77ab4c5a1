//! Takes the dumps, in a thread of its own: a dump may take minutes, and the
//! watch goes on meanwhile. Does what it is told, one thing after another, and
//! says how that went; what is due when is not decided here.

use crate::capture::{self, Options, Reached, Schedule, Subject, Via, reach};
use crate::files::create_private_directory;
use crate::run::{Status, TriggerFacts};
use anyhow::{Context, Error, Result};
use rbleak_capture::manifest::MANIFEST_FILE;
use rbleak_capture::{Interrupt, NoRoom, check_headroom};
use rbleak_process::Pid;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// What it may be told.
#[derive(Debug)]
pub(crate) enum Order {
    /// Reaches a process, and begins a set in a folder that is not there yet.
    Open {
        pid: Pid,
        folder: PathBuf,
        trigger: TriggerFacts,
    },
    /// Takes a dump.
    Dump { label: &'static str },
    /// Ends the set.
    Close {
        status: Status,
        error: Option<String>,
    },
}

/// How it went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Opened {
        /// `agent` or `inject`.
        via: &'static str,
    },
    Dumped {
        label: &'static str,
        folder: PathBuf,
        bytes: u64,
        pause_us: u64,
    },
    NoRoom(NoRoom),
    Failed(String),
    Closed {
        /// None where there was no dump to keep.
        folder: Option<PathBuf>,
        dumps: usize,
        status: Status,
        /// What could not be written down.
        trouble: Option<String>,
    },
}

/// How all sets are taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    pub(crate) via: Via,
    pub(crate) schedule: Schedule,
    pub(crate) options: Options,
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Taker {
    orders: Sender<Order>,
    told: Receiver<Told>,
}

impl Taker {
    /// Starts it; `halt` ends whatever it does.
    pub(crate) fn start(manner: Manner, halt: Interrupt) -> Taker {
        let (orders, ordered) = channel();
        let (tell, told) = channel();
        thread::spawn(move || {
            let mut hands = Hands {
                manner,
                halt,
                set: None,
            };
            while let Ok(order) = ordered.recv() {
                if tell.send(hands.perform(order)).is_err() {
                    break;
                }
            }
        });
        Taker { orders, told }
    }

    pub(crate) fn order(&self, order: Order) {
        // It lives as long as this does.
        let _ = self.orders.send(order);
    }

    pub(crate) fn told(&self) -> Option<Told> {
        self.told.try_recv().ok()
    }
}

struct Hands {
    manner: Manner,
    halt: Interrupt,
    set: Option<Open>,
}

/// A set that was begun.
struct Open {
    subject: Subject,
    /// Its session failed: another is needed.
    is_lost: bool,
    dumps: usize,
}

impl Hands {
    fn perform(&mut self, order: Order) -> Told {
        match order {
            Order::Open {
                pid,
                folder,
                trigger,
            } => match self.open(pid, folder, trigger) {
                Ok(via) => Told::Opened { via },
                Err(error) => failed(&error),
            },
            Order::Dump { label } => match self.dump(label) {
                Ok(told) => told,
                Err(error) => failed(&error),
            },
            Order::Close { status, error } => self.close(status, error),
        }
    }

    fn reach(&self, target: &capture::Target) -> Result<Reached> {
        let traces = self.manner.schedule.trace.is_some();
        let mut reached = reach(target, self.manner.via, traces, &self.halt)?;
        if let Some(session) = &mut reached.session
            && traces
        {
            session.trace(true)?;
        }
        Ok(reached)
    }

    fn open(&mut self, pid: Pid, folder: PathBuf, trigger: TriggerFacts) -> Result<&'static str> {
        let target = capture::one(pid)?;
        check_headroom(pid)?;
        let reached = self.reach(&target)?;
        let via = reached.how.name();
        create_private_directory(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let Manner {
            schedule, options, ..
        } = self.manner;
        let begun = Subject::begin(target, reached, folder.clone(), schedule, options);
        let mut subject = begun.inspect_err(|_| {
            // Empty, or not ours to remove.
            let _ = std::fs::remove_dir(&folder);
        })?;
        subject.because(trigger);
        self.set = Some(Open {
            subject,
            is_lost: false,
            dumps: 0,
        });
        Ok(via)
    }

    fn dump(&mut self, label: &'static str) -> Result<Told> {
        let Some(mut open) = self.set.take() else {
            return Ok(Told::Failed("no set was begun".to_owned()));
        };
        let result = self.dump_of(&mut open, label);
        if let Err(error) = &result {
            open.is_lost |= error.downcast_ref::<NoRoom>().is_none();
        }
        self.set = Some(open);
        result
    }

    fn dump_of(&self, open: &mut Open, label: &'static str) -> Result<Told> {
        if open.is_lost {
            let reached = self.reach(open.subject.target())?;
            open.subject.go_on_with(reached);
            open.is_lost = false;
        }
        let taken = open.subject.dump(label, self.manner.options, &self.halt)?;
        open.dumps += 1;
        Ok(Told::Dumped {
            label,
            folder: open.subject.folder().to_owned(),
            bytes: taken.0,
            pause_us: u64::try_from(taken.1.as_micros()).unwrap_or(u64::MAX),
        })
    }

    fn close(&mut self, status: Status, error: Option<String>) -> Told {
        let Some(mut open) = self.set.take() else {
            return Told::Closed {
                folder: None,
                dumps: 0,
                status,
                trouble: None,
            };
        };
        let ended = open.subject.end(status, error);
        let folder = open.subject.folder().to_owned();
        if open.dumps == 0 {
            let _ = std::fs::remove_file(folder.join(MANIFEST_FILE));
            // Fails where something is left.
            let _ = std::fs::remove_dir(&folder);
        }
        Told::Closed {
            folder: (open.dumps > 0).then_some(folder),
            dumps: open.dumps,
            status,
            trouble: ended.err().map(|error| crate::sentence(&error)),
        }
    }
}

fn failed(error: &Error) -> Told {
    match error.downcast_ref::<NoRoom>() {
        Some(no_room) => Told::NoRoom(*no_room),
        None => Told::Failed(crate::sentence(error)),
    }
}
