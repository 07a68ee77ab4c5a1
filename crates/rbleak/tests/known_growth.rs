//! Growth that is known to fill and stop, on a real Ruby: named where it
//! stopped, and found where it did not.

mod common;

use common::{Bench, app, needs, repository};
use rbleak_heap::trace::BENIGN;
use serde_json::Value;
use std::collections::BTreeSet;
use std::process::Command;

/// Runs a script of `tests/apps/known` and diffs its dumps: the exit code and
/// the answer.
fn grow(script: &str, mode: &str, flags: &[&str]) -> (i32, Value) {
    needs("ruby");
    let bench = Bench::new();
    let folder = app("known");
    let output = Command::new("ruby")
        .arg("-W0")
        .args(flags)
        .arg(folder.join("dumps.rb"))
        .arg(repository().join("agent"))
        .arg(bench.home.path())
        .arg(folder.join(format!("{script}.rb")))
        .arg(mode)
        .output()
        .expect("ruby starts");
    assert!(
        output.status.success(),
        "{script} failed; it needs what script/setup installs: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let answer = bench.run(&[
        "diff",
        "--holders",
        "--format",
        "json",
        "A.ndjson",
        "B.ndjson",
        "C.ndjson",
    ]);
    assert_eq!(answer.stderr, "", "{script}");
    (answer.status, answer.json())
}

fn rows(json: &Value) -> Vec<&str> {
    let rows = json["tables"]["known_growth"]["rows"].as_array();
    let rows = rows.into_iter().flatten();
    rows.filter_map(|row| row["known_growth"].as_str())
        .collect()
}

fn findings(json: &Value) -> &[Value] {
    json["findings"].as_array().map_or(&[], Vec::as_slice)
}

/// What fills and stops is a row of its own and no finding.
fn stops(script: &str, row: &str) -> Value {
    let (_, json) = grow(script, "bounded", &[]);
    assert!(rows(&json).contains(&row), "{script}: {json:#}");
    assert_eq!(findings(&json).len(), 0, "{script}: {json:#}");
    json
}

/// What goes on is found, though it ordinarily stops, and that is said.
fn goes_on(script: &str, row: &str) -> Value {
    let (status, json) = grow(script, "unbounded", &[]);
    assert_eq!(status, 1, "{script}");
    assert!(!rows(&json).contains(&row), "{script}: {json:#}");
    let found = findings(&json).iter().find(|f| f["known_growth"] == row);
    let found = found.unwrap_or_else(|| panic!("{script}: {json:#}"));
    assert_eq!(found["trend"], "growing", "{script}");
    found.clone()
}

#[test]
fn code_that_is_compiled_when_it_is_needed() {
    stops("code", "code");
    let found = goes_on("code", "code");
    assert_eq!(found["holder"], "Lazy (the class itself)");
}

#[test]
fn files_that_are_loaded_when_they_are_needed() {
    stops("loaded_files", "loaded_files");
    goes_on("loaded_files", "loaded_files");
}

#[test]
fn nothing_but_what_is_known_to_stop_is_no_growth() {
    let (status, json) = grow("loaded_files", "bounded", &[]);
    assert_eq!(status, 0, "{json:#}");
}

#[test]
fn records_of_included_modules() {
    stops("included_modules", "included_modules");
    goes_on("included_modules", "included_modules");
}

/// As many as there are places in the code: they may go on for a while.
#[test]
fn inline_caches() {
    stops("inline_caches", "inline_caches");
    let (_, json) = grow("inline_caches", "unbounded", &[]);
    assert!(rows(&json).contains(&"inline_caches"), "{json:#}");
    assert_eq!(findings(&json).len(), 0, "{json:#}");
}

#[test]
fn the_symbol_table() {
    stops("symbols", "symbols");
    goes_on("symbols", "symbols");
}

/// The list is what leaks; the table of symbols merely grows with it.
#[test]
fn symbols_that_a_list_keeps_are_found_in_the_list() {
    let (status, json) = grow("symbols_in_a_list", "unbounded", &[]);
    assert_eq!(status, 1);
    let found = findings(&json);
    assert_eq!(found[0]["holder"], "SYMBOLS", "{json:#}");
    assert_eq!(found[0]["known_growth"], Value::Null);
    assert_eq!(found[1]["known_growth"], "symbols", "{json:#}");
}

#[test]
fn procs_of_symbols() {
    let (_, json) = grow("symbol_procs", "unbounded", &[]);
    assert!(rows(&json).contains(&"symbol_procs"), "{json:#}");
}

/// A connection keeps 1 000 unless it is told to keep more.
#[test]
fn prepared_statements() {
    let row = "prepared_statements";
    stops("prepared_statements", row);
    let (_, json) = grow("prepared_statements", "unbounded", &[]);
    assert!(rows(&json).contains(&row), "{json:#}");
    goes_on("prepared_statements_beyond", row);
}

#[test]
fn the_statement_cache_of_active_record() {
    stops("statement_cache", "statement_cache");
    let found = goes_on("statement_cache", "statement_cache");
    assert_eq!(found["holder"], "User@find_by_statement_cache");
}

#[test]
fn templates_of_sinatra() {
    stops("templates", "templates");
}

/// An inline template that never comes again is a leak.
#[test]
fn inline_templates_without_an_end() {
    let found = goes_on("inline_templates", "templates");
    assert_eq!(found["holder"], "APP", "{found:#}");
    let share = found["share"].as_f64().expect("a share");
    assert!(share > 0.8, "{found:#}");
    let text = found.to_string();
    assert!(text.contains("Tilt::Cache"), "{text}");
}

#[test]
fn what_is_said_of_growth_that_ordinarily_stops() {
    needs("ruby");
    let bench = Bench::new();
    let folder = app("known");
    let made = Command::new("ruby")
        .arg("-W0")
        .arg(folder.join("dumps.rb"))
        .arg(repository().join("agent"))
        .arg(bench.home.path())
        .arg(folder.join("inline_templates.rb"))
        .arg("unbounded")
        .status();
    assert!(made.is_ok_and(|status| status.success()));
    let answer = bench.run(&["diff", "--holders", "A.ndjson", "B.ndjson", "C.ndjson"]);
    let words = "compiled templates: ordinarily that stops (a template is compiled once; \
                 inline ones that never come again pile up), but here it went on from dump to dump";
    assert!(answer.stdout.contains(words), "{}", answer.stdout);
    // Two dumps have no trend: it is found, and excused by nothing.
    let answer = bench.run(&["diff", "--holders", "B.ndjson", "C.ndjson"]);
    assert_eq!(answer.status, 1);
    let words = "pile up), which takes a third dump to tell";
    assert!(answer.stdout.contains(words), "{}", answer.stdout);
}

#[test]
fn templates_of_action_view() {
    stops("views", "templates");
    goes_on("views", "templates");
}

#[test]
fn translations() {
    stops("translations", "translations");
    goes_on("translations", "translations");
}

/// Neither of the compilers of 3.1 brings objects of its own.
#[test]
fn methods_that_a_jit_compiles() {
    for flags in [
        &["--yjit", "--yjit-call-threshold=5"][..],
        &["--mjit", "--mjit-min-calls=5"],
    ] {
        let (_, json) = grow("jit", "unbounded", flags);
        assert_eq!(findings(&json).len(), 0, "{flags:?}: {json:#}");
    }
}

/// Each row is tried above; `compiled_code`, which Ruby 3.1 does not show, by
/// a dump in `rbleak-heap/tests/holders.rs`.
#[test]
fn every_row_is_tried() {
    let here = include_str!("known_growth.rs");
    let elsewhere = ["compiled_code"];
    let missing: BTreeSet<&str> = BENIGN
        .iter()
        .map(|row| row.id)
        .filter(|id| !elsewhere.contains(id) && !here.contains(&format!("\"{id}\"")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
