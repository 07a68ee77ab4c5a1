//! `rbleak watch`: memory over time of a process and all below it.

use super::explore::is_colored;
use super::hunt::interrupt_on_signals;
use super::trend::{caption, write_svg};
use crate::cli::Format;
use crate::exit::ExitStatus;
use crate::files::create_private_directory;
use crate::shell;
use crate::watch::{
    About, Asker, Lines, Recorder, Requests, Sampler, Screen, Served, Settings, Source, State,
    WatchArgs, Wish, check, document, is_terminal, name_of, notes,
};
use anyhow::{Context, Result, bail};
use jiff::ZonedDateTime;
use rbleak_capture::{Glances, Interrupt, Launch, Mode, Watched};
use rbleak_process::{Pid, allocator, maps, ruby};
use rbleak_report::Note;
use rbleak_trend::recording::Header;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// A wait looks for signals so often.
const TICK: Duration = Duration::from_millis(50);
/// Which Ruby and which allocator it is, is looked for so often at most, …
const LOOK_EVERY: f64 = 3.0;
/// … and so many times.
const LOOKS: u32 = 5;

/// Runs the command.
pub(crate) fn run(args: &WatchArgs) -> Result<ExitStatus> {
    refuse(args)?;
    let interrupt = interrupt_on_signals()?;
    let source = args.requests_from.as_deref().map(Source::of).transpose()?;
    // What is wrong is told before anything is started.
    let served = args.prometheus.map(Served::start).transpose()?;
    let requests = source.map(|source| Requests::start(source, args.every));
    let requests = requests.transpose()?;
    let mut watch = Watch::begin(args, &interrupt, served, requests)?;
    let ended = watch.go_on()?;
    watch.end(ended)
}

/// Refuses what would lose data, before anything is read.
fn refuse(args: &WatchArgs) -> Result<()> {
    if args.pid.is_some() && args.directory.is_some() {
        bail!("--directory is for a command that rbleak starts: give it behind --");
    }
    if args.output.file.is_some() && args.output.file == args.svg {
        bail!("--output and --svg name the same file: give two names");
    }
    for path in args.output.file.iter().chain(&args.svg) {
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
            bail!(
                "{} cannot be written at the end of the watch: give a file in a folder that is there",
                path.display()
            );
        }
    }
    Ok(())
}

/// A watch under way.
struct Watch<'a> {
    args: &'a WatchArgs,
    interrupt: Interrupt,
    state: State,
    sampler: Sampler,
    asker: Option<Asker>,
    watched: Option<Watched>,
    folder: Option<PathBuf>,
    recorder: Option<Recorder>,
    requests: Option<Requests>,
    served: Option<Served>,
    about: About,
    started: Instant,
    looks: u32,
    has_glances: bool,
}

impl<'a> Watch<'a> {
    fn begin(
        args: &'a WatchArgs,
        interrupt: &Interrupt,
        served: Option<Served>,
        requests: Option<Requests>,
    ) -> Result<Watch<'a>> {
        let now = ZonedDateTime::now();
        // A process that is not there leaves no folder behind.
        let checked = args.pid.map(|pid| check(Pid(pid))).transpose()?;
        let folder = match args.no_record {
            true => None,
            false => Some(folder(&args.run_dir, &now)?),
        };
        let watched = match args.pid {
            Some(_) => None,
            None => Some(start(args, folder.as_deref())?),
        };
        let (root, group) = match (checked, &watched) {
            (Some(checked), _) => checked,
            (None, Some(watched)) => check(Pid(watched.pid()))?,
            (None, None) => bail!("give a PID, or -- and a command"),
        };
        let asker = (!args.no_agent).then(|| {
            let glances = match &watched {
                Some(watched) => watched.glances(interrupt),
                None => Glances::of_residents(interrupt),
            };
            Asker::start(glances, args.gc_every)
        });
        let target = match args.command.as_slice() {
            [] => format!("{} {}", name_of(&root), root.pid),
            words => words.join(" "),
        };
        let notes = match args.pid {
            Some(_) => notes(&root).into_iter().map(Note::warning).collect(),
            None => Vec::new(),
        };
        let header = Header {
            started_at: Some(now.timestamp().to_string()),
            command: Some(target.clone()),
            every: Some(args.every.as_secs_f64()),
            limit: args
                .limit
                .or(group.as_ref().and_then(|group| group.read().limit)),
        };
        let recorder = folder
            .as_deref()
            .map(|folder| Recorder::create(folder, &header));
        let every = args.every.as_secs_f64();
        Ok(Watch {
            args,
            interrupt: interrupt.clone(),
            state: State::new(Settings {
                every,
                limit: args.limit,
            }),
            sampler: Sampler::new(&root, group),
            asker,
            watched,
            recorder: recorder.transpose()?,
            folder,
            requests,
            served,
            about: About {
                target,
                pid: root.pid.0,
                every,
                notes,
                ..About::default()
            },
            started: Instant::now(),
            looks: 0,
            has_glances: false,
        })
    }

    /// Samples until something ends it; why it did.
    fn go_on(&mut self) -> Result<String> {
        let args = self.args;
        let has_lines =
            !args.quiet && (args.output.format == Format::Text || args.output.file.is_some());
        let mut screen = match has_lines && !args.plain && is_terminal() {
            true => Some(
                Screen::open(self.about.target.clone(), is_colored())
                    .context("the terminal failed")?,
            ),
            false => None,
        };
        let mut lines = (has_lines && screen.is_none()).then(Lines::default);
        if lines.is_some() {
            self.announce();
        }
        let mut next = self.started;
        loop {
            self.moment(false);
            if let Some(why) = self.is_over() {
                return Ok(why);
            }
            next = (next + args.every).max(Instant::now());
            if let Some(lines) = &mut lines {
                shell::print(&lines.of(&self.state))?;
            }
            match &mut screen {
                Some(screen) => {
                    screen.view.trouble = self.trouble();
                    let wish = screen.show(&self.state, next, &self.interrupt);
                    if wish.context("the terminal failed")? == Wish::End {
                        return Ok("ended by hand".to_owned());
                    }
                }
                None => self.wait(next),
            }
            if self.interrupt.is_requested() {
                return Ok("interrupted".to_owned());
            }
        }
    }

    /// Says what is watched, where lines are read.
    fn announce(&self) {
        for note in &self.about.notes {
            shell::warn(&note.text);
        }
        if let Some(served) = &self.served {
            shell::say(&format!("figures at http://{}/metrics", served.address));
        }
        if let Some(recorder) = &self.recorder {
            shell::say(&format!("recording to {}", recorder.path().display()));
        }
    }

    /// Looks at everybody once, judges one row, writes it down.
    fn moment(&mut self, last: bool) {
        let now = self.started.elapsed().as_secs_f64();
        let uptime = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let uptime = uptime.tv_sec as f64 + uptime.tv_nsec as f64 / 1e9;
        let seen = self.sampler.look(now, uptime, last);
        if let Some(asker) = &mut self.asker {
            let living: Vec<Pid> = seen.processes.iter().map(|seen| seen.pid).collect();
            for (pid, glance) in asker.turn(now, &living) {
                self.has_glances = true;
                self.state.glanced(pid, glance);
            }
        }
        let requests = self.requests.as_ref();
        let count = |pid| requests.and_then(|requests| requests.of(pid));
        let rows = self.state.push(now, &seen, &count);
        if let Some(recorder) = &mut self.recorder {
            recorder.write(&rows);
        }
        if let Some(row) = self.state.due() {
            let started = self.started;
            self.state.judge(row, &|| started.elapsed().as_secs_f64());
        }
        if let Some(served) = &self.served {
            served.put(&self.state);
        }
        self.look_at_ruby(now);
    }

    /// Which Ruby and which allocator: not known at once of a command.
    fn look_at_ruby(&mut self, now: f64) {
        let is_time = now >= LOOK_EVERY * f64::from(self.looks);
        if self.about.ruby.is_some() || self.looks >= LOOKS || !is_time {
            return;
        }
        self.looks += 1;
        if let Ok(Some(pid)) = crate::doctor::look::ruby_below(Pid(self.about.pid))
            && let Ok(mappings) = maps::read(pid)
        {
            self.about.ruby = ruby::description(pid, &mappings);
            self.about.allocator = allocator::read(pid).ok();
        }
    }

    /// What is wrong at present.
    fn trouble(&self) -> Option<String> {
        let recorder = self.recorder.as_ref().and_then(Recorder::trouble);
        let requests = || self.requests.as_ref().and_then(Requests::trouble);
        recorder.map(str::to_owned).or_else(requests)
    }

    fn is_over(&mut self) -> Option<String> {
        let status = self.watched.as_mut().and_then(Watched::ended);
        if self.sampler.is_over() {
            return Some(match status {
                Some(status) => format!("it ended ({status})"),
                None => "it ended".to_owned(),
            });
        }
        let now = self.started.elapsed();
        if self.args.at_most.is_some_and(|most| now >= most) {
            return Some("as long as was asked for".to_owned());
        }
        if self.args.until_verdict && self.state.is_decided() {
            return Some("the verdict is known".to_owned());
        }
        None
    }

    fn wait(&self, until: Instant) {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || self.interrupt.is_requested() {
                return;
            }
            std::thread::sleep(left.min(TICK));
        }
    }

    /// The verdict, shown and kept.
    fn end(mut self, why: String) -> Result<ExitStatus> {
        if !self.sampler.is_over() {
            self.moment(true);
        }
        self.state.judge_all();
        let mut about = std::mem::take(&mut self.about);
        about.ended = why;
        if !self.sampler.has_root() && !self.sampler.is_over() {
            about.notes.push(Note::warning(format!(
                "process {} itself ended before those below it",
                about.pid
            )));
        }
        // Nobody has said that a process that runs already had an agent.
        if self.asker.is_some() && self.watched.is_some() && !self.has_glances {
            about.notes.push(Note::warning(
                "no agent gave figures, so that memory is known from outside only: is it a Ruby \
                 that keeps RUBYOPT, and was it watched for long enough (--gc-every)?",
            ));
        }
        let lost = self.recorder.as_mut().and_then(Recorder::finish);
        let failing = self.requests.as_ref().and_then(Requests::trouble);
        about
            .notes
            .extend(lost.into_iter().chain(failing).map(Note::warning));
        about.recording = self
            .recorder
            .as_ref()
            .map(|it| it.path().display().to_string());
        if let Some(watched) = self.watched.take() {
            watched.stop();
        }
        let (document, status) = document(self.state, about);
        if let Some(folder) = &self.folder {
            let path = folder.join("report.json");
            let json = rbleak_report::to_json(&document);
            let written = crate::files::write_atomically(&path, |out| {
                std::io::Write::write_all(out, json.as_bytes())
            });
            // A disk that is full takes the recording's rest, not the answer.
            if let Err(error) = written {
                shell::warn(&format!("cannot write {}: {error}", path.display()));
            }
        }
        if let Some(path) = &self.args.svg {
            write_svg(path, &document, &caption(&document))?;
        }
        shell::show(
            &document,
            self.args.output.format,
            self.args.output.file.as_deref(),
        )?;
        Ok(status)
    }
}

/// A folder of its own for the recording.
fn folder(parent: &Path, now: &ZonedDateTime) -> Result<PathBuf> {
    let name = now.strftime("watch-%Y-%m-%dT%H-%M-%S").to_string();
    for attempt in 1..100 {
        let path = match attempt {
            1 => parent.join(&name),
            _ => parent.join(format!("{name}.{attempt}")),
        };
        match create_private_directory(&path) {
            Ok(()) => return Ok(path),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error).with_context(|| {
                    format!(
                        "cannot create {} for the recording (another place: --run-dir DIR, none: --no-record)",
                        path.display()
                    )
                });
            }
        }
    }
    bail!(
        "{} has too many recordings of this second",
        parent.display()
    )
}

/// Starts the command; what it writes goes into the folder, or nowhere.
fn start(args: &WatchArgs, folder: Option<&Path>) -> Result<Watched> {
    let here = std::env::current_dir().context("this folder is gone")?;
    let directory = args.directory.clone().unwrap_or_else(|| here.clone());
    let log = match folder {
        Some(folder) => std::path::absolute(folder)
            .context("this folder is gone")?
            .join("app.log"),
        None => PathBuf::from("/dev/null"),
    };
    let mode = Mode::Server {
        command: args.command.clone(),
        port: None,
        concurrency: 1,
    };
    let mut launch = Launch::new(directory, mode, log);
    launch.inherited = std::env::vars_os().collect();
    launch.stop_timeout = Duration::from_secs(args.stop_timeout);
    let watched = match args.no_agent {
        true => Watched::start_plain(&launch),
        false => Watched::start(&launch),
    };
    Ok(watched?)
}
