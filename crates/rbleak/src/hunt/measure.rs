//! The live part of a hunt: boot, warm up, rounds, and on a leak the dumps.
//!
//! Cheap detection gates expensive diagnosis: rounds cost a collection and a
//! few numbers each; only when Ruby's objects grow is allocation tracing
//! switched on and are heap dumps taken.

use super::diagnose::diagnose;
use super::document::Cache;
use super::endpoints::{EndpointsFound, Many, overall};
use super::plan::Plan;
use super::traffic::Traffic;
use crate::files::write_atomically;
use crate::held::Evidence;
use crate::run::{DumpRecord, MEMORY_FILE, MemoryPoint, RunDirectory, memory_csv};
use crate::shell::Progress;
use anyhow::{Context, Result, bail};
use rbleak_capture::{App, CaptureError, Container, Interrupt, Launch, Load};
use rbleak_process::{Pid, allocator, status};
use rbleak_trend::{Cause, Margins, RoundSample, Rounds};
use rbleak_units::Bytes;
use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// What was measured; the dumps lie in the run's folder.
pub(crate) struct Measured {
    pub(crate) rounds: Rounds,
    /// The dumps of the last dump phase, if there was one.
    pub(crate) evidence: Option<Evidence>,
    pub(crate) caches: Vec<Cache>,
    /// Of each endpoint, where there are several; and what follows from them.
    pub(crate) endpoints: Option<EndpointsFound>,
    pub(crate) cause: Option<Cause>,
}

/// A round of this length is long against the cost of a sample, and short
/// enough for a verdict within seconds.
const ROUND_SECONDS: f64 = 0.5;
/// Requests by which the speed is told, after as many that fill caches.
const SPEED_REQUESTS: u64 = 25;
/// Requests before named containers are counted for the first time.
const FIRST_REQUESTS: u64 = 2;
const MIN_PER_ROUND: u64 = 50;
const MAX_PER_ROUND: u64 = 500;
/// A turn of one endpoint among several: there are more of them.
const TURN_SECONDS: f64 = 0.1;
const MIN_PER_TURN: u64 = 25;
const MAX_PER_TURN: u64 = 100;
/// The same answer so many rounds in a row is the verdict.
const CONFIRM: u32 = 2;
/// Every so many rounds named containers are counted; what has not grown since
/// the count so many rounds before the end, or longer ago, has levelled off.
const CENSUS_ROUNDS: u32 = 4;
const LEVEL_ROUNDS: u32 = 3;
/// A container that gained fewer entries is no cache worth naming.
const MIN_CACHE_GROWTH: u64 = 32;
/// Dumps are worth taking again when a cache had filled the first time.
const MAX_DUMP_PHASES: u32 = 2;
const LABELS: [&str; 3] = ["A", "B", "C"];

/// Boots the app, drives it, and fills the run's folder.
///
/// # Errors
/// Those of the app ([`CaptureError`]) and of the disk. The app is stopped in
/// any case.
pub(crate) fn measure(
    plan: &Plan,
    run: &mut RunDirectory,
    interrupt: &Interrupt,
    progress: &Progress,
    margins: &Margins,
) -> Result<Measured> {
    let started = Instant::now();
    progress.say("booting the app");
    let app = App::boot(launch(plan, run), interrupt)?;
    describe(run, &app, started);
    run.save()?;
    let mut hunt = Hunt {
        plan,
        run,
        app,
        progress,
        margins,
        rounds: Rounds::default(),
        requests: 0,
        played: 0,
        memory: Vec::new(),
        started,
        traced: false,
        evidence: None,
        many: None,
    };
    let result = hunt.go();
    let samples = hunt.run.write_samples(hunt.rounds.samples());
    let memory = memory_csv(&hunt.memory);
    let memory = hunt.run.write(MEMORY_FILE, memory.as_bytes());
    hunt.run.manifest.load.rounds = hunt.played;
    hunt.run.manifest.load.seconds = started.elapsed().as_secs_f64();
    let caches = result?;
    samples.and(memory)?;
    progress.say("stopping the app");
    let cause = hunt.many.is_some().then(|| hunt.cause());
    // Collections of several processes are counted together.
    let tells_generations = hunt.app.about().processes.len() == 1;
    let endpoints = hunt
        .many
        .take()
        .map(|many| many.found(margins, tells_generations));
    let (rounds, evidence) = (hunt.rounds, hunt.evidence);
    hunt.app.stop()?;
    hunt.run.save()?;
    Ok(Measured {
        rounds,
        evidence,
        caches,
        endpoints,
        cause,
    })
}

fn launch(plan: &Plan, run: &RunDirectory) -> Launch {
    let mut launch = Launch::new(&plan.directory, plan.mode.clone(), run.join("app.log"));
    launch.ruby = plan.ruby.clone();
    launch.requests = plan.requests.clone();
    launch.environment = plan.environment.clone();
    launch.bundler = plan.bundler;
    launch.boot_timeout = plan.boot_timeout;
    launch.request_timeout = plan.request_timeout;
    launch.stop_timeout = plan.stop_timeout;
    launch.inherited = std::env::vars_os().collect();
    launch
}

fn describe(run: &mut RunDirectory, app: &App, started: Instant) {
    let about = app.about();
    let facts = &mut run.manifest.app;
    facts.pid = Some(app.pid());
    facts.agent_directory = about.agent_directory.clone();
    facts.ruby = Some(about.ruby.clone());
    facts.frameworks = [
        ("Rack", &about.rack),
        ("Rails", &about.rails),
        ("Puma", &about.puma),
    ]
    .into_iter()
    .filter_map(|(name, version)| Some(format!("{name} {}", version.as_ref()?)))
    .collect();
    if let Ok(mut found) = allocator::read(Pid(app.pid())) {
        // What a hunt sets on top is no setting of the app's.
        found.malloc_conf = std::env::var("MALLOC_CONF")
            .ok()
            .filter(|conf| !conf.is_empty());
        facts.allocator = Some(found.summary());
        facts.allocator_kind = Some(found.name().to_owned());
    }
    run.manifest.load.boot_seconds = started.elapsed().as_secs_f64();
}

struct Hunt<'a> {
    plan: &'a Plan,
    run: &'a mut RunDirectory,
    app: App,
    progress: &'a Progress,
    margins: &'a Margins,
    rounds: Rounds,
    /// Requests since the first sample.
    requests: u64,
    /// Rounds after the first sample.
    played: u32,
    /// The resident set at each sample, by the clock of the hunt.
    memory: Vec<MemoryPoint>,
    started: Instant,
    /// Whether allocation tracing is on.
    traced: bool,
    evidence: Option<Evidence>,
    /// The endpoints, where there are several.
    many: Option<Many>,
}

impl Hunt<'_> {
    fn go(&mut self) -> Result<Vec<Cache>> {
        self.progress.say("warming up");
        let traffic = self.traffic()?;
        // The first requests load code, and code fills tables that are none
        // of the app's caches.
        let traffic = self.first_requests(traffic)?;
        let first = self.app.census()?;
        let mut counts = Vec::new();
        let per_round = match traffic {
            Some(traffic) => self.warm_up_each(traffic)?,
            None => self.warm_up()?,
        };
        self.run.manifest.load.requests_per_round = per_round;
        self.sample()?;
        let mut answers = (vec![Cause::Undecided], 0);
        let mut dump_phases = 0;
        while self.played < self.plan.max_rounds {
            self.round(per_round)?;
            if self.played.is_multiple_of(CENSUS_ROUNDS) {
                counts.push((self.played, self.app.census()?));
            }
            let causes = self.causes();
            let cause = overall(&causes);
            let is_open = match cause {
                Cause::Undecided | Cause::Nothing => causes.contains(&Cause::Undecided),
                // One that cannot be told holds up the others so long.
                _ => causes.contains(&Cause::Undecided) && self.played < 2 * self.plan.min_rounds,
            };
            answers = match answers {
                (last, times) if last == causes => (last, times + 1),
                _ => (causes, 1),
            };
            if is_open || answers.1 < CONFIRM || self.played < self.plan.min_rounds {
                continue;
            }
            match cause {
                Cause::RubyObjects | Cause::RubyBytes if dump_phases < MAX_DUMP_PHASES => {
                    dump_phases += 1;
                    self.dump_phase(per_round)?;
                    if self.is_confirmed(cause)? {
                        break;
                    }
                    // It went on no longer: a cache that had not been full.
                    answers = (vec![Cause::Undecided], 0);
                }
                // What could not be confirmed twice may yet level off.
                Cause::RubyObjects | Cause::RubyBytes => {}
                _ => break,
            }
        }
        let played = self.played;
        let before = counts
            .into_iter()
            .rev()
            .find(|(round, _)| round + LEVEL_ROUNDS <= played);
        let middle = before.map(|(_, count)| count).unwrap_or_default();
        Ok(levelled_off(&first, &middle, &self.app.census()?))
    }

    /// Whether growth went on until the last dump, in the figures and in
    /// what the dumps name.
    fn is_confirmed(&mut self, cause: Cause) -> Result<bool> {
        self.progress.say("reading the heap dumps");
        self.evidence = Evidence::of_run(self.run, self.plan.memory)?;
        let known = self.many.is_some().then_some(cause);
        let diagnosis = diagnose(&self.rounds, self.margins, known, self.evidence.as_ref())?;
        let goes_on = match &self.many {
            Some(many) => many.goes_on(self.margins),
            None => self.rounds.goes_on(cause, self.margins),
        };
        Ok(goes_on && diagnosis.held.confirms_growth())
    }

    /// What each endpoint does so far; of one endpoint, what the app does.
    fn causes(&self) -> Vec<Cause> {
        match &self.many {
            Some(many) => many.causes(self.margins),
            None => vec![self.rounds.judge(self.margins).cause],
        }
    }

    fn cause(&self) -> Cause {
        overall(&self.causes())
    }

    /// What is to be requested, once the app was asked for its routes.
    fn traffic(&mut self) -> Result<Option<Traffic>> {
        let Some(mut traffic) = self.plan.traffic.clone() else {
            return Ok(None);
        };
        if let Some(fill) = &self.plan.routes {
            let Some(routes) = self.app.routes()? else {
                bail!("--paths-from routes wants a Rails app, and this is none: give --path");
            };
            traffic.add_routes(&routes, fill, &self.plan.requests[0]);
        }
        if traffic.endpoints.is_empty() {
            bail!(
                "there is no endpoint to request{}",
                skipped_words(&traffic.skipped)
            );
        }
        Ok(Some(traffic))
    }

    /// The first requests of everything; endpoints that fail and were not asked
    /// for by name are left out.
    fn first_requests(&mut self, traffic: Option<Traffic>) -> Result<Option<Traffic>> {
        let Some(traffic) = traffic else {
            self.load(FIRST_REQUESTS)?;
            return Ok(None);
        };
        self.hand_over(&traffic)?;
        let mut failing = Vec::new();
        for (at, endpoint) in traffic.endpoints.iter().enumerate() {
            let many = (endpoint.requests.len() as u64).clamp(FIRST_REQUESTS, MIN_PER_TURN);
            match self.app.run_group(at, many) {
                Ok(load) => self.note(&load),
                Err(error) if endpoint.is_wanted => return Err(error.into()),
                Err(CaptureError::RequestFailed { status, .. }) => {
                    failing.push((at, format!("it is answered by {status}")));
                }
                Err(CaptureError::RequestRaised { class, .. }) => {
                    failing.push((at, format!("it raises {class}")));
                }
                Err(error) => return Err(error.into()),
            }
        }
        if failing.is_empty() {
            return Ok(Some(traffic));
        }
        let traffic = traffic.without(&failing);
        if traffic.endpoints.is_empty() {
            bail!(
                "no endpoint answers with a success{}",
                skipped_words(&traffic.skipped)
            );
        }
        self.hand_over(&traffic)?;
        Ok(Some(traffic))
    }

    /// A group for each endpoint, and one of the recorded traffic.
    fn hand_over(&mut self, traffic: &Traffic) -> Result<()> {
        let endpoints = traffic.endpoints.iter();
        let mut groups: Vec<Vec<usize>> = endpoints.map(|e| e.requests.clone()).collect();
        if !traffic.recorded.is_empty() {
            groups.push(traffic.recorded.clone());
        }
        self.app.set_requests(traffic.requests.clone(), groups)?;
        let endpoints = traffic.endpoints.iter();
        self.run.manifest.load.paths = endpoints.map(|e| e.name.clone()).collect();
        Ok(())
    }

    /// [`Hunt::warm_up`] of each endpoint: turns are shorter than rounds, as
    /// there are many.
    fn warm_up_each(&mut self, traffic: Traffic) -> Result<u64> {
        let mut sizes = Vec::new();
        let mut done = 0;
        for at in 0..traffic.endpoints.len() {
            let size = match self.plan.per_round {
                Some(given) => given,
                None => {
                    let timed = self.app.run_group(at, SPEED_REQUESTS)?;
                    done += SPEED_REQUESTS;
                    let seconds = timed.elapsed.as_secs_f64().max(1e-6);
                    let fitting = SPEED_REQUESTS as f64 / seconds * TURN_SECONDS;
                    (fitting as u64 / MIN_PER_TURN * MIN_PER_TURN).clamp(MIN_PER_TURN, MAX_PER_TURN)
                }
            };
            let warmup = self.plan.warmup.unwrap_or(size);
            if warmup > 0 {
                self.app.run_group(at, warmup)?;
            }
            done += warmup + FIRST_REQUESTS;
            sizes.push(size);
        }
        self.run.manifest.load.warmup = done;
        let many = Many::new(traffic, sizes);
        let per_block = many.per_block();
        self.many = Some(many);
        Ok(per_block)
    }

    /// Loads what is loaded late, tells the speed, and does the warm-up;
    /// answers how many requests a round has.
    fn warm_up(&mut self) -> Result<u64> {
        let given = self.plan.per_round;
        let per_round = match given {
            Some(given) => given,
            None => {
                self.load(SPEED_REQUESTS)?;
                let timed = self.load(SPEED_REQUESTS)?;
                let seconds = timed.elapsed.as_secs_f64().max(1e-6);
                let fitting = SPEED_REQUESTS as f64 / seconds * ROUND_SECONDS;
                (fitting as u64 / MIN_PER_ROUND * MIN_PER_ROUND).clamp(MIN_PER_ROUND, MAX_PER_ROUND)
            }
        };
        let warmup = self.plan.warmup.unwrap_or(per_round);
        if warmup > 0 {
            self.load(warmup)?;
        }
        let timing = if given.is_none() {
            2 * SPEED_REQUESTS
        } else {
            0
        };
        self.run.manifest.load.warmup = FIRST_REQUESTS + timing + warmup;
        Ok(per_round)
    }

    fn load(&mut self, requests: u64) -> Result<Load, CaptureError> {
        let load = self.app.run(requests)?;
        self.note(&load);
        Ok(load)
    }

    fn note(&mut self, load: &Load) {
        if let Some(target) = &load.first_redirect {
            self.run.manifest.load.redirected_to = Some(target.clone());
        }
    }

    fn round(&mut self, requests: u64) -> Result<()> {
        self.played += 1;
        self.progress.say(format!(
            "round {} of at most {}: {requests} requests each",
            self.played, self.plan.max_rounds
        ));
        let Some(many) = &mut self.many else {
            self.load(requests)?;
            self.requests += requests;
            return self.sample();
        };
        for slice in many.block() {
            let load = self.app.run_group(slice.group, slice.requests)?;
            self.note(&load);
            self.requests += slice.requests;
            let (sample, collections) = self.read()?;
            if let Some(many) = &mut self.many {
                many.end(slice, sample, collections);
            }
        }
        // The sample after the last turn of a block is that after a round.
        let last = self.many.as_ref().and_then(Many::last);
        if let Some(last) = last {
            self.rounds.push(last);
        }
        Ok(())
    }

    fn sample(&mut self) -> Result<()> {
        let (sample, collections) = self.read()?;
        if let Some(many) = &mut self.many {
            many.begin(sample, collections);
        }
        self.rounds.push(sample);
        Ok(())
    }

    /// The figures as they are now, and how many collections there were.
    fn read(&mut self) -> Result<(RoundSample, u64)> {
        let sample = self.app.sample()?;
        self.run.manifest.app.malloc_source = Some(sample.malloc_source.clone());
        self.note_memory();
        let read = RoundSample {
            requests: self.requests,
            live_slots: sample.live_slots.0 as f64,
            memsize: sample.memsize.as_f64(),
            content: sample.content.map(Bytes::as_f64),
            malloc_in_use: sample.malloc_in_use.map(Bytes::as_f64),
            malloc_free: sample.malloc_free.map(Bytes::as_f64),
            traced: self.traced,
        };
        Ok((read, sample.gc_count))
    }

    /// What the processes have resident now; a process that is gone is told by
    /// the next request.
    fn note_memory(&mut self) {
        let processes = self.app.about().processes.iter();
        let rss = processes.map(|&pid| status::read(Pid(pid)).ok()?.rss);
        if let Some(rss) = rss.sum::<Option<Bytes>>() {
            self.memory.push(MemoryPoint {
                seconds: self.started.elapsed().as_secs_f64(),
                requests: self.requests,
                rss_bytes: rss.0,
            });
        }
    }

    /// A, B and C, a round between each; the names with the last.
    fn dump_phase(&mut self, per_round: u64) -> Result<()> {
        self.run.drop_dumps()?;
        self.app.trace(true)?;
        self.traced = true;
        for (index, label) in LABELS.into_iter().enumerate() {
            self.round(per_round)?;
            self.progress.say(format!("heap dump {label}"));
            let last = index + 1 == LABELS.len();
            self.dump(label, last)?;
            if let (0, Some(many)) = (index, &mut self.many) {
                many.first_dump();
            }
        }
        self.app.trace(false)?;
        self.traced = false;
        Ok(())
    }

    fn dump(&mut self, label: &str, with_names: bool) -> Result<()> {
        let file = format!("{label}.ndjson.zst");
        let path = self.run.join(&file);
        compress(&path, |out| self.app.dump(out).map(drop))?;
        let names = if with_names {
            let names = format!("{label}.names.ndjson.zst");
            compress(&self.run.join(&names), |out| self.app.names(out).map(drop))?;
            Some(names)
        } else {
            None
        };
        self.run.manifest.dumps.push(DumpRecord {
            label: label.to_owned(),
            file_bytes: std::fs::metadata(&path).map_or(0, |m| m.len()),
            file,
            names,
            requests: self.requests,
            cost: None,
        });
        self.run.save()
    }
}

/// `: /users/:id (it needs :id …), …`.
fn skipped_words(skipped: &[(String, String)]) -> String {
    let all = skipped.iter().map(|(name, why)| format!("{name} ({why})"));
    match all.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => String::new(),
        some => format!(": {some}"),
    }
}

/// The containers that grew until the middle of the hunt, and not after it.
/// One that is replaced as a whole counts too: it goes by its name.
fn levelled_off(first: &[Container], middle: &[Container], last: &[Container]) -> Vec<Cache> {
    let sizes = |census: &[Container]| -> HashMap<String, u64> {
        census.iter().map(|c| (c.name.clone(), c.size)).collect()
    };
    let (first, middle) = (sizes(first), sizes(middle));
    let mut seen = HashSet::new();
    let mut caches: Vec<Cache> = last
        .iter()
        .filter_map(|container| {
            let before = first.get(&container.name).copied().unwrap_or(0);
            let halfway = *middle.get(&container.name)?;
            let grew = container.size >= before + MIN_CACHE_GROWTH;
            // A String counts bytes: its noise is larger than an entry or two.
            let stopped = container.size <= halfway + halfway / 50;
            (grew && stopped && seen.insert(container.address)).then(|| Cache {
                name: container.name.clone(),
                class: container.class.clone(),
                entries: (before, container.size),
            })
        })
        .collect();
    caches.sort_by(|a, b| (b.entries.1, &a.name).cmp(&(a.entries.1, &b.name)));
    caches
}

/// Writes what `fill` produces to `path`, compressed.
fn compress(
    path: &Path,
    fill: impl FnOnce(&mut dyn Write) -> Result<(), CaptureError>,
) -> Result<()> {
    write_atomically(path, |out| -> Result<()> {
        let mut encoder = zstd::Encoder::new(out, 3)?;
        fill(&mut encoder)?;
        encoder.finish()?;
        Ok(())
    })
    .with_context(|| format!("cannot write {}", path.display()))
}
