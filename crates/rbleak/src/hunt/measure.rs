//! The live part of a hunt: boot, warm up, rounds, and on a leak the dumps.
//!
//! Cheap detection gates expensive diagnosis: rounds cost a collection and a
//! few numbers each; only when Ruby's objects grow is allocation tracing
//! switched on and are heap dumps taken.

use super::document::Cache;
use super::plan::Plan;
use crate::files::write_atomically;
use crate::run::{DumpRecord, RunDirectory};
use crate::shell::Progress;
use anyhow::{Context, Result};
use rbleak_capture::{App, CaptureError, Interrupt, Launch, Load};
use rbleak_process::Pid;
use rbleak_process::allocator;
use rbleak_trend::{Cause, Margins, RoundSample, Rounds};
use rbleak_units::Bytes;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// What was measured; the dumps lie in the run's folder.
pub(crate) struct Measured {
    pub(crate) rounds: Rounds,
    pub(crate) caches: Vec<Cache>,
}

/// A round of this length is long against the cost of a sample, and short
/// enough for a verdict within seconds.
const ROUND_SECONDS: f64 = 0.5;
/// Requests by which the speed is told, after as many that load code.
const SPEED_REQUESTS: u64 = 25;
const MIN_PER_ROUND: u64 = 50;
const MAX_PER_ROUND: u64 = 500;
/// The same answer so many rounds in a row is the verdict.
const CONFIRM: u32 = 2;
/// Rounds before any verdict: a cache that is still filling looks like a leak
/// for as long as it fills.
const MIN_ROUNDS: u32 = 8;
/// Rounds after the dumps by which growth in place is confirmed, since the
/// tracer's tables blur every figure of bytes while it is on.
const ROUNDS_AFTER: u32 = 3;
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
        traced: false,
    };
    let result = hunt.go();
    let samples = hunt.run.write_samples(hunt.rounds.samples());
    hunt.run.manifest.load.rounds = hunt.played;
    hunt.run.manifest.load.seconds = started.elapsed().as_secs_f64();
    let caches = result?;
    samples?;
    progress.say("stopping the app");
    let rounds = hunt.rounds;
    hunt.app.stop()?;
    hunt.run.save()?;
    Ok(Measured { rounds, caches })
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
    if let Ok(found) = allocator::read(Pid(app.pid())) {
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
    /// Whether allocation tracing is on.
    traced: bool,
}

impl Hunt<'_> {
    fn go(&mut self) -> Result<Vec<Cache>> {
        self.progress.say("warming up");
        let per_round = self.warm_up()?;
        self.run.manifest.load.requests_per_round = per_round;
        self.sample()?;
        let mut answers = (Cause::Undecided, 0);
        let mut dump_phases = 0;
        while self.played < self.plan.max_rounds {
            self.round(per_round)?;
            let cause = self.rounds.judge(self.margins).cause;
            answers = match answers {
                (last, times) if last == cause => (last, times + 1),
                _ => (cause, 1),
            };
            if cause == Cause::Undecided || answers.1 < CONFIRM || self.played < MIN_ROUNDS {
                continue;
            }
            match cause {
                Cause::RubyObjects | Cause::RubyBytes if dump_phases < MAX_DUMP_PHASES => {
                    dump_phases += 1;
                    self.dump_phase(per_round)?;
                    if self.goes_on(cause, per_round)? {
                        break;
                    }
                    // It went on no longer: a cache that had not been full.
                    answers = (Cause::Undecided, 0);
                }
                _ => break,
            }
        }
        Ok(Vec::new())
    }

    /// Whether what grew before the dumps grew until after them.
    fn goes_on(&mut self, cause: Cause, per_round: u64) -> Result<bool> {
        if cause == Cause::RubyObjects {
            return Ok(self.rounds.objects_go_on(self.margins));
        }
        for _ in 0..ROUNDS_AFTER {
            self.round(per_round)?;
        }
        Ok(self.rounds.judge(self.margins).cause == cause)
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
        self.run.manifest.load.warmup = warmup
            + if given.is_none() {
                2 * SPEED_REQUESTS
            } else {
                0
            };
        Ok(per_round)
    }

    fn load(&mut self, requests: u64) -> Result<Load, CaptureError> {
        let load = self.app.run(requests)?;
        if let Some(target) = &load.first_redirect {
            self.run.manifest.load.redirected_to = Some(target.clone());
        }
        Ok(load)
    }

    fn round(&mut self, requests: u64) -> Result<()> {
        self.played += 1;
        self.progress.say(format!(
            "round {} of at most {}: {requests} requests each",
            self.played, self.plan.max_rounds
        ));
        self.load(requests)?;
        self.requests += requests;
        self.sample()
    }

    fn sample(&mut self) -> Result<()> {
        let sample = self.app.sample()?;
        self.run.manifest.app.malloc_source = Some(sample.malloc_source.clone());
        self.rounds.push(RoundSample {
            requests: self.requests,
            live_slots: sample.live_slots.0 as f64,
            memsize: sample.memsize.as_f64(),
            malloc_in_use: sample.malloc_in_use.map(Bytes::as_f64),
            malloc_free: sample.malloc_free.map(Bytes::as_f64),
            traced: self.traced,
        });
        Ok(())
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
        });
        self.run.save()
    }
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
