//! `rbleak retained` on real dumps.

mod common;

use common::{Answer, Bench, fixture, repository};
use std::path::Path;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn dump(version: &str, label: &str) -> String {
    text(&fixture(&format!("{version}/{label}.ndjson.zst"))).to_owned()
}

/// The recorded run: its last dump has a sidecar beside it.
fn recorded(label: &str) -> String {
    let path = repository().join(format!("crates/rbleak/recorded/{label}.ndjson.zst"));
    text(&path).to_owned()
}

fn retained(arguments: &[&str]) -> Answer {
    let mut all = vec!["retained"];
    all.extend(arguments);
    Bench::new().run(&all)
}

/// stdout without the folders of this machine.
fn told(answer: &Answer) -> String {
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    let folder = format!("{}/crates/rbleak/recorded/", repository().display());
    answer.stdout.replace(&folder, "")
}

#[test]
fn what_people_read() {
    let base = recorded("A");
    let answer = retained(&["--base", &base, &recorded("C"), "--limit", "6"]);
    assert!(answer.stderr.is_empty(), "{}", answer.stderr);
    insta::assert_snapshot!(told(&answer));
}

#[test]
fn a_tree_as_people_read_it() {
    let answer = retained(&["--tree", "--min", "2", "--depth", "3", &recorded("C")]);
    insta::assert_snapshot!(told(&answer));
}

#[test]
fn the_sidecar_beside_the_dump_names_the_constant_that_leaks() {
    let answer = retained(&["--format", "json", "--base", &recorded("A"), &recorded("C")]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    let suspect = &answer.json()["tables"]["suspects"]["rows"][0];
    assert_eq!(suspect["holder"], "Leaky::STORE", "{suspect}");
    assert_eq!(suspect["is_alone"], true);
    assert!(suspect["share"].as_f64() > Some(0.95), "{suspect}");
    let row = &answer.json()["tables"]["rows"]["rows"][0];
    assert_eq!(row["accumulation_point"]["name"], "Leaky::STORE", "{row}");
}

#[test]
fn another_sidecar_can_be_named_and_none_is_needed() {
    let bench = Bench::new();
    let copy = bench.home.path().join("alone.ndjson.zst");
    std::fs::copy(recorded("C"), &copy).expect("a copy");
    let answer = bench.run(&["retained", text(&copy)]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(!answer.stdout.contains("STORE"), "{}", answer.stdout);
    let names = repository().join("crates/rbleak/recorded/C.names.ndjson.zst");
    let answer = bench.run(&["retained", text(&copy), "--names", text(&names)]);
    assert!(answer.stdout.contains("Leaky::STORE"), "{}", answer.stdout);
}

#[test]
fn the_leaker_s_array_comes_first_on_every_ruby() {
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let answer = retained(&[
            "--format",
            "json",
            "--base",
            &dump(version, "A"),
            &dump(version, "C"),
        ]);
        assert_eq!(answer.status, 0, "{version}: {}", answer.stderr);
        let suspect = &answer.json()["tables"]["suspects"]["rows"][0];
        assert_eq!(suspect["new_entries"], 60, "{version}: {suspect}");
        let steps = suspect["steps"].as_array().expect("steps");
        let last = steps.last().expect("a step")["object"].as_str();
        assert_eq!(last, Some("Array (60)"), "{version}: {suspect}");
    }
}

#[test]
fn groups_never_exceed_the_heap() {
    for version in ["2.1", "3.1", "4.0"] {
        for by in ["object", "class", "site", "gem"] {
            let answer = retained(&["--format", "json", "--by", by, &dump(version, "C")]);
            assert_eq!(answer.status, 0, "{version} {by}: {}", answer.stderr);
            let json = answer.json();
            let whole = json["facts"]["dump"]["bytes"].as_u64();
            let rows = json["tables"]["rows"]["rows"].as_array().expect("rows");
            assert!(!rows.is_empty(), "{version} {by}");
            let kept = rows.iter().map(|row| row["retained_bytes"].as_u64());
            assert!(kept.clone().all(|kept| kept <= whole), "{version} {by}");
            assert!(kept.is_sorted_by(|a, b| a >= b), "{version} {by}");
        }
    }
}

#[test]
fn a_cut_or_broken_dump_is_told_as_far_as_it_goes() {
    for label in ["cut", "broken", "zombie", "full"] {
        let answer = retained(&[&dump("3.1", label)]);
        assert_eq!(answer.status, 0, "{label}: {}", answer.stderr);
    }
}

#[test]
fn what_cannot_work_is_refused_in_one_sentence() {
    let (a, c) = (dump("3.1", "A"), dump("3.1", "C"));
    retained(&["missing.json"]).assert_refused("cannot open missing.json");
    retained(&[&dump("3.1", "since")]).assert_refused("lists no roots");
    let untraced = dump("3.1", "notrace");
    retained(&["--by", "gem", &untraced]).assert_refused("no allocation sites");
    retained(&["--base", &c, &a]).assert_refused("order");
    retained(&["--base", &a, &a]).assert_refused("same");
    retained(&["--base", &dump("2.7", "A"), &c]).assert_refused("process");
    retained(&["--min", "101", &c]).assert_refused("no percentage");
    retained(&["--base", "-", "-"]).assert_refused("stdin");
    retained(&["--names", "none", &c]).assert_refused("cannot read the names");
    retained(&["-o", &c, &c]).assert_refused("would overwrite");
}

#[test]
fn the_answer_can_be_a_file() {
    let bench = Bench::new();
    let answer = bench.run(&[
        "retained",
        "--format",
        "json",
        "-o",
        "out.json",
        &recorded("C"),
    ]);
    assert_eq!((answer.status, answer.stdout.as_str()), (0, ""));
    let text = std::fs::read_to_string(bench.home.path().join("out.json")).expect("a file");
    assert!(text.contains("rbleak/retained/v1"));
}

/// Values of strings are in the dumps and in no answer.
#[test]
fn no_value_is_shown() {
    let bench = Bench::new();
    let file = bench.home.path().join("secret.json");
    let text = r#"{"type":"ROOT", "root":"vm", "references":["0x10"]}
{"address":"0x10", "type":"ARRAY", "length":1, "references":["0x18"], "memsize":40, "flags":{}}
{"address":"0x18", "type":"STRING", "bytesize":7, "value":"hunter2", "memsize":40, "flags":{}}
"#;
    std::fs::write(&file, text).expect("written");
    for flags in [&["--tree"][..], &["--format", "json"], &["--by", "class"]] {
        let mut all = vec!["retained", "secret.json"];
        all.extend(flags);
        let answer = bench.run(&all);
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        assert!(!answer.stdout.contains("hunter2"), "{}", answer.stdout);
    }
}
