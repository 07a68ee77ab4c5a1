//! A capture on one page: dumps of a process that ran already.

use super::folder::Opened;
use super::hunt::minute;
use super::parts::heading;
use super::{Wish, findings, retained, tables};
use crate::findings::{Words, finding};
use crate::held::{Evidence, Held, held};
use crate::run::Manifest;
use crate::sources::Sources;
use anyhow::Result;
use rbleak_capture::RecordedRun;
use rbleak_report::{Block, Document, Fact, Note, Page, Tone, Verdict, json};

/// The document and the page around it.
pub(super) fn tell(opened: &Opened, manifest: &Manifest, wish: &Wish) -> Result<(Document, Page)> {
    let mut out = Document::new("rbleak/report/v1");
    let dumps = manifest.dumps.len();
    let found = match dumps {
        0 | 1 => None,
        _ => Some(new_objects(opened, wish)),
    };
    out.push(Block::Verdict(verdict(dumps, found.as_ref())));
    out.push(Block::Facts(facts(opened, manifest)));
    match found {
        Some(Ok(held)) => holders(&mut out, &held, manifest, wish),
        Some(Err(error)) => out.note(Note::warning(format!("who holds what is new is not told: {error:#}"))),
        None => out.note(Note::plain(
            "what grows takes two dumps to tell, and whether it goes on takes three: rbleak capture PID --count 3",
        )),
    }
    out.push(heading(
        "retained",
        "What keeps what",
        "Each object above those that would go with it, as wide as what it keeps. Marked: where much comes together.",
    ));
    match retained::tree(&opened.folder, wish) {
        Ok(tree) => out.push(Block::Tree(tree)),
        Err(error) => out.note(Note::warning(format!("not told: {error:#}"))),
    }
    out.push(heading("reproduce", "The capture", ""));
    out.blocks.extend(tables::dumps(manifest).map(Block::Table));
    let process = manifest
        .capture
        .as_ref()
        .map(|capture| capture.process.clone());
    let page = Page {
        title: process.unwrap_or_else(|| manifest.app.target.clone()),
        subtitle: format!(
            "captured at {} · {}",
            minute(&manifest.started),
            opened.shown
        ),
        generator: format!("rbleak {}", env!("CARGO_PKG_VERSION")),
    };
    Ok((out, page))
}

fn new_objects(opened: &Opened, wish: &Wish) -> Result<Held> {
    let run = RecordedRun::open(&opened.folder)?;
    held(&Evidence::of_recorded(&run, wish.memory)?, true)
}

fn verdict(dumps: usize, found: Option<&Result<Held>>) -> Verdict {
    let (word, tone, headline) = match found {
        Some(Ok(held)) if dumps > 2 && !(held.growing.is_empty() && held.growers.is_empty()) => (
            "GROWTH",
            Tone::Warning,
            format!(
                "{} grew from dump to dump; load that is known, as of a hunt, tells at which rate",
                match held.growing.len() + held.growers.len() {
                    1 => "1 holder".to_owned(),
                    many => format!("{many} holders"),
                }
            ),
        ),
        Some(Ok(_)) if dumps > 2 => (
            "NO GROWTH",
            Tone::Good,
            format!("nothing grew from dump to dump in {dumps} dumps"),
        ),
        Some(Ok(held)) => (
            "CAPTURED",
            Tone::Plain,
            format!(
                "{} holders have new objects; a third dump tells whether that goes on",
                held.growing.len() + held.levelled.len()
            ),
        ),
        _ => (
            "CAPTURED",
            Tone::Plain,
            match dumps {
                1 => "1 heap dump".to_owned(),
                many => format!("{many} heap dumps"),
            },
        ),
    };
    Verdict {
        word: word.to_owned(),
        tone,
        headline,
        details: Vec::new(),
        data: json!({ "verdict": word.to_lowercase(), "dumps": dumps }),
    }
}

fn facts(opened: &Opened, manifest: &Manifest) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut fact = |key: &str, text: Option<String>| {
        facts.extend(text.map(|text| {
            let data = json!(text);
            Fact::new(key, text, data)
        }));
    };
    let capture = manifest.capture.as_ref();
    fact("process", capture.map(|capture| capture.process.clone()));
    fact("pid", manifest.app.pid.map(|pid| pid.to_string()));
    fact(
        "runs_on",
        manifest
            .app
            .ruby
            .as_ref()
            .map(|ruby| format!("Ruby {ruby}")),
    );
    fact("allocator", manifest.app.allocator.clone());
    fact("reached_by", capture.map(|capture| capture.via.clone()));
    fact(
        "values",
        capture.map(|capture| match capture.redacted {
            true => "left out of the dumps".to_owned(),
            false => "in the dumps, and not in this page".to_owned(),
        }),
    );
    fact("run", Some(opened.shown.clone()));
    facts
}

fn holders(out: &mut Document, held: &Held, manifest: &Manifest, wish: &Wish) {
    // No file outside the folder is read: there is no source to show.
    let sources = Sources::embedded(&manifest.app.directory, &[]);
    let words = Words {
        sources: &sources,
        per: "dump",
    };
    for warning in &held.warnings {
        out.note(Note::warning(warning));
    }
    let all = held.growing.iter().chain(&held.levelled);
    let cards: Vec<_> = all
        .take(wish.findings)
        .map(|ranked| {
            let found = finding(&words, ranked);
            let mut card = findings::card(&found.data, words.per);
            card.finding.title = found.title;
            card.finding.summary = format!("{} · {}", found.summary, ranked.trend.words());
            card
        })
        .collect();
    if !cards.is_empty() {
        out.push(heading(
            "findings",
            "What holds what is new",
            "Growing from dump to dump first, then what levelled off or was replaced.",
        ));
        out.push(Block::Cards(cards));
    }
}
