//! Around what was measured: allocator, gems, and how a hunt is done again.

use super::hunt::Teller;
use super::parts::{array, heading, text};
use super::tables;
use crate::hunt::command_line::quoted;
use rbleak_report::{Block, Document, Fact, Listing, Note, Value, json};
use rbleak_units::grouped;

/// Longer JSON is not shown in the page.
const MOST_JSON: usize = 256 << 10;

impl Teller<'_> {
    pub(super) fn surroundings(&self, out: &mut Document) {
        let app = &self.run.manifest.app;
        let facts = &self.report["facts"];
        out.push(heading("surroundings", "Allocator and gems", ""));
        let mut all = vec![match &app.allocator {
            Some(allocator) => Fact::new(
                "allocator",
                allocator.clone(),
                json!({ "kind": app.allocator_kind, "summary": allocator }),
            )
            .hint("rbleak doctor"),
            None => Fact::new("allocator", "not known", Value::Null).hint("rbleak doctor"),
        }];
        let gems = match (&facts["gems"], array(&facts["gems"]["leaking"]).len()) {
            (Value::Null, _) => "not looked at: the app has no Gemfile.lock".to_owned(),
            (gems, _) if gems["error"].is_string() => {
                format!("not known: {}", text(&gems["error"]))
            }
            (gems, leaking) => {
                let many = grouped(gems["gems"].as_u64().unwrap_or(0));
                match leaking {
                    0 => format!("none of {many} is known to leak"),
                    1 => format!("1 of {many} is known to leak"),
                    n => format!("{n} of {many} are known to leak"),
                }
            }
        };
        all.push(Fact::new("gems", gems, facts["gems"].clone()).hint("rbleak audit"));
        if !facts["ruby"].is_null() {
            let ids: Vec<String> = array(&facts["ruby"]["advisories"])
                .iter()
                .map(text)
                .collect();
            let version = text(&facts["ruby"]["version"]);
            all.push(
                Fact::new(
                    "ruby",
                    format!("{version} is known to leak: {}", ids.join(", ")),
                    facts["ruby"].clone(),
                )
                .hint("rbleak audit"),
            );
        }
        out.push(Block::Facts(all));
        let gems = tables::gems(facts, self.wish);
        out.blocks.extend(gems.map(Block::Table));
    }

    pub(super) fn reproduce(&self, out: &mut Document) {
        let (app, load) = (&self.run.manifest.app, &self.run.manifest.load);
        out.push(heading("reproduce", "How to reproduce", ""));
        let lines = match load.command.as_slice() {
            [] => "rbleak hunt  # this run is of a version that did not keep its command line"
                .to_owned(),
            words => quoted(words),
        };
        out.push(Block::Listing(Listing {
            key: "command".to_owned(),
            title: "the same again, in the app's folder".to_owned(),
            text: lines,
            is_folded: false,
        }));
        let mut facts = Vec::new();
        let mut fact = |key: &str, value: String, data: Value| {
            if !value.is_empty() {
                facts.push(Fact::new(key, value, data));
            }
        };
        let mut words = vec![app.target.clone()];
        words.extend(app.frameworks.iter().cloned());
        words.push(app.mode.clone());
        fact("app", words.join(" · "), json!(app));
        let directory = app.directory.display().to_string();
        fact("folder", directory.clone(), json!(directory));
        let ruby = app.ruby.clone().unwrap_or_default();
        fact(
            "runs_on",
            match ruby.is_empty() {
                true => String::new(),
                false => format!("Ruby {ruby}"),
            },
            json!(app.ruby),
        );
        let environment = app.environment.clone().unwrap_or_default();
        fact("environment", environment, json!(app.environment));
        let calls = if self.per == "call" {
            "calls"
        } else {
            "requests"
        };
        let mut told = format!(
            "{} rounds × {} {calls} after {} to warm up, in {:.1} s",
            load.rounds,
            grouped(load.requests_per_round),
            grouped(load.warmup),
            load.seconds
        );
        if let Some(concurrency) = load.concurrency {
            told.push_str(&format!(", {concurrency} at once"));
        }
        fact("load", told, json!(load));
        fact(
            "hunted",
            self.run.manifest.started.clone(),
            json!(self.run.manifest.started),
        );
        let by = format!("rbleak {}", self.run.manifest.rbleak_version);
        fact("hunted_by", by, json!(self.run.manifest.rbleak_version));
        fact("run", self.opened.shown.clone(), json!(self.opened.shown));
        out.push(Block::Facts(facts));
        out.blocks
            .extend(tables::dumps(&self.run.manifest).map(Block::Table));
        if self.wish.with_json && self.run.report.is_some() {
            let text = format!("{:#}", self.report);
            if text.len() <= MOST_JSON {
                out.push(Block::Listing(Listing {
                    key: "report".to_owned(),
                    title: "all of it as JSON".to_owned(),
                    text,
                    is_folded: true,
                }));
            } else {
                out.note(Note::plain(format!(
                    "all of it as JSON: {}/report.json",
                    self.opened.shown
                )));
            }
        }
    }
}
