//! The wire form, version 1: one object a document, keys in a fixed order.

use crate::document::{Block, Document, Finding, Table, Tone, Verdict};
use crate::figures::{Plot, Tree};
use serde_json::{Map, Value, json};

/// Renders `document` as indented JSON, ended by a newline.
///
/// Facts become members of `facts` by key, the verdict's and the findings'
/// data stand under `verdict` and `findings`, tables under `tables` by key,
/// notes under `notes`; so are plots, trees and listings, where there are any.
/// Members are added over time; none changes its meaning within one version of
/// the schema.
pub fn to_json(document: &Document) -> String {
    let mut facts = Map::new();
    let mut verdict = Value::Null;
    let mut findings = Vec::new();
    let mut tables = Map::new();
    let mut notes = Vec::new();
    let (mut plots, mut trees, mut listings) = (Map::new(), Map::new(), Map::new());
    for block in &document.blocks {
        match block {
            Block::Facts(list) => {
                for fact in list {
                    facts.insert(fact.key.clone(), fact.data.clone());
                }
            }
            Block::Verdict(v) => {
                verdict = of_verdict(v);
            }
            Block::Findings(list) => findings.extend(list.iter().map(of_finding)),
            Block::Cards(list) => {
                findings.extend(list.iter().map(|card| of_finding(&card.finding)));
            }
            Block::Table(table) => {
                tables.insert(table.key.clone(), of_table(table));
            }
            Block::Grid(grid) => {
                tables.insert(grid.table.key.clone(), of_table(&grid.table));
            }
            Block::Plots(list) => {
                plots.extend(list.iter().map(|plot| (plot.key.clone(), of_plot(plot))));
            }
            Block::Tree(tree) => {
                trees.insert(tree.key.clone(), of_tree(tree));
            }
            Block::Listing(listing) => {
                listings.insert(listing.key.clone(), json!(listing.text));
            }
            Block::Chart(_) | Block::Heading(_) => {}
            Block::Note(note) => notes.push(json!({
                "tone": tone_name(note.tone),
                "text": note.text,
            })),
        }
    }
    let mut out = Map::new();
    out.insert("schema".into(), json!(document.schema));
    if !verdict.is_null() {
        out.insert("verdict".into(), verdict);
    }
    out.insert("facts".into(), Value::Object(facts));
    out.insert("findings".into(), Value::Array(findings));
    out.insert("tables".into(), Value::Object(tables));
    for (key, map) in [("plots", plots), ("trees", trees), ("listings", listings)] {
        if !map.is_empty() {
            out.insert(key.into(), Value::Object(map));
        }
    }
    out.insert("notes".into(), Value::Array(notes));
    let mut text = format!("{:#}", Value::Object(out));
    text.push('\n');
    text
}

fn of_verdict(verdict: &Verdict) -> Value {
    let data = with(&verdict.data, "verdict", json!(verdict.word.to_lowercase()));
    let data = with(&data, "headline", json!(verdict.headline));
    with(&data, "details", json!(verdict.details))
}

fn of_finding(finding: &Finding) -> Value {
    let data = with(&finding.data, "title", json!(finding.title));
    with(&data, "summary", json!(finding.summary))
}

fn of_table(table: &Table) -> Value {
    let rows: Vec<Value> = table.rows.iter().map(|row| row.data.clone()).collect();
    json!({ "rows": rows, "left_out": table.left_out })
}

fn of_plot(plot: &Plot) -> Value {
    let points = plot.points.iter();
    let fit = plot.fit.iter();
    json!({
        "x": plot.x_label,
        "y": plot.y.name(),
        "points": points
            .map(|point| json!({ "x": point.x, "y": point.y, "aside": point.is_aside }))
            .collect::<Vec<_>>(),
        "fit": fit
            .map(|at| json!({ "x": at.x, "estimate": at.estimate, "low": at.low, "high": at.high }))
            .collect::<Vec<_>>(),
    })
}

fn of_tree(tree: &Tree) -> Value {
    let nodes = tree.nodes.iter().map(|node| {
        let data = with(&node.data, "depth", json!(node.depth));
        with(&data, "label", json!(node.label))
    });
    json!({ "nodes": nodes.collect::<Vec<_>>(), "left_out": tree.left_out })
}

/// `data` with one member more, unless it has that member already.
fn with(data: &Value, key: &str, value: Value) -> Value {
    let mut map = match data {
        Value::Object(map) => map.clone(),
        Value::Null => Map::new(),
        other => Map::from_iter([("data".to_owned(), other.clone())]),
    };
    map.entry(key).or_insert(value);
    Value::Object(map)
}

fn tone_name(tone: Tone) -> &'static str {
    match tone {
        Tone::Good => "good",
        Tone::Bad => "bad",
        Tone::Warning => "warning",
        Tone::Plain => "plain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Fact, Finding, Note, Verdict};

    #[test]
    fn every_part_has_its_place() {
        let mut document = Document::new("rbleak/test/v1");
        document.push(Block::Facts(vec![Fact::new(
            "load",
            "x",
            json!({"rounds": 3}),
        )]));
        document.push(Block::Verdict(Verdict {
            word: "LEAK".into(),
            tone: Tone::Bad,
            headline: String::new(),
            details: vec![],
            data: json!({"objects_per_request": 1.0}),
        }));
        document.push(Block::Findings(vec![Finding {
            title: "A::B".into(),
            summary: String::new(),
            sections: vec![],
            data: json!({"share": 1.0}),
        }]));
        document.note(Note::warning("weak"));
        let value: Value = serde_json::from_str(&to_json(&document)).unwrap();
        assert_eq!(value["schema"], "rbleak/test/v1");
        assert_eq!(value["facts"]["load"]["rounds"], 3);
        assert_eq!(value["verdict"]["verdict"], "leak");
        assert_eq!(value["verdict"]["objects_per_request"], 1.0);
        assert_eq!(value["findings"][0]["title"], "A::B");
        assert_eq!(value["notes"][0]["tone"], "warning");
    }
}
