//! What a hunt found, as a document.

use super::budget::{Budget, Kept};
use super::diagnose::Diagnosis;
use super::endpoints::EndpointsFound;
use super::endpoints_told;
use super::marks;
use crate::findings::{Words, finding, grower_finding, known_table};
use crate::rates::{byte_range, cause_name, interval, object_range, signed_bytes};
use crate::run::{AppFacts, LoadFacts};
use crate::sources::Sources;
use rbleak_heap::trace::HolderName;
use rbleak_report::{Block, Document, Fact, Finding, Note, Tone, Value, Verdict, json};
use rbleak_trend::{Assessment, Cause, Growth, Margins};
use rbleak_units::{Bytes, Interval, grouped};

/// What the document is made of.
pub(crate) struct Told<'a> {
    pub(crate) app: &'a AppFacts,
    pub(crate) load: &'a LoadFacts,
    pub(crate) margins: &'a Margins,
    pub(crate) diagnosis: &'a Diagnosis,
    pub(crate) caches: &'a [Cache],
    pub(crate) sources: &'a Sources,
    /// What is known of the app's gems and of its Ruby.
    pub(crate) known: Vec<Fact>,
    /// The run's folder, its dumps and their size; `None` for a recorded run.
    pub(crate) run: Option<RunLine>,
    /// List what levelled off.
    pub(crate) all: bool,
    /// What may leak, and whether it is kept.
    pub(crate) budget: Option<(&'a Budget, Kept)>,
    /// What was found of each endpoint, where there are several.
    pub(crate) endpoints: Option<&'a EndpointsFound>,
}

/// Where the run lies.
pub(crate) struct RunLine {
    pub(crate) path: String,
    pub(crate) dumps: usize,
    pub(crate) bytes: u64,
}

/// A named container that grew for a while and then stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cache {
    /// `Leaky::CACHE`.
    pub(crate) name: String,
    /// `Hash`.
    pub(crate) class: String,
    /// Entries at the first look and at the last.
    pub(crate) entries: (u64, u64),
}

const MAX_FINDINGS: usize = 10;

/// Builds the document.
pub(crate) fn document(told: &Told<'_>) -> Document {
    let mut document = Document::new("rbleak/hunt/v1");
    document.push(Block::Facts(head(told)));
    let mut verdict = verdict(told);
    let mut words = Words {
        sources: told.sources,
        per: per(told.app),
    };
    if let Some(found) = told.endpoints {
        verdict = endpoints_told::verdict(found, verdict);
        words = endpoints_told::words(words);
    }
    document.push(Block::Verdict(budgeted(told, verdict)));
    if let Some(found) = told.endpoints {
        document.push(Block::Table(endpoints_told::table(told, found)));
    }
    let growers = told
        .diagnosis
        .held
        .growers
        .iter()
        .map(|grower| grower_finding(&words, grower, told.diagnosis.held.span));
    let holders = told.diagnosis.held.growing.iter().map(|ranked| {
        let mut finding = finding(&words, ranked);
        if let Some(found) = told.endpoints {
            endpoints_told::by_endpoint(found, ranked, &mut finding);
        }
        finding
    });
    let mut findings: Vec<Finding> = growers.chain(holders).collect();
    let many = findings.len();
    if !told.all {
        findings.truncate(MAX_FINDINGS);
    }
    let not_shown = many - findings.len();
    if !findings.is_empty() {
        document.push(Block::Findings(findings));
    }
    if let Some(known) = known_table(&words, &told.diagnosis.held.known) {
        document.push(Block::Table(known));
    }
    let tail = tail(told, not_shown);
    if !tail.is_empty() {
        document.push(Block::Facts(tail));
    }
    for warning in warnings(told) {
        document.note(Note::warning(warning));
    }
    marks::mark(&mut document, told);
    document
}

fn head(told: &Told<'_>) -> Vec<Fact> {
    let (app, load) = (told.app, told.load);
    let mut words = vec![app.target.clone()];
    words.extend(app.frameworks.iter().cloned());
    words.extend(app.ruby.iter().map(|ruby| format!("Ruby {ruby}")));
    words.push(app.mode.clone());
    let mut facts = vec![Fact::new("app", words.join(" · "), json!(app))];
    if let Some(allocator) = &app.allocator {
        facts.push(Fact::new(
            "allocator",
            allocator.clone(),
            json!({ "kind": app.allocator_kind, "summary": allocator }),
        ));
    }
    facts.extend(told.known.iter().cloned());
    let unit = if app.mode == "code" {
        "calls"
    } else {
        "requests"
    };
    facts.push(Fact::new(
        "load",
        format!(
            "{} rounds × {} {unit} in {:.1} s{}",
            load.rounds,
            grouped(load.requests_per_round),
            load.seconds,
            match (load.paths.as_slice(), told.endpoints) {
                ([], _) => String::new(),
                (paths, Some(_)) => format!(" · {} endpoints", paths.len()),
                (paths, None) => format!(" · {}", paths.join(" ")),
            }
        ),
        json!(load),
    ));
    facts
}

/// The verdict, held against the budget where there is one.
fn budgeted(told: &Told<'_>, mut verdict: Verdict) -> Verdict {
    let Some((budget, kept)) = told.budget else {
        return verdict;
    };
    verdict.data["budget"] = budget.data(kept);
    match (told.diagnosis.signals.cause, kept) {
        (Cause::Undecided, _) => return verdict,
        (Cause::Nothing, _) | (_, Kept::No) => {}
        (_, Kept::Yes) => (verdict.word, verdict.tone) = ("IN BUDGET".to_owned(), Tone::Good),
        (_, Kept::Untold) => {
            (verdict.word, verdict.tone) = ("INCONCLUSIVE".to_owned(), Tone::Warning);
        }
    }
    verdict.details.push(budget.words(kept));
    verdict
}

/// What a rate is per.
fn per(app: &AppFacts) -> &'static str {
    if app.mode == "code" {
        "call"
    } else {
        "request"
    }
}

fn verdict(told: &Told<'_>) -> Verdict {
    let signals = &told.diagnosis.signals;
    let per = per(told.app);
    let objects = signals.objects.rate;
    let bytes = signals.memsize.rate;
    let content = signals.content.unwrap_or(signals.memsize).rate;
    let malloc = signals.malloc.and_then(|m| m.rate);
    let (word, tone, headline, details) = match signals.cause {
        Cause::RubyObjects => (
            "LEAK",
            Tone::Bad,
            format!(
                "{} Ruby objects, {} per {per} (95 %: {}; {})",
                objects.map_or("more".into(), |r| format!("{:+.2}", r.estimate)),
                bytes.map_or("?".into(), |r| signed_bytes(r.estimate)),
                objects.map_or("?".into(), object_range),
                bytes.map_or("?".into(), byte_range),
            ),
            vec![format!(
                "{} · {}",
                native_words(signals.malloc.as_ref(), bytes, told.margins),
                allocator_words(signals.free.as_ref())
            )],
        ),
        Cause::RubyBytes => (
            "LEAK",
            Tone::Bad,
            format!(
                "{} per {per} in Ruby objects that grow in place (95 %: {})",
                content.map_or("?".into(), |r| signed_bytes(r.estimate)),
                content.map_or("?".into(), byte_range),
            ),
            vec![
                format!(
                    "{}: a String, Array or Hash is appended to",
                    flat_objects(objects, per)
                ),
                allocator_words(signals.free.as_ref()),
            ],
        ),
        Cause::Native => (
            "LEAK",
            Tone::Bad,
            format!(
                "native memory, {} per {per} (95 %: {})",
                malloc.map_or("?".into(), |r| signed_bytes(r.estimate)),
                malloc.map_or("?".into(), byte_range),
            ),
            vec![
                format!(
                    "ruled out: {}; their size {} per {per} (95 %: {})",
                    flat_objects(objects, per),
                    bytes.map_or("?".into(), |r| signed_bytes(r.estimate)),
                    bytes.map_or("?".into(), byte_range),
                ),
                format!(
                    "ruled out: {}; the growth is memory in use, malloc'ed by a C extension or library",
                    allocator_words(signals.free.as_ref())
                ),
            ],
        ),
        Cause::Nothing => (
            "NO LEAK",
            Tone::Good,
            format!(
                "{}, {} per {per} (95 %: {}; {})",
                flat_objects(objects, per),
                bytes.map_or("?".into(), |r| signed_bytes(r.estimate)),
                objects.map_or("?".into(), object_range),
                bytes.map_or("?".into(), byte_range),
            ),
            vec![format!(
                "{} · {}",
                native_words(signals.malloc.as_ref(), bytes, told.margins),
                allocator_words(signals.free.as_ref())
            )],
        ),
        Cause::Undecided => (
            "INCONCLUSIVE",
            Tone::Warning,
            format!(
                "{} rounds were not enough to tell growth from noise",
                told.load.rounds
            ),
            undecided_details(told, per),
        ),
    };
    Verdict {
        word: word.to_owned(),
        tone,
        headline,
        details,
        data: json!({
            "cause": cause_name(signals.cause),
            "objects_per_request": interval(objects),
            "object_bytes_per_request": interval(bytes),
            "content_bytes_per_request": interval(content),
            "malloc_in_use_bytes_per_request": interval(malloc),
            "malloc_free_bytes_per_request": interval(signals.free.and_then(|f| f.rate)),
            "margins": {
                "objects_per_request": told.margins.objects,
                "object_bytes_per_request": told.margins.object_bytes,
                "native_bytes_per_request": told.margins.native_bytes,
            },
        }),
    }
}

fn undecided_details(told: &Told<'_>, per: &str) -> Vec<String> {
    let signals = &told.diagnosis.signals;
    let mut lines = Vec::new();
    if let (Growth::Undecided, Some(rate)) = (signals.objects.growth, signals.objects.rate) {
        lines.push(format!(
            "Ruby objects {:+.2} per {per} (95 %: {}), margin {}",
            rate.estimate,
            object_range(rate),
            told.margins.objects
        ));
    }
    let bytes = [
        (
            "their bytes",
            Some(signals.memsize),
            told.margins.object_bytes,
        ),
        ("native memory", signals.malloc, told.margins.native_bytes),
    ];
    for (what, assessment, margin) in bytes {
        if let Some(Assessment {
            growth: Growth::Undecided,
            rate: Some(rate),
        }) = assessment
        {
            lines.push(format!(
                "{what} {} per {per} (95 %: {}), margin {margin} B",
                signed_bytes(rate.estimate),
                byte_range(rate),
            ));
        }
    }
    lines.push("more rounds, or larger ones, may tell: --rounds N, --requests N".to_owned());
    lines
}

fn flat_objects(rate: Option<Interval>, per: &str) -> String {
    match rate {
        Some(rate) => format!("Ruby objects flat at {:+.2} per {per}", rate.estimate),
        None => "Ruby objects flat".to_owned(),
    }
}

fn native_words(malloc: Option<&Assessment>, bytes: Option<Interval>, margins: &Margins) -> String {
    let Some(malloc) = malloc else {
        return "native memory not known (no Fiddle in this Ruby, or no glibc or jemalloc)"
            .to_owned();
    };
    match malloc.rate {
        // Slots and what objects hold beside them lie behind malloc too, and
        // its own overhead was measured at about a third.
        Some(rate) => {
            let explained = bytes.map_or(0.0, |b| b.estimate.max(0.0) * 1.5) + margins.native_bytes;
            if malloc.growth == Growth::Growing && rate.estimate > explained {
                format!(
                    "native memory {} per request beside them",
                    signed_bytes(rate.estimate - bytes.map_or(0.0, |b| b.estimate))
                )
            } else {
                "native memory flat".to_owned()
            }
        }
        None => "native memory not known".to_owned(),
    }
}

fn allocator_words(free: Option<&Assessment>) -> String {
    match free {
        Some(Assessment {
            growth: Growth::Growing,
            rate: Some(rate),
        }) => format!(
            "allocator keeps {} per request free",
            signed_bytes(rate.estimate)
        ),
        Some(_) => "allocator flat".to_owned(),
        None => "allocator not known".to_owned(),
    }
}

fn tail(told: &Told<'_>, not_shown: usize) -> Vec<Fact> {
    let mut facts = Vec::new();
    if not_shown > 0 {
        facts.push(Fact::new(
            "more",
            format!("{not_shown} more findings (--all)"),
            json!(not_shown),
        ));
    }
    facts.extend(
        told.endpoints
            .and_then(|found| endpoints_told::skipped(found, told.all)),
    );
    let mut levelled: Vec<(String, Value)> = told
        .diagnosis
        .held
        .levelled
        .iter()
        .map(|ranked| {
            let name = told.sources.shorten_within(&ranked.holder.name.to_string());
            let text = format!("{name} ({} objects)", ranked.holder.objects);
            (
                text,
                json!({ "holder": name, "objects": ranked.holder.objects.0 }),
            )
        })
        .collect();
    for cache in told.caches {
        let known = told.diagnosis.held.levelled.iter().chain(&told.diagnosis.held.growing).any(|ranked| {
            matches!(&ranked.holder.name, HolderName::Named(name) if *name == cache.name)
        });
        if !known {
            levelled.push((
                format!(
                    "{} ({}, {} entries)",
                    cache.name,
                    cache.class,
                    grouped(cache.entries.1)
                ),
                json!({
                    "holder": cache.name,
                    "class": cache.class,
                    "entries_before": cache.entries.0,
                    "entries_after": cache.entries.1,
                }),
            ));
        }
    }
    if !levelled.is_empty() {
        let shown = if told.all { levelled.len() } else { 3 };
        let mut text = levelled
            .iter()
            .take(shown)
            .map(|(text, _)| text.as_str())
            .collect::<Vec<_>>()
            .join(", ");
        if levelled.len() > shown {
            text.push_str(&format!(" and {} more (--all)", levelled.len() - shown));
        }
        let data: Vec<Value> = levelled.into_iter().map(|(_, data)| data).collect();
        facts.push(Fact::new("levelled_off", text, json!(data)));
    }
    let (own, noise) = (told.diagnosis.held.own_objects, told.diagnosis.held.noise);
    if own > 0 || noise > 0 {
        facts.push(Fact::new(
            "left_out",
            format!(
                "{} new objects of rbleak's own, {} holders of a handful of objects",
                grouped(own),
                grouped(noise as u64)
            ),
            json!({ "own_objects": own, "small_holders": noise }),
        ));
    }
    if let Some(run) = &told.run {
        let mut text = run.path.clone();
        if run.dumps > 0 {
            text.push_str(&format!("  ({} dumps, {})", run.dumps, Bytes(run.bytes)));
        }
        let fact = Fact::new(
            "run",
            text,
            json!({ "path": run.path, "dumps": run.dumps, "dump_bytes": run.bytes }),
        );
        facts.push(fact.hint(format!("rbleak report {}", run.path)));
    }
    facts
}

fn warnings(told: &Told<'_>) -> Vec<String> {
    let mut all = told.diagnosis.held.warnings.clone();
    if let Some(target) = &told.load.redirected_to {
        all.push(format!(
            "requests were answered by a redirect to {target}: what lies behind it was not exercised"
        ));
    }
    all
}
