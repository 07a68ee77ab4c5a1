//! Everything that can go wrong while an app is booted, driven and dumped.
//!
//! Each message is one sentence: what, where, and what to do about it. Long
//! material (a log's tail, a backtrace, an error page) is kept apart in
//! [`CaptureError::evidence`], for the caller to show or not.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why an app could not be measured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// The user asked to stop; the app has been stopped.
    #[error("interrupted; the app was stopped")]
    Interrupted,

    /// The directory for sockets and pipes could not be made.
    #[error("cannot make a private directory in {base}: {source}", base = base.display())]
    PrivateDirectory {
        /// Where it should have been.
        base: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// A file of this run could not be written.
    #[error("cannot write {path}: {source}", path = path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },

    /// The program could not be started at all.
    #[error("cannot start `{program}`: {source}; is it installed and on the PATH?")]
    Spawn {
        /// The first word of the command.
        program: String,
        /// Why not.
        source: io::Error,
    },

    /// A file that the launch names is not there.
    #[error("{path} does not exist", path = path.display())]
    Missing {
        /// The file or directory.
        path: PathBuf,
    },

    /// A header or path that HTTP does not allow.
    #[error("{method} {path} is no valid HTTP request: {message}")]
    InvalidRequest {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
        /// What is wrong with it.
        message: String,
    },

    /// There is nothing to send.
    #[error("no request to send: give a path such as /")]
    NoRequests,

    /// `bundler/setup` failed before the app was looked at.
    #[error(
        "Bundler cannot set up the gems of {gemfile}: run `bundle install`, or pass --no-bundler",
        gemfile = gemfile.display()
    )]
    Bundler {
        /// The Gemfile's directory, or the Gemfile.
        gemfile: PathBuf,
        /// The end of the app's log.
        evidence: String,
    },

    /// The app ended before it served anything.
    #[error("`{command}` ended before it served ({status}); its output is in {log}", log = log.display())]
    ExitedAtBoot {
        /// What was run.
        command: String,
        /// `exit status: 1`, `signal: 9 (SIGKILL)`.
        status: String,
        /// The app's log.
        log: PathBuf,
        /// The end of the log.
        evidence: String,
    },

    /// Loading the app raised.
    #[error("{file} cannot be loaded: {class}: {message}", file = file.display())]
    BootRaised {
        /// The config.ru or boot file.
        file: PathBuf,
        /// The exception's class.
        class: String,
        /// The first line of its message.
        message: String,
        /// The whole message and the backtrace.
        evidence: String,
    },

    /// The app did not serve within the time given.
    #[error("{what} within {seconds} s; raise the boot timeout, or look into {log}", log = log.display())]
    BootTimeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        seconds: u64,
        /// The app's log.
        log: PathBuf,
        /// The end of the log.
        evidence: String,
    },

    /// Another process has the port; measuring it would measure a stranger.
    #[error("port {port} is in use by another process; stop it or choose another port")]
    PortInUse {
        /// The port.
        port: u16,
    },

    /// The server listens and its process has no agent in it.
    #[error(
        "process {pid} listens on port {port} without rbleak's agent: is it a Ruby, and does it keep RUBYOPT?"
    )]
    NoAgent {
        /// The process that listens.
        pid: u32,
        /// The port.
        port: u16,
        /// The end of the log.
        evidence: String,
    },

    /// A request was answered with 400 or above.
    #[error(
        "{method} {path} answered {status} after {done} requests; only successes can be measured"
    )]
    RequestFailed {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
        /// The status.
        status: u16,
        /// How many requests had succeeded in this round.
        done: u64,
        /// The beginning of the body.
        evidence: String,
    },

    /// The app raised instead of answering.
    #[error("{method} {path} raised {class}: {message}")]
    RequestRaised {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
        /// The exception's class.
        class: String,
        /// The first line of its message.
        message: String,
        /// The whole message and the backtrace.
        evidence: String,
    },

    /// The code to run for each request raised.
    #[error("the code of --each raised {class}: {message}")]
    CodeRaised {
        /// The exception's class.
        class: String,
        /// The first line of its message.
        message: String,
        /// The whole message and the backtrace.
        evidence: String,
    },

    /// A request over HTTP got no answer.
    #[error("{method} {path} got no answer from the server: {message}")]
    RequestLost {
        /// The request's method.
        method: String,
        /// The request's path.
        path: String,
        /// What happened.
        message: String,
        /// The end of the log.
        evidence: String,
    },

    /// The app's process ended while it was measured.
    #[error("the app died ({status}) while {doing}; its output is in {log}", log = log.display())]
    Died {
        /// What was going on.
        doing: &'static str,
        /// `exit status: 1`, `signal: 9 (SIGKILL)`.
        status: String,
        /// The app's log.
        log: PathBuf,
        /// The end of the log.
        evidence: String,
    },

    /// One worker of a server that goes on living was replaced or ended.
    #[error(
        "worker process {pid} ended while {doing}: its memory can no longer be compared; \
         switch off worker killers and restarts for the measurement"
    )]
    WorkerEnded {
        /// The worker.
        pid: u32,
        /// What was going on.
        doing: &'static str,
        /// The end of the log.
        evidence: String,
    },

    /// The agent went silent.
    #[error("no sign of life from the app for {} s while {doing}", waited.as_secs())]
    Silent {
        /// What was going on.
        doing: &'static str,
        /// How long it was silent.
        waited: Duration,
        /// The end of the log.
        evidence: String,
    },

    /// The agent could not do what it was asked to.
    #[error("the agent in process {pid} failed while {doing}: {class}: {message}")]
    Agent {
        /// The process.
        pid: u32,
        /// What was going on.
        doing: &'static str,
        /// The exception's class.
        class: String,
        /// The first line of its message.
        message: String,
        /// The whole message and the backtrace.
        evidence: String,
    },

    /// The agent's answer makes no sense.
    #[error("the agent's answer while {doing} makes no sense: {message}; please report this")]
    Protocol {
        /// What was going on.
        doing: &'static str,
        /// What is wrong with it.
        message: String,
    },

    /// What the dump was written to refused it (a full disk, say); the app
    /// goes on.
    #[error("cannot write the dump: {0}")]
    Sink(io::Error),

    /// The operating system refused something.
    #[error("while {doing}: {source}")]
    System {
        /// What was going on.
        doing: &'static str,
        /// Why not.
        source: io::Error,
    },
}

impl CaptureError {
    /// The long material behind the sentence: the end of a log, a backtrace,
    /// the beginning of an error page.
    pub fn evidence(&self) -> Option<&str> {
        match self {
            CaptureError::Bundler { evidence, .. }
            | CaptureError::ExitedAtBoot { evidence, .. }
            | CaptureError::BootRaised { evidence, .. }
            | CaptureError::BootTimeout { evidence, .. }
            | CaptureError::NoAgent { evidence, .. }
            | CaptureError::RequestFailed { evidence, .. }
            | CaptureError::RequestRaised { evidence, .. }
            | CaptureError::CodeRaised { evidence, .. }
            | CaptureError::RequestLost { evidence, .. }
            | CaptureError::Died { evidence, .. }
            | CaptureError::WorkerEnded { evidence, .. }
            | CaptureError::Silent { evidence, .. }
            | CaptureError::Agent { evidence, .. } => {
                Some(evidence.as_str()).filter(|text| !text.trim().is_empty())
            }
            CaptureError::Interrupted
            | CaptureError::PrivateDirectory { .. }
            | CaptureError::Write { .. }
            | CaptureError::Spawn { .. }
            | CaptureError::Missing { .. }
            | CaptureError::InvalidRequest { .. }
            | CaptureError::NoRequests
            | CaptureError::PortInUse { .. }
            | CaptureError::Protocol { .. }
            | CaptureError::Sink(_)
            | CaptureError::System { .. } => None,
        }
    }
}
