//! What was captured and what it cost, in words.

use super::reach::How;
use super::take::{Captured, millis};
use rbleak_report::{Align, Block, Column, Document, Fact, Note, Row, Table, Tone, Verdict, json};
use rbleak_units::Bytes;
use std::path::Path;

/// The whole answer.
pub(crate) fn document(captured: &[Captured], folder: &Path, remark: Option<String>) -> Document {
    let mut document = Document::new("rbleak/capture/v1");
    let dumps: usize = captured.iter().map(|one| one.dumps.len()).sum();
    let processes = captured.len();
    document.push(Block::Verdict(Verdict {
        word: "CAPTURED".to_owned(),
        tone: Tone::Good,
        headline: match (dumps, captured) {
            (1, [one]) => format!("1 dump of {} ({})", one.target.name, one.target.pid),
            (n, [one]) => format!("{n} dumps of {} ({})", one.target.name, one.target.pid),
            (n, _) => format!("{n} dumps of {processes} processes"),
        },
        details: Vec::new(),
        data: json!({"verdict": "captured", "dumps": dumps, "processes": processes}),
    }));
    let mut facts = Vec::new();
    if let Some(first) = captured.first() {
        let ruby = first.target.ruby.as_deref();
        facts.push(Fact::new(
            "ruby",
            ruby.unwrap_or("version unknown"),
            json!(ruby),
        ));
        facts.push(via(captured));
    }
    facts.push(
        Fact::new(
            "folder",
            folder.display().to_string(),
            json!(folder.display().to_string()),
        )
        .hint(next(captured, folder)),
    );
    document.push(Block::Facts(facts));
    document.push(Block::Table(table(captured)));
    for caveat in caveats(captured) {
        document.note(Note::plain(caveat));
    }
    if let Some(remark) = remark {
        document.note(Note::plain(remark));
    }
    document
}

/// How they were reached; of several the longest stop.
fn via(captured: &[Captured]) -> Fact {
    if let Some(fact) = from_memory(captured) {
        return fact;
    }
    let is_injected = |one: &&Captured| matches!(one.how, How::Injected { .. });
    let injected = captured.iter().filter(is_injected).count();
    let stopped = captured.iter().filter_map(|one| one.how.stopped()).max();
    let answered = captured.iter().filter_map(|one| match one.how {
        How::Injected { answered, .. } => Some(answered),
        _ => None,
    });
    let answered = answered.max();
    let text = match (injected, stopped, answered) {
        (0, ..) => "the agent that was there".to_owned(),
        (n, Some(stopped), Some(answered)) => {
            let several = match n == captured.len() {
                true => String::new(),
                false => format!(" of {n} of {}, the agent elsewhere", captured.len()),
            };
            format!(
                "injection{several}: the main thread was stopped for {:.2} ms, the agent answered \
                 after {:.0} ms and has left",
                millis(stopped),
                millis(answered)
            )
        }
        _ => "injection".to_owned(),
    };
    let data = json!({
        "injected": injected,
        "stopped_ms": stopped.map(millis),
        "answered_ms": answered.map(millis),
    });
    Fact {
        label: "taken by".to_owned(),
        ..Fact::new("via", text, data)
    }
}

/// How memory was read, of the first that nobody was asked in.
fn from_memory(captured: &[Captured]) -> Option<Fact> {
    let silent = |one: &&Captured| matches!(one.how, How::Snapshot { .. } | How::Core);
    let read = captured.iter().filter(silent).count();
    let first = captured.iter().find(silent)?;
    let several = match read == captured.len() {
        true => String::new(),
        false => format!(" ({read} of {})", captured.len()),
    };
    let text = match first.how {
        How::Core => "a core file, from memory alone".to_owned(),
        How::Snapshot { is_stuck: true } => format!(
            "a snapshot{several}, from memory alone: no thread of it runs Ruby code now, it is \
             stuck in C code that keeps the interpreter's lock"
        ),
        _ => format!("a snapshot{several}: no Ruby code ran in it, its memory was read"),
    };
    let absent = first
        .dumps
        .first()
        .and_then(|(record, _)| record.cost.as_ref());
    let absent = absent.map(|cost| cost.absent.clone()).unwrap_or_default();
    let data = json!({"snapshot": true, "absent": absent});
    Some(Fact {
        label: "taken by".to_owned(),
        ..Fact::new("via", text, data)
    })
}

/// How far dumps can be trusted, each of them once.
fn caveats(captured: &[Captured]) -> Vec<String> {
    let records = captured.iter().flat_map(|one| &one.dumps);
    let costs = records.filter_map(|(record, _)| record.cost.as_ref());
    let mut found: Vec<String> = costs.filter_map(|cost| cost.caveat.clone()).collect();
    found.sort();
    found.dedup();
    found
}

fn next(captured: &[Captured], folder: &Path) -> String {
    let folder = match captured {
        [one] => one.folder.display(),
        _ => folder.display(),
    };
    match captured {
        [one] if one.dumps.len() > 1 => format!("rbleak diff {folder}"),
        [_] => format!("rbleak retained {folder}"),
        _ => "rbleak diff FOLDER/PROCESS".to_owned(),
    }
}

fn table(captured: &[Captured]) -> Table {
    let column = |heading: &str, align| Column {
        heading: heading.to_owned(),
        align,
    };
    let headings = [
        "generation",
        "slots",
        "file size",
        "pause",
        "extra memory",
        "written in",
    ];
    let mut columns = vec![column("dump", Align::Left), column("process", Align::Left)];
    columns.extend(headings.map(|heading| column(heading, Align::Right)));
    columns.push(column("file", Align::Left));
    let rows = captured.iter().flat_map(|one| {
        one.dumps.iter().map(move |(record, taken)| {
            let file = one.folder.join(&record.file);
            Row {
                cells: vec![
                    record.label.clone(),
                    format!("{} ({})", one.target.name, one.target.pid),
                    taken.gc_count.to_string(),
                    taken.live_slots.0.to_string(),
                    Bytes(record.file_bytes).to_string(),
                    format!("{:.1} ms", millis(taken.pause)),
                    taken
                        .extra_memory
                        .map_or("not seen".to_owned(), |bytes| bytes.to_string()),
                    format!("{:.1} s", taken.elapsed.as_secs_f64()),
                    file.display().to_string(),
                ],
                data: json!({
                    "dump": record.label,
                    "process": one.target.name,
                    "pid": one.target.pid.0,
                    "via": one.how.name(),
                    "generation": taken.gc_count,
                    "slots": taken.live_slots.0,
                    "file": file.display().to_string(),
                    "names": record.names.as_ref().map(|it| one.folder.join(it).display().to_string()),
                    "file_bytes": record.file_bytes,
                    "raw_bytes": taken.bytes.0,
                    "pause_ms": millis(taken.pause),
                    "extra_memory_bytes": taken.extra_memory.map(|bytes| bytes.0),
                    "seconds": taken.elapsed.as_secs_f64(),
                }),
            }
        })
    });
    Table {
        key: "dumps".to_owned(),
        title: None,
        columns,
        rows: rows.collect(),
        left_out: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{DumpCost, DumpRecord};
    use rbleak_capture::CopyTaken;
    use rbleak_process::Pid;
    use rbleak_units::Objects;
    use std::time::Duration;

    fn captured(caveats: &[Option<&str>]) -> Captured {
        let dumps = caveats.iter().map(|caveat| {
            let cost = DumpCost {
                at: String::new(),
                generation: 1,
                how: "snapshot".to_owned(),
                absent: Vec::new(),
                caveat: caveat.map(str::to_owned),
                pause_ms: 0.0,
                extra_memory_bytes: None,
                seconds: 0.0,
                raw_bytes: 1,
            };
            let record = DumpRecord {
                label: "A".to_owned(),
                file: "A.ndjson.zst".to_owned(),
                names: None,
                requests: 0,
                file_bytes: 1,
                cost: Some(cost),
            };
            let taken = CopyTaken {
                pause: Duration::ZERO,
                extra_memory: None,
                gc_count: 1,
                live_slots: Objects(1),
                bytes: Bytes(1),
                elapsed: Duration::ZERO,
            };
            (record, taken)
        });
        Captured {
            target: super::super::target::Target {
                pid: Pid(1),
                name: "ruby".to_owned(),
                ruby: None,
                start_time: 0,
            },
            how: How::Core,
            folder: Path::new("out").to_owned(),
            dumps: dumps.collect(),
        }
    }

    #[test]
    fn what_was_never_seen_to_be_right_is_said_once() {
        let all = [
            captured(&[Some("never compared"), Some("never compared")]),
            captured(&[None, Some("never compared")]),
        ];
        assert_eq!(caveats(&all), ["never compared"]);
        let said = document(&all, Path::new("out"), None);
        let text = format!("{said:?}");
        assert_eq!(text.matches("never compared").count(), 1, "{text}");
        assert_eq!(caveats(&[captured(&[None])]), [] as [&str; 0]);
    }
}
