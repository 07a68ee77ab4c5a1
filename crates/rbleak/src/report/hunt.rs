//! A hunt on one page.

use super::folder::{HuntRun, Opened};
use super::parts::{array, heading, interval, text};
use super::{Wish, figures, findings, retained, tables};
use crate::held::Evidence;
use crate::hunt::command_line::quoted;
use crate::hunt::diagnose::diagnose;
use crate::hunt::document::{Told, document};
use crate::rates::signed_bytes;
use crate::sources::Sources;
use anyhow::Result;
use rbleak_capture::RecordedRun;
use rbleak_report::{Block, Document, Fact, Note, Page, Tone, Value, Verdict, json, to_json};
use rbleak_trend::Margins;

/// The document and the page around it.
pub(super) fn tell(opened: &Opened, run: &HuntRun, wish: &Wish) -> Result<(Document, Page)> {
    let mut missing = Vec::new();
    let report = match &run.report {
        Some(report) => report.clone(),
        None => {
            missing.push(
                "report.json is missing: samples and dumps were judged again, without what the hunt knew beside them"
                    .to_owned(),
            );
            judged_again(opened, run, wish, &mut missing)?
        }
    };
    let teller = Teller {
        opened,
        run,
        report: &report,
        wish,
        per: match run.manifest.app.mode.as_str() {
            "code" => "call",
            // As hunts of several endpoints word it.
            _ if !report["tables"]["endpoints"].is_null() => "request of all",
            _ => "request",
        },
    };
    let mut out = Document::new("rbleak/report/v1");
    out.push(Block::Verdict(teller.verdict()));
    let next = teller.next();
    if !next.is_empty() {
        out.push(Block::Facts(next));
    }
    for note in array(&report["notes"]) {
        out.note(match note["tone"].as_str() {
            Some("warning") => Note::warning(text(&note["text"])),
            _ => Note::plain(text(&note["text"])),
        });
    }
    missing
        .into_iter()
        .for_each(|line| out.note(Note::warning(line)));
    teller.findings(&mut out);
    teller.endpoints(&mut out);
    teller.memory(&mut out);
    teller.retained(&mut out);
    teller.levelled(&mut out);
    teller.surroundings(&mut out);
    teller.reproduce(&mut out);
    Ok((out, teller.page()))
}

/// What samples and dumps say, where the hunt's own answer is gone.
fn judged_again(
    opened: &Opened,
    run: &HuntRun,
    wish: &Wish,
    missing: &mut Vec<String>,
) -> Result<Value> {
    let rounds = run.rounds.clone().unwrap_or_default();
    let evidence = match RecordedRun::open(&opened.folder) {
        Ok(recorded) => Some(Evidence::of_recorded(&recorded, wish.memory)?),
        Err(error) => {
            missing.push(format!("who holds what grows is not told: {error}"));
            None
        }
    };
    let margins = Margins::default();
    let diagnosis = diagnose(&rounds, &margins, None, evidence.as_ref())?;
    let told = document(&Told {
        app: &run.manifest.app,
        load: &run.manifest.load,
        margins: &margins,
        diagnosis: &diagnosis,
        caches: &[],
        // The sources of a run from elsewhere are not these.
        sources: &Sources::embedded(&run.manifest.app.directory, &[]),
        known: Vec::new(),
        run: None,
        all: true,
        budget: None,
        endpoints: None,
    });
    Ok(serde_json::from_str(&to_json(&told))?)
}

/// What is told, and of what.
pub(super) struct Teller<'a> {
    pub(super) opened: &'a Opened,
    pub(super) run: &'a HuntRun,
    pub(super) report: &'a Value,
    pub(super) wish: &'a Wish,
    /// What a rate is per.
    pub(super) per: &'static str,
}

impl Teller<'_> {
    fn page(&self) -> Page {
        let (app, load) = (&self.run.manifest.app, &self.run.manifest.load);
        let mut title = app.target.clone();
        match load.paths.as_slice() {
            [] => {}
            [one] => title.push_str(&format!(" · {one}")),
            many => title.push_str(&format!(" · {} endpoints", many.len())),
        }
        Page {
            title,
            subtitle: format!(
                "hunted at {} · {}",
                minute(&self.run.manifest.started),
                self.opened.shown
            ),
            generator: format!("rbleak {}", env!("CARGO_PKG_VERSION")),
        }
    }

    fn word(&self) -> String {
        text(&self.report["verdict"]["verdict"])
    }

    fn leaks(&self) -> bool {
        self.word() == "leak"
    }

    fn verdict(&self) -> Verdict {
        let data = &self.report["verdict"];
        let word = self.word();
        let headline = match text(&data["headline"]) {
            none if none.is_empty() => self.rates(),
            headline => headline,
        };
        Verdict {
            tone: match word.as_str() {
                "leak" => Tone::Bad,
                "no leak" | "in budget" => Tone::Good,
                _ => Tone::Warning,
            },
            word: match word.is_empty() {
                true => "NOT KNOWN".to_owned(),
                false => word.to_uppercase(),
            },
            headline,
            details: array(&data["details"]).iter().map(text).collect(),
            data: data.clone(),
        }
    }

    /// Runs of older versions have no headline.
    fn rates(&self) -> String {
        let data = &self.report["verdict"];
        let objects = interval(&data["objects_per_request"]);
        let bytes = interval(&data["object_bytes_per_request"]);
        match (objects, bytes) {
            (Some(objects), Some(bytes)) => format!(
                "{:+.2} Ruby objects, {} per {}",
                objects.estimate,
                signed_bytes(bytes.estimate),
                self.per
            ),
            _ => String::new(),
        }
    }

    /// What to do next.
    fn next(&self) -> Vec<Fact> {
        let run = &self.opened.shown;
        let step = |key: &str, text: String, command: String| {
            let mut fact = Fact::new(key, text, json!(command));
            if !command.is_empty() {
                fact = fact.hint(command);
            }
            fact
        };
        let cause = self.report["verdict"]["cause"].as_str();
        let first = array(&self.report["findings"]).first();
        let mut all = Vec::new();
        match (self.word().as_str(), cause) {
            ("leak", Some("native")) => {
                all.push(step(
                    "next",
                    "a C extension or library: is one of the gems known for it?".to_owned(),
                    "rbleak audit".to_owned(),
                ));
                all.push(step(
                    "then",
                    "rule the allocator out, or in".to_owned(),
                    "rbleak doctor".to_owned(),
                ));
            }
            ("leak", _) => {
                if let Some(finding) = first {
                    all.push(step("next", look_at(finding), String::new()));
                }
                all.push(step(
                    "then",
                    "mend it, hunt again, and have the fix proven".to_owned(),
                    format!("rbleak verify {run} AFTER"),
                ));
            }
            ("inconclusive", _) => {
                let mut words = self.run.manifest.load.command.clone();
                if words.is_empty() {
                    words = vec!["rbleak".to_owned(), "hunt".to_owned()];
                }
                let end = words.iter().position(|word| word == "--");
                let end = end.unwrap_or(words.len());
                let more = ["--rounds", "80"].map(str::to_owned);
                words.splice(end..end, more);
                all.push(step(
                    "next",
                    "more rounds may tell".to_owned(),
                    quoted(&words),
                ));
            }
            _ => {}
        }
        all
    }

    fn findings(&self, out: &mut Document) {
        let (cards, left_out) = findings::cards(&self.report["findings"], self.per, self.wish);
        if cards.is_empty() && !self.leaks() {
            return;
        }
        out.push(heading(
            "findings",
            "Findings",
            match cards.is_empty() {
                true => "",
                false => "What grows, by what holds it.",
            },
        ));
        if cards.is_empty() {
            out.note(Note::plain(match self.report["verdict"]["cause"].as_str() {
                Some("native") => {
                    "native memory is held by no Ruby object: heap dumps name nobody, and none were taken"
                }
                _ => "no holder is named: the heap dumps told none, or could not be read; hunt again with more memory free (--memory)",
            }));
            return;
        }
        out.push(Block::Cards(cards));
        if left_out > 0 {
            out.note(Note::plain(format!(
                "{left_out} more findings are in {}/report.json",
                self.opened.shown
            )));
        }
    }

    fn endpoints(&self, out: &mut Document) {
        let Some(grid) = tables::endpoints(&self.report["tables"], self.wish) else {
            return;
        };
        out.push(heading(
            "endpoints",
            "Endpoints",
            "What each of its requests leaves behind, with the interval of 95 %.",
        ));
        out.push(Block::Grid(grid));
        let skipped = tables::skipped(&self.report["facts"], self.wish);
        out.blocks.extend(skipped.map(Block::Table));
    }

    fn memory(&self, out: &mut Document) {
        let mut plots = match &self.run.rounds {
            Some(rounds) => figures::of_rounds(rounds, self.per, self.wish),
            None => Vec::new(),
        };
        plots.extend(figures::of_memory(&self.run.memory, self.wish));
        let of = match self.run.manifest.load.paths.len() {
            0 | 1 => "",
            _ => " Of all endpoints together, each in turn.",
        };
        out.push(heading(
            "memory",
            "Memory",
            &format!(
                "Samples right after full collections; the Theil–Sen line through those that are judged, and how far the interval of its slope lets it turn.{of}"
            ),
        ));
        if self.run.rounds.is_none() {
            out.note(Note::warning(
                "samples.csv is missing: there is nothing to draw",
            ));
        }
        if !plots.is_empty() {
            out.push(Block::Plots(plots));
        }
    }

    fn retained(&self, out: &mut Document) {
        out.push(heading(
            "retained",
            "What keeps what",
            "Each object above those that would go with it, as wide as what it keeps. Marked: where much comes together.",
        ));
        if self.run.manifest.dumps.is_empty() {
            out.note(Note::plain(
                "this run keeps no heap dumps: they are taken only where Ruby's objects grow, and kept unless --keep-dumps no is given",
            ));
            return;
        }
        match retained::tree(&self.opened.folder, self.wish) {
            Ok(tree) => out.push(Block::Tree(tree)),
            Err(error) => out.note(Note::warning(format!("not told: {error:#}"))),
        }
    }

    fn levelled(&self, out: &mut Document) {
        let levelled = tables::levelled(&self.report["facts"], self.wish);
        let known = tables::known(&self.report["tables"], self.wish);
        if levelled.is_none() && known.is_none() {
            return;
        }
        out.push(heading(
            "levelled-off",
            "Levelled off",
            "Caches and the like: they grew, and stopped.",
        ));
        out.blocks
            .extend(levelled.into_iter().chain(known).map(Block::Table));
    }
}

/// What to look at first.
fn look_at(finding: &Value) -> String {
    let holder = text(&finding["holder"]);
    let site = array(&finding["sites"])
        .iter()
        .find(|site| site["in_app"] == true);
    let place = site.and_then(|site| {
        Some(format!(
            "{}:{}",
            site["file"].as_str()?,
            site["line"].as_u64()?
        ))
    });
    match place {
        Some(place) => {
            format!("look at {holder}, and at {place}, where what it keeps is allocated")
        }
        None => format!("look at {holder}: who puts something in, and who takes it out?"),
    }
}

/// `2026-11-23 16:41 UTC` of an RFC 3339 time.
pub(super) fn minute(time: &str) -> String {
    match time.parse::<jiff::Timestamp>() {
        Ok(time) => time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        Err(_) => time.to_owned(),
    }
}
