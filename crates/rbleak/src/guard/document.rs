//! What a guard comes to, as a document.

use super::duty::Why;
use crate::exit::ExitStatus;
use crate::run::Status;
use crate::verdicts::duration;
use rbleak_report::{Align, Block, Column, Document, Fact, Note, Row, Table, Tone, Verdict, json};
use rbleak_units::Bytes;
use std::path::PathBuf;

/// Sets that are told of, the last ones.
const MOST_SETS: usize = 50;

/// A set, as it ended.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    pub(crate) process: String,
    pub(crate) pid: u32,
    pub(crate) why: Why,
    pub(crate) dumps: usize,
    pub(crate) status: Status,
    /// `None` where there was no dump to keep.
    pub(crate) folder: Option<PathBuf>,
    /// Where it is, too.
    pub(crate) uploaded: Option<String>,
    /// Newer ones took its place.
    pub(crate) is_removed: bool,
}

/// What is known beside the sets.
#[derive(Debug, Default)]
pub(crate) struct About {
    /// What was guarded, such as `puma 4711`.
    pub(crate) target: String,
    pub(crate) pid: Option<u32>,
    pub(crate) seconds: f64,
    pub(crate) ended: String,
    pub(crate) folder: PathBuf,
    /// What set something off, whether it could be captured or not.
    pub(crate) triggers: usize,
    pub(crate) uploads: bool,
    pub(crate) notes: Vec<Note>,
}

/// What made a set begin, as one key.
pub(crate) fn trigger(why: &Why) -> &'static str {
    match why {
        Why::Leak(_) => "leak",
        Why::Level(_) => "level",
    }
}

/// The same in a sentence.
pub(crate) fn sentence(why: &Why, process: &str) -> String {
    match why {
        Why::Leak(rate) => format!(
            "{process} leaks {} per hour",
            Bytes((rate * 3600.0).max(0.0) as u64)
        ),
        Why::Level(level) => format!("{} are in use, more than {}", level.used, level.at),
    }
}

/// As the manifest has it.
pub(crate) fn status_word(status: Status) -> &'static str {
    match status {
        Status::Running => "running",
        Status::Complete => "complete",
        Status::Interrupted => "interrupted",
        Status::Failed => "failed",
    }
}

/// The document, and how the command ends.
pub(crate) fn document(sets: &[Kept], about: About) -> (Document, ExitStatus) {
    let mut document = Document::new("rbleak/guard/v1");
    let whole = sets.iter().filter(|set| set.status == Status::Complete);
    let whole = whole.count();
    let dumps: usize = sets.iter().map(|set| set.dumps).sum();
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    };
    let (key, word, tone, headline, status) = match (about.triggers, dumps) {
        (0, _) => (
            "nothing",
            "NOTHING HAPPENED",
            Tone::Good,
            "no process leaked, and there was memory enough".to_owned(),
            ExitStatus::Clean,
        ),
        (_, 0) => (
            "not_captured",
            "NOT CAPTURED",
            Tone::Bad,
            format!(
                "{} for dumps, and none could be taken",
                count(about.triggers, "reason")
            ),
            ExitStatus::Failure,
        ),
        _ => (
            "captured",
            "CAPTURED",
            Tone::Bad,
            match whole {
                0 => format!("{}, and no whole set", count(dumps, "dump")),
                _ => format!(
                    "{} of three dumps, {} in all",
                    count(whole, "set"),
                    count(dumps, "dump")
                ),
            },
            ExitStatus::Found,
        ),
    };
    document.push(Block::Verdict(Verdict {
        word: word.to_owned(),
        tone,
        headline,
        details: Vec::new(),
        data: json!({
            "verdict": key, "sets": whole, "dumps": dumps, "triggers": about.triggers,
        }),
    }));
    let folder = about.folder.display().to_string();
    let best = sets
        .iter()
        .rev()
        .find(|set| set.status == Status::Complete && set.folder.is_some() && !set.is_removed);
    let mut kept = Fact::new("folder", folder.clone(), json!(folder));
    if let Some(folder) = best.and_then(|set| set.folder.as_ref()) {
        kept = kept.hint(format!("rbleak diff {}", folder.display()));
    }
    document.push(Block::Facts(vec![
        Fact::new(
            "guarded",
            format!(
                "{} · {} · {}",
                about.target,
                duration(about.seconds),
                about.ended
            ),
            json!({
                "target": about.target,
                "pid": about.pid,
                "seconds": about.seconds,
                "ended": about.ended,
            }),
        ),
        kept,
    ]));
    if !sets.is_empty() {
        document.push(Block::Table(table(sets, about.uploads)));
    }
    if earlier(sets) > 0 {
        let text = format!("{} earlier sets are not shown", earlier(sets));
        document.note(Note::plain(text));
    }
    about.notes.into_iter().for_each(|note| document.note(note));
    (document, status)
}

fn earlier(sets: &[Kept]) -> usize {
    sets.len().saturating_sub(MOST_SETS)
}

fn table(sets: &[Kept], uploads: bool) -> Table {
    let column = |heading: &str, align| Column {
        heading: heading.to_owned(),
        align,
    };
    let mut columns = vec![
        column("process", Align::Left),
        column("why", Align::Left),
        column("dumps", Align::Right),
        column("it is", Align::Left),
        column("set", Align::Left),
    ];
    if uploads {
        columns.push(column("uploaded", Align::Left));
    }
    let rows = sets.iter().skip(earlier(sets)).map(|set| {
        let folder = set.folder.as_ref().map(|path| path.display().to_string());
        let place = match &folder {
            None => "nothing to keep".to_owned(),
            Some(_) if set.is_removed => "removed for newer ones".to_owned(),
            // Below the guard's, which is named above.
            Some(folder) => folder.rsplit('/').next().unwrap_or(folder).to_owned(),
        };
        let why = sentence(&set.why, &set.process);
        let mut cells = vec![
            format!("{} ({})", set.process, set.pid),
            why.clone(),
            set.dumps.to_string(),
            status_word(set.status).to_owned(),
            place,
        ];
        if uploads {
            let is_there = if set.uploaded.is_some() {
                "yes"
            } else {
                "not yet"
            };
            cells.push(is_there.to_owned());
        }
        Row {
            cells,
            data: json!({
                "process": set.process,
                "pid": set.pid,
                "trigger": trigger(&set.why),
                "why": why,
                "dumps": set.dumps,
                "status": status_word(set.status),
                "folder": folder,
                "is_removed": set.is_removed,
                "uploaded_to": set.uploaded,
            }),
        }
    });
    Table {
        key: "sets".to_owned(),
        title: None,
        columns,
        rows: rows.collect(),
        left_out: 0,
    }
}
