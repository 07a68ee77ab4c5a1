//! `rbleak guard`: watches a process tree, and takes dumps of the right process
//! when it leaks or memory gets short.

use super::hunt::interrupt_on_signals;
use crate::capture::{Options, Schedule, remove_left_overs};
use crate::exit::ExitStatus;
use crate::files::write_atomically;
use crate::guard::{
    About, At, Deed, Duty, Facts, Folder, GuardArgs, Hook, Job, Kept, Log, Manner, Order, Outcome,
    Seen, Store, Taker, Terms, Told, Uploaded, Uploader, Went, Why, document, find, level, places,
    sentence, status_word, too_late, trigger, without_copy,
};
use crate::run::{Status, TriggerFacts};
use crate::shell;
use crate::watch::{Recorder, Sampler, Settings, State, check, name_of, notes};
use anyhow::{Result, bail};
use jiff::ZonedDateTime;
use rbleak_capture::{Interrupt, NoRoom, Room};
use rbleak_process::stat::Stat;
use rbleak_process::{Pid, maps, ruby};
use rbleak_report::{Note, Value, json};
use rbleak_trend::recording::Header;
use rbleak_units::Bytes;
use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A wait looks for signals and answers so often.
const TICK: Duration = Duration::from_millis(50);
/// Of the grace, dumps have so much; the rest is for uploads.
const DUMPS_SHARE: f64 = 0.6;
/// A control group's figures may be so many seconds old: for so long after a
/// dump they count the copy that wrote it.
const ECHO: f64 = 2.5;
/// What was no Ruby may have become one by then, in seconds.
const LOOK_AGAIN: f64 = 10.0;
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
    if let Some(path) = &args.output {
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
    /// The process that is dumped now, and since when.
    copying: Option<(Pid, f64)>,
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
            copying: None,
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
        if let Some((pid, since)) = self.copying {
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
            && self.copying.is_none()
            && let Some(text) = too_late(&self.state, self.args.at)
        {
            self.is_too_late_told = true;
            self.tell("note", &text, json!({}));
        }
    }

    /// What the duty is to decide upon.
    fn seen(&mut self) -> Seen {
        let now = self.now();
        let mut rubies = std::mem::take(&mut self.rubies);
        let every = self.args.every.as_secs_f64();
        let places = places(&self.state, every, &mut |pid| {
            let known = rubies.get(&pid).copied();
            let known = known.filter(|(is_ruby, at)| *is_ruby || now - at < LOOK_AGAIN);
            let look = || maps::read(pid).is_ok_and(|mappings| ruby::is_ruby(&mappings));
            let (is_ruby, at) = known.unwrap_or_else(|| (look(), now));
            rubies.insert(pid, (is_ruby, at));
            is_ruby
        });
        rubies.retain(|pid, _| places.iter().any(|place| place.pid == *pid));
        self.rubies = rubies;
        let is_echo = self.copying.is_some() || now - self.copied_at < ECHO;
        let spare = match (self.duty.subject(), self.copying) {
            (Some(pid), None) => self.room(pid).spare(),
            _ => None,
        };
        Seen {
            now,
            places,
            level: level(&self.state, self.args.at).filter(|_| !is_echo),
            spare,
        }
    }

    /// What a copy may take, and what is free: below `--limit`, too.
    fn room(&self, pid: Pid) -> Room {
        let room = Room::of(pid);
        match self.args.limit {
            Some(limit) => {
                let used = self.state.total();
                room.at_most(Bytes(limit.0.saturating_sub(used.0)))
            }
            None => room,
        }
    }

    /// Does what is due.
    fn act(&mut self) {
        loop {
            let seen = self.seen();
            let Some(deed) = self.duty.turn(&seen) else {
                break;
            };
            match deed {
                Deed::Open { pid, name, why } => self.begin_set(pid, name, why),
                Deed::Dump { label } => self.dump(label),
                Deed::Close(outcome) => self.close(outcome),
            }
        }
    }

    fn begin_set(&mut self, pid: Pid, name: String, why: Why) {
        let text = sentence(&why, &name);
        let key = trigger(&why);
        let is_known =
            matches!(&self.refused, Some((known, kind, _)) if (*known, *kind) == (pid, key));
        if !is_known {
            self.triggers += 1;
            let said = format!("{text}: dumps of {name} ({pid}) are taken");
            self.tell(key, &said, json!({"process": name, "pid": pid.0}));
            self.refused = None;
        }
        let folder = self.folder.for_set(&ZonedDateTime::now(), &name, pid.0);
        self.open = Some(Open {
            pid,
            name,
            why,
            is_begun: false,
        });
        match self.room(pid).check() {
            Err(no_room) => self.has_no_room(&no_room),
            Ok(()) => self.taker.order(Order::Open {
                pid,
                folder,
                trigger: TriggerFacts {
                    kind: key.to_owned(),
                    text,
                },
            }),
        }
    }

    fn dump(&mut self, label: &'static str) {
        let Some(open) = &self.open else {
            return;
        };
        match self.room(open.pid).check() {
            Err(no_room) => self.has_no_room(&no_room),
            Ok(()) => {
                self.copying = Some((open.pid, self.now()));
                self.taker.order(Order::Dump { label });
            }
        }
    }

    fn close(&mut self, outcome: Outcome) {
        let (status, error) = match outcome {
            Outcome::Whole => (Status::Complete, None),
            Outcome::CutShort => (Status::Interrupted, None),
            Outcome::Failed(sentence) => (Status::Failed, Some(sentence)),
        };
        self.closing.extend(self.open.take());
        self.taker.order(Order::Close { status, error });
    }

    fn has_no_room(&mut self, no_room: &NoRoom) {
        let text = format!("no dump now: {no_room}; it is tried again");
        let data = json!({
            "pid": no_room.pid.0, "need_bytes": no_room.need.0, "free_bytes": no_room.free.0,
        });
        // Figures change with each try.
        self.is_refused(
            "refused",
            &no_room.place.to_string(),
            &text,
            data,
            Went::NoRoom,
        );
    }

    fn has_failed(&mut self, sentence: String) {
        let text = format!("no dump now: {sentence}");
        let went = Went::Failed(sentence.clone());
        self.is_refused("failed", &sentence, &text, json!({}), went);
    }

    /// Tells it, if that was not told before, and lets the duty know.
    fn is_refused(&mut self, event: &str, why: &str, text: &str, data: Value, went: Went) {
        self.copying = None;
        if let Some(open) = &self.open {
            let refused = (open.pid, trigger(&open.why), why.to_owned());
            if !open.is_begun {
                self.open = None;
            }
            if self.refused.as_ref() != Some(&refused) {
                self.refused = Some(refused);
                self.tell(event, text, data);
            }
        }
        self.duty.went(self.now(), went);
    }

    /// What was done meanwhile, by all who do something.
    fn hear(&mut self) {
        while let Some(told) = self.taker.told() {
            self.answer(told);
            self.act();
        }
        while let Some(told) = self.uploader.as_ref().and_then(Uploader::told) {
            match told {
                Uploaded::Uploaded { folder, to } => {
                    let text = format!("{} is uploaded to {to}", folder.display());
                    let set = self.sets.iter_mut().rev();
                    let mut set = set.filter(|set| set.folder.as_ref() == Some(&folder));
                    if let Some(set) = set.next() {
                        set.uploaded = Some(to.clone());
                    }
                    self.tell(
                        "uploaded",
                        &text,
                        json!({"folder": shown(&folder), "to": to}),
                    );
                }
                Uploaded::Failed { path, sentence } => {
                    let text = format!("{sentence}; the files stay here, and it is tried again");
                    self.tell("upload_failed", &text, json!({"path": shown(&path)}));
                }
                Uploaded::Gone { path } => {
                    let text = format!("{} was removed before it was uploaded", path.display());
                    self.tell("upload_failed", &text, json!({"path": shown(&path)}));
                }
            }
        }
        while let Some(ended) = self.hook.as_mut().and_then(Hook::turn) {
            let text = match &ended.failure {
                None => "the command of --exec ended well".to_owned(),
                Some(failure) => failure.clone(),
            };
            let data =
                json!({"folder": shown(&ended.folder), "is_success": ended.failure.is_none()});
            self.tell("exec", &text, data);
        }
    }

    fn answer(&mut self, told: Told) {
        match told {
            Told::Opened { via } => {
                self.refused = None;
                if let Some(open) = &mut self.open {
                    open.is_begun = true;
                    let how = match via {
                        "agent" => "by its agent",
                        _ => "by injection",
                    };
                    let tracing = match self.args.trace {
                        Some(_) => ", and its allocations are traced",
                        None => "",
                    };
                    let text = format!("{} ({}) is reached {how}{tracing}", open.name, open.pid);
                    let data = json!({"pid": open.pid.0, "via": via});
                    self.tell("set_begun", &text, data);
                }
                self.duty.went(self.now(), Went::Well);
            }
            Told::Dumped {
                label,
                folder,
                bytes,
                pause_us,
            } => {
                self.refused = None;
                self.copying = None;
                self.copied_at = self.now();
                let text = format!(
                    "dump {label} is taken: {}, the process stood still for {:.1} ms",
                    Bytes(bytes),
                    pause_us as f64 / 1e3
                );
                let data = json!({
                    "dump": label, "folder": shown(&folder), "file_bytes": bytes, "pause_us": pause_us,
                });
                self.tell("dumped", &text, data);
                if let Some(uploader) = &self.uploader {
                    uploader.push(Job::Set(folder));
                }
                self.duty.went(self.now(), Went::Well);
            }
            Told::NoRoom(no_room) => self.has_no_room(&no_room),
            Told::Failed(sentence) => self.has_failed(sentence),
            Told::Closed {
                folder,
                dumps,
                status,
                trouble,
            } => {
                let Some(open) = self.closing.pop_front() else {
                    return;
                };
                self.closed(open, folder, dumps, status, trouble);
            }
        }
    }

    fn closed(
        &mut self,
        open: Open,
        folder: Option<PathBuf>,
        dumps: usize,
        status: Status,
        trouble: Option<String>,
    ) {
        self.copied_at = self.now();
        let word = status_word(status);
        let text = match &folder {
            None => format!("the set of {} ({}) has no dump", open.name, open.pid),
            Some(folder) => {
                let end = match status {
                    Status::Complete => format!("; next: rbleak diff {}", folder.display()),
                    _ => format!(" and is {word}: {}", folder.display()),
                };
                let count = match dumps {
                    1 => "1 dump".to_owned(),
                    n => format!("{n} dumps"),
                };
                format!("the set of {} ({}) has {count}{end}", open.name, open.pid)
            }
        };
        let data = json!({
            "pid": open.pid.0,
            "dumps": dumps,
            "status": word,
            "folder": folder.as_deref().map(shown),
        });
        self.tell("set_ended", &text, data);
        if let Some(trouble) = trouble {
            self.tell("failed", &trouble, json!({}));
        }
        if let Some(folder) = &folder {
            if let Some(uploader) = &self.uploader {
                uploader.push(Job::Set(folder.clone()));
            }
            if let Some(hook) = &mut self.hook {
                hook.push(Facts {
                    folder: std::path::absolute(folder).unwrap_or_else(|_| folder.clone()),
                    pid: open.pid.0,
                    process: open.name.clone(),
                    trigger: trigger(&open.why),
                    why: sentence(&open.why, &open.name),
                    dumps,
                    status: word,
                });
            }
        }
        self.sets.push(Kept {
            process: open.name,
            pid: open.pid.0,
            why: open.why,
            dumps,
            status,
            folder,
            uploaded: None,
            is_removed: false,
        });
        self.prune();
    }

    /// Removes the sets that are too many.
    fn prune(&mut self) {
        for removed in self.folder.prune(usize::from(self.args.keep)) {
            match removed {
                Ok(path) => {
                    let of = |set: &&mut Kept| set.folder.as_ref() == Some(&path);
                    if let Some(set) = self.sets.iter_mut().find(of) {
                        set.is_removed = true;
                    }
                    let text = format!("{} is removed for newer ones", path.display());
                    self.tell("removed", &text, json!({"folder": shown(&path)}));
                }
                Err(error) => self.tell("failed", &crate::sentence(&error), json!({})),
            }
        }
    }

    /// Finishes what can be finished, and answers.
    fn end(mut self, why: String) -> Result<ExitStatus> {
        let since = Instant::now();
        let grace = self.args.grace;
        self.duty.end();
        let data = json!({"grace_seconds": grace.as_secs_f64()});
        self.tell("ending", &format!("ending: {why}"), data);
        let mut next = since;
        while since.elapsed() < grace {
            if Instant::now() >= next {
                self.moment();
                self.act();
                next = Instant::now() + self.args.sample_every;
            }
            self.hear();
            if self.duty.subject().is_none() && self.open.is_none() && self.closing.is_empty() {
                break;
            }
            if since.elapsed() > grace.mul_f64(DUMPS_SHARE) {
                // What is under way is given up; what was taken is kept.
                self.halt.request();
            }
            std::thread::sleep(TICK);
        }
        if let Some(uploader) = &self.uploader {
            uploader.hurry();
        }
        self.carry_on_until(since + grace);
        let files = self.write_down(why);
        if let Some(uploader) = &self.uploader
            && uploader.left() == 0
        {
            for file in files {
                uploader.push(Job::File(file));
            }
            self.carry_on_until(since + grace);
        }
        let (document, status) = document(&self.sets, std::mem::take(&mut self.about));
        shell::show(&document, self.args.format, self.args.output.as_deref())?;
        Ok(status)
    }

    /// Waits for uploads and the command, until a time.
    fn carry_on_until(&mut self, deadline: Instant) {
        loop {
            self.hear();
            let left = self.uploader.as_ref().map_or(0, Uploader::left);
            let is_idle = self.hook.as_ref().is_none_or(Hook::is_idle);
            if left == 0 && is_idle || Instant::now() >= deadline {
                return;
            }
            std::thread::sleep(TICK);
        }
    }

    /// The report as a file, and which files are to be uploaded beside the sets.
    fn write_down(&mut self, why: String) -> Vec<PathBuf> {
        let left = self.uploader.as_ref().map_or(0, Uploader::left);
        let lost = self.recorder.finish();
        let mut notes: Vec<Note> = lost.into_iter().map(Note::warning).collect();
        if left > 0 {
            let text = "not everything could be uploaded within --grace: it is kept here";
            self.tell("upload_failed", text, json!({}));
            notes.push(Note::warning(text));
        }
        if self.hook.as_ref().is_some_and(|hook| !hook.is_idle()) {
            notes.push(Note::warning(
                "the command of --exec did not end within --grace, or did not run",
            ));
        }
        self.about.seconds = self.now();
        self.about.ended = why;
        self.about.triggers = self.triggers;
        self.about.notes = notes;
        let about = About {
            target: self.about.target.clone(),
            ended: self.about.ended.clone(),
            folder: self.about.folder.clone(),
            notes: Vec::new(),
            ..self.about
        };
        let (document, _) = document(&self.sets, about);
        let path = self.folder.path().join("report.json");
        let json = rbleak_report::to_json(&document);
        let written = write_atomically(&path, |out| out.write_all(json.as_bytes()));
        if let Err(error) = written {
            shell::warn(&format!("cannot write {}: {error}", path.display()));
        }
        vec![self.log.path(), self.recorder.path().to_owned(), path]
    }
}
