//! What two runs say together. Pure: it reads nothing.

use super::recorded::{HolderRate, Recorded};
use rbleak_trend::{Assessment, Cause, FlatCertificate, Margins, Signals, difference};
use rbleak_units::Interval;
use std::collections::BTreeMap;

/// The answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// What leaked is gone, and nothing new leaks.
    Fixed,
    /// It leaks on, of the same kind or by the same holder.
    StillLeaks,
    /// It leaks, and nothing of what leaks did before.
    NewLeak,
    /// See [`Judged::doubts`].
    Inconclusive,
}

/// Everything that is said of two runs.
#[derive(Clone, Debug)]
pub(crate) struct Judged {
    pub(crate) answer: Answer,
    /// Why it is inconclusive, a sentence each.
    pub(crate) doubts: Vec<String>,
    pub(crate) figures: Vec<Figure>,
    pub(crate) holders: Vec<HolderChange>,
    /// Of the second run.
    pub(crate) certificate: Option<FlatCertificate>,
    /// What is worth knowing before it is believed.
    pub(crate) remarks: Vec<String>,
}

/// A figure of both runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) kind: Kind,
    pub(crate) before: Option<Interval>,
    pub(crate) after: Option<Interval>,
    pub(crate) margin: f64,
    /// Whether it is what leaked before.
    pub(crate) is_cause: bool,
}

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Objects,
    ObjectBytes,
    Content,
    Native,
}

impl Figure {
    /// After less before.
    pub(crate) fn difference(&self) -> Option<Interval> {
        Some(difference(self.before?, self.after?))
    }
}

/// A holder in both runs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HolderChange {
    pub(crate) name: String,
    pub(crate) before: Option<HolderRate>,
    pub(crate) after: Option<HolderRate>,
    pub(crate) went: Went,
}

/// What became of a holder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Went {
    Gone,
    Smaller,
    Same,
    Larger,
    New,
    /// It was not found after it, in a run that could not tell.
    Unknown,
}

/// Rates of a holder that differ by less than this share are the same: a round
/// of requests more or less lies between two dumps, never a tenth.
const SAME: f64 = 0.1;

/// Judges the second run against the first. Runs of different plans are only
/// compared if `anyway` is set.
pub(crate) fn judge(
    before: &Recorded,
    after: &Recorded,
    margins: &Margins,
    anyway: bool,
) -> Judged {
    let signals = (before.rounds.judge(margins), after.rounds.judge(margins));
    let certificate = match after.cause {
        Cause::Nothing => after
            .rounds
            .certify(&gone(before.cause, &signals.0, margins)),
        _ => None,
    };
    let holders = changes(before, after);
    let others = other_plans(before, after);
    let mut remarks = remarks(before, after);
    let mut doubts = Vec::new();
    let answer = if !anyway && !others.is_empty() {
        doubts = others;
        doubts.push("different plans say nothing of each other: hunt again with the same one, or compare them with --anyway".to_owned());
        Answer::Inconclusive
    } else {
        remarks.extend(others);
        answer(before, after, certificate.as_ref(), &holders, &mut doubts)
    };
    Judged {
        answer,
        doubts,
        figures: figures(before.cause, &signals, margins),
        holders,
        certificate,
        remarks,
    }
}

/// The margins within which what leaked is gone: no more than half of it may be
/// left, however little it was.
fn gone(cause: Cause, before: &Signals, margins: &Margins) -> Margins {
    let mut gone = *margins;
    let least = |assessment: Option<Assessment>, margin: f64| {
        let low = assessment.and_then(|a| a.rate).map(|rate| rate.low / 2.0);
        low.filter(|half| *half > 0.0)
            .map_or(margin, |half| half.min(margin))
    };
    match cause {
        Cause::RubyObjects => gone.objects = least(Some(before.objects), margins.objects),
        Cause::RubyBytes => gone.object_bytes = least(before.content, margins.object_bytes),
        Cause::Native => gone.native_bytes = least(before.malloc, margins.native_bytes),
        Cause::Nothing | Cause::Undecided => {}
    }
    gone
}

fn answer(
    before: &Recorded,
    after: &Recorded,
    certificate: Option<&FlatCertificate>,
    holders: &[HolderChange],
    doubts: &mut Vec<String>,
) -> Answer {
    if after.leaks() {
        let goes_on = holders
            .iter()
            .any(|change| change.before.is_some() && change.after.is_some());
        let nameless = before.holders.is_empty() || after.holders.is_empty();
        return if before.leaks() && (goes_on || nameless && before.cause == after.cause) {
            Answer::StillLeaks
        } else {
            Answer::NewLeak
        };
    }
    match before.cause {
        Cause::Nothing => doubts.push(
            "nothing leaked before: there is no leak that could be gone; BEFORE must be a run that leaks"
                .to_owned(),
        ),
        Cause::Undecided => doubts.push(
            "it could not be told whether it leaked before: hunt that again with more rounds (--rounds N)"
                .to_owned(),
        ),
        _ => {}
    }
    if certificate.is_none() {
        doubts.push(
            "the rounds after it were too few or too noisy to show that nothing grows: hunt that again with more rounds (--min-rounds N)"
                .to_owned(),
        );
    }
    match doubts.is_empty() {
        true => Answer::Fixed,
        false => Answer::Inconclusive,
    }
}

/// In what the plans differ, a sentence each.
fn other_plans(before: &Recorded, after: &Recorded) -> Vec<String> {
    let (a, b) = (&before.manifest, &after.manifest);
    let folder = |recorded: &Recorded| {
        let name = recorded.manifest.app.directory.file_name();
        name.unwrap_or_default().to_string_lossy().into_owned()
    };
    let mut all = Vec::new();
    let mut unequal = |what: &str, before: &str, after: &str| {
        if before != after {
            all.push(format!("other {what}: {before} before, {after} after"));
        }
    };
    unequal("app", &a.app.target, &b.app.target);
    // Checkouts of one app may lie anywhere.
    unequal("folder of the app", &folder(before), &folder(after));
    unequal("way to drive it", &a.app.mode, &b.app.mode);
    unequal("paths", &a.load.paths.join(" "), &b.load.paths.join(" "));
    let mut unequal_where_known = |what, before: &Option<String>, after: &Option<String>| {
        if let (Some(before), Some(after)) = (before, after) {
            unequal(what, before, after);
        }
    };
    unequal_where_known("Ruby", &a.app.ruby, &b.app.ruby);
    unequal_where_known("environment", &a.app.environment, &b.app.environment);
    unequal_where_known("method", &a.load.method, &b.load.method);
    if a.load.sent_digest != b.load.sent_digest {
        all.push("other headers or another body were sent".to_owned());
    }
    if let (None, Some(target)) = (&a.load.redirected_to, &b.load.redirected_to) {
        all.push(format!(
            "requests are redirected to {target} after, and were not before: what leaked may not be reached any more"
        ));
    }
    all
}

fn remarks(before: &Recorded, after: &Recorded) -> Vec<String> {
    let (a, b) = (&before.manifest, &after.manifest);
    let mut all = Vec::new();
    let time = |text: &str| text.parse::<jiff::Timestamp>().ok();
    if let (Some(first), Some(second)) = (time(&a.started), time(&b.started))
        && second < first
    {
        all.push("AFTER was made before BEFORE: are they in the right order?".to_owned());
    }
    if let (Some(first), Some(second)) = (&a.app.allocator_kind, &b.app.allocator_kind)
        && first != second
    {
        all.push(format!(
            "another allocator: {first} before, {second} after; rates of native memory may differ by that alone"
        ));
    }
    all
}

fn figures(cause: Cause, (before, after): &(Signals, Signals), margins: &Margins) -> Vec<Figure> {
    let rate = |assessment: Option<Assessment>| assessment.and_then(|a| a.rate);
    let all = [
        (
            Kind::Objects,
            rate(Some(before.objects)),
            rate(Some(after.objects)),
            margins.objects,
            cause == Cause::RubyObjects,
        ),
        (
            Kind::ObjectBytes,
            rate(Some(before.memsize)),
            rate(Some(after.memsize)),
            margins.object_bytes,
            false,
        ),
        (
            Kind::Content,
            rate(before.content),
            rate(after.content),
            margins.object_bytes,
            cause == Cause::RubyBytes,
        ),
        (
            Kind::Native,
            rate(before.malloc),
            rate(after.malloc),
            margins.native_bytes,
            cause == Cause::Native,
        ),
    ];
    all.into_iter()
        .map(|(kind, before, after, margin, is_cause)| Figure {
            kind,
            before,
            after,
            margin,
            is_cause,
        })
        .filter(|figure| figure.before.is_some() || figure.after.is_some())
        .collect()
}

/// All holders of both runs: those of the first in order of their bytes, then
/// the new ones.
fn changes(before: &Recorded, after: &Recorded) -> Vec<HolderChange> {
    let mut left: BTreeMap<&str, HolderRate> = after
        .holders
        .iter()
        .map(|(name, rate)| (name.as_str(), *rate))
        .collect();
    let mut all: Vec<HolderChange> = Vec::new();
    for (name, rate) in by_bytes(&before.holders) {
        let same = match left.contains_key(name) {
            true => Some(name),
            false => moved(name, before, &left),
        };
        let now = same.and_then(|name| left.remove(name));
        all.push(HolderChange {
            name: name.to_owned(),
            before: Some(rate),
            after: now,
            went: match now {
                Some(now) => went(rate, now),
                None if after.cause == Cause::Undecided => Went::Unknown,
                None => Went::Gone,
            },
        });
    }
    for (name, rate) in by_bytes(&after.holders) {
        if left.contains_key(name) {
            all.push(HolderChange {
                name: name.to_owned(),
                before: None,
                after: Some(rate),
                went: Went::New,
            });
        }
    }
    all
}

fn by_bytes(holders: &BTreeMap<String, HolderRate>) -> Vec<(&str, HolderRate)> {
    let mut all: Vec<(&str, HolderRate)> = holders
        .iter()
        .map(|(name, rate)| (name.as_str(), *rate))
        .collect();
    // Stable: of equals, the name decides.
    all.sort_by(|a, b| b.1.bytes.total_cmp(&a.1.bytes));
    all
}

/// A block is called after its line, and a fix moves lines: the only other one
/// of the same file is taken for it.
fn moved<'a>(
    name: &str,
    before: &Recorded,
    left: &BTreeMap<&'a str, HolderRate>,
) -> Option<&'a str> {
    let stem = without_line(name)?;
    let of_stem = |other: &&str| without_line(other) == Some(stem);
    let mut earlier = before.holders.keys().map(String::as_str).filter(of_stem);
    let mut later = left
        .keys()
        .copied()
        .filter(|other| without_line(other) == Some(stem) && !before.holders.contains_key(*other));
    match (earlier.next(), earlier.next(), later.next(), later.next()) {
        (Some(_), None, found, None) => found,
        _ => None,
    }
}

/// `Proc at app.rb` of `Proc at app.rb:57`.
fn without_line(name: &str) -> Option<&str> {
    let (stem, line) = name.rsplit_once(':')?;
    let is_line = !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_digit());
    is_line.then_some(stem)
}

fn went(before: HolderRate, after: HolderRate) -> Went {
    let (before, after) = match before.objects > 0.0 && after.objects > 0.0 {
        true => (before.objects, after.objects),
        false => (before.bytes, after.bytes),
    };
    if after < before * (1.0 - SAME) {
        Went::Smaller
    } else if after > before * (1.0 + SAME) {
        Went::Larger
    } else {
        Went::Same
    }
}
