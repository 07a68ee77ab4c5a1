//! What to boot, where, and with which requests: plain values, filled in by
//! the caller. Starts nothing.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::installed;

/// How to boot an app and what to send it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The app's directory: the child's working directory.
    pub directory: PathBuf,
    /// The Ruby of the in-process modes.
    pub ruby: PathBuf,
    /// In process, as a server, or as a piece of code.
    pub mode: Mode,
    /// Sent in turn. Code needs none.
    pub requests: Vec<Request>,
    /// `RACK_ENV` and `RAILS_ENV`; `None` is `production`, which loads code
    /// once and caches, so that growth is growth.
    pub environment: Option<String>,
    /// Whether a Gemfile is honoured in the in-process modes.
    pub bundler: bool,
    /// How long the app may take until it answers.
    pub boot_timeout: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How long the app may take to stop before it is killed.
    pub stop_timeout: Duration,
    /// Where the app's standard output and error go.
    pub log: PathBuf,
    /// The environment that the app inherits, as the caller found it.
    pub inherited: BTreeMap<OsString, OsString>,
    /// Where the private directory is made; `None` is `XDG_RUNTIME_DIR` or
    /// else `/tmp`. Short: the path of a Unix socket has 107 bytes at most.
    pub private_base: Option<PathBuf>,
}

impl Launch {
    /// A launch with the usual settings, inheriting an empty environment.
    pub fn new(directory: impl Into<PathBuf>, mode: Mode, log: impl Into<PathBuf>) -> Launch {
        Launch {
            directory: directory.into(),
            ruby: PathBuf::from("ruby"),
            mode,
            requests: vec![Request::get("/")],
            environment: None,
            bundler: true,
            boot_timeout: Duration::from_secs(60),
            request_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
            log: log.into(),
            inherited: BTreeMap::new(),
            private_base: None,
        }
    }

    /// Where the private directory may be made.
    pub(crate) fn private_bases(&self) -> Vec<PathBuf> {
        let runtime = self.inherited("XDG_RUNTIME_DIR").map(PathBuf::from);
        match &self.private_base {
            Some(base) => vec![base.clone()],
            None => runtime.into_iter().chain([PathBuf::from("/tmp")]).collect(),
        }
    }

    /// The inherited options, and the agent in place of a resident one.
    pub(crate) fn rubyopt(&self, agent: &Path) -> OsString {
        let mut options = OsString::new();
        if let Some(inherited) = self.inherited("RUBYOPT") {
            options.push(installed::without_agent(inherited));
            options.push(" ");
        }
        options.push("-r");
        options.push(agent);
        options
    }

    pub(crate) fn inherited(&self, name: &str) -> Option<&OsStr> {
        self.inherited
            .get(OsStr::new(name))
            .map(OsString::as_os_str)
            .filter(|value| !value.is_empty())
    }
}

/// How the app runs.
#[derive(Clone, Debug)]
pub enum Mode {
    /// In a Ruby of rbleak's own, which sends the app mock requests.
    InProcess {
        /// The `config.ru`, relative to the app's directory.
        rackup: PathBuf,
    },
    /// The user's own server command, driven over HTTP.
    Server {
        /// Program and arguments; `{port}` in one of them is replaced.
        command: Vec<String>,
        /// The port; `None` finds a free one and then whichever the server
        /// really listens on.
        port: Option<u16>,
        /// How many connections send requests at a time.
        concurrency: usize,
    },
    /// No web at all: a piece of Ruby, run again and again.
    Code {
        /// Loaded once.
        boot: Option<PathBuf>,
        /// Run for each "request".
        each: String,
    },
}

/// One HTTP request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: String,
    /// Path with query, beginning with `/`.
    pub path: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The body, if it has one.
    pub body: Option<String>,
}

impl Request {
    /// `GET path` without headers.
    pub fn get(path: impl Into<String>) -> Request {
        Request {
            method: "GET".into(),
            path: path.into(),
            headers: Vec::new(),
            body: None,
        }
    }
}
