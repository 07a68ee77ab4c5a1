//! What a watch comes to, as a document.

use super::state::{Ending, State};
use crate::exit::ExitStatus;
use crate::verdicts::{Judged, blocks, duration, status_of};
use rbleak_process::allocator::{Allocator, AllocatorKind};
use rbleak_process::kinds::{Kind, Kinds};
use rbleak_report::{Align, Block, Column, Document, Fact, Note, Row, Table, Value, json};
use rbleak_trend::{Judgement, Verdict};
use rbleak_units::{Bytes, Interval};

/// Events that are told.
const MOST_EVENTS: usize = 8;

/// What is known beside the figures.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// What is watched, such as `puma 4711`.
    pub(crate) target: String,
    pub(crate) pid: u32,
    pub(crate) every: f64,
    /// `ruby 3.1.7…`, where there is one that may be looked at.
    pub(crate) ruby: Option<String>,
    pub(crate) allocator: Option<Allocator>,
    /// Why the watch ended.
    pub(crate) ended: String,
    /// The recording, as a path for the next command.
    pub(crate) recording: Option<String>,
    pub(crate) notes: Vec<Note>,
}

/// The document, and how the command ends.
pub(crate) fn document(state: State, about: About) -> (Document, ExitStatus) {
    let mut document = Document::new("rbleak/watch/v1");
    let facts = facts(&state, &about);
    let (figures, kinds) = (
        figures(&state),
        kinds_table(&state, about.allocator.as_ref()),
    );
    let events = events(&state);
    let without_row = state.without_row;
    let judged = judged(state);
    if judged.is_empty() {
        document.push(Block::Verdict(nothing_seen()));
    }
    let status = match judged.is_empty() {
        true => ExitStatus::Inconclusive,
        false => status_of(&judged),
    };
    let mut parts = blocks(&judged).into_iter();
    parts
        .by_ref()
        .take(1)
        .for_each(|block| document.push(block));
    document.push(Block::Facts(facts));
    parts.for_each(|block| document.push(block));
    document.push(Block::Table(figures));
    kinds
        .into_iter()
        .for_each(|table| document.push(Block::Table(table)));
    if without_row > 0 {
        document.note(Note::warning(format!(
            "{without_row} more processes were not watched: {} are the most",
            super::rows::MOST_ROWS
        )));
    }
    events.into_iter().for_each(|event| document.note(event));
    about.notes.into_iter().for_each(|note| document.note(note));
    (document, status)
}

/// The rows with what was said of them. Those that ended too early for any
/// answer say nothing where others do.
fn judged(state: State) -> Vec<Judged> {
    let has_answer = |judgement: &Judgement| judgement.verdict != Verdict::NotEnoughData;
    let any = state
        .rows
        .iter()
        .any(|row| row.judgement.as_ref().is_some_and(has_answer));
    let rows = state.rows.into_iter().filter_map(|row| {
        let births = birth_times(&row);
        let judgement = row.judgement?;
        let counts = row.alive.is_some() || has_answer(&judgement) || !any;
        counts.then_some(Judged {
            source: String::new(),
            process: row.name,
            series: row.series,
            births,
            judgement,
        })
    });
    rows.collect()
}

fn birth_times(row: &super::state::Row) -> Vec<(Option<u64>, f64)> {
    let lives = row.series.lives().filter_map(|life| life.first());
    lives
        .filter_map(|sample| Some((sample.life, row.birth(sample.life)?)))
        .collect()
}

fn nothing_seen() -> rbleak_report::Verdict {
    rbleak_report::Verdict {
        word: "NOT ENOUGH DATA".to_owned(),
        tone: rbleak_report::Tone::Warning,
        headline: "no process lived for long enough to be watched".to_owned(),
        details: Vec::new(),
        data: json!({"verdict": "not_enough_data"}),
    }
}

fn facts(state: &State, about: &About) -> Vec<Fact> {
    let living = state.rows.iter().filter(|row| row.alive.is_some()).count();
    let mut facts = vec![Fact::new(
        "watched",
        format!(
            "{} · {} · every {} · {}",
            about.target,
            duration(state.now),
            seconds(about.every),
            about.ended
        ),
        json!({
            "target": about.target,
            "pid": about.pid,
            "seconds": state.now,
            "every_seconds": about.every,
            "living": living,
            "ended": about.ended,
        }),
    )];
    if let Some(ruby) = &about.ruby {
        let short = ruby.split(" (").next().unwrap_or(ruby);
        facts.push(Fact::new("ruby", short, json!(ruby)));
    }
    if let Some(allocator) = &about.allocator {
        let text = allocator.summary();
        facts.push(Fact::new("allocator", text.clone(), json!(text)).hint("rbleak doctor"));
    }
    facts.extend(cgroup(state));
    facts.extend(state.ending().map(|ending| limit(&ending)));
    if let Some(path) = &about.recording {
        let fact = Fact::new("recording", path.clone(), json!(path));
        facts.push(fact.hint(format!("rbleak trend {path}")));
    }
    facts
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s => duration(s),
    }
}

fn cgroup(state: &State) -> Option<Fact> {
    let group = state.group?;
    let current = group.current?;
    let limit = match group.limit {
        Some(limit) => format!("of {limit}"),
        None => "no limit".to_owned(),
    };
    let mut text = format!("{current}, {limit}");
    if let Some(kills) = state.oom_kills().filter(|kills| *kills > 0) {
        text.push_str(&format!(", {kills} processes killed for it meanwhile"));
    }
    let data = json!({
        "current_bytes": current.0,
        "working_set_bytes": group.working_set().map(|bytes| bytes.0),
        "limit_bytes": group.limit.map(|bytes| bytes.0),
        "limit_hits": group.limit_hits,
        "oom_kills": group.oom_kills,
    });
    let mut fact = Fact::new("control_group", text, data);
    fact.label = "cgroup".to_owned();
    Some(fact)
}

/// How long it will be, in words.
pub(crate) fn until(seconds: &Interval) -> String {
    format!(
        "{} (95 %: {} to {})",
        duration(seconds.estimate),
        duration(seconds.low),
        duration(seconds.high)
    )
}

fn limit(ending: &Ending) -> Fact {
    let whose = match ending.is_group {
        true => "the control group's",
        false => "given",
    };
    let when = match &ending.seconds {
        Some(seconds) => format!("reached in {}", until(seconds)),
        None => "nothing leaks towards it".to_owned(),
    };
    let finite = |value: f64| value.is_finite().then_some(value);
    let data = json!({
        "limit_bytes": ending.limit.0,
        "used_bytes": ending.used.0,
        "is_control_group": ending.is_group,
        "seconds": ending.seconds.map(|s| json!({
            "estimate": finite(s.estimate), "low": finite(s.low), "high": finite(s.high),
        })),
    });
    let text = format!("{} ({whose}), {} used: {when}", ending.limit, ending.used);
    Fact::new("until_limit", text, data)
}

fn column(heading: &str, align: Align) -> Column {
    Column {
        heading: heading.to_owned(),
        align,
    }
}

/// The last figures of each row.
fn figures(state: &State) -> Table {
    let headings = [
        "process",
        "pid",
        "age",
        "lives",
        "RSS",
        "PSS",
        "USS",
        "anonymous",
    ];
    let mut columns: Vec<Column> = headings.iter().map(|h| column(h, Align::Right)).collect();
    columns[0].align = Align::Left;
    let known = |value: Option<Bytes>| value.map_or(String::new(), |value| value.to_string());
    let rows = state.rows.iter().map(|row| {
        let (pss, uss) = (row.walked.map(|w| w.pss), row.walked.map(|w| w.private));
        let pid = row.alive.map(|pid| pid.0);
        let bytes = |value: Option<Bytes>| value.map(|value| value.0);
        Row {
            cells: vec![
                row.name.clone(),
                pid.map_or("ended".to_owned(), |pid| pid.to_string()),
                duration(row.age),
                row.lives.to_string(),
                known(row.latest.rss),
                known(pss),
                known(uss),
                known(row.latest.anonymous),
            ],
            data: json!({
                "process": row.name,
                "pid": pid,
                "age_seconds": row.age,
                "lives": row.lives,
                "rss_bytes": bytes(row.latest.rss),
                "pss_bytes": bytes(pss),
                "uss_bytes": bytes(uss),
                "anonymous_bytes": bytes(row.latest.anonymous),
                "live_slots": row.latest.live_slots,
                "malloc_in_use_bytes": bytes(row.latest.malloc_in_use),
                "requests": row.latest.requests,
                "arenas": row.kinds.and_then(|kinds| kinds.arenas),
            }),
        }
    });
    Table {
        key: "processes".to_owned(),
        title: None,
        columns,
        rows: rows.collect(),
        left_out: 0,
    }
}

/// The kinds with their keys.
pub(crate) fn kind_names(kinds: &Kinds) -> Vec<(&'static str, Bytes)> {
    let name = |kind| match kind {
        Kind::RubyHeap => "ruby_heap",
        Kind::MainArena => "malloc_main_arena",
        Kind::Arenas => "malloc_arenas",
        Kind::Anonymous => "anonymous",
        Kind::Stacks => "stacks",
        Kind::Files => "files",
        Kind::Shared => "shared",
        Kind::Other => "other",
    };
    let all = Kind::ALL
        .into_iter()
        .map(|kind| (name(kind), kinds.of(kind)));
    all.filter(|(_, bytes)| bytes.0 > 0).collect()
}

fn heading(kind: Kind, kinds: &[Kinds], allocator: Option<&Allocator>) -> String {
    let knows_ruby = kinds.iter().any(|kinds| kinds.knows_ruby);
    let other = allocator.and_then(|allocator| match allocator.kind {
        AllocatorKind::Jemalloc => Some("jemalloc"),
        AllocatorKind::Tcmalloc => Some("tcmalloc"),
        AllocatorKind::Mimalloc => Some("mimalloc"),
        _ => None,
    });
    match kind {
        Kind::RubyHeap => "Ruby heap".to_owned(),
        Kind::MainArena => match other {
            Some(_) => "[heap]".to_owned(),
            None => "main arena".to_owned(),
        },
        Kind::Arenas => {
            let most = kinds.iter().filter_map(|kinds| kinds.arenas).max();
            match most {
                Some(2) => "1 more arena".to_owned(),
                Some(arenas) => format!("{} more arenas", arenas.saturating_sub(1)),
                None => "arenas".to_owned(),
            }
        }
        Kind::Anonymous => match (other, knows_ruby) {
            (Some(name), true) => format!("{name}, other"),
            (Some(name), false) => format!("{name}, Ruby, other"),
            (None, true) => "large blocks, other".to_owned(),
            (None, false) => "Ruby, large blocks, other".to_owned(),
        },
        Kind::Stacks => "stacks".to_owned(),
        Kind::Files => "files".to_owned(),
        Kind::Shared => "shared".to_owned(),
        Kind::Other => "other".to_owned(),
    }
}

/// Resident memory by kind, as it was last looked through.
fn kinds_table(state: &State, allocator: Option<&Allocator>) -> Option<Table> {
    let known: Vec<(&str, Kinds)> = state
        .rows
        .iter()
        .filter_map(|row| Some((row.name.as_str(), row.kinds?)))
        .collect();
    let all: Vec<Kinds> = known.iter().map(|(_, kinds)| *kinds).collect();
    let is_there = |kind: &Kind| all.iter().any(|kinds| kinds.of(*kind).0 > 0);
    let shown: Vec<Kind> = Kind::ALL.into_iter().filter(is_there).collect();
    let mut columns = vec![column("memory by kind", Align::Left)];
    columns.extend(
        shown
            .iter()
            .map(|kind| column(&heading(*kind, &all, allocator), Align::Right)),
    );
    let rows = known.iter().map(|(name, kinds)| {
        let mut data = json!({"process": name, "arenas": kinds.arenas});
        if let Value::Object(map) = &mut data {
            let named = kind_names(kinds).into_iter();
            map.extend(named.map(|(key, bytes)| (format!("{key}_bytes"), json!(bytes.0))));
        }
        let cells = shown.iter().map(|kind| kinds.of(*kind).to_string());
        Row {
            cells: std::iter::once((*name).to_owned()).chain(cells).collect(),
            data,
        }
    });
    (!known.is_empty()).then(|| Table {
        key: "kinds".to_owned(),
        title: None,
        columns,
        rows: rows.collect(),
        left_out: 0,
    })
}

fn events(state: &State) -> Vec<Note> {
    let left_out = state.event_count.saturating_sub(MOST_EVENTS);
    let mut notes = Vec::new();
    if left_out > 0 {
        notes.push(Note::plain(format!(
            "{left_out} earlier events are not shown"
        )));
    }
    let shown = state.events.iter().rev().take(MOST_EVENTS).rev();
    notes.extend(shown.map(Note::plain));
    notes
}
