//! What RubyGems says of versions and requirements, and whether we say the same.

use rbleak_audit::{GemVersion, Requirement};
use serde_json::{Value, json};
use std::cmp::Ordering;

/// Our answer to one question of a file of vectors, in RubyGems' form.
pub fn ours(kind: &str, question: &Value) -> Value {
    let text = |key: &str| question[key].as_str().expect("a text");
    let version = |key: &str| text(key).parse::<GemVersion>();
    match kind {
        "satisfied" => match (
            text("requirement").parse::<Requirement>(),
            version("version"),
        ) {
            (Ok(requirement), Ok(version)) => json!(requirement.allows(&version)),
            _ => Value::Null,
        },
        "ordering" => match (version("left"), version("right")) {
            (Ok(left), Ok(right)) => json!(match left.cmp(&right) {
                Ordering::Less => -1,
                Ordering::Equal => 0,
                Ordering::Greater => 1,
            }),
            _ => Value::Null,
        },
        "version_parse" => version("version").map_or(json!({"valid": false}), |version| {
            let segments: Vec<String> = version.segments().iter().map(|s| s.to_string()).collect();
            json!({
                "valid": true,
                "to_s": version.to_string(),
                "segments": segments,
                "prerelease": version.is_prerelease(),
                "release": version.release().to_string(),
                "bump": version.bump().to_string(),
                "approximate_recommendation": version.approximate_recommendation(),
            })
        }),
        "requirement_parse" => {
            let Ok(requirement) = text("requirement").parse::<Requirement>() else {
                return json!({"valid": false});
            };
            let parts: Vec<Value> = requirement
                .clauses()
                .iter()
                .map(|clause| json!([clause.operator.to_string(), clause.bound.to_string()]))
                .collect();
            json!({"valid": true, "parts": parts})
        }
        other => panic!("no such kind of vectors: {other}"),
    }
}

/// RubyGems' answer, as it stands in a file of vectors.
fn theirs(kind: &str, vector: &Value) -> Value {
    match kind {
        "satisfied" => vector["satisfied"].clone(),
        "ordering" => vector["cmp"].clone(),
        _ => {
            let mut answer = vector.clone();
            let members = answer.as_object_mut().expect("an object");
            members.remove("version");
            members.remove("requirement");
            answer
        }
    }
}

/// The vectors to which our answer is another one, and how many there are in all.
pub fn differences(vectors: &Value) -> (Vec<String>, usize) {
    let mut differences = Vec::new();
    let mut count = 0;
    for kind in [
        "satisfied",
        "ordering",
        "version_parse",
        "requirement_parse",
    ] {
        for vector in vectors[kind].as_array().into_iter().flatten() {
            count += 1;
            let (ours, theirs) = (ours(kind, vector), theirs(kind, vector));
            if ours != theirs {
                differences.push(format!("{kind}: {vector}\n  ours: {ours}"));
            }
        }
    }
    (differences, count)
}
