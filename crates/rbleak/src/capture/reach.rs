//! From a process to a session with the agent in it.

use super::args::Via;
use super::inject::{Order, perform};
use super::snapshot::check;
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
    /// `None`: the process's memory is read.
    pub(crate) session: Option<Session>,
    pub(crate) how: How,
    /// Its folder goes with the session.
    _guest: Option<Guest>,
}

/// How a session came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// The agent was there.
    Agent,
    /// There is none: what memory holds is read.
    Snapshot {
        /// Because nothing else can be done.
        is_stuck: bool,
    },
    /// The same of a core file.
    Core,
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
            How::Snapshot { .. } => "snapshot",
            How::Core => "core",
        }
    }

    /// For how long the main thread stood still for it.
    pub(crate) fn stopped(self) -> Option<Duration> {
        match self {
            How::Injected { stopped, .. } => Some(stopped),
            _ => None,
        }
    }
}

/// Reaches a process as gently as may be.
pub(crate) fn reach(
    target: &Target,
    via: Via,
    traces: bool,
    interrupt: &Interrupt,
) -> Result<Reached> {
    let pid = target.pid;
    if via == Via::Snapshot {
        if traces {
            bail!("--trace takes Ruby code in process {pid}, and --via snapshot runs none");
        }
        return silent(target, false);
    }
    if via != Via::Inject {
        match Session::find(pid, interrupt) {
            Ok(Some(session)) => {
                return Ok(Reached {
                    session: Some(session),
                    how: How::Agent,
                    _guest: None,
                });
            }
            Ok(None) => {}
            // No thread of it gives up the lock: an injected one would not get it.
            Err(LiveError::Silent { .. })
                if via == Via::Auto && !traces && check(target).is_ok() =>
            {
                return silent(target, true);
            }
            Err(error) => return Err(error.into()),
        }
        if via == Via::Agent {
            bail!(
                "no agent is loaded in process {pid}: start it with rbleak agent, or leave --via \
                 agent away to inject one"
            );
        }
    }
    if let Some(reached) = injected(target, interrupt)? {
        return Ok(reached);
    }
    let is_readable = check(target).is_ok();
    if via == Via::Auto && !traces && is_readable {
        return silent(target, true);
    }
    // Its page stays: the code in it may yet be evaluated, finds no file then, and
    // does nothing.
    bail!(
        "the main thread of process {pid} came to no safe point within {} s: it is stuck in C \
         code that keeps the interpreter's lock; nothing was captured, and the process goes on as \
         before{}",
        ACKNOWLEDGED.as_secs(),
        match is_readable {
            true => " (--via snapshot reads its memory instead)",
            false => "",
        }
    );
}

/// Nothing is asked of the process.
fn silent(target: &Target, is_stuck: bool) -> Result<Reached> {
    check(target)?;
    Ok(Reached {
        session: None,
        how: How::Snapshot { is_stuck },
        _guest: None,
    })
}

/// `None`: the main thread is stuck.
fn injected(target: &Target, interrupt: &Interrupt) -> Result<Option<Reached>> {
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
            return Ok(None);
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
    Ok(Some(Reached {
        session: Some(session),
        how: How::Injected {
            stopped: injection.stopped + again,
            answered,
        },
        _guest: Some(guest),
    }))
}
