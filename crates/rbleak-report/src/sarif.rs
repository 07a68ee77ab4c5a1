//! SARIF 2.1.0, which code scanning services read: the document's annotations
//! as results.

use crate::annotation::{Annotation, Level, Rule};
use crate::document::Document;
use serde_json::{Value, json};

/// What made the document.
#[derive(Clone, Copy, Debug)]
pub struct Tool<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its page.
    pub url: &'a str,
}

/// Renders the annotations of `document`, indented, ended by a newline. One
/// without any is a run without results.
pub fn to_sarif(document: &Document, tool: &Tool<'_>) -> String {
    let mut rules: Vec<&Rule> = Vec::new();
    let results: Vec<Value> = document
        .annotations
        .iter()
        .map(|annotation| {
            let known = rules.iter().position(|rule| rule.id == annotation.rule.id);
            let index = known.unwrap_or_else(|| {
                rules.push(&annotation.rule);
                rules.len() - 1
            });
            result(annotation, index)
        })
        .collect();
    let rules: Vec<Value> = rules.into_iter().map(rule).collect();
    let sarif = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": tool.name,
                "version": tool.version,
                "informationUri": tool.url,
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{sarif:#}\n")
}

fn rule(rule: &Rule) -> Value {
    let mut out = json!({
        "id": rule.id,
        "shortDescription": { "text": rule.summary },
        "fullDescription": { "text": rule.description },
    });
    if let Some(url) = &rule.url {
        out["helpUri"] = json!(url);
    }
    out
}

fn result(annotation: &Annotation, rule_index: usize) -> Value {
    let places: Vec<Value> = annotation
        .file
        .iter()
        .map(|file| json!({ "physicalLocation": place(file, annotation.line) }))
        .collect();
    json!({
        "ruleId": annotation.rule.id,
        "ruleIndex": rule_index,
        "level": match annotation.level {
            Level::Error => "error",
            Level::Warning => "warning",
            Level::Note => "note",
        },
        "message": { "text": format!("{}: {}", annotation.title, annotation.message) },
        "locations": places,
        // Lines move; the rule and the title do not.
        "partialFingerprints": {
            "ruleAndTitle/v1": format!("{}:{}", annotation.rule.id, annotation.title),
        },
    })
}

fn place(file: &str, line: Option<u32>) -> Value {
    let artifact = match file.strip_prefix('/') {
        Some(path) => json!({ "uri": format!("file:///{}", uri_path(path)) }),
        None => json!({ "uri": uri_path(file), "uriBaseId": "%SRCROOT%" }),
    };
    let mut place = json!({ "artifactLocation": artifact });
    if let Some(line) = line {
        place["region"] = json!({ "startLine": line });
    }
    place
}

/// A path as part of a URI: what may not stand in one is percent-encoded.
fn uri_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOOL: Tool<'_> = Tool {
        name: "t",
        version: "1.0.0",
        url: "https://example.com/t",
    };

    /// The published schema of SARIF 2.1.0 (OASIS).
    fn schema() -> jsonschema::Validator {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/sarif/sarif-schema-2.1.0.json.zst"
        );
        let file = std::fs::File::open(path).expect("the schema is there");
        let text = zstd::decode_all(file).expect("Zstandard");
        let schema = serde_json::from_slice(&text).expect("JSON");
        jsonschema::validator_for(&schema).expect("a schema")
    }

    fn annotation(file: &str, line: Option<u32>) -> Annotation {
        Annotation {
            rule: Rule {
                id: "oj-1027".into(),
                summary: "It leaks".into(),
                description: "It does.".into(),
                url: Some("https://example.com/oj/1027".into()),
            },
            level: Level::Error,
            title: "oj 3.14.2".into(),
            message: "It leaks, \"quoted\"\nand broken".into(),
            file: Some(file.into()),
            line,
        }
    }

    #[test]
    fn it_holds_to_the_schema_and_points_at_the_line() {
        let mut document = Document::new("t");
        document.annotations = vec![
            annotation("my app/Gemfile.lock", Some(12)),
            annotation("/tmp/ä/Gemfile.lock", None),
        ];
        let schema = schema();
        for document in [&document, &Document::new("t")] {
            let sarif: Value = serde_json::from_str(&to_sarif(document, &TOOL)).unwrap();
            let errors: Vec<String> = schema.iter_errors(&sarif).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{errors:?}");
        }
        let sarif: Value = serde_json::from_str(&to_sarif(&document, &TOOL)).unwrap();
        let run = &sarif["runs"][0];
        assert_eq!(run["tool"]["driver"]["rules"].as_array().unwrap().len(), 1);
        let place = |index: usize| &run["results"][index]["locations"][0]["physicalLocation"];
        assert_eq!(place(0)["artifactLocation"]["uri"], "my%20app/Gemfile.lock");
        assert_eq!(place(0)["region"]["startLine"], 12);
        assert_eq!(
            place(1)["artifactLocation"]["uri"],
            "file:///tmp/%C3%A4/Gemfile.lock"
        );
        // The schema is one that can fail.
        assert!(!schema.is_valid(&json!({"version": "2.1.0", "runs": [{}]})));
    }
}
