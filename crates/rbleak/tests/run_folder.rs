//! The folder of a run stands for its dumps wherever dumps are asked for, and
//! a folder that cannot is refused in one sentence.

mod common;

use common::{Answer, Bench, repository};
use std::path::Path;

/// The recorded run of the demo, copied to `run`.
fn recorded(bench: &Bench) {
    let from = repository().join("crates/rbleak/recorded");
    let to = bench.home.path().join("run");
    std::fs::create_dir(&to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("the recorded run") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
}

/// The same with a changed manifest.
fn recorded_but(bench: &Bench, from: &str, to: &str) {
    recorded(bench);
    let path = bench.home.path().join("run/manifest.json");
    let text = std::fs::read_to_string(&path).expect("the manifest");
    assert!(text.contains(from), "no {from} in the manifest");
    std::fs::write(path, text.replace(from, to)).expect("a manifest");
}

fn same(a: Answer, b: Answer) {
    assert_eq!(a.stderr, b.stderr);
    assert_eq!(a.status, b.status);
    assert_eq!(a.stdout, b.stdout);
    assert!(a.stdout.len() > 100, "{}", a.stdout);
}

const A: &str = "run/A.ndjson.zst";
const B: &str = "run/B.ndjson.zst";
const C: &str = "run/C.ndjson.zst";

#[test]
fn a_run_is_its_dumps_with_their_names() {
    let bench = Bench::new();
    recorded(&bench);
    same(bench.run(&["diff", "run"]), bench.run(&["diff", A, B, C]));
    let holders = bench.run(&["diff", "--holders", "--format", "json", "run"]);
    assert!(
        holders.stdout.contains("Leaky::STORE"),
        "{}",
        holders.stdout
    );
    same(
        holders,
        bench.run(&["diff", "--holders", "--format", "json", A, B, C]),
    );
    same(
        bench.run(&["retained", "run/"]),
        bench.run(&["retained", C]),
    );
    same(
        bench.run(&["retained", "--base", "run", "run"]),
        bench.run(&["retained", "--base", A, C]),
    );
    same(
        bench.run(&["path", "run", "--class", "Leaky::Session"]),
        bench.run(&["path", C, "--class", "Leaky::Session"]),
    );
}

#[test]
fn names_lie_where_the_manifest_says() {
    let bench = Bench::new();
    recorded_but(&bench, "\"C.names.ndjson.zst\"", "\"names\"");
    let run = bench.home.path().join("run");
    std::fs::rename(run.join("C.names.ndjson.zst"), run.join("names")).expect("another name");
    let answer = bench.run(&["path", "run", "--class", "Leaky::Session"]);
    assert!(answer.stdout.contains("Leaky::STORE"), "{}", answer.stdout);
}

#[test]
fn a_folder_that_is_no_run() {
    let bench = Bench::new();
    std::fs::create_dir(bench.home.path().join("folder")).expect("a folder");
    for arguments in [
        &["diff", "folder"][..],
        &["retained", "folder"],
        &["path", "folder", "0x10"],
        &["retained", "--base", "folder", "folder"],
    ] {
        bench
            .run(arguments)
            .assert_refused("folder is a directory without a manifest.json");
    }
    std::fs::write(bench.home.path().join("folder/manifest.json"), "{\"name\":").expect("a file");
    bench
        .run(&["diff", "folder"])
        .assert_refused("cannot use folder/manifest.json: it is no manifest of a run");
}

#[test]
fn a_run_of_another_schema() {
    let bench = Bench::new();
    recorded_but(&bench, "rbleak/run/v1", "rbleak/run/v2");
    bench
        .run(&["diff", "run"])
        .assert_refused("its schema is \"rbleak/run/v2\", and this rbleak reads rbleak/run/v1");
}

#[test]
fn a_run_that_did_not_come_to_its_end() {
    for (status, words) in [
        ("interrupted", "the run run was interrupted; hunt again"),
        (
            "running",
            "is not complete: its hunt goes on, or was killed",
        ),
        (
            "failed",
            "failed; hunt again, or give the dumps that it took: A.ndjson.zst",
        ),
        ("lost", "unknown variant"),
    ] {
        let bench = Bench::new();
        recorded_but(&bench, "\"complete\"", &format!("\"{status}\""));
        bench.run(&["retained", "run"]).assert_refused(words);
    }
}

#[test]
fn a_run_whose_dumps_are_gone() {
    let bench = Bench::new();
    recorded(&bench);
    std::fs::remove_file(bench.home.path().join(B)).expect("it was there");
    bench
        .run(&["diff", "run"])
        .assert_refused("the run run lacks its B.ndjson.zst");

    // As --keep-dumps no leaves it.
    let path = bench.home.path().join("run/manifest.json");
    let text = std::fs::read_to_string(&path).expect("the manifest");
    let mut manifest: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    manifest["dumps"] = serde_json::json!([]);
    std::fs::write(path, manifest.to_string()).expect("a manifest");
    bench
        .run(&["diff", "run"])
        .assert_refused("has no heap dumps");
}

#[test]
fn nothing_outside_the_run_is_read() {
    let bench = Bench::new();
    recorded_but(&bench, "\"B.ndjson.zst\"", "\"../B.ndjson.zst\"");
    let home = bench.home.path();
    std::fs::rename(home.join(B), home.join("B.ndjson.zst")).expect("a dump outside");
    bench
        .run(&["diff", "run"])
        .assert_refused("it names \"../B.ndjson.zst\", which is not within the run's folder");

    let bench = Bench::new();
    recorded(&bench);
    let home = bench.home.path();
    std::fs::rename(home.join(B), home.join("B.ndjson.zst")).expect("a dump outside");
    std::os::unix::fs::symlink(Path::new("../B.ndjson.zst"), home.join(B)).expect("a link");
    bench
        .run(&["diff", "run"])
        .assert_refused("it names \"B.ndjson.zst\", which is not within the run's folder");
}

#[test]
fn one_dump_is_nothing_to_compare() {
    let bench = Bench::new();
    recorded(&bench);
    bench
        .run(&["diff", C])
        .assert_refused("one dump is nothing to compare");
}
