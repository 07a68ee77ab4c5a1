//! What two runs say together, as a document.

use super::judge::{Answer, Figure, HolderChange, Judged, Kind, Went};
use super::recorded::{HolderRate, Recorded};
use crate::hunt::marks::{of_verdict, outcome};
use crate::rates::{byte_range, cause_name, interval, object_range, signed_bytes};
use rbleak_report::{
    Align, Block, Check, Column, Document, Fact, Note, Outcome, Row, Table, Tone, Value, Verdict,
    json,
};
use rbleak_trend::{Bound, Cause, FlatCertificate};
use rbleak_units::{Interval, grouped};

/// Builds the document.
pub(crate) fn document(before: &Recorded, after: &Recorded, judged: &Judged) -> Document {
    let per = before.per();
    let mut document = Document::new("rbleak/verify/v1");
    document.push(Block::Facts(vec![
        run("before", before),
        run("after", after),
    ]));
    let verdict = verdict(before, after, judged, per);
    document.annotations = vec![of_verdict(&verdict)];
    document.checks = checks(before, judged, &verdict);
    document.push(Block::Verdict(verdict));
    document.push(Block::Table(figures(judged, per)));
    if !judged.holders.is_empty() {
        document.push(Block::Table(holders(judged, per)));
    }
    let mut tail = Vec::new();
    if let Some(certificate) = &judged.certificate {
        tail.push(plateau(certificate, per));
    }
    if after.leaks() && !after.manifest.dumps.is_empty() {
        let command = format!("rbleak diff --holders {}", after.shown);
        tail.push(Fact::new("next", "who holds what is left", json!(command)).hint(command));
    }
    if !tail.is_empty() {
        document.push(Block::Facts(tail));
    }
    for remark in &judged.remarks {
        document.note(Note::warning(remark));
    }
    document
}

fn run(key: &str, run: &Recorded) -> Fact {
    let (app, load) = (&run.manifest.app, &run.manifest.load);
    let calls = match run.per() {
        "call" => "calls",
        _ => "requests",
    };
    let mut words = vec![
        run.shown.clone(),
        word_of(run.cause).to_owned(),
        format!(
            "{} rounds × {} {calls}",
            load.rounds,
            grouped(load.requests_per_round)
        ),
    ];
    words.extend(app.ruby.iter().map(|ruby| format!("Ruby {ruby}")));
    if !load.paths.is_empty() {
        words.push(load.paths.join(" "));
    }
    Fact::new(
        key,
        words.join(" · "),
        json!({
            "run": run.shown,
            "cause": cause_name(run.cause),
            "started": run.manifest.started,
            "rbleak_version": run.manifest.rbleak_version,
            "app": app,
            "load": load,
        }),
    )
}

fn word_of(cause: Cause) -> &'static str {
    match cause {
        Cause::RubyObjects | Cause::RubyBytes | Cause::Native => "leak",
        Cause::Nothing => "no leak",
        Cause::Undecided => "inconclusive",
    }
}

fn verdict(before: &Recorded, after: &Recorded, judged: &Judged, per: &str) -> Verdict {
    let (word, tone, headline, details) = match judged.answer {
        Answer::Fixed => (
            "FIXED",
            Tone::Good,
            format!(
                "{}, and nothing new leaks",
                headline(judged, after.cause, per)
            ),
            Vec::new(),
        ),
        Answer::StillLeaks => (
            "STILL LEAKS",
            Tone::Bad,
            headline(judged, after.cause, per),
            vec![less(judged)],
        ),
        Answer::NewLeak => (
            "NEW LEAK",
            Tone::Bad,
            match before.leaks() {
                true => format!(
                    "what leaked is gone, and something else leaks: {}",
                    headline(judged, after.cause, per)
                ),
                false => format!(
                    "it did not leak before, and leaks now: {}",
                    headline(judged, after.cause, per)
                ),
            },
            Vec::new(),
        ),
        Answer::Inconclusive => (
            "INCONCLUSIVE",
            Tone::Warning,
            judged.doubts.first().cloned().unwrap_or_default(),
            judged.doubts.iter().skip(1).cloned().collect(),
        ),
    };
    Verdict {
        word: word.to_owned(),
        tone,
        headline,
        details: details
            .into_iter()
            .filter(|line| !line.is_empty())
            .collect(),
        data: json!({
            "answer": answer_name(judged.answer),
            "doubts": judged.doubts,
            "plateau_certified": judged.certificate.is_some(),
        }),
    }
}

fn answer_name(answer: Answer) -> &'static str {
    match answer {
        Answer::Fixed => "fixed",
        Answer::StillLeaks => "still_leaks",
        Answer::NewLeak => "new_leak",
        Answer::Inconclusive => "inconclusive",
    }
}

/// From which rates to which: `2.00 → 0.00 Ruby objects, …`; of what leaked
/// before, and of what leaks now.
fn headline(judged: &Judged, after: Cause, per: &str) -> String {
    let grows = match after {
        Cause::RubyObjects => Some(Kind::Objects),
        Cause::RubyBytes => Some(Kind::Content),
        Cause::Native => Some(Kind::Native),
        Cause::Nothing | Cause::Undecided => None,
    };
    let parts: Vec<String> = judged
        .figures
        .iter()
        .filter(|figure| figure.is_cause || Some(figure.kind) == grows)
        .map(|figure| arrow(figure, per))
        .collect();
    parts.join(", ")
}

fn arrow(figure: &Figure, per: &str) -> String {
    let estimate = |rate: Option<Interval>| {
        rate.map_or("?".to_owned(), |rate| value(figure.kind, rate.estimate))
    };
    format!(
        "{} → {} {} per {per}",
        estimate(figure.before),
        estimate(figure.after),
        match figure.kind {
            Kind::Objects => "Ruby objects",
            Kind::ObjectBytes => "of Ruby objects",
            Kind::Content => "in objects that grow in place",
            Kind::Native => "of native memory",
        }
    )
}

/// How much of it is gone.
fn less(judged: &Judged) -> String {
    let cause = judged.figures.iter().find(|figure| figure.is_cause);
    let Some((before, after)) = cause.and_then(|figure| Some((figure.before?, figure.after?)))
    else {
        return String::new();
    };
    if before.estimate <= 0.0 {
        return String::new();
    }
    let share = (before.estimate - after.estimate) / before.estimate * 100.0;
    match share.round() {
        share if share >= 1.0 => format!("{share:.0} % less than before"),
        share if share <= -1.0 => format!("{:.0} % more than before", -share),
        _ => "as much as before".to_owned(),
    }
}

fn value(kind: Kind, value: f64) -> String {
    match kind {
        // Rounded first: -0.001 is to read 0.00, not -0.00.
        Kind::Objects => format!("{:.2}", (value * 100.0).round() / 100.0 + 0.0),
        _ => signed_bytes(value).trim_start_matches('+').to_owned(),
    }
}

fn with_range(kind: Kind, rate: Option<Interval>) -> String {
    let Some(rate) = rate else {
        return "not known".to_owned();
    };
    let range = match kind {
        Kind::Objects => object_range(rate),
        _ => byte_range(rate),
    };
    // A dash between signs is hard to read.
    let range = match rate.low < 0.0 {
        true => range.replace('–', " to "),
        false => range,
    };
    format!("{} ({range})", value(kind, rate.estimate))
}

fn figures(judged: &Judged, per: &str) -> Table {
    let row = |figure: &Figure| {
        let (word, key) = match figure.kind {
            Kind::Objects => ("Ruby objects", "objects_per_request"),
            Kind::ObjectBytes => ("bytes of objects", "object_bytes_per_request"),
            Kind::Content => ("bytes of content", "content_bytes_per_request"),
            Kind::Native => ("native memory", "malloc_in_use_bytes_per_request"),
        };
        let difference = figure.difference();
        Row {
            cells: vec![
                word.to_owned(),
                with_range(figure.kind, figure.before),
                with_range(figure.kind, figure.after),
                with_range(figure.kind, difference),
                bound(judged, figure.kind).map_or_else(String::new, |bound| {
                    let margin = match figure.kind {
                        Kind::Objects => format!("{:.2}", bound.margin),
                        kind => value(kind, bound.margin),
                    };
                    format!("{} < {margin}", value(figure.kind, bound.at_most))
                }),
            ],
            data: json!({
                "figure": key,
                "before": interval(figure.before),
                "after": interval(figure.after),
                "difference": interval(difference),
                "margin": figure.margin,
                "leaked_before": figure.is_cause,
            }),
        }
    };
    Table {
        key: "figures".to_owned(),
        title: Some(format!("growth per {per} (95 %)")),
        columns: vec![
            column("", Align::Left),
            column("before", Align::Right),
            column("after", Align::Right),
            column("difference", Align::Right),
            column(
                match judged.certificate {
                    Some(_) => "after, at most",
                    None => "",
                },
                Align::Right,
            ),
        ],
        rows: judged.figures.iter().map(row).collect(),
        left_out: 0,
    }
}

fn holders(judged: &Judged, per: &str) -> Table {
    let words = |rate: Option<HolderRate>| match rate {
        Some(rate) if rate.objects > 0.0 => format!(
            "{:.2} objects, {}",
            rate.objects,
            value(Kind::ObjectBytes, rate.bytes)
        ),
        Some(rate) => value(Kind::ObjectBytes, rate.bytes),
        None => String::new(),
    };
    let data = |rate: Option<HolderRate>| {
        rate.map_or(
            Value::Null,
            |rate| json!({ "objects_per_request": rate.objects, "bytes_per_request": rate.bytes }),
        )
    };
    let row = |change: &HolderChange| Row {
        cells: vec![
            change.name.clone(),
            words(change.before),
            words(change.after),
            went_name(change.went).to_owned(),
        ],
        data: json!({
            "holder": change.name,
            "before": data(change.before),
            "after": data(change.after),
            "went": went_name(change.went).replace(' ', "_"),
        }),
    };
    Table {
        key: "holders".to_owned(),
        title: Some(format!("holders, per {per}")),
        columns: vec![
            column("", Align::Left),
            column("before", Align::Right),
            column("after", Align::Right),
            column("", Align::Left),
        ],
        rows: judged.holders.iter().map(row).collect(),
        left_out: 0,
    }
}

fn went_name(went: Went) -> &'static str {
    match went {
        Went::Gone => "gone",
        Went::Smaller => "smaller",
        Went::Same => "same",
        Went::Larger => "larger",
        Went::New => "new",
        Went::Unknown => "not known",
    }
}

fn column(heading: &str, align: Align) -> Column {
    Column {
        heading: heading.to_owned(),
        align,
    }
}

/// What is shown of a figure of the second run.
fn bound(judged: &Judged, kind: Kind) -> Option<Bound> {
    let certificate = judged.certificate.as_ref()?;
    match kind {
        Kind::Objects => Some(certificate.objects),
        Kind::ObjectBytes => Some(certificate.memsize),
        Kind::Content => certificate.content,
        Kind::Native => certificate.malloc,
    }
}

/// The certificate in a line; its bounds stand in the table.
fn plateau(certificate: &FlatCertificate, per: &str) -> Fact {
    let data = |bound: Bound| json!({ "at_most": bound.at_most, "margin": bound.margin });
    Fact::new(
        "plateau",
        format!(
            "shown over {} rounds, {} {per}s: every growth is below its margin, with 95 % confidence each",
            certificate.rounds,
            grouped(certificate.requests),
        ),
        json!({
            "rounds": certificate.rounds,
            "requests": certificate.requests,
            "confidence": 0.95,
            "objects_per_request": data(certificate.objects),
            "object_bytes_per_request": data(certificate.memsize),
            "content_bytes_per_request": certificate.content.map(data),
            "malloc_in_use_bytes_per_request": certificate.malloc.map(data),
        }),
    )
}

fn checks(before: &Recorded, judged: &Judged, verdict: &Verdict) -> Vec<Check> {
    let what = match before.manifest.load.paths.as_slice() {
        [] => before.manifest.app.target.clone(),
        paths => paths.join(" "),
    };
    let told = |failed: bool, passed: bool| match (failed, passed) {
        (true, _) => Outcome::Failed,
        (false, true) => Outcome::Passed,
        (false, false) => Outcome::Untold,
    };
    let new: Vec<String> = judged
        .holders
        .iter()
        .filter(|change| change.went == Went::New)
        .map(|change| format!("new: {}", change.name))
        .collect();
    let message = format!("{}: {}", verdict.word, verdict.headline);
    let check = |name: String, outcome, details: Vec<String>| Check {
        name,
        outcome,
        message: message.clone(),
        details,
    };
    let fixed = outcome(verdict.tone) == Outcome::Passed;
    let is_new = judged.answer == Answer::NewLeak || !new.is_empty();
    let all_known = judged.answer == Answer::StillLeaks && !judged.holders.is_empty();
    vec![
        check(
            format!("{what}: the leak is gone"),
            told(
                judged.answer == Answer::StillLeaks,
                fixed || judged.answer == Answer::NewLeak && before.leaks(),
            ),
            verdict.details.clone(),
        ),
        check(
            format!("{what}: nothing new leaks"),
            told(is_new, fixed || all_known),
            new,
        ),
    ]
}
