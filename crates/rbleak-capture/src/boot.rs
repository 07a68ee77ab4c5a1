//! From a [`Launch`] to an [`App`] that serves: the in-process driver, or the
//! user's server, found by what its process tree listens on.

use std::ffi::{OsStr, OsString};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rbleak_process::listening::{self, Listener};
use rbleak_process::{Pid, tree};

use crate::agent::{About, Agent};
use crate::app::{App, Driving, Group, Serving, exception, translate};
use crate::child::{Child, TICK, random_digits};
use crate::connection::Fault;
use crate::error::CaptureError;
use crate::http::{self, Clients};
use crate::interrupt::Interrupt;
use crate::launch::{Launch, Mode, Request};
use crate::private_directory::PrivateDirectory;
use crate::thread_caches;

/// How long the set of serving processes must stay the same.
const SETTLED: Duration = Duration::from_millis(400);
/// How long a process that serves may be without an agent.
const AGENT_APPEARS: Duration = Duration::from_secs(10);

pub(crate) fn boot(launch: Launch, interrupt: &Interrupt) -> Result<App, CaptureError> {
    if !launch.directory.is_dir() {
        return Err(CaptureError::Missing {
            path: launch.directory,
        });
    }
    if !matches!(launch.mode, Mode::Code { .. }) {
        if launch.requests.is_empty() {
            return Err(CaptureError::NoRequests);
        }
        launch.requests.iter().try_for_each(validated)?;
    }
    let directory = PrivateDirectory::create(&launch.private_bases())?;
    let booting = Booting {
        deadline: Instant::now() + launch.boot_timeout,
        launch,
        directory,
        interrupt: interrupt.clone(),
    };
    match booting.launch.mode.clone() {
        Mode::InProcess { rackup } => booting.in_process(&rackup, None),
        Mode::Code { boot, each } => booting.in_process(&boot.unwrap_or_default(), Some(&each)),
        Mode::Server {
            command,
            port,
            concurrency,
        } => booting.server(&command, port, concurrency),
    }
}

/// Whether a request can be sent.
pub(crate) fn validated(request: &Request) -> Result<(), CaptureError> {
    http::validate(request).map_err(|message| CaptureError::InvalidRequest {
        method: request.method.clone(),
        path: request.path.clone(),
        message,
    })
}

/// A boot under way.
struct Booting {
    launch: Launch,
    directory: PrivateDirectory,
    interrupt: Interrupt,
    deadline: Instant,
}

impl Booting {
    /// Runs the driver and has it load `file`.
    fn in_process(self, file: &std::path::Path, each: Option<&str>) -> Result<App, CaptureError> {
        let loaded = self.launch.directory.join(file);
        let loaded = std::path::absolute(&loaded).unwrap_or(loaded);
        let names_a_file = !file.as_os_str().is_empty();
        if names_a_file && !loaded.is_file() {
            return Err(CaptureError::Missing { path: loaded });
        }
        let gemfile = self.gemfile();
        let mut arguments = Vec::<OsString>::new();
        if gemfile.is_some() {
            arguments.push("-rbundler/setup".into());
        }
        arguments.extend(["-r".into(), self.directory.agent().into()]);
        arguments.push(self.directory.driver().into());
        let mut more = self.environment()?;
        more.push(("RBLEAK_DRIVER", "1".into()));
        let program = self.launch.ruby.as_os_str();
        let mut child = Child::start(&self.launch, program, &arguments, &more)?;

        let mut agent = self.driver(&mut child, gemfile.as_deref())?;
        let doing = "the app was booted";
        let patience = self.launch.boot_timeout;
        let path = loaded.to_string_lossy();
        let mut boot = Vec::new();
        match each {
            None => boot.extend([("mode", "rack"), ("rackup", &path)]),
            Some(each) => {
                boot.extend([("mode", "code"), ("each", each)]);
                boot.extend(names_a_file.then_some(("boot", &*path)));
            }
        }
        let booted = agent.call("boot", &boot, patience, &self.interrupt);
        booted.map_err(|fault| self.boot_fault(&mut child, fault, &loaded, each.is_some()))?;
        if each.is_none() {
            for request in &self.launch.requests {
                agent
                    .add_request(request, "0", patience, &self.interrupt)
                    .map_err(|fault| translate(&mut child, fault, 0, doing))?;
            }
        }
        let about = agent
            .hello(&self.directory, patience, &self.interrupt)
            .map_err(|fault| translate(&mut child, fault, 0, doing))?;
        let driving = Driving::InProcess;
        Ok(self.booted(child, vec![agent], driving, about))
    }

    /// Waits for the driver's socket.
    fn driver(
        &self,
        child: &mut Child,
        gemfile: Option<&std::path::Path>,
    ) -> Result<Agent, CaptureError> {
        loop {
            // By name, not by number: a wrapper may run Ruby as its child.
            let sockets = self.directory.sockets();
            if let Some(agent) = sockets.iter().find_map(|path| Agent::connect(path).ok()) {
                return Ok(agent);
            }
            if let Some(status) = child.ended() {
                return Err(match gemfile {
                    Some(gemfile) => CaptureError::Bundler {
                        gemfile: gemfile.to_owned(),
                        evidence: child.log_tail(),
                    },
                    None => exited(child, status),
                });
            }
            self.tick(child, "Ruby did not start")?;
        }
    }

    /// The Gemfile that Bundler would use, if any.
    fn gemfile(&self) -> Option<PathBuf> {
        if !self.launch.bundler {
            return None;
        }
        if let Some(path) = self.launch.inherited("BUNDLE_GEMFILE") {
            return Some(PathBuf::from(path));
        }
        let names = ["Gemfile", "gems.rb"];
        let mut paths = names.iter().map(|name| self.launch.directory.join(name));
        paths.find(|path| path.is_file())
    }

    fn boot_fault(
        &self,
        child: &mut Child,
        fault: Fault,
        file: &std::path::Path,
        code: bool,
    ) -> CaptureError {
        match fault {
            Fault::Refused(fields) => {
                let (class, message, evidence) = exception(&fields);
                // The code itself does not compile: no file is to blame.
                if code && fields.text("message").is_some_and(|m| m.contains("(each)")) {
                    return CaptureError::CodeRaised {
                        class,
                        message,
                        evidence,
                    };
                }
                CaptureError::BootRaised {
                    file: file.to_owned(),
                    class,
                    message,
                    evidence,
                }
            }
            // `exit!` in the app, or a crash.
            Fault::Closed => match child.ended_within(Duration::from_secs(2)) {
                Some(status) => exited(child, status),
                None => translate(child, Fault::Closed, 0, "the app was booted"),
            },
            Fault::Silent(_) => self.late(child, "the app did not load"),
            other => translate(child, other, 0, "the app was booted"),
        }
    }

    /// Runs the user's command and finds who serves.
    fn server(
        self,
        command: &[String],
        port: Option<u16>,
        concurrency: usize,
    ) -> Result<App, CaptureError> {
        let Some((program, arguments)) = command.split_first() else {
            return Err(CaptureError::Spawn {
                program: String::new(),
                source: io::Error::from(io::ErrorKind::NotFound),
            });
        };
        if let Some(port) = port.filter(|&port| listening::is_taken(port)) {
            return Err(CaptureError::PortInUse { port });
        }
        let offered = match port {
            Some(port) => port,
            None => free_port().map_err(|source| CaptureError::System {
                doing: "a free port was looked for",
                source,
            })?,
        };
        let number = offered.to_string();
        let fill = |text: &String| text.replace("{port}", &number);
        let program = fill(program);
        let arguments: Vec<String> = arguments.iter().map(fill).collect();
        let mut more = self.environment()?;
        more.push(("RUBYOPT", self.launch.rubyopt(&self.directory.agent())));
        more.push(("RBLEAK_OWNED", "1".into()));
        more.push(("PORT", number.into()));
        let mut child = Child::start(&self.launch, program.as_ref(), &arguments, &more)?;

        let address = self.listening(&mut child, port, offered)?;
        let clients = Clients::new(address, concurrency, self.launch.request_timeout);
        self.answering(&mut child, address)?;
        let (agents, mut about) = self.agents(&mut child, address)?;
        about.port = Some(address.port());
        Ok(self.booted(child, agents, Driving::Http(clients), about))
    }

    /// Waits until the child's processes listen; the address to drive.
    fn listening(
        &self,
        child: &mut Child,
        wanted: Option<u16>,
        offered: u16,
    ) -> Result<SocketAddr, CaptureError> {
        loop {
            let listeners = listeners(child);
            let at = |port| listeners.iter().find(|l| l.address.port() == port);
            let found = match wanted {
                Some(port) => at(port),
                None => at(offered).or(listeners.first()),
            };
            if let Some(listener) = found {
                return Ok(listener.reachable());
            }
            if let Some(status) = child.ended() {
                return Err(exited(child, status));
            }
            if let Some(port) = wanted.filter(|&port| listening::is_taken(port))
                && !self::listeners(child)
                    .iter()
                    .any(|l| l.address.port() == port)
            {
                return Err(CaptureError::PortInUse { port });
            }
            self.tick(child, "the server did not listen on any port")?;
        }
    }

    /// Sends the first request until it is answered, by whatever status: a
    /// clustered server listens long before its workers serve.
    fn answering(&self, child: &mut Child, address: SocketAddr) -> Result<(), CaptureError> {
        let request = &self.launch.requests[0];
        let left = self.deadline.saturating_duration_since(Instant::now());
        // Longer than the deadline, which is to be the one that strikes.
        let client = Clients::new(address, 1, left + Duration::from_secs(1));
        thread::scope(|scope| {
            let answer = scope.spawn(|| client.answers(request));
            while !answer.is_finished() {
                let waited = self.tick(child, "the server listens and did not answer");
                if let Some(status) = child.ended() {
                    return Err(exited(child, status));
                }
                if let Err(error) = waited {
                    // The request under way ends with the server.
                    child.kill();
                    return Err(error);
                }
            }
            // A request that failed otherwise fails again in the first round,
            // where it is reported.
            Ok(())
        })
    }

    /// Connects to the agents of all processes that serve: those that hold
    /// the listening socket and are not above another one that does.
    fn agents(
        &self,
        child: &mut Child,
        address: SocketAddr,
    ) -> Result<(Vec<Agent>, About), CaptureError> {
        let since = Instant::now();
        let mut serving = Vec::new();
        let mut settled = Instant::now();
        loop {
            let now = serving_pids(child, address);
            if now != serving {
                serving = now;
                settled = Instant::now();
            } else if settled.elapsed() >= SETTLED && !serving.is_empty() {
                let missing = serving
                    .iter()
                    .find(|&&pid| !self.directory.socket(pid).exists());
                match missing {
                    None => break,
                    Some(&pid) if since.elapsed() > AGENT_APPEARS => {
                        return Err(CaptureError::NoAgent {
                            pid,
                            port: address.port(),
                            evidence: child.log_tail(),
                        });
                    }
                    Some(_) => {}
                }
            }
            if let Some(status) = child.ended() {
                return Err(exited(child, status));
            }
            self.tick(child, "the server's processes did not settle")?;
        }
        let doing = "the server was booted";
        let mut agents = Vec::new();
        let mut about: Option<About> = None;
        for pid in serving {
            let mut agent = Agent::connect(&self.directory.socket(pid))
                .map_err(|_| translate(child, Fault::Closed, pid, doing))?;
            let this = agent
                .hello(&self.directory, self.launch.boot_timeout, &self.interrupt)
                .map_err(|fault| translate(child, fault, pid, doing))?;
            match &mut about {
                Some(about) => about.processes.push(pid),
                None => about = Some(this),
            }
            agents.push(agent);
        }
        match about {
            Some(about) => Ok((agents, about)),
            None => Err(self.late(child, "no process serves")),
        }
    }

    /// What every child gets on top of the inherited environment.
    fn environment(&self) -> Result<Vec<(&'static str, OsString)>, CaptureError> {
        let launch = &self.launch;
        let environment = launch.environment.as_deref().unwrap_or("production");
        let mut more: Vec<(&'static str, OsString)> = vec![
            ("RBLEAK_DIR", self.directory.path().into()),
            ("RACK_ENV", environment.into()),
            ("RAILS_ENV", environment.into()),
        ];
        if launch.inherited("SECRET_KEY_BASE").is_none() {
            let secret = random_digits().map_err(|source| CaptureError::System {
                doing: "a session secret was made",
                source,
            })?;
            more.push(("SECRET_KEY_BASE", secret.into()));
        }
        // A log line per request would mostly measure the disk.
        if launch.inherited("RAILS_LOG_LEVEL").is_none() {
            more.push(("RAILS_LOG_LEVEL", "warn".into()));
        }
        more.extend(thread_caches::without(|name| {
            launch.inherited(name).map(OsStr::to_owned)
        }));
        Ok(more)
    }

    /// One look at the clock and at the interrupt.
    fn tick(&self, child: &mut Child, what: &'static str) -> Result<(), CaptureError> {
        if self.interrupt.is_requested() {
            child.kill();
            return Err(CaptureError::Interrupted);
        }
        if Instant::now() > self.deadline {
            return Err(self.late(child, what));
        }
        thread::sleep(TICK);
        Ok(())
    }

    fn late(&self, child: &Child, what: &'static str) -> CaptureError {
        CaptureError::BootTimeout {
            what,
            seconds: self.launch.boot_timeout.as_secs(),
            log: child.log().to_owned(),
            evidence: child.log_tail(),
        }
    }

    fn booted(self, child: Child, agents: Vec<Agent>, driving: Driving, about: About) -> App {
        let serving = |agent| Serving {
            agent,
            first: None,
            last: 0,
        };
        let all = Group::of((0..self.launch.requests.len()).collect());
        App {
            groups: vec![all],
            agents: agents.into_iter().map(serving).collect(),
            driving,
            child,
            directory: self.directory,
            about,
            requests: self.launch.requests,
            request_timeout: self.launch.request_timeout,
            stop_timeout: self.launch.stop_timeout,
            booted: Instant::now(),
            interrupt: self.interrupt,
            subject: None,
        }
    }
}

fn listeners(child: &Child) -> Vec<Listener> {
    let pids: Vec<Pid> = child.tree().iter().map(|process| process.pid).collect();
    listening::of(&pids)
}

fn serving_pids(child: &Child, address: SocketAddr) -> Vec<u32> {
    let listeners = listeners(child);
    let Some(listener) = listeners.iter().find(|l| l.reachable() == address) else {
        return Vec::new();
    };
    let all = tree::all().unwrap_or_default();
    let holders = &listener.processes;
    let is_above = |pid: Pid| {
        holders
            .iter()
            .any(|&other| tree::descends(other, pid, &all))
    };
    holders
        .iter()
        .copied()
        .filter(|&pid| !is_above(pid))
        .map(|pid| pid.0)
        .collect()
}

fn exited(child: &Child, status: String) -> CaptureError {
    CaptureError::ExitedAtBoot {
        command: child.command().to_owned(),
        status,
        log: child.log().to_owned(),
        evidence: child.log_tail(),
    }
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
