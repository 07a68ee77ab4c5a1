//! Rows, lives and verdicts of a watch so far. Pure: it is given what was seen
//! and told what time it is.

use super::rows::{Candidate, Place, Places};
use super::sample::{Moment, Seen};
use rbleak_capture::Glance;
use rbleak_process::Pid;
use rbleak_process::cgroup::GroupMemory;
use rbleak_process::kinds::Kinds;
use rbleak_process::smaps_rollup::MemoryRollup;
use rbleak_trend::recording::Row as Recorded;
use rbleak_trend::{Judgement, MemorySeries, Sample, Signal, Verdict, judge, seconds_until};
use rbleak_units::{Bytes, Interval};
use std::collections::{HashMap, VecDeque};

/// Of the time, for judging.
const JUDGING: f64 = 0.001;
/// A row is judged again after this share of the time that it was watched, …
const AGAIN: f64 = 0.02;
/// … but within a minute.
const AGAIN_AT_LATEST: f64 = 60.0;
/// The same answer so many times, …
const STEADY: u32 = 3;
/// … each with so many times the samples of the one before, is the verdict.
const MORE: f64 = 1.1;
/// Garbage that a Ruby may leave lying about, in bytes.
const MOST_GARBAGE: f64 = 160e6;
/// Memory that allocators keep for their threads and count as in use, in bytes:
/// five threads under jemalloc come to some hundred kilobytes.
const MOST_IN_CACHES: f64 = 3e6;
/// Seconds after which neither is an excuse.
const COLLECTED_WITHIN: f64 = 600.0;
/// A leak this likely is not ruled out.
const DOUBT: f64 = 0.25;
/// Lives that are aligned by their ages, of one row.
const MOST_LIVES: usize = 64;
/// Events that are kept to be told at the end.
const MOST_EVENTS: usize = 200;

/// What does not change during a watch.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Settings {
    /// Seconds between samples.
    pub(crate) every: f64,
    /// What the processes may have together, where the user says so.
    pub(crate) limit: Option<Bytes>,
}

/// A row: one process after another.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) series: MemorySeries,
    /// The process in it now.
    pub(crate) alive: Option<Pid>,
    /// Seconds since the start of the process that is or was last in it.
    pub(crate) age: f64,
    /// How many were in it.
    pub(crate) lives: u32,
    /// When each of the last lives began: its number, and seconds after the
    /// watch began, before it if negative.
    births: VecDeque<(u64, f64)>,
    pub(crate) latest: Sample,
    pub(crate) walked: Option<MemoryRollup>,
    /// Anonymous memory when its pages were walked through.
    walked_anonymous: Option<Bytes>,
    pub(crate) kinds: Option<Kinds>,
    pub(crate) judgement: Option<Judgement>,
    judge_at: f64,
    /// The answer so far, how often in a row, and after how many samples.
    steady: (Option<Verdict>, u32, u64),
}

/// The limit, and when it is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Ending {
    pub(crate) limit: Bytes,
    pub(crate) used: Bytes,
    pub(crate) is_group: bool,
    /// From now on; `None` where nothing leaks.
    pub(crate) seconds: Option<Interval>,
}

/// A watch so far.
#[derive(Debug, Default)]
pub(crate) struct State {
    settings: Settings,
    places: Places,
    pub(crate) rows: Vec<Row>,
    /// What happened, for people.
    pub(crate) events: VecDeque<String>,
    /// Events in all, those that are no longer kept too.
    pub(crate) event_count: usize,
    pub(crate) group: Option<GroupMemory>,
    first_group: Option<GroupMemory>,
    /// Seconds since the watch began.
    pub(crate) now: f64,
    glances: HashMap<Pid, Glance>,
    /// Processes beyond the most that there are rows for.
    pub(crate) without_row: usize,
}

impl State {
    /// Nothing seen yet.
    pub(crate) fn new(settings: Settings) -> State {
        State {
            settings,
            ..State::default()
        }
    }

    /// The agent's figures, for the next sample of the process.
    pub(crate) fn glanced(&mut self, pid: Pid, glance: Glance) {
        self.glances.insert(pid, glance);
    }

    /// Takes in what was seen; what is to be written down of it.
    pub(crate) fn push(
        &mut self,
        now: f64,
        moment: &Moment,
        requests: &dyn Fn(Pid) -> Option<f64>,
    ) -> Vec<Recorded> {
        self.now = now;
        for pid in &moment.ended {
            self.end(*pid);
        }
        if let Some(group) = moment.group {
            self.note_group(group);
        }
        self.without_row = 0;
        let mut recorded = Vec::new();
        for seen in &moment.processes {
            let Some(index) = self.row_of(seen) else {
                continue;
            };
            let glance = self.glances.remove(&seen.pid);
            let sample = Sample {
                at: (now * 1000.0).round() / 1000.0,
                requests: requests(seen.pid),
                life: Some(u64::from(seen.pid.0)),
                rss: Some(seen.rss),
                pss: seen.walked.map(|walked| walked.pss),
                anonymous: seen.anonymous,
                live_slots: glance.map(|glance| glance.live_slots.0 as f64),
                malloc_in_use: glance.and_then(|glance| glance.malloc_in_use),
            };
            let row = &mut self.rows[index];
            row.push(sample, seen);
            let mut line = Recorded::new(row.name.clone(), sample);
            line.unique = seen.walked.map(|walked| walked.private);
            line.kinds = seen
                .kinds
                .as_ref()
                .map(super::document::kind_names)
                .unwrap_or_default();
            recorded.push(line);
        }
        // What came too late for a process that has ended.
        self.glances
            .retain(|pid, _| self.places.row(*pid).is_some());
        recorded
    }

    fn row_of(&mut self, seen: &Seen) -> Option<usize> {
        if let Some(index) = self.places.row(seen.pid) {
            return Some(index);
        }
        let place = self.places.place(&Candidate {
            pid: seen.pid,
            parent: seen.parent,
            title: seen.title.clone(),
            age: seen.age,
        });
        match place {
            Place::NotYet => None,
            Place::None => {
                self.without_row += 1;
                None
            }
            Place::New => {
                let index = self.rows.len();
                let name = self.places.name(index).to_owned();
                self.rows.push(Row::new(name, seen.pid));
                Some(index)
            }
            Place::Row(index) => {
                let row = &mut self.rows[index];
                row.lives += 1;
                row.alive = Some(seen.pid);
                (row.walked, row.walked_anonymous, row.kinds) = (None, None, None);
                let event = format!(
                    "{}: process {} takes the place of the one before, its life {}",
                    row.name, seen.pid, row.lives
                );
                self.tell(event);
                Some(index)
            }
        }
    }

    fn end(&mut self, pid: Pid) {
        let Some(index) = self.places.end(pid) else {
            return;
        };
        let row = &mut self.rows[index];
        row.alive = None;
        let event = format!("{}: process {pid} ended", row.name);
        self.tell(event);
    }

    fn note_group(&mut self, group: GroupMemory) {
        let first = *self.first_group.get_or_insert(group);
        let kills = |group: Option<GroupMemory>| group.and_then(|g| g.oom_kills);
        let before = kills(self.group).or(first.oom_kills);
        if let (Some(before), Some(now)) = (before, group.oom_kills)
            && now > before
        {
            self.tell(format!(
                "the control group ran out of memory: {} processes killed",
                now - before
            ));
        }
        self.group = Some(group);
    }

    /// Processes that the control group has killed since the watch began.
    pub(crate) fn oom_kills(&self) -> Option<u64> {
        let first = self.first_group?.oom_kills?;
        Some(self.group?.oom_kills?.saturating_sub(first))
    }

    fn tell(&mut self, event: String) {
        self.event_count += 1;
        self.events.push_back(event);
        if self.events.len() > MOST_EVENTS {
            self.events.pop_front();
        }
    }

    /// The row that is to be judged next, if it is time for one.
    pub(crate) fn due(&self) -> Option<usize> {
        let due = self.rows.iter().enumerate();
        due.filter(|(_, row)| row.judge_at <= self.now)
            .filter(|(_, row)| row.alive.is_some() || row.judgement.is_none())
            .min_by(|a, b| a.1.judge_at.total_cmp(&b.1.judge_at))
            .map(|(index, _)| index)
    }

    /// Judges a row; `clock` tells seconds, of which the cost is made.
    pub(crate) fn judge(&mut self, index: usize, clock: &dyn Fn() -> f64) {
        let before = clock();
        let judgement = judged(&self.rows[index].series);
        let cost = clock() - before;
        let living = self.rows.iter().filter(|row| row.alive.is_some()).count();
        // Each row has its share of the time.
        let dear = cost / JUDGING * living.max(1) as f64;
        let row = &mut self.rows[index];
        let watched = self.now - row.series.lives().next().map_or(0.0, |l| l[0].at);
        let again = (AGAIN * watched).min(AGAIN_AT_LATEST);
        row.judge_at = self.now + dear.max(again).max(self.settings.every);
        row.count(&judgement);
        row.judgement = Some(judgement);
    }

    /// Judges all rows as they stand.
    pub(crate) fn judge_all(&mut self) {
        for row in &mut self.rows {
            row.judgement = Some(judged(&row.series));
        }
    }

    /// Whether more samples are not expected to change the answer.
    pub(crate) fn is_decided(&self) -> bool {
        let mut living = self
            .rows
            .iter()
            .filter(|row| row.alive.is_some())
            .peekable();
        let leaks = |row: &Row| row.steady() == Some(Verdict::Leak);
        self.rows.iter().any(leaks)
            || living.peek().is_some() && living.all(|row| row.steady().is_some())
    }

    /// How much there may be, how much there is, and when the rest is used up.
    pub(crate) fn ending(&self) -> Option<Ending> {
        let group = self.group.unwrap_or_default();
        let of_group = group.limit.zip(group.working_set());
        let (limit, used, is_group) = match (self.settings.limit, of_group) {
            (Some(limit), _) => (limit, self.total(), false),
            (None, Some((limit, used))) => (limit, used, true),
            (None, None) => return None,
        };
        let leaks = self.rows.iter().filter(|row| row.alive.is_some());
        let rates: Vec<Interval> = leaks
            .filter_map(|row| row.judgement.as_ref())
            .filter(|judgement| judgement.verdict == Verdict::Leak)
            .filter_map(|judgement| judgement.footprint_rate)
            .map(|rate| rate.per_hour.scaled(1.0 / 3600.0))
            .collect();
        let left = Bytes(limit.0.saturating_sub(used.0));
        Some(Ending {
            limit,
            used,
            is_group,
            seconds: seconds_until(left, &rates),
        })
    }

    /// What all of them hold.
    pub(crate) fn total(&self) -> Bytes {
        let living = self.rows.iter().filter(|row| row.alive.is_some());
        living.fold(Bytes(0), |sum, row| sum + row.held())
    }
}

/// The judgement of a row. Ruby collects when malloc has grown by up to 32 MB,
/// and what has survived a few collections when it has grown by up to 128 MB
/// (gc.c: GC_MALLOC_LIMIT_MAX, GC_OLDMALLOC_LIMIT_MAX): from outside, garbage
/// that waits for that looks like a leak, and is not called one yet. Nor is what
/// allocators may keep for their threads.
fn judged(series: &MemorySeries) -> Judgement {
    let judgement = judge(series, &rbleak_trend::Settings::default());
    let (floor, instead) = match judgement.signal {
        Some(signal) if signal.is_footprint() => (MOST_GARBAGE, Verdict::NotEnoughData),
        Some(Signal::MallocInUse) => (MOST_IN_CACHES, Verdict::Plateau),
        _ => return judgement,
    };
    if judgement.verdict != Verdict::Leak {
        return judgement;
    }
    let of = |sample: &Sample| judgement.signal.and_then(|signal| signal.of(sample));
    let is_below = series.lives().all(|life| {
        let known = || life.iter().filter_map(of);
        let grown = known().fold(0.0, f64::max) - known().fold(f64::MAX, f64::min);
        let seconds = life.last().map_or(0.0, |s| s.at) - life.first().map_or(0.0, |s| s.at);
        seconds < COLLECTED_WITHIN && grown < floor
    });
    match is_below {
        true => Judgement {
            verdict: instead,
            // That it leaks stays as likely as it is, and is told.
            confidence: match instead {
                Verdict::Plateau => 1.0 - judgement.leak_probability,
                _ => 0.0,
            },
            is_provisional: true,
            grows: None,
            ..judgement
        },
        false => judgement,
    }
}

impl Row {
    fn new(name: String, pid: Pid) -> Row {
        Row {
            name,
            series: MemorySeries::new(),
            alive: Some(pid),
            age: 0.0,
            lives: 1,
            births: VecDeque::new(),
            latest: Sample::default(),
            walked: None,
            walked_anonymous: None,
            kinds: None,
            judgement: None,
            judge_at: 0.0,
            steady: (None, 0, 0),
        }
    }

    fn push(&mut self, sample: Sample, seen: &Seen) {
        self.series.push(sample);
        self.age = seen.age;
        let life = sample.life.unwrap_or_default();
        if self.births.back().is_none_or(|(last, _)| *last != life) {
            self.births.push_back((life, sample.at - seen.age));
            if self.births.len() > MOST_LIVES {
                self.births.pop_front();
            }
        }
        self.latest = Sample {
            // These come now and then.
            pss: sample.pss.or(self.latest.pss),
            live_slots: sample.live_slots.or(self.latest.live_slots),
            malloc_in_use: sample.malloc_in_use.or(self.latest.malloc_in_use),
            ..sample
        };
        if seen.walked.is_some() {
            self.walked_anonymous = seen.anonymous;
        }
        self.walked = seen.walked.or(self.walked);
        self.kinds = seen.kinds.or(self.kinds);
    }

    /// What it holds: PSS where that is known, with what came since it was read,
    /// which is seldom; else anonymous memory, which forked workers may share.
    pub(crate) fn held(&self) -> Bytes {
        let Some(walked) = self.walked else {
            let known = self.latest.anonymous.or(self.latest.rss);
            return known.unwrap_or_default();
        };
        match self.latest.anonymous.zip(self.walked_anonymous) {
            Some((now, then)) => Bytes((walked.pss.0 + now.0).saturating_sub(then.0)),
            None => walked.pss,
        }
    }

    /// When a life began, in seconds after the watch.
    pub(crate) fn birth(&self, life: Option<u64>) -> Option<f64> {
        let found = self.births.iter().rev().find(|(key, _)| Some(*key) == life);
        found.map(|(_, at)| *at)
    }

    /// Counts how often the same was said.
    fn count(&mut self, judgement: &Judgement) {
        let is_open = judgement.is_provisional
            || match judgement.verdict {
                Verdict::NotEnoughData | Verdict::WarmingUp => true,
                Verdict::Leak => false,
                Verdict::Plateau | Verdict::Bloat => judgement.plateau.is_none(),
                Verdict::Fragmentation => judgement.leak_probability > DOUBT,
            };
        let samples = self.series.pushed();
        let (before, times, at) = self.steady;
        self.steady = if is_open {
            (None, 0, samples)
        } else if before != Some(judgement.verdict) {
            (Some(judgement.verdict), 1, samples)
        } else if samples as f64 >= MORE * at as f64 {
            (before, times + 1, samples)
        } else {
            self.steady
        };
    }

    /// What was said often enough to stay.
    pub(crate) fn steady(&self) -> Option<Verdict> {
        let (verdict, times, _) = self.steady;
        verdict.filter(|_| times >= STEADY)
    }
}
