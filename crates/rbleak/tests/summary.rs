//! `rbleak summary` on real dumps.

mod common;

use common::{Answer, Bench, fixture, repository};
use std::io::Write;
use std::process::Stdio;

fn dump(version: &str, label: &str) -> String {
    let path = fixture(&format!("{version}/{label}.ndjson.zst"));
    path.to_str().expect("UTF-8").to_owned()
}

/// The last dump of a hunt: its sidecar lies beside it.
fn recorded() -> String {
    let path = repository().join("crates/rbleak/recorded/C.ndjson.zst");
    path.to_str().expect("UTF-8").to_owned()
}

fn summary(arguments: &[&str]) -> Answer {
    let mut all = vec!["summary"];
    all.extend(arguments);
    Bench::new().run(&all)
}

fn told(arguments: &[&str]) -> String {
    let answer = summary(arguments);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    let folder = format!("{}/", repository().display());
    answer.stdout.replace(&folder, "")
}

#[test]
fn what_people_read() {
    insta::assert_snapshot!(told(&[&recorded(), "--limit", "3"]));
}

#[test]
fn free_slots_and_ages_of_a_full_dump() {
    let full = dump("4.0", "full");
    let tables = ["--table", "slots", "--table", "ages", "--table", "modules"];
    let mut all = vec![full.as_str()];
    all.extend(tables);
    insta::assert_snapshot!(told(&all));
}

#[test]
fn what_a_dump_does_not_hold_is_said() {
    let text = told(&[&dump("2.1", "notrace")]);
    for words in ["not traced", "free slots are not listed", "have no value"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    for table in ["by gem", "by file", "by age", "by class and line"] {
        assert!(!text.contains(table), "{table}: {text}");
    }
    let text = told(&[&dump("3.1", "since")]);
    assert!(text.contains("no roots"), "{text}");
    let text = told(&[&dump("3.3", "full")]);
    assert!(!text.contains("free slots are not listed"), "{text}");
}

/// The rows of each table add up, those of the heap's own tables to the heap.
#[test]
fn every_table_adds_up_on_every_dump() {
    let folder = repository().join("fixtures/dumps");
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        for file in std::fs::read_dir(folder.join(version)).expect("fixtures") {
            let path = file.expect("a file").path();
            let path = path.to_str().expect("UTF-8");
            let answer = summary(&["--format", "json", "--limit", "2", path]);
            assert_eq!(answer.status, 0, "{path}: {}", answer.stderr);
            let json = answer.json();
            let whole = &json["facts"]["total"];
            let tables = json["tables"].as_object().expect("tables");
            let sum = |table: &str, key: &str| -> u64 {
                let rows = tables[table]["rows"].as_array().expect("rows");
                rows.iter().filter_map(|row| row[key].as_u64()).sum()
            };
            let all = summary(&["--format", "json", "--limit", "0", "--table", "types", path]);
            let by_type = all.json()["tables"]["types"]["rows"].clone();
            let of_types = |types: &[&str]| -> (u64, u64) {
                let rows = by_type.as_array().expect("rows").iter();
                let of = rows.filter(|row| types.iter().any(|known| row["type"] == *known));
                of.fold((0, 0), |(objects, bytes), row| {
                    let number = |key: &str| row[key].as_u64().unwrap_or(0);
                    (objects + number("objects"), bytes + number("bytes"))
                })
            };
            let is_traced = tables.contains_key("ages");
            for table in ["types", "classes", "instances", "slots"]
                .into_iter()
                .chain(
                    ["sites", "files", "gems", "ages"]
                        .into_iter()
                        .filter(|_| is_traced),
                )
            {
                assert_eq!(whole["bytes"], sum(table, "bytes"), "{path} {table}");
                assert_eq!(whole["objects"], sum(table, "objects"), "{path} {table}");
            }
            for (table, types) in [
                ("strings", &["STRING"][..]),
                ("arrays", &["ARRAY"]),
                ("hashes", &["HASH"]),
                ("imemo", &["IMEMO"]),
                ("structs", &["DATA"]),
                ("modules", &["CLASS", "MODULE", "ICLASS"]),
            ] {
                if tables.contains_key(table) {
                    let expected = of_types(types);
                    let found = (sum(table, "objects"), sum(table, "bytes"));
                    assert_eq!(found, expected, "{path} {table}");
                }
            }
            if tables.contains_key("duplicates") {
                let wasted = &json["facts"]["strings"]["wasted_bytes"];
                assert_eq!(*wasted, sum("duplicates", "wasted_bytes"), "{path}");
            }
        }
    }
}

const SECRETS: &str = r#"{"type":"ROOT", "root":"vm", "references":["0x10"]}
{"address":"0x10", "type":"STRING", "bytesize":7, "value":"hunter2", "memsize":40, "flags":{}}
{"address":"0x18", "type":"STRING", "bytesize":7, "value":"hunter2", "memsize":40, "flags":{}}
{"address":"0x20", "type":"STRING", "bytesize":5, "value":"\u001b[2Jx", "memsize":40, "flags":{}}
{"address":"0x28", "type":"STRING", "bytesize":5, "value":"\u001b[2Jx", "memsize":40, "flags":{}}
"#;

#[test]
fn values_are_shown_only_if_asked_for_and_never_act() {
    let bench = Bench::new();
    std::fs::write(bench.home.path().join("secret.json"), SECRETS).expect("written");
    for format in ["text", "json"] {
        let answer = bench.run(&["summary", "--format", format, "secret.json"]);
        assert_eq!(answer.status, 0, "{}", answer.stderr);
        assert!(!answer.stdout.contains("hunter2"), "{}", answer.stdout);
        let answer = bench.run(&[
            "summary",
            "--show-values",
            "--format",
            format,
            "secret.json",
        ]);
        assert!(answer.stdout.contains("hunter2"), "{}", answer.stdout);
        assert!(!answer.stdout.contains('\u{1b}'), "{}", answer.stdout);
    }
}

#[test]
fn a_stream_tells_the_same_as_a_file() {
    let bench = Bench::new();
    let file = std::fs::read(recorded()).expect("a dump");
    let mut child = bench
        .command(&["summary", "--format", "json", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbleak starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(&file).expect("written");
    drop(stdin);
    let streamed = common::answer(&child.wait_with_output().expect("an answer"));
    let named = summary(&["--format", "json", &recorded()]);
    let of = |answer: &Answer, key: &str| answer.json()["facts"][key].clone();
    for key in ["total", "strings", "traced"] {
        assert_eq!(of(&streamed, key), of(&named, key), "{key}");
    }
    assert_eq!(
        streamed.json()["tables"]["duplicates"],
        named.json()["tables"]["duplicates"]
    );
}

#[test]
fn what_cannot_work_is_refused_in_one_sentence() {
    let c = recorded();
    summary(&["missing.json"]).assert_refused("cannot open missing.json");
    summary(&["-o", &c, &c]).assert_refused("would overwrite");
    summary(&["-o", "/", &c]).assert_refused("is a directory");
    summary(&["--names", "none", &c]).assert_refused("cannot read the names");
    summary(&["--show-values", "-"]).assert_refused("second time");
    summary(&["/dev/null"]).assert_refused("is empty");
}

#[test]
fn the_answer_can_be_a_file() {
    let bench = Bench::new();
    let answer = bench.run(&["summary", "--format", "json", "-o", "out.json", &recorded()]);
    assert_eq!((answer.status, answer.stdout.as_str()), (0, ""));
    let text = std::fs::read_to_string(bench.home.path().join("out.json")).expect("a file");
    assert!(text.contains("rbleak/summary/v1"));
}
