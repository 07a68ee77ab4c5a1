//! Versions and requirements against RubyGems itself: its recorded answers,
//! and a real Ruby asked now.

#![allow(unreachable_pub)] // of the support files
#[path = "support/answers.rs"]
mod answers;
#[path = "support/random.rs"]
mod random;

use answers::differences;
use proptest::prelude::*;
use random::Random;
use rbleak_audit::{GemVersion, Requirement};
use serde_json::{Value, json};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn assert_no_differences(vectors: &Value, at_least: usize) {
    let (differences, count) = differences(vectors);
    assert!(count >= at_least, "{count} vectors");
    assert!(
        differences.is_empty(),
        "{} of {count} differ:\n{}",
        differences.len(),
        differences[..differences.len().min(20)].join("\n")
    );
}

#[test]
fn the_recorded_answers_are_ours() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/gems/versions.json.zst");
    let file = std::fs::File::open(&file).expect("the recorded answers are there");
    let text = zstd::decode_all(file).expect("Zstandard");
    assert_no_differences(&serde_json::from_slice(&text).expect("JSON"), 5000);
}

/// Vectors in the same form from elsewhere: `RBLEAK_GEM_VECTORS=FILE`.
#[test]
fn further_recorded_answers_are_ours() {
    if let Some(file) = std::env::var_os("RBLEAK_GEM_VECTORS") {
        let text = std::fs::read(&file).expect("RBLEAK_GEM_VECTORS names a file");
        assert_no_differences(&serde_json::from_slice(&text).expect("JSON"), 1);
    }
}

/// Asks a real Ruby. `RBLEAK_GEM_CASES` of them, 20 000 unless set.
#[test]
fn a_real_ruby_says_the_same_of_random_texts() {
    let cases = std::env::var("RBLEAK_GEM_CASES").map_or(20_000, |n| n.parse().expect("a number"));
    let seed = std::env::var("RBLEAK_GEM_SEED").map_or(1, |n| n.parse().expect("a number"));
    let mut random = Random::new(seed);
    let mut questions: Vec<Value> = Vec::new();
    for _ in 0..cases {
        questions.push(json!({
            "left": random.version(),
            "right": random.version(),
            "requirement": random.requirement(),
        }));
    }
    let answers = ask_ruby(&questions);
    assert_no_differences(&answers, cases);
}

/// The vectors that the Ruby on the PATH makes of the questions.
fn ask_ruby(questions: &[Value]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/rubygems.rb");
    let mut ruby = Command::new("ruby")
        .arg("--disable-did_you_mean")
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs `ruby`, which is not on the PATH: run script/setup");
    let mut stdin = ruby.stdin.take().expect("a pipe");
    let text = serde_json::to_vec(questions).expect("JSON");
    let writer = std::thread::spawn(move || stdin.write_all(&text));
    let output = ruby.wait_with_output().expect("Ruby ends");
    writer.join().expect("no panic").expect("written");
    assert!(output.status.success(), "{}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}

proptest! {
    #[test]
    fn the_order_is_total_and_agrees_with_equality(seed: u64) {
        let mut random = Random::new(seed);
        let versions: Vec<GemVersion> = std::iter::repeat_with(|| random.version())
            .filter_map(|text| text.parse().ok())
            .take(12)
            .collect();
        for a in &versions {
            for b in &versions {
                prop_assert_eq!(a.cmp(b), b.cmp(a).reverse());
                prop_assert_eq!(a == b, a.cmp(b).is_eq());
                for c in &versions {
                    prop_assert!(!(a <= b && b <= c) || a <= c, "{} {} {}", a, b, c);
                }
            }
        }
    }

    #[test]
    fn what_is_printed_reads_the_same(seed: u64) {
        // `1.0--` is valid, and RubyGems prints it as `1.0.pre..pre.`, which is not.
        let is_valid = |text: &str| text.split('.').all(|part| !part.is_empty());
        let mut random = Random::new(seed);
        if let Ok(version) = random.version().parse::<GemVersion>()
            && is_valid(version.as_str())
        {
            let again: GemVersion = version.to_string().parse().expect("printed versions parse");
            prop_assert_eq!(again.as_str(), version.as_str());
            prop_assert_eq!(again, version);
        }
        if let Ok(requirement) = random.requirement().parse::<Requirement>()
            && requirement.clauses().iter().all(|clause| is_valid(clause.bound.as_str()))
        {
            // RubyGems leaves out what is written twice in the same way: of `1`
            // and `= 1` it keeps both, and prints them alike.
            let printed = requirement.to_string();
            let mut once = Vec::new();
            for clause in printed.split(", ") {
                if !once.contains(&clause) {
                    once.push(clause);
                }
            }
            let again: Requirement = printed.parse().expect("printed ones parse");
            prop_assert_eq!(again.to_string(), once.join(", "));
            if once.len() == requirement.clauses().len() {
                prop_assert_eq!(again, requirement);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text: String) {
        let _ = text.parse::<GemVersion>();
        let _ = text.parse::<Requirement>();
    }
}
