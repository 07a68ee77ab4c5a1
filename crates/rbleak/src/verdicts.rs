//! Judgements of memory series in words: shared by all commands that judge
//! one.

use crate::exit::ExitStatus;
use rbleak_report::{
    Align, Block, Chart, ChartLine, Column, Fact, Note, Row, Table, Tone, Value, Verdict, json,
};
use rbleak_trend::{
    Grows, Judgement, MemorySeries, Rate, Sample, Shape, Signal, Verdict as Answer,
};
use rbleak_units::{Bytes, Interval, grouped};

/// A series that was judged.
pub(crate) struct Judged {
    /// The file it comes from.
    pub(crate) source: String,
    /// The process within it; may be empty.
    pub(crate) process: String,
    pub(crate) series: MemorySeries,
    /// When its lives began, on the clock of the samples, where that is known:
    /// charts are aligned by it.
    pub(crate) births: Vec<(Option<u64>, f64)>,
    pub(crate) judgement: Judgement,
}

/// A leak this likely is not ruled out.
const DOUBT: f64 = 0.25;
/// Lines in a chart at most.
const MOST_LINES: usize = 7;

/// A leak anywhere is found; what may still turn out as one is inconclusive.
pub(crate) fn status_of(all: &[Judged]) -> ExitStatus {
    let any = |is: &dyn Fn(&Judgement) -> bool| all.iter().any(|one| is(&one.judgement));
    if any(&|j| j.verdict == Answer::Leak) {
        ExitStatus::Found
    } else if any(&|j| is_open(j)) {
        ExitStatus::Inconclusive
    } else {
        ExitStatus::Clean
    }
}

fn is_open(judgement: &Judgement) -> bool {
    matches!(judgement.verdict, Answer::NotEnoughData | Answer::WarmingUp)
        || judgement.leak_probability > DOUBT
}

/// Verdict first, then what it rests on, a chart and a table.
pub(crate) fn blocks(all: &[Judged]) -> Vec<Block> {
    let Some(worst) = all.iter().min_by_key(|one| rank(one)) else {
        return Vec::new();
    };
    let mut blocks = vec![Block::Verdict(verdict(worst, all.len()))];
    blocks.push(Block::Facts(facts(worst)));
    blocks.extend(chart(all).map(Block::Chart));
    if all.len() > 1 {
        blocks.push(Block::Table(table(all)));
    }
    blocks.push(Block::Note(Note::plain(
        "a heuristic: the confidence is how often such verdicts were right on labelled series",
    )));
    blocks
}

/// Leaks first, the surest first.
fn rank(one: &Judged) -> (u8, i64) {
    let judgement = &one.judgement;
    let place = match judgement.verdict {
        Answer::Leak => 0,
        Answer::WarmingUp => 2,
        Answer::NotEnoughData => 3,
        _ if judgement.leak_probability > DOUBT => 1,
        Answer::Fragmentation => 4,
        Answer::Bloat => 5,
        Answer::Plateau => 6,
    };
    (place, -(judgement.leak_probability * 1e6) as i64)
}

/// The verdict as `LEAK`.
pub(crate) fn word(verdict: Answer) -> &'static str {
    match verdict {
        Answer::Plateau => "PLATEAU",
        Answer::Leak => "LEAK",
        Answer::Bloat => "BLOAT",
        Answer::Fragmentation => "FRAGMENTATION",
        Answer::WarmingUp => "WARMING UP",
        Answer::NotEnoughData => "NOT ENOUGH DATA",
    }
}

/// The key of the verdict in JSON.
pub(crate) fn key(verdict: Answer) -> &'static str {
    match verdict {
        Answer::Plateau => "plateau",
        Answer::Leak => "leak",
        Answer::Bloat => "bloat",
        Answer::Fragmentation => "fragmentation",
        Answer::WarmingUp => "warming_up",
        Answer::NotEnoughData => "not_enough_data",
    }
}

fn verdict(one: &Judged, of: usize) -> Verdict {
    let judgement = &one.judgement;
    let mut details = Vec::new();
    if of > 1 {
        details.push(format!("{} of {of} series", title(one)));
    }
    if judgement.verdict != Answer::NotEnoughData {
        let provisional = match judgement.is_provisional {
            true => ", provisional: fewer than 30 samples",
            false => "",
        };
        details.push(format!(
            "confidence {:.0} %{provisional}",
            100.0 * judgement.confidence
        ));
    }
    if judgement.verdict != Answer::Leak && judgement.leak_probability > DOUBT {
        details.push(format!(
            "a leak is not ruled out ({:.0} %): record longer",
            100.0 * judgement.leak_probability
        ));
    }
    Verdict {
        word: word(judgement.verdict).to_owned(),
        tone: match judgement.verdict {
            Answer::Leak => Tone::Bad,
            Answer::Plateau => Tone::Good,
            _ => Tone::Warning,
        },
        headline: headline(judgement),
        details,
        data: data(one),
    }
}

fn headline(judgement: &Judgement) -> String {
    let rate = || {
        let rate = judgement.rate.map(|rate| per_hour(&rate));
        rate.unwrap_or_default()
    };
    match judgement.verdict {
        Answer::Plateau => match judgement.plateau {
            Some(certificate) => format!(
                "growth over this window is below {:.1} % of the level (95 %)",
                100.0 * certificate.growth_at_most.max(0.001)
            ),
            None => "it has levelled off, though the bounds are too wide to prove it".to_owned(),
        },
        Answer::Leak => match judgement.grows {
            Some(grows) => format!("{}: {}", name(grows), rate()),
            None => rate(),
        },
        Answer::Bloat => "went up by steps and stays there".to_owned(),
        Answer::Fragmentation => format!("grows ever more slowly: {}", rate()),
        Answer::WarmingUp => format!("still rises towards a level: {}", rate()),
        Answer::NotEnoughData if judgement.signal.is_some() => format!(
            "it grows, by no more yet than what Ruby may leave uncollected: {}",
            rate()
        ),
        Answer::NotEnoughData => "12 samples in one life of a process are the least".to_owned(),
    }
}

fn name(grows: Grows) -> &'static str {
    match grows {
        Grows::RubyObjects => "Ruby objects",
        Grows::Native => "native memory",
        Grows::Malloc => "memory in use behind malloc",
        Grows::Allocator => "what the allocator keeps",
    }
}

/// The name of a figure.
pub(crate) fn signal(signal: Signal) -> &'static str {
    match signal {
        Signal::LiveSlots => "live slots",
        Signal::MallocInUse => "malloc in use",
        Signal::Anonymous => "anonymous memory",
        Signal::Pss => "PSS",
        Signal::Rss => "RSS",
    }
}

/// `+12 MB per hour (95 %: …)`.
pub(crate) fn per_hour(rate: &Rate) -> String {
    format!("{} per hour", interval(rate.signal, rate.per_hour))
}

fn interval(signal: Signal, value: Interval) -> String {
    let show = |value: f64| amount(signal, value);
    format!(
        "{} (95 %: {} to {})",
        show(value.estimate),
        show(value.low),
        show(value.high)
    )
}

fn amount(signal: Signal, value: f64) -> String {
    let sign = if value < 0.0 { "-" } else { "+" };
    let size = value.abs();
    match signal {
        Signal::LiveSlots if size < 10.0 => format!("{sign}{size:.2} objects"),
        Signal::LiveSlots => format!("{sign}{} objects", grouped(size as u64)),
        _ => format!("{sign}{}", Bytes(size as u64)),
    }
}

/// `2 h 5 min` and the like.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => "never".to_owned(),
        s if s < 100.0 => format!("{s:.0} s"),
        s if s < 6000.0 => format!("{:.0} min", s / 60.0),
        s if s < 48.0 * 3600.0 => {
            let minutes = (s / 60.0).round() as u64;
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
        s => format!("{:.1} days", s / 86_400.0),
    }
}

fn title(one: &Judged) -> String {
    match one.process.as_str() {
        "" => one.source.clone(),
        process if one.source.is_empty() => process.to_owned(),
        process => format!("{}: {process}", one.source),
    }
}

fn window(series: &MemorySeries) -> f64 {
    let first = series.lives().next().and_then(|life| life.first());
    match (first, series.last()) {
        (Some(first), Some(last)) => last.at - first.at,
        _ => 0.0,
    }
}

fn facts(one: &Judged) -> Vec<Fact> {
    let judgement = &one.judgement;
    let lives = match judgement.lives {
        0 | 1 => String::new(),
        lives => format!(", {lives} lives, {} of them judged", judgement.lives_judged),
    };
    let mut facts = vec![Fact::new(
        "samples",
        format!(
            "{} in {}{lives}",
            grouped(one.series.pushed()),
            duration(window(&one.series))
        ),
        json!({"count": one.series.pushed(), "seconds": window(&one.series)}),
    )];
    if let Some(decided) = judgement.signal {
        let shape = judgement.shape.map(|s| format!(": {}", words(s)));
        facts.push(Fact::new(
            "decided_by",
            format!("{}{}", signal(decided), shape.unwrap_or_default()),
            json!(signal(decided)),
        ));
    }
    if let Some(rate) = judgement.rate {
        facts.push(Fact::new("rate", per_hour(&rate), rate_data(&rate)));
        if let Some(per_request) = rate.per_request {
            facts.push(Fact::new(
                "per_request",
                interval(rate.signal, per_request),
                interval_data(per_request),
            ));
        }
    }
    if let Some(rate) = judgement.footprint_rate
        && judgement.signal != Some(rate.signal)
    {
        let key = signal(rate.signal);
        let text = format!("{key} {}", per_hour(&rate));
        let mut fact = Fact::new(key, text, rate_data(&rate));
        fact.label = "footprint".to_owned();
        facts.push(fact);
    }
    if let Some(end) = judgement.time_to_limit {
        facts.push(Fact::new(
            "limit",
            format!(
                "{} in {} (95 %: {} to {})",
                end.limit,
                duration(end.seconds.estimate),
                duration(end.seconds.low),
                duration(end.seconds.high)
            ),
            limit_data(judgement),
        ));
    }
    facts
}

fn words(shape: Shape) -> String {
    let share = |place: f64| format!("{:.0} % of the window", 100.0 * place);
    match shape {
        Shape::Constant => "flat".to_owned(),
        Shape::Linear => "a straight line".to_owned(),
        Shape::Saturating { .. } => "rises ever more slowly to a level".to_owned(),
        Shape::Logarithm { .. } => "grows as the logarithm of the time".to_owned(),
        Shape::Power { exponent } => format!("grows as the time to the power of {exponent:.1}"),
        Shape::Knee { at } => format!("rises until {} and stops", share(at)),
        Shape::LateRise { at } => format!("flat until {}, then a straight line", share(at)),
        Shape::Steps { count: 1 } => "flat but for one step".to_owned(),
        Shape::Steps { count } => format!("flat between {count} steps"),
        Shape::Step { at } => format!("flat but for a step at {}", share(at)),
        Shape::StepLinear { at } => format!("a straight line with a step at {}", share(at)),
        Shape::Wave { .. } => "goes up and down around a level".to_owned(),
        Shape::WaveLinear { .. } => "goes up and down around a straight line".to_owned(),
    }
}

/// An end that is not finite is not known in JSON.
fn finite(value: f64) -> Value {
    if value.is_finite() {
        json!(value)
    } else {
        Value::Null
    }
}

fn interval_data(value: Interval) -> Value {
    json!({"estimate": finite(value.estimate), "low": finite(value.low), "high": finite(value.high)})
}

fn rate_data(rate: &Rate) -> Value {
    let unit = match rate.signal {
        Signal::LiveSlots => "objects",
        _ => "bytes",
    };
    json!({
        "signal": signal(rate.signal),
        "unit": unit,
        "per_hour": interval_data(rate.per_hour),
        "per_request": rate.per_request.map(interval_data),
    })
}

fn limit_data(judgement: &Judgement) -> Value {
    judgement.time_to_limit.map_or(
        Value::Null,
        |end| json!({"limit_bytes": end.limit.0, "seconds": interval_data(end.seconds)}),
    )
}

/// Everything for machines.
fn data(one: &Judged) -> Value {
    let judgement = &one.judgement;
    json!({
        "verdict": key(judgement.verdict),
        "source": one.source,
        "process": one.process,
        "confidence": judgement.confidence,
        "leak_probability": judgement.leak_probability,
        "provisional": judgement.is_provisional,
        "signal": judgement.signal.map(signal),
        "grows": judgement.grows.map(name),
        "rate": judgement.rate.as_ref().map(rate_data),
        "footprint_rate": judgement.footprint_rate.as_ref().map(rate_data),
        "time_to_limit": limit_data(judgement),
        "plateau_certificate": judgement.plateau.map(|certificate| json!({
            "growth_at_most": certificate.growth_at_most,
            "margin": certificate.margin,
        })),
        "samples": one.series.pushed(),
        "seconds": window(&one.series),
        "lives": judgement.lives,
        "lives_judged": judgement.lives_judged,
    })
}

fn table(all: &[Judged]) -> Table {
    let column = |heading: &str, align| Column {
        heading: heading.to_owned(),
        align,
    };
    Table {
        key: "series".to_owned(),
        title: None,
        columns: vec![
            column("verdict", Align::Left),
            column("confidence", Align::Right),
            column("rate per hour", Align::Right),
            column("samples", Align::Right),
            column("series", Align::Left),
        ],
        rows: all
            .iter()
            .map(|one| {
                let judgement = &one.judgement;
                let rate = judgement
                    .rate
                    .map(|r| amount(r.signal, r.per_hour.estimate));
                let confidence = match judgement.verdict {
                    Answer::NotEnoughData => String::new(),
                    _ => format!("{:.0} %", 100.0 * judgement.confidence),
                };
                Row {
                    cells: vec![
                        word(judgement.verdict).to_owned(),
                        confidence,
                        rate.unwrap_or_default(),
                        grouped(one.series.pushed()),
                        title(one),
                    ],
                    data: data(one),
                }
            })
            .collect(),
        left_out: 0,
    }
}

/// When a life of a series began.
fn birth(one: &Judged, life: Option<u64>) -> Option<f64> {
    let found = one.births.iter().find(|(key, _)| *key == life);
    found.map(|(_, at)| *at)
}

/// Lines are laid over one another by the age of the process, so that workers
/// can be compared, where all ages are known and not so far apart that nothing
/// would be seen.
fn is_by_age(all: &[Judged]) -> bool {
    let lives = || {
        all.iter()
            .flat_map(|one| one.series.lives().map(move |life| (one, life)))
            .filter_map(|(one, life)| Some((one, life.first()?, life.last()?)))
    };
    let ages: Option<Vec<(f64, f64)>> = lives()
        .map(|(one, first, last)| {
            let born = birth(one, first.life)?;
            Some((first.at - born, last.at - born))
        })
        .collect();
    let Some(ages) = ages.filter(|ages| ages.len() > 1) else {
        return false;
    };
    let longest = ages.iter().map(|(a, b)| b - a).fold(0.0, f64::max);
    let from = ages.iter().map(|(a, _)| *a).fold(f64::MAX, f64::min);
    let to = ages.iter().map(|(_, b)| *b).fold(0.0, f64::max);
    to - from <= 2.0 * longest
}

/// The footprint of each series, or what there is in its place.
fn chart(all: &[Judged]) -> Option<Chart> {
    let shown = Signal::ALL.into_iter().rev().find(|signal| {
        let known = |sample: &Sample| signal.of(sample).is_some();
        let samples = |one: &Judged| one.series.lives().flatten().filter(|s| known(s)).count();
        all.iter().any(|one| samples(one) > 1)
    })?;
    let by_age = is_by_age(all);
    let lines: Vec<ChartLine> = all
        .iter()
        .take(MOST_LINES)
        .map(|one| {
            let first = one.series.lives().next().and_then(|life| life.first());
            let start = first.map_or(0.0, |sample| sample.at);
            let begun = |life: &[Sample]| match life.first() {
                Some(first) if by_age => birth(one, first.life).unwrap_or(start),
                _ => start,
            };
            ChartLine {
                name: if all.len() == 1 {
                    String::new()
                } else {
                    title(one)
                },
                pieces: one
                    .series
                    .lives()
                    .map(|life| {
                        let start = begun(life);
                        let points = life.iter();
                        points
                            .filter_map(|sample| Some((sample.at - start, shown.of(sample)?)))
                            .collect()
                    })
                    .collect(),
            }
        })
        .collect();
    let points = || lines.iter().flat_map(|line| line.pieces.iter().flatten());
    let highest = points().map(|p| p.1).fold(f64::MIN, f64::max);
    let lowest = points().map(|p| p.1).fold(f64::MAX, f64::min);
    let longest = points().map(|p| p.0).fold(0.0, f64::max);
    let earliest = match by_age {
        true => points().map(|p| p.0).fold(longest, f64::min),
        false => 0.0,
    };
    // What hardly moves is not blown up to the whole height.
    let low = (lowest - 0.5 * (highest - lowest).max(0.1 * highest)).max(0.0);
    let high = highest.max(low + f64::MIN_POSITIVE);
    let label = |value: f64| match shown {
        Signal::LiveSlots => grouped(value as u64),
        _ => Bytes(value as u64).to_string(),
    };
    let ticks = |from: f64, to: f64, label: &dyn Fn(f64) -> String| -> Vec<(f64, String)> {
        (0..=4)
            .map(|i| from + (to - from) * f64::from(i) / 4.0)
            .map(|value| (value, label(value)))
            .collect()
    };
    Some(Chart {
        title: match by_age {
            true => format!("{} by age", signal(shown)),
            false => signal(shown).to_owned(),
        },
        lines,
        y_ticks: ticks(low, high, &label),
        x_ticks: ticks(earliest, longest, &duration),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(59.4), "59 s");
        assert_eq!(duration(601.0), "10 min");
        assert_eq!(duration(7500.0), "2 h 5 min");
        assert_eq!(duration(864_000.0), "10.0 days");
        assert_eq!(duration(f64::INFINITY), "never");
    }
}
