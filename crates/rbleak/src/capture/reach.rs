//! From a process to a session with the agent in it.

use super::args::Via;
use super::inject::{Order, perform};
use super::target::Target;
use anyhow::{Result, bail};
use rbleak_capture::{Guest, Interrupt, LiveError, Session};
use rbleak_process::inject::kick;
use std::time::{Duration, Instant};

/// A main thread that has not come to a safe point by then is stuck.
const ACKNOWLEDGED: Duration = Duration::from_secs(10);
/// Between two kicks.
const KICK_EVERY: Duration = Duration::from_millis(200);
const TICK: Duration = Duration::from_millis(2);

/// A session, and how it came about.
pub(crate) struct Reached {
    pub(crate) session: Session,
    pub(crate) how: How,
    /// Its folder goes with the session.
    _guest: Option<Guest>,
}

/// How a session came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The agent was there.
    Agent,
    /// It was injected.
    Injected {
        /// For how long the main thread stood still, both times together.
        stopped: Duration,
        /// From then until the agent answered.
        answered: Duration,
    },
}

impl How {
    /// As `--via` names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            How::Agent => "agent",
            How::Injected { .. } => "inject",
        }
    }

    /// For how long the main thread stood still for it.
    pub(crate) fn stopped(self) -> Option<Duration> {
        match self {
            How::Agent => None,
            How::Injected { stopped, .. } => Some(stopped),
        }
    }
}

/// Reaches a process as gently as may be.
pub(crate) fn reach(target: &Target, via: Via, interrupt: &Interrupt) -> Result<Reached> {
    if via != Via::Inject {
        if let Some(session) = Session::find(target.pid, interrupt)? {
            return Ok(Reached {
                session,
                how: How::Agent,
                _guest: None,
            });
        }
        if via == Via::Agent {
            bail!(
                "no agent is loaded in process {}: start it with rbleak agent, or leave --via \
                 agent away to inject one",
                target.pid
            );
        }
    }
    injected(target, interrupt)
}

fn injected(target: &Target, interrupt: &Interrupt) -> Result<Reached> {
    let pid = target.pid;
    let guest = Guest::prepare(pid)?;
    let injection = perform(pid, Order::Inject(&guest.code()))?;
    let since = Instant::now();
    kick(pid, 0);
    let mut kicks = 1;
    let session = loop {
        if let Some(session) = guest.session(interrupt)? {
            break session;
        }
        if interrupt.is_requested() {
            return Err(LiveError::Interrupted { pid }.into());
        }
        if !target.lives() {
            let doing = "the agent was awaited";
            return Err(LiveError::Ended { pid, doing }.into());
        }
        if since.elapsed() > ACKNOWLEDGED {
            if target.is_stopped() {
                bail!(
                    "process {pid} was stopped meanwhile: let it go on (kill -CONT {pid}) and try again"
                );
            }
            // Its page stays: the code in it may yet be evaluated, finds no
            // file then, and does nothing.
            bail!(
                "the main thread of process {pid} came to no safe point within {} s: it is stuck \
                 in C code that keeps the interpreter's lock; nothing was captured, and the \
                 process goes on as before",
                ACKNOWLEDGED.as_secs()
            );
        }
        if since.elapsed() > KICK_EVERY * kicks {
            kick(pid, kicks);
            kicks += 1;
        }
        std::thread::sleep(TICK);
    };
    let answered = since.elapsed();
    // Memory of one page stays where this fails; the session is good.
    let unmapped = perform(pid, Order::Unmap(injection));
    let again = unmapped.map_or(Duration::ZERO, |injection| injection.stopped);
    Ok(Reached {
        session,
        how: How::Injected {
            stopped: injection.stopped + again,
            answered,
        },
        _guest: Some(guest),
    })
}
