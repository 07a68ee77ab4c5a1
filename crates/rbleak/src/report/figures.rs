//! What was measured, as plots: rounds with the line that was fitted, memory
//! over time.

use super::Wish;
use crate::rates::{byte_range, object_range, signed_bytes};
use crate::run::MemoryPoint;
use rbleak_report::{FitPoint, Plot, PlotPoint, Quantity, Tone};
use rbleak_trend::{Assessment, Growth, Margins, Point, RoundSample, Rounds, fit};
use rbleak_units::{Bytes, Interval};

const ASIDE: &str = "under allocation tracing, whose tables count in bytes: not judged";

/// A figure of a sample.
type Figure = fn(&RoundSample) -> Option<f64>;

/// What is drawn of it.
struct Drawn {
    key: &'static str,
    title: &'static str,
    y: Quantity,
    figure: Figure,
    assessment: Option<Assessment>,
    /// Growth below it is none.
    margin: f64,
}

/// A plot of each figure that is known.
pub(super) fn of_rounds(rounds: &Rounds, per: &str, wish: &Wish) -> Vec<Plot> {
    let margins = Margins::default();
    let signals = rounds.judge(&margins);
    let of_bytes = |key, title, figure, assessment, margin| Drawn {
        key,
        title,
        y: Quantity::Bytes,
        figure,
        assessment,
        margin,
    };
    let all = [
        Drawn {
            key: "objects",
            title: "Ruby objects",
            y: Quantity::Count,
            figure: |sample| Some(sample.live_slots),
            assessment: Some(signals.objects),
            margin: margins.objects,
        },
        of_bytes(
            "object_bytes",
            "bytes of Ruby objects",
            |sample| Some(sample.memsize),
            Some(signals.memsize),
            margins.object_bytes,
        ),
        of_bytes(
            "content_bytes",
            "content of strings, arrays and hashes",
            |sample| sample.content,
            signals.content,
            margins.object_bytes,
        ),
        of_bytes(
            "malloc_in_use_bytes",
            "memory in use behind malloc",
            |sample| sample.malloc_in_use,
            signals.malloc,
            margins.native_bytes,
        ),
        of_bytes(
            "malloc_free_bytes",
            "memory that the allocator keeps free",
            |sample| sample.malloc_free,
            signals.free,
            margins.native_bytes,
        ),
    ];
    let x_label = match per {
        "call" => "calls since the first sample",
        _ => "requests since the first sample",
    };
    let plot = |drawn: Drawn| {
        let points: Vec<PlotPoint> = rounds
            .samples()
            .iter()
            .filter_map(|sample| {
                Some(PlotPoint {
                    x: sample.requests as f64,
                    y: (drawn.figure)(sample)?,
                    is_aside: sample.traced,
                })
            })
            .collect();
        (points.len() > 1).then(|| Plot {
            key: drawn.key.to_owned(),
            title: drawn.title.to_owned(),
            caption: caption(&drawn, per),
            tone: tone(&drawn),
            x_label: x_label.to_owned(),
            x: Quantity::Count,
            y: drawn.y,
            fit: line(&points),
            points: thinned(points, wish.points),
            is_joined: false,
            aside: ASIDE.to_owned(),
        })
    };
    all.into_iter().filter_map(plot).collect()
}

/// The resident set over the seconds of a hunt.
pub(super) fn of_memory(memory: &[MemoryPoint], wish: &Wish) -> Option<Plot> {
    let (first, last) = match memory {
        [first, .., last] => (first, last),
        _ => return None,
    };
    let points = memory.iter().map(|point| PlotPoint {
        x: point.seconds,
        y: point.rss_bytes as f64,
        is_aside: false,
    });
    Some(Plot {
        key: "rss_bytes".to_owned(),
        title: "resident memory (RSS) over time".to_owned(),
        caption: format!(
            "{} → {}, and judged by nobody: it moves for other reasons, too",
            Bytes(first.rss_bytes),
            Bytes(last.rss_bytes)
        ),
        tone: Tone::Plain,
        x_label: "seconds since the hunt began".to_owned(),
        x: Quantity::Seconds,
        y: Quantity::Bytes,
        points: thinned(points.collect(), wish.points),
        is_joined: true,
        aside: String::new(),
        fit: Vec::new(),
    })
}

/// Every so manieth point, and the last.
pub(super) fn thinned(points: Vec<PlotPoint>, most: usize) -> Vec<PlotPoint> {
    let stride = points.len().div_ceil(most.max(1)).max(1);
    let last = points.len().saturating_sub(1);
    let kept = points.into_iter().enumerate();
    let kept = kept.filter(|(at, _)| at % stride == 0 || *at == last);
    kept.map(|(_, point)| point).collect()
}

fn caption(drawn: &Drawn, per: &str) -> String {
    let quantity = drawn.y;
    let Some((growth, rate)) = drawn.assessment.and_then(|a| Some((a.growth, a.rate?))) else {
        return "too few rounds for a rate".to_owned();
    };
    let word = match growth {
        Growth::Growing => "grows".to_owned(),
        // What is surely above zero is said to be small, not to be nothing.
        Growth::Flat if rate.low > 0.0 => match quantity {
            Quantity::Count => format!("below the margin of {}", drawn.margin),
            _ => format!("below the margin of {} B", drawn.margin),
        },
        Growth::Flat => "flat".to_owned(),
        Growth::Undecided => "not told".to_owned(),
    };
    format!(
        "{word}: {} per {per} (95 %: {})",
        estimate(quantity, rate),
        range(quantity, rate)
    )
}

fn estimate(quantity: Quantity, rate: Interval) -> String {
    match quantity {
        // Rounded first: -0.001 is to read +0.00.
        Quantity::Count => format!("{:+.2}", (rate.estimate * 100.0).round() / 100.0 + 0.0),
        _ => signed_bytes(rate.estimate),
    }
}

/// `1.98–2.00`; with `to` where a sign would be taken for a dash.
pub(super) fn range(quantity: Quantity, rate: Interval) -> String {
    let words = match quantity {
        Quantity::Count => object_range(rate),
        _ => byte_range(rate),
    };
    match rate.low < 0.0 {
        true => words.replace('–', " to "),
        false => words,
    }
}

/// What the allocator keeps free is no leak by itself.
fn tone(drawn: &Drawn) -> Tone {
    match drawn.assessment.map(|assessment| assessment.growth) {
        Some(Growth::Growing) if drawn.key == "malloc_free_bytes" => Tone::Warning,
        Some(Growth::Growing) => Tone::Bad,
        Some(Growth::Flat) => Tone::Good,
        Some(Growth::Undecided) => Tone::Warning,
        None => Tone::Plain,
    }
}

/// The ends of the line, and its middle, where the interval is narrowest.
fn line(points: &[PlotPoint]) -> Vec<FitPoint> {
    let judged: Vec<Point> = points
        .iter()
        .filter(|point| !point.is_aside)
        .map(|point| Point {
            x: point.x,
            value: point.y,
        })
        .collect();
    let Some(fit) = fit(&judged) else {
        return Vec::new();
    };
    let at = |x: f64| {
        let value = fit.at(x);
        FitPoint {
            x,
            estimate: value.estimate,
            low: value.low,
            high: value.high,
        }
    };
    vec![at(fit.from), at((fit.from + fit.to) / 2.0), at(fit.to)]
}
