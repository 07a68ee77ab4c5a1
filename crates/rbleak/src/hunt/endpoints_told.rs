//! What a hunt of several endpoints found, in words: which of them leak, who
//! holds it, and whether it is them or the stack below.

use super::document::Told;
use super::endpoints::{EndpointRow, EndpointsFound};
use super::marks::outcome;
use crate::findings::Words;
use crate::held::Ranked;
use crate::rates::{byte_range, cause_name, interval, object_range, signed_bytes};
use rbleak_report::{
    Align, Check, Column, Fact, Finding, Outcome, Row, Section, Table, Tone, Verdict, json,
};
use rbleak_trend::{Assessment, Cause};
use rbleak_units::Interval;

/// Endpoints that are named in the headline.
const MOST_NAMED: usize = 4;
/// Endpoints that are listed where they do not leak.
const MOST_FLAT: usize = 20;
/// A holder belongs to the endpoints by which it gained this share.
const MIN_SHARE: f64 = 0.05;

/// The verdict on all of them, in place of that on their average.
pub(super) fn verdict(found: &EndpointsFound, mut verdict: Verdict) -> Verdict {
    let leaking = leaking(found);
    let many = found.rows.len();
    verdict.data["endpoints"] = json!(many);
    verdict.data["endpoints_leaking"] = json!(leaking.len());
    verdict.data["leaks"] = json!(where_it_leaks(found).map(|(word, _)| word));
    let open = open(found);
    if leaking.is_empty() {
        if open.is_empty() && verdict.tone == Tone::Good {
            verdict.headline = format!("{many} endpoints, and each of them is flat");
        } else if verdict.tone == Tone::Warning && !open.is_empty() {
            verdict.headline = format!(
                "{} of {many} endpoints cannot be told yet: {}",
                open.len(),
                named(&open, |row| row.name.clone())
            );
            verdict.details =
                vec!["more rounds, or larger ones, may tell: --rounds N, --requests N".to_owned()];
        }
        return verdict;
    }
    verdict.headline = format!(
        "{} of {many} endpoints: {}",
        leaking.len(),
        named(&leaking, |row| format!("{} {}", row.name, rate_words(row)))
    );
    verdict.details = where_it_leaks(found)
        .map(|(_, words)| words)
        .into_iter()
        .collect();
    if !open.is_empty() {
        verdict.details.push(format!(
            "not told yet: {} (--rounds N)",
            named(&open, |row| row.name.clone())
        ));
    }
    verdict
}

/// Those that leak, the fastest first.
fn leaking(found: &EndpointsFound) -> Vec<&EndpointRow> {
    let mut all: Vec<&EndpointRow> = found.rows.iter().filter(|row| row.leaks()).collect();
    all.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    all
}

fn open(found: &EndpointsFound) -> Vec<&EndpointRow> {
    let undecided = |row: &&EndpointRow| row.signals.cause == Cause::Undecided;
    found.rows.iter().filter(undecided).collect()
}

/// Bytes per request of what leaks.
fn weight(row: &EndpointRow) -> f64 {
    let rate = match row.signals.cause {
        Cause::Native => row.signals.malloc,
        Cause::RubyBytes => row.signals.content.or(Some(row.signals.memsize)),
        _ => Some(row.signals.memsize),
    };
    estimate(rate).unwrap_or(0.0)
}

fn estimate(assessment: Option<Assessment>) -> Option<f64> {
    Some(assessment?.rate?.estimate)
}

/// What tells the stack, which all requests go through, from an endpoint. Only
/// with two endpoints or more.
fn where_it_leaks(found: &EndpointsFound) -> Option<(&'static str, String)> {
    let (many, leaking) = (found.rows.len(), leaking(found));
    if many < 2 || leaking.is_empty() {
        return None;
    }
    let objects = |row: &&EndpointRow| row.signals.objects.rate.map(|rate| rate.low);
    let all_objects = leaking
        .iter()
        .all(|row| row.signals.cause == Cause::RubyObjects);
    let flat = found
        .rows
        .iter()
        .filter(|row| row.signals.cause == Cause::Nothing)
        .count();
    if leaking.len() == many {
        let least = leaking
            .iter()
            .filter_map(objects)
            .fold(f64::INFINITY, f64::min);
        let base = match all_objects && least.is_finite() {
            true => format!(" keeps {least:.2} objects per request or more"),
            false => " leaks".to_owned(),
        };
        return Some((
            "everywhere",
            format!(
                "leaks everywhere: each endpoint{base}; look at the stack that all go through (middleware, logging, instrumentation) before any endpoint"
            ),
        ));
    }
    match flat {
        0 => None,
        flat => Some((
            "here_only",
            format!(
                "here only: the other {flat} {} flat, and so is the stack that all go through",
                if flat == 1 { "is" } else { "are" }
            ),
        )),
    }
}

fn named(rows: &[&EndpointRow], words: impl Fn(&EndpointRow) -> String) -> String {
    let shown: Vec<String> = rows.iter().take(MOST_NAMED).map(|row| words(row)).collect();
    let more = rows.len() - shown.len();
    match more {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn rate_words(row: &EndpointRow) -> String {
    match row.signals.cause {
        Cause::RubyObjects => format!(
            "{:+.2} objects per request",
            estimate(Some(row.signals.objects)).unwrap_or(0.0)
        ),
        Cause::RubyBytes => format!("{} per request in place", signed_bytes(weight(row))),
        Cause::Native => format!("{} native per request", signed_bytes(weight(row))),
        Cause::Nothing => "flat".to_owned(),
        Cause::Undecided => "not told".to_owned(),
    }
}

/// All endpoints, the fastest leak first; those that are flat by name.
pub(super) fn table(told: &Told<'_>, found: &EndpointsFound) -> Table {
    let holders = &told.diagnosis.held.growing;
    let mut order: Vec<usize> = (0..found.rows.len()).collect();
    order.sort_by(|&a, &b| {
        let key = |at: usize| {
            (
                found.rows[at].leaks(),
                found.rows[at].signals.cause == Cause::Undecided,
            )
        };
        key(b)
            .cmp(&key(a))
            .then_with(|| match found.rows[a].leaks() {
                true => weight(&found.rows[b]).total_cmp(&weight(&found.rows[a])),
                false => a.cmp(&b),
            })
    });
    let is_flat = |at: &usize| found.rows[*at].signals.cause == Cause::Nothing;
    let flat = order.iter().filter(|at| is_flat(at)).count();
    let left_out = match told.all {
        true => 0,
        false => flat.saturating_sub(MOST_FLAT),
    };
    order.truncate(order.len() - left_out);
    let has_shares = found.rows.iter().any(|row| row.share.is_some());
    let row = |at: usize| {
        let row = &found.rows[at];
        let signals = &row.signals;
        let holder = found.holder(at, holders);
        let holder = holder.map(|ranked| name(told, ranked));
        let mut cells = vec![row.name.clone()];
        if has_shares {
            cells.push(
                row.share
                    .map_or(String::new(), |share| format!("{:.1} %", share * 100.0)),
            );
        }
        cells.push(with_range(
            signals.objects.rate,
            |r| format!("{r:.2}"),
            object_range,
        ));
        cells.push(with_range(
            signals.memsize.rate,
            |r| signed_bytes(r).trim_start_matches('+').to_owned(),
            byte_range,
        ));
        cells.push(match signals.cause {
            Cause::Nothing => "flat".to_owned(),
            Cause::Undecided => "not told".to_owned(),
            Cause::RubyObjects => holder.clone().unwrap_or_else(|| "leaks".to_owned()),
            Cause::RubyBytes => "grows in place".to_owned(),
            Cause::Native => format!("native, {}", signed_bytes(weight(row))),
        });
        Row {
            cells,
            data: json!({
                "endpoint": row.name,
                "share": row.share,
                "requests": row.requests,
                "cause": cause_name(signals.cause),
                "objects_per_request": interval(signals.objects.rate),
                "object_bytes_per_request": interval(signals.memsize.rate),
                "content_bytes_per_request": interval(signals.content.and_then(|c| c.rate)),
                "malloc_in_use_bytes_per_request": interval(signals.malloc.and_then(|m| m.rate)),
                "holder": holder,
            }),
        }
    };
    let column = |heading: &str, align| Column {
        heading: heading.to_owned(),
        align,
    };
    let mut columns = vec![column("", Align::Left)];
    if has_shares {
        columns.push(column("share", Align::Right));
    }
    columns.extend([
        column("objects", Align::Right),
        column("bytes of objects", Align::Right),
        column("held by", Align::Left),
    ]);
    Table {
        key: "endpoints".to_owned(),
        title: Some("endpoints, per request of each (95 %)".to_owned()),
        columns,
        rows: order.into_iter().map(row).collect(),
        left_out,
    }
}

fn with_range(
    rate: Option<Interval>,
    estimate: impl Fn(f64) -> String,
    range: impl Fn(Interval) -> String,
) -> String {
    let Some(rate) = rate else {
        return "not known".to_owned();
    };
    let range = match rate.low < 0.0 {
        true => range(rate).replace('–', " to "),
        false => range(rate),
    };
    // Rounded first: -0.001 is to read 0.00, not -0.00.
    let rounded = (rate.estimate * 100.0).round() / 100.0 + 0.0;
    format!("{} ({range})", estimate(rounded))
}

fn name(told: &Told<'_>, ranked: &Ranked) -> String {
    let name = ranked.holder.name.to_string();
    told.sources.shorten_within(&name)
}

/// By which endpoints a holder grew, as a section of its finding.
pub(super) fn by_endpoint(found: &EndpointsFound, ranked: &Ranked, finding: &mut Finding) {
    let Some(gained) = found.gained(ranked) else {
        return;
    };
    let total: f64 = gained.iter().map(|(_, bytes)| bytes).sum();
    let mut all: Vec<(usize, (f64, f64))> = gained.into_iter().enumerate().collect();
    all.retain(|(_, (_, bytes))| *bytes > 0.0 && *bytes >= MIN_SHARE * total);
    all.sort_by(|a, b| b.1.1.total_cmp(&a.1.1).then(a.0.cmp(&b.0)));
    let data = all.iter().map(|(at, (objects, bytes))| {
        json!({
            "endpoint": found.rows[*at].name,
            "objects_per_request": objects,
            "bytes_per_request": bytes,
        })
    });
    finding.data["by_endpoint"] = data.collect();
    let lines = all.iter().take(MOST_NAMED).map(|(at, (objects, bytes))| {
        format!(
            "{}  {objects:.2} objects, {} per request of it",
            found.rows[*at].name,
            signed_bytes(*bytes).trim_start_matches('+')
        )
    });
    let section = Section::new("by", lines);
    if !section.lines.is_empty() {
        finding.sections.insert(0, section);
    }
}

/// What was not requested.
pub(super) fn skipped(found: &EndpointsFound, all: bool) -> Option<Fact> {
    if found.skipped.is_empty() {
        return None;
    }
    let shown = if all { found.skipped.len() } else { 3 };
    let lines = found.skipped.iter().take(shown);
    let lines: Vec<String> = lines.map(|(name, why)| format!("{name}: {why}")).collect();
    let mut text = lines.join(" · ");
    if found.skipped.len() > shown {
        text.push_str(&format!(
            " · and {} more (--all)",
            found.skipped.len() - shown
        ));
    }
    let data = found.skipped.iter();
    let data = data.map(|(name, why)| json!({ "endpoint": name, "why": why }));
    Some(Fact::new("skipped", text, data.collect()))
}

/// A check for each endpoint.
pub(super) fn checks(found: &EndpointsFound, verdict: &Verdict) -> Vec<Check> {
    let check = |row: &EndpointRow| Check {
        name: format!("{} does not leak", row.name),
        outcome: match row.signals.cause {
            Cause::Nothing => Outcome::Passed,
            Cause::Undecided => Outcome::Untold,
            // Within the budget.
            _ => outcome(verdict.tone),
        },
        message: format!("{} {}", row.name, rate_words(row)),
        details: Vec::new(),
    };
    found.rows.iter().map(check).collect()
}

/// What rates of holders are per.
pub(super) fn words<'a>(words: Words<'a>) -> Words<'a> {
    Words {
        per: "request of all",
        ..words
    }
}
