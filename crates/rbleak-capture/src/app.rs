//! A booted app: load, samples, dumps, and a clean end. Where faults of the
//! connection become errors that a user understands.

use std::io::Write;
use std::time::{Duration, Instant};

use crate::agent::{About, Agent, DumpMethod, DumpTaken, Sample, required};
use crate::boot;
use crate::census::Container;
use crate::child::Child;
use crate::connection::Fault;
use crate::error::CaptureError;
use crate::http::{Clients, Trouble};
use crate::interrupt::Interrupt;
use crate::launch::{Launch, Request};
use crate::private_directory::PrivateDirectory;
use crate::protocol::Fields;

/// How long a process may take to end after its connections have.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// A round of requests that all succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// How many.
    pub requests: u64,
    /// How long they took together.
    pub elapsed: Duration,
    /// How many were answered by a redirect.
    pub redirects: u64,
    /// Where the first of them pointed.
    pub first_redirect: Option<String>,
}

/// A booted app. Dropping it kills everything it started.
#[derive(Debug)]
pub struct App {
    // Dropped in this order: the child ends before its directory goes.
    pub(crate) agents: Vec<Serving>,
    pub(crate) driving: Driving,
    pub(crate) child: Child,
    pub(crate) directory: PrivateDirectory,
    pub(crate) about: About,
    pub(crate) requests: Vec<Request>,
    pub(crate) groups: Vec<Group>,
    pub(crate) request_timeout: Duration,
    pub(crate) stop_timeout: Duration,
    pub(crate) booted: Instant,
    pub(crate) interrupt: Interrupt,
    /// The process that is looked into by dumps and censuses, once there was
    /// one.
    pub(crate) subject: Option<u32>,
}

/// Requests that are sent in turn, by their places in the list of all, and
/// whose turn it is.
#[derive(Debug)]
pub(crate) struct Group {
    which: Vec<usize>,
    turn: u64,
}

impl Group {
    pub(crate) fn of(which: Vec<usize>) -> Group {
        Group { which, turn: 0 }
    }
}

/// A process that serves, and what it had when it was first and last sampled.
#[derive(Debug)]
pub(crate) struct Serving {
    pub(crate) agent: Agent,
    pub(crate) first: Option<u64>,
    pub(crate) last: u64,
}

/// Who sends the requests.
#[derive(Debug)]
pub(crate) enum Driving {
    /// The driver in the app's own process.
    InProcess,
    /// We do.
    Http(Clients),
}

impl App {
    /// Starts an app and waits until it serves.
    pub fn boot(launch: Launch, interrupt: &Interrupt) -> Result<App, CaptureError> {
        boot::boot(launch, interrupt)
    }

    /// What it turned out to be.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// The process that serves; of several, the first.
    pub fn pid(&self) -> u32 {
        self.about.pid
    }

    /// The process that rbleak started: the root of the app's process tree.
    pub fn root_pid(&self) -> u32 {
        self.child.pid()
    }

    /// Sends exactly `count` requests, all in turn; the first failure ends it.
    pub fn run(&mut self, count: u64) -> Result<Load, CaptureError> {
        self.run_group(0, count)
    }

    /// Sends exactly `count` requests of one group, in turn; the first failure
    /// ends it. Where the group's turn is it goes on the next time. Of code,
    /// which has no groups, the group is of no matter.
    pub fn run_group(&mut self, group: usize, count: u64) -> Result<Load, CaptureError> {
        let doing = "requests were sent";
        match &self.driving {
            Driving::Http(clients) => {
                let child = &mut self.child;
                let mut stop = || child.kill();
                let Group { which, turn } = &mut self.groups[group];
                let (load, trouble) = clients.run(
                    &self.requests,
                    which,
                    (*turn, count),
                    &self.interrupt,
                    &mut stop,
                );
                *turn += count;
                match trouble {
                    None => Ok(load),
                    Some(trouble) => Err(self.trouble(trouble, load.requests, doing)),
                }
            }
            Driving::InProcess => {
                let patience = self.request_timeout;
                let (count, group) = (count.to_string(), group.to_string());
                let agent = &mut self.agents[0].agent;
                let arguments = [("n", count.as_str()), ("group", &group)];
                let fields = agent
                    .call("run", &arguments, patience, &self.interrupt)
                    .map_err(|fault| self.fault(fault, 0, doing))?;
                self.load(&fields)
                    .map_err(|fault| self.fault(fault, 0, doing))?
            }
        }
    }

    /// Takes other requests, in groups: each is a list of places in `requests`,
    /// none of them empty.
    ///
    /// # Errors
    /// If a request cannot be sent, or there is none.
    pub fn set_requests(
        &mut self,
        requests: Vec<Request>,
        groups: Vec<Vec<usize>>,
    ) -> Result<(), CaptureError> {
        if groups.is_empty() || groups.iter().any(Vec::is_empty) {
            return Err(CaptureError::NoRequests);
        }
        requests.iter().try_for_each(boot::validated)?;
        if let Driving::InProcess = self.driving {
            let doing = "requests were handed over";
            let mut of: Vec<Vec<String>> = vec![Vec::new(); requests.len()];
            for (group, which) in groups.iter().enumerate() {
                which.iter().for_each(|&at| of[at].push(group.to_string()));
            }
            let patience = self.request_timeout;
            let agent = &mut self.agents[0].agent;
            let mut handed = agent
                .call("forget", &[], patience, &self.interrupt)
                .map(drop);
            for (request, groups) in requests.iter().zip(&of) {
                let agent = &mut self.agents[0].agent;
                handed = handed.and_then(|()| {
                    agent.add_request(request, &groups.join(","), patience, &self.interrupt)
                });
            }
            handed.map_err(|fault| self.fault(fault, 0, doing))?;
        }
        self.requests = requests;
        self.groups = groups.into_iter().map(Group::of).collect();
        Ok(())
    }

    /// The routes of a Rails app, `GET /users/:id(.:format)` each; `None` where
    /// there is no Rails.
    pub fn routes(&mut self) -> Result<Option<Vec<String>>, CaptureError> {
        let patience = self.request_timeout;
        let agent = &mut self.agents[0].agent;
        let fields = agent
            .call("routes", &[], patience, &self.interrupt)
            .map_err(|fault| self.fault(fault, 0, "the routes were asked for"))?;
        let text = fields.text("routes");
        Ok(text.map(|text| text.lines().map(str::to_owned).collect()))
    }

    /// Full garbage collections, then the figures.
    pub fn sample(&mut self) -> Result<Sample, CaptureError> {
        let mut sum: Option<Sample> = None;
        for index in 0..self.agents.len() {
            let at = self.booted.elapsed();
            let serving = &mut self.agents[index];
            let sample = serving
                .agent
                .sample(at, &self.interrupt)
                .map_err(|fault| self.fault(fault, index, "a sample was taken"))?;
            let serving = &mut self.agents[index];
            serving.last = sample.live_slots.0;
            serving.first.get_or_insert(sample.live_slots.0);
            sum = Some(match sum {
                Some(sum) => sum.plus(sample),
                None => sample,
            });
        }
        sum.ok_or(CaptureError::Protocol {
            doing: "a sample was taken",
            message: "no process serves".into(),
        })
    }

    /// Switches the tracing of allocation sites on or off (and forgets them).
    pub fn trace(&mut self, on: bool) -> Result<(), CaptureError> {
        for index in 0..self.agents.len() {
            self.agents[index]
                .agent
                .trace(on, &self.interrupt)
                .map_err(|fault| self.fault(fault, index, "tracing was switched"))?;
        }
        Ok(())
    }

    /// Writes a heap dump. Of several processes, that of the one that has
    /// grown most since its first sample; later dumps are of the same one, and
    /// so are names and censuses.
    pub fn dump(&mut self, sink: &mut dyn Write) -> Result<DumpTaken, CaptureError> {
        self.dump_by(None, sink)
    }

    /// [`App::dump`] by a method of the caller's choice, for measurements;
    /// one that can tear the dump tears it.
    pub fn dump_by(
        &mut self,
        method: Option<DumpMethod>,
        sink: &mut dyn Write,
    ) -> Result<DumpTaken, CaptureError> {
        let index = self.subject();
        self.agents[index]
            .agent
            .dump(&self.directory, method, sink, &self.interrupt)
            .map_err(|fault| self.fault(fault, index, "a heap dump was taken"))
    }

    /// Writes the names that belong to the last dump, one JSON object a line.
    pub fn names(&mut self, sink: &mut dyn Write) -> Result<(), CaptureError> {
        let index = self.subject();
        self.agents[index]
            .agent
            .names(&self.directory, sink, &self.interrupt)
            .map_err(|fault| self.fault(fault, index, "names were written"))
    }

    /// How many entries each container with a name has: all with at least 8
    /// entries, and strings of at least 4096 bytes. Of several processes, that
    /// of the one whose dumps are or would be taken: it too stays the same, as
    /// two censuses can only be compared of one process.
    pub fn census(&mut self) -> Result<Vec<Container>, CaptureError> {
        let index = self.subject();
        self.agents[index]
            .agent
            .census(&self.directory, &self.interrupt)
            .map_err(|fault| self.fault(fault, index, "named containers were counted"))
    }

    /// Ends the app: asks first, kills after the stop timeout.
    pub fn stop(mut self) -> Result<(), CaptureError> {
        self.child.stop(self.stop_timeout);
        Ok(())
    }

    /// The process to look into.
    fn subject(&mut self) -> usize {
        let growth = |serving: &Serving| {
            let first = serving.first.unwrap_or(serving.last);
            serving.last as i64 - first as i64
        };
        let chosen = self
            .subject
            .and_then(|pid| self.agents.iter().position(|s| s.agent.pid() == pid));
        let index = chosen.unwrap_or_else(|| {
            let grown = self.agents.iter().enumerate();
            // Of equals the first: `max_by_key` would take the last.
            grown
                .rev()
                .max_by_key(|(_, serving)| growth(serving))
                .map_or(0, |(index, _)| index)
        });
        self.subject = Some(self.agents[index].agent.pid());
        index
    }

    /// What the driver says of a round.
    fn load(&self, fields: &Fields) -> Result<Result<Load, CaptureError>, Fault> {
        let done = required(fields, "done")?;
        let text = |key| fields.text(key).unwrap_or_default().to_owned();
        let failure = match fields.text("failed") {
            None => {
                let seconds = fields.float("seconds").unwrap_or(0.0);
                return Ok(Ok(Load {
                    requests: done,
                    elapsed: Duration::try_from_secs_f64(seconds).unwrap_or_default(),
                    redirects: fields.number("redirects").unwrap_or(0),
                    first_redirect: fields.text("redirect").map(str::to_owned),
                }));
            }
            Some("status") => CaptureError::RequestFailed {
                method: text("method"),
                path: text("path"),
                status: required(fields, "status")? as u16,
                done,
                evidence: text("body"),
            },
            Some(_) => {
                let (class, message, evidence) = exception(fields);
                if fields.text("path").is_none() {
                    CaptureError::CodeRaised {
                        class,
                        message,
                        evidence,
                    }
                } else {
                    CaptureError::RequestRaised {
                        method: text("method"),
                        path: text("path"),
                        class,
                        message,
                        evidence,
                    }
                }
            }
        };
        Ok(Err(failure))
    }

    fn trouble(&mut self, trouble: Trouble, done: u64, doing: &'static str) -> CaptureError {
        match trouble {
            Trouble::Interrupted => {
                self.child.kill();
                CaptureError::Interrupted
            }
            Trouble::Status {
                request,
                status,
                body,
            } => CaptureError::RequestFailed {
                method: self.requests[request].method.clone(),
                path: self.requests[request].path.clone(),
                status,
                done,
                evidence: body,
            },
            Trouble::Lost { request, message } => {
                if let Some(status) = self.child.ended_within(LAST_BREATH) {
                    return died(&self.child, status, doing);
                }
                CaptureError::RequestLost {
                    method: self.requests[request].method.clone(),
                    path: self.requests[request].path.clone(),
                    message,
                    evidence: self.child.log_tail(),
                }
            }
        }
    }

    fn fault(&mut self, fault: Fault, agent: usize, doing: &'static str) -> CaptureError {
        let pid = self.agents[agent].agent.pid();
        translate(&mut self.child, fault, pid, doing)
    }
}

/// A fault of the connection to `pid`, as the user should hear of it.
pub(crate) fn translate(
    child: &mut Child,
    fault: Fault,
    pid: u32,
    doing: &'static str,
) -> CaptureError {
    match fault {
        Fault::Interrupted => {
            child.kill();
            CaptureError::Interrupted
        }
        Fault::Closed => match child.ended_within(LAST_BREATH) {
            Some(status) => died(child, status, doing),
            None => CaptureError::WorkerEnded {
                pid,
                doing,
                evidence: child.log_tail(),
            },
        },
        Fault::Silent(waited) => CaptureError::Silent {
            doing,
            waited,
            evidence: child.log_tail(),
        },
        Fault::Refused(fields) => {
            let (class, message, evidence) = exception(&fields);
            CaptureError::Agent {
                pid,
                doing,
                class,
                message,
                evidence,
            }
        }
        Fault::Garbled(message) => CaptureError::Protocol { doing, message },
        Fault::Sink(error) => CaptureError::Sink(error),
        Fault::System(source) => CaptureError::System { doing, source },
    }
}

fn died(child: &Child, status: String, doing: &'static str) -> CaptureError {
    CaptureError::Died {
        doing,
        status,
        log: child.log().to_owned(),
        evidence: child.log_tail(),
    }
}

/// Class, first line of the message, and everything.
pub(crate) fn exception(fields: &Fields) -> (String, String, String) {
    let class = fields.text("class").unwrap_or("error").to_owned();
    let whole = fields.text("message").unwrap_or_default();
    let message = whole.lines().next().unwrap_or_default().to_owned();
    let backtrace = fields.text("backtrace").unwrap_or_default();
    (class, message, format!("{whole}\n{backtrace}"))
}
