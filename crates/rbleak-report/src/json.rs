//! The wire form, version 1: one object a document, keys in a fixed order.

use crate::document::{Block, Document, Tone};
use serde_json::{Map, Value, json};

/// Renders `document` as indented JSON, ended by a newline.
///
/// Facts become members of `facts` by key, the verdict's and the findings'
/// data stand under `verdict` and `findings`, tables under `tables` by key,
/// notes under `notes`. Members are added over time; none changes its meaning
/// within one version of the schema.
pub fn to_json(document: &Document) -> String {
    let mut facts = Map::new();
    let mut verdict = Value::Null;
    let mut findings = Vec::new();
    let mut tables = Map::new();
    let mut notes = Vec::new();
    for block in &document.blocks {
        match block {
            Block::Facts(list) => {
                for fact in list {
                    facts.insert(fact.key.clone(), fact.data.clone());
                }
            }
            Block::Verdict(v) => {
                verdict = with(&v.data, "verdict", json!(v.word.to_lowercase()));
            }
            Block::Findings(list) => {
                findings.extend(list.iter().map(|f| with(&f.data, "title", json!(f.title))));
            }
            Block::Table(table) => {
                let rows: Vec<Value> = table.rows.iter().map(|row| row.data.clone()).collect();
                tables.insert(
                    table.key.clone(),
                    json!({ "rows": rows, "left_out": table.left_out }),
                );
            }
            Block::Chart(_) => {}
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
    out.insert("notes".into(), Value::Array(notes));
    let mut text = format!("{:#}", Value::Object(out));
    text.push('\n');
    text
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
