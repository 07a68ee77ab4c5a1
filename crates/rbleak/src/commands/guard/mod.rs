//! `rbleak guard`: watches a process tree, and takes dumps of the right process
//! when it leaks or memory gets short.

mod acts;
mod ends;

use super::hunt::interrupt_on_signals;
use crate::capture::{Options, Schedule, remove_left_overs};
use crate::exit::ExitStatus;
use crate::guard::{
    About, At, Duty, Folder, GuardArgs, Hook, Job, Kept, Log, Manner, Store, Taker, Terms,
    Uploader, Why, find, too_late, without_copy,
};
use crate::shell;
use crate::watch::{Recorder, Sampler, Settings, State, check, name_of, notes};
use anyhow::{Result, bail};
use jiff::ZonedDateTime;
use rbleak_capture::Interrupt;
use rbleak_process::Pid;
use rbleak_process::stat::Stat;
use rbleak_report::{Value, json};
use rbleak_trend::recording::Header;
use std::collections::{HashMap, VecDeque};
use std::path::Path;
use std::time::{Duration, Instant};

/// A wait looks for signals and answers so often.
const TICK: Duration = Duration::from_millis(50);
/// A process is looked for so often, in seconds.
const FIND_EVERY: f64 = 1.0;

/// Runs the command.
pub(crate) fn run(args: &GuardArgs) -> Result<ExitStatus> {
    refuse(args)?;
    let ending = interrupt_on_signals()?;
    // What is wrong is told before anything is made.
    let root = args.pid.map(|pid| check(Pid(pid))).transpose()?;
    let store = args.upload.as_deref().map(Store::of).transpose()?;
    remove_left_overs();
    let mut guard = Guard::begin(args, ending, store)?;
    if let Some((stat, group)) = root {
        for note in notes(&stat) {
            guard.tell("note", &note, json!({}));
        }
        guard.attach(&stat, Sampler::new(&stat, group));
    }
    let why = guard.go_on();
    guard.end(why)
}

/// Refuses what could not be answered at the end.
fn refuse(args: &GuardArgs) -> Result<()> {
    if let Some(path) = &args.output.file {
        let parent = path.parent().filter(|it| !it.as_os_str().is_empty());
        if path.is_dir() || parent.is_some_and(|parent| !parent.is_dir()) {
            bail!(
                "{} cannot be written at the end: give a file in a folder that is there",
                path.display()
            );
        }
    }
    Ok(())
}

/// A path in JSON, which need not be UTF-8 itself.
fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A set that was begun, or is being.
#[derive(Clone, Debug)]
struct Open {
    pid: Pid,
    name: String,
    why: Why,
    is_begun: bool,
}

/// A guard under way.
struct Guard<'a> {
    args: &'a GuardArgs,
    /// The first signal.
    ending: Interrupt,
    /// Ends what the taker does.
    halt: Interrupt,
    started: Instant,
    folder: Folder,
    log: Log,
    has_log: bool,
    recorder: Recorder,
    state: State,
    sampler: Option<Sampler>,
    duty: Duty,
    taker: Taker,
    uploader: Option<Uploader>,
    hook: Option<Hook>,
    /// Whether a process is a Ruby, and when that was looked at.
    rubies: HashMap<Pid, (bool, f64)>,
    open: Option<Open>,
    closing: VecDeque<Open>,
    /// The process that was dumped last, and since when.
    copy: Option<(Pid, f64)>,
    is_copying: bool,
    copied_at: f64,
    sets: Vec<Kept>,
    triggers: usize,
    /// What was told of last, and is not again when it is only tried again.
    refused: Option<(Pid, &'static str, String)>,
    events: usize,
    found_at: f64,
    has_level: Option<bool>,
    is_too_late_told: bool,
    about: About,
}

impl<'a> Guard<'a> {
    fn begin(args: &'a GuardArgs, ending: Interrupt, store: Option<Store>) -> Result<Guard<'a>> {
        let now = ZonedDateTime::now();
        let folder = Folder::create(&args.run_dir, &now)?;
        let target = match (args.pid, &args.find) {
            (Some(pid), _) => json!({"pid": pid}),
            (None, name) => json!({"name": name}),
        };
        let log = Log::begin(folder.path(), &target)?;
        let every = args.sample_every.as_secs_f64();
        let header = Header {
            started_at: Some(now.timestamp().to_string()),
            command: Some("guard".to_owned()),
            every: Some(every),
            limit: args.limit,
        };
        let recorder = Recorder::create(folder.path(), &header)?;
        let halt = Interrupt::new();
        let manner = Manner {
            via: args.via,
            schedule: Schedule {
                count: 3,
                every: args.every,
                trace: args.trace,
            },
            options: Options {
                redact: args.redact,
                timeout: args.timeout,
            },
        };
        let host = rustix::system::uname();
        let host = crate::files::plain_name(&host.nodename().to_string_lossy());
        let uploader = store.map(|store| Uploader::start(store, args.run_dir.clone(), host));
        if let Some(uploader) = &uploader {
            // Whether that works at all is known at once.
            uploader.push(Job::File(log.path()));
        }
        let command = args.exec.clone();
        Ok(Guard {
            ending,
            started: Instant::now(),
            has_log: true,
            log,
            recorder,
            state: State::new(Settings {
                every,
                limit: args.limit,
            }),
            sampler: None,
            duty: Duty::new(Terms {
                every: args.every.as_secs_f64(),
                trace: args.trace.map(|time| time.as_secs_f64()),
                again: args.again.as_secs_f64(),
            }),
            taker: Taker::start(manner, halt.clone()),
            halt,
            uploader,
            hook: command.map(|command| Hook::new(command, args.exec_timeout)),
            rubies: HashMap::new(),
            open: None,
            closing: VecDeque::new(),
            copy: None,
            is_copying: false,
            copied_at: f64::NEG_INFINITY,
            sets: Vec::new(),
            triggers: 0,
            refused: None,
            events: 0,
            found_at: f64::NEG_INFINITY,
            has_level: None,
            is_too_late_told: false,
            about: About {
                target: args.find.clone().unwrap_or_default(),
                pid: args.pid,
                folder: folder.path().to_owned(),
                uploads: args.upload.is_some(),
                ..About::default()
            },
            folder,
            args,
        })
    }

    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    /// Says and writes down what happened.
    fn tell(&mut self, event: &str, text: &str, data: Value) {
        if !self.args.quiet {
            shell::say(text);
        }
        let written = self.log.write(event, text, &data);
        if let Err(error) = &written
            && self.has_log
        {
            shell::warn(&format!(
                "cannot write {}: {error}",
                self.log.path().display()
            ));
        }
        self.has_log = written.is_ok();
    }

    /// Begins with a process.
    fn attach(&mut self, stat: &Stat, sampler: Sampler) {
        self.sampler = Some(sampler);
        self.about.target = format!("{} {}", name_of(stat), stat.pid);
        self.about.pid = Some(stat.pid.0);
        let text = format!(
            "guarding {}; dumps go to {}",
            self.about.target,
            self.folder.path().display()
        );
        self.tell("guarding", &text, json!({"pid": stat.pid.0}));
    }

    /// Looks for the process by its name.
    fn look_for(&mut self, name: &str) {
        let now = self.now();
        if now - self.found_at < FIND_EVERY {
            return;
        }
        let is_first = self.found_at == f64::NEG_INFINITY;
        self.found_at = now;
        match find(name) {
            Ok(Some(found)) => {
                // It may have ended already.
                let Ok((stat, group)) = check(found.pid) else {
                    return;
                };
                if found.others > 0 {
                    let text = format!(
                        "{} other processes are called {name}: process {} is the oldest",
                        found.others, found.pid
                    );
                    self.tell("note", &text, json!({}));
                }
                self.attach(&stat, Sampler::new(&stat, group));
            }
            Ok(None) if is_first => {
                let text = format!("no process is called {name} yet: waiting for one");
                self.tell("waiting", &text, json!({"name": name}));
            }
            Ok(None) => {}
            Err(error) if is_first => self.tell("note", &crate::sentence(&error), json!({})),
            Err(_) => {}
        }
    }

    /// Samples and acts until something ends it; why it did.
    fn go_on(&mut self) -> String {
        let mut next = self.started;
        loop {
            self.moment();
            self.act();
            if let Some(why) = self.is_over() {
                return why;
            }
            next = (next + self.args.sample_every).max(Instant::now());
            loop {
                self.hear();
                let left = next.saturating_duration_since(Instant::now());
                if self.ending.is_requested() {
                    return "ended by a signal".to_owned();
                }
                if left.is_zero() {
                    break;
                }
                std::thread::sleep(left.min(TICK));
            }
        }
    }

    fn is_over(&mut self) -> Option<String> {
        if self.sampler.as_ref().is_some_and(Sampler::is_over) {
            let Some(name) = &self.args.find else {
                return Some("it ended".to_owned());
            };
            let text = format!("{} ended: waiting for the next {name}", self.about.target);
            self.sampler = None;
            self.tell("ended", &text, json!({}));
        }
        if self.args.once && self.sets.iter().any(|set| set.dumps > 0) {
            return Some("it has its set".to_owned());
        }
        let most = self.args.at_most;
        let is_long = most.is_some_and(|most| self.started.elapsed() >= most);
        is_long.then(|| "as long as was asked for".to_owned())
    }

    /// Looks at everybody once, judges one row, writes it down.
    fn moment(&mut self) {
        if self.sampler.is_none()
            && let Some(name) = self.args.find.clone()
        {
            self.look_for(&name);
        }
        let now = self.now();
        let Some(sampler) = &mut self.sampler else {
            return;
        };
        let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let uptime = uptime.tv_sec as f64 + uptime.tv_nsec as f64 / 1e9;
        let mut seen = sampler.look(now, uptime, false);
        if let Some((pid, since)) = self.copy
            && self.is_echo(now)
        {
            without_copy(&mut seen, pid, now - since + 1.0);
        }
        let rows = self.state.push(now, &seen, &|_| None);
        self.recorder.write(&rows);
        if let Some(row) = self.state.due() {
            let started = self.started;
            self.state.judge(row, &|| started.elapsed().as_secs_f64());
        }
        // The oldest may be gone.
        let new = self.state.event_count - self.events;
        self.events = self.state.event_count;
        let skipped = self.state.events.len().saturating_sub(new);
        let events: Vec<String> = self.state.events.iter().skip(skipped).cloned().collect();
        for event in events {
            self.tell("process", &event, json!({}));
        }
        self.remark();
    }

    /// Says once what will not work.
    fn remark(&mut self) {
        if let At::Percent(percent) = self.args.at
            && self.has_level.is_none()
            && !self.state.rows.is_empty()
        {
            let ending = self.state.ending();
            self.has_level = Some(ending.is_some());
            let text = match ending {
                Some(ending) => {
                    format!(
                        "dumps are taken at a leak, and at {percent} % of {}",
                        ending.limit
                    )
                }
                None => "no limit of memory is known: dumps are taken at a leak only \
                         (another: --limit SIZE, --at SIZE)"
                    .to_owned(),
            };
            self.tell("note", &text, json!({}));
        }
        if !self.is_too_late_told
            && !self.is_echo(self.now())
            && let Some(text) = too_late(&self.state, self.args.at)
        {
            self.is_too_late_told = true;
            self.tell("note", &text, json!({}));
        }
    }
}
