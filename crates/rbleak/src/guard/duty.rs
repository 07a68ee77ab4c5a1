//! What is to be done about what is seen: when a set begins and of which
//! process, when its dumps are due, what becomes of one that cannot be taken.
//! Pure: it is told what was seen and what time it is, and touches nothing.

use super::pace::Pace;
use rbleak_process::Pid;
use rbleak_units::Bytes;
use std::collections::HashMap;

/// The dumps of a set: what is in B and in C and not in A was kept.
pub(crate) const LABELS: [&str; 3] = ["A", "B", "C"];
/// Two dumps that are nearer than this, in seconds, show no growth.
const NEAREST: f64 = 1.0;
/// After a refusal it is tried again in so many seconds, then in twice as many, …
const FIRST_REST: f64 = 5.0;
/// … and so on up to this.
const LONGEST_REST: f64 = 300.0;
/// So many refusals for want of memory, one after another, end a set: 80 minutes.
const MOST_REFUSALS: u32 = 20;
/// Other failures say less about the next try.
const MOST_FAILURES: u32 = 3;
/// A process that has grown by this share of what it holds grows.
const GROWS: f64 = 0.05;
/// The level is crossed again only after it has fallen below this share of it.
const FALLEN: f64 = 0.95;
/// At the end C is taken early if this share of the time from A to B has gone
/// by since B: less growth than that would look as if it had stopped.
const ENOUGH: f64 = 0.25;

/// What does not change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Seconds between two dumps, if there is time.
    pub(crate) every: f64,
    /// Seconds for which allocations are traced before the first.
    pub(crate) trace: Option<f64>,
    /// Seconds until a process, or the level, is captured once more.
    pub(crate) again: f64,
}

/// A process as it is seen now.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) pid: Pid,
    /// Only these have heaps to dump.
    pub(crate) is_ruby: bool,
    /// Bytes per second, of a leak that is sure.
    pub(crate) leaks: Option<f64>,
    /// Bytes since it was first seen.
    pub(crate) grown: f64,
    pub(crate) held: Bytes,
}

/// How much memory is in use, and how much is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    pub(crate) used: Bytes,
    pub(crate) at: Bytes,
}

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// Seconds since the guard began.
    pub(crate) now: f64,
    pub(crate) places: Vec<Place>,
    pub(crate) level: Option<Level>,
    /// Bytes that are free beyond what a copy of the process under capture may
    /// take; `None` if that is not known, or a copy is there now.
    pub(crate) spare: Option<f64>,
}

/// What made a set begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    /// The trend of the process, in bytes per second.
    Leak(f64),
    /// All together hold too much.
    Level(Level),
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// A set begins.
    Open { pid: Pid, name: String, why: Why },
    /// A dump of the set's process.
    Dump { label: &'static str },
    /// The set is over.
    Close(Outcome),
}

/// How a set ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It has its three dumps.
    Whole,
    /// The guard ended before.
    CutShort,
    /// In one sentence, why there are no more.
    Failed(String),
}

/// How a deed went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Went {
    Well,
    /// There was no room for a copy.
    NoRoom,
    /// In one sentence.
    Failed(String),
}

/// A guard's state.
#[derive(Debug)]
pub(crate) struct Duty {
    terms: Terms,
    phase: Phase,
    /// Processes that are left alone for now.
    rests: HashMap<Pid, Rest>,
    /// When the level may be acted upon again although it has not fallen.
    level_rests_until: f64,
    is_ending: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    until: f64,
    refusals: u32,
}

#[derive(Debug)]
enum Phase {
    Watching,
    Opening(Pid, Why),
    Set(Set),
}

/// A set under way.
#[derive(Debug)]
struct Set {
    pid: Pid,
    why: Why,
    began: f64,
    /// When each dump was taken.
    taken: Vec<f64>,
    is_busy: bool,
    not_before: f64,
    refusals: u32,
    failures: u32,
    last_failure: String,
    pace: Pace,
}

impl Duty {
    pub(crate) fn new(terms: Terms) -> Duty {
        Duty {
            terms,
            phase: Phase::Watching,
            rests: HashMap::new(),
            level_rests_until: f64::NEG_INFINITY,
            is_ending: false,
        }
    }

    /// The process under capture.
    pub(crate) fn subject(&self) -> Option<Pid> {
        match &self.phase {
            Phase::Watching => None,
            Phase::Opening(pid, _) => Some(*pid),
            Phase::Set(set) => Some(set.pid),
        }
    }

    /// No set begins any more, and the one under way ends as well as it can.
    pub(crate) fn end(&mut self) {
        self.is_ending = true;
    }

    /// What is to be done now. Is to be asked until it is nothing.
    pub(crate) fn turn(&mut self, seen: &Seen) -> Option<Deed> {
        let lives = |pid: &Pid| seen.places.iter().any(|place| place.pid == *pid);
        self.rests
            .retain(|pid, rest| lives(pid) || rest.until > seen.now);
        if let Some(level) = seen.level
            && (level.used.0 as f64) < FALLEN * level.at.0 as f64
        {
            self.level_rests_until = f64::NEG_INFINITY;
        }
        match &mut self.phase {
            Phase::Opening(..) => None,
            Phase::Watching if self.is_ending => None,
            Phase::Watching => {
                let (place, why) = self.choose(seen)?;
                let (pid, name) = (place.pid, place.name.clone());
                self.phase = Phase::Opening(pid, why);
                Some(Deed::Open { pid, name, why })
            }
            Phase::Set(set) => {
                if set.is_busy {
                    return None;
                }
                let outcome = set.outcome(seen, self.is_ending);
                if let Some(outcome) = outcome {
                    return Some(self.close(seen.now, outcome));
                }
                if let Some(spare) = seen.spare {
                    set.pace.push(seen.now, spare);
                }
                let is_due = self.is_ending || seen.now >= set.due(self.terms);
                set.is_busy = is_due;
                let label = LABELS[set.taken.len()];
                is_due.then_some(Deed::Dump { label })
            }
        }
    }

    /// The process that is to be captured, and why.
    fn choose<'s>(&self, seen: &'s Seen) -> Option<(&'s Place, Why)> {
        let rubies = || seen.places.iter().filter(|place| place.is_ruby);
        let rests = |place: &Place| {
            let rest = self.rests.get(&place.pid);
            rest.is_some_and(|rest| rest.until > seen.now)
        };
        let leaking = rubies().filter_map(|place| Some((place, place.leaks?)));
        let fastest = leaking
            .filter(|(place, _)| !rests(place))
            .max_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((place, rate)) = fastest {
            return Some((place, Why::Leak(rate)));
        }
        let level = seen.level.filter(|level| level.used >= level.at)?;
        if seen.now < self.level_rests_until {
            return None;
        }
        let grown = rubies().filter(|place| place.grown >= GROWS * place.held.0 as f64);
        let place = grown
            .max_by(|a, b| a.grown.total_cmp(&b.grown))
            .or_else(|| rubies().max_by_key(|place| place.held))?;
        // Another one would be the wrong one.
        (!rests(place)).then_some((place, Why::Level(level)))
    }

    /// What was ordered last is done, or is not.
    pub(crate) fn went(&mut self, now: f64, went: Went) {
        match &mut self.phase {
            Phase::Watching => {}
            Phase::Opening(pid, why) => {
                let (pid, why) = (*pid, *why);
                self.phase = match went {
                    Went::Well => Phase::Set(Set::new(pid, why, now)),
                    Went::NoRoom | Went::Failed(_) => {
                        let rest = self.rests.entry(pid).or_default();
                        rest.until = now + rest_after(rest.refusals);
                        rest.refusals += 1;
                        Phase::Watching
                    }
                };
            }
            Phase::Set(set) => {
                set.is_busy = false;
                match went {
                    Went::Well => {
                        set.taken.push(now);
                        (set.refusals, set.failures) = (0, 0);
                    }
                    Went::NoRoom => {
                        set.not_before = now + rest_after(set.refusals);
                        set.refusals += 1;
                    }
                    Went::Failed(sentence) => {
                        set.not_before = now + rest_after(set.failures);
                        set.failures += 1;
                        set.last_failure = sentence;
                    }
                }
            }
        }
    }

    fn close(&mut self, now: f64, outcome: Outcome) -> Deed {
        if let Phase::Set(set) = &self.phase {
            let rest = self.rests.entry(set.pid).or_default();
            rest.until = now + self.terms.again;
            rest.refusals = 0;
            if matches!(set.why, Why::Level(_)) {
                self.level_rests_until = now + self.terms.again;
            }
        }
        self.phase = Phase::Watching;
        Deed::Close(outcome)
    }
}

/// Seconds until the next try, after so many before.
fn rest_after(tries: u32) -> f64 {
    (FIRST_REST * f64::from(1 << tries.min(16))).min(LONGEST_REST)
}

impl Set {
    fn new(pid: Pid, why: Why, now: f64) -> Set {
        Set {
            pid,
            why,
            began: now,
            taken: Vec::new(),
            is_busy: false,
            not_before: now,
            refusals: 0,
            failures: 0,
            last_failure: String::new(),
            pace: Pace::default(),
        }
    }

    /// When the next dump is due: at its time, or earlier, so that all of them
    /// are taken while there is room.
    fn due(&self, terms: Terms) -> f64 {
        let missing = (LABELS.len() - self.taken.len()) as f64;
        let share = self.pace.seconds().map(|left| left / (missing + 1.0));
        let wait = |most: f64, least: f64| match share {
            Some(share) => share.clamp(least.min(most), most),
            None => most,
        };
        let due = match self.taken.last() {
            Some(last) => last + wait(terms.every, NEAREST),
            None => self.began + terms.trace.map_or(0.0, |trace| wait(trace, 0.0)),
        };
        due.max(self.not_before)
    }

    /// How it ends, if it does.
    fn outcome(&self, seen: &Seen, is_ending: bool) -> Option<Outcome> {
        let count = self.taken.len();
        if count == LABELS.len() {
            return Some(Outcome::Whole);
        }
        let next = LABELS[count];
        if !seen.places.iter().any(|place| place.pid == self.pid) {
            let sentence = format!("process {} ended before dump {next} was taken", self.pid);
            return Some(Outcome::Failed(sentence));
        }
        if self.failures >= MOST_FAILURES {
            return Some(Outcome::Failed(self.last_failure.clone()));
        }
        if self.refusals >= MOST_REFUSALS {
            let sentence = format!("there was no room for dump {next} in {MOST_REFUSALS} tries");
            return Some(Outcome::Failed(sentence));
        }
        let is_refused = self.refusals + self.failures > 0;
        let is_worth_it = match self.taken[..] {
            [a] => seen.now - a >= NEAREST,
            [a, b] => seen.now - b >= ENOUGH * (b - a),
            _ => false,
        };
        // One more at the end, and no other: B and C at once would look as if
        // the growth had stopped between them.
        let is_last = is_ending && (!is_worth_it || is_refused);
        is_last.then_some(Outcome::CutShort)
    }
}
