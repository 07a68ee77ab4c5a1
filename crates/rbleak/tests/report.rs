//! `rbleak report` from its command line: formats, the published schema, runs
//! of which parts are missing, and folders that are none.

mod common;

use common::{Answer, Bench, needs, repository};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The recorded run of the demo, copied to `run`, with the answer of its hunt.
fn recorded(bench: &Bench) -> PathBuf {
    let from = repository().join("crates/rbleak/recorded");
    let to = bench.home.path().join("run");
    fs::create_dir(&to).expect("a folder");
    for entry in fs::read_dir(from).expect("the recorded run") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
    }
    let demo = bench.run(&["demo", "--recorded", "--format", "json"]);
    fs::write(to.join("report.json"), demo.stdout).expect("a report");
    to
}

fn json_of(bench: &Bench, run: &str) -> Value {
    let answer = bench.run(&["report", run, "--format", "json"]);
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_valid(&json);
    json
}

/// As `docs/schema/report-v1.json` says.
fn assert_valid(json: &Value) {
    let schema = repository().join("docs/schema/report-v1.json");
    let schema = fs::read_to_string(schema).expect("the schema");
    let schema: Value = serde_json::from_str(&schema).expect("JSON");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let wrong = validator.iter_errors(json);
    let wrong: Vec<String> = wrong
        .map(|error| format!("{}: {error}", error.instance_path))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn notes(json: &Value) -> String {
    json["notes"].to_string()
}

#[test]
fn a_run_becomes_a_page_of_its_own() {
    let bench = Bench::new();
    let run = recorded(&bench);
    let answer = bench.run(&["report", "run"]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert_eq!(answer.stdout, "run/report.html\n");
    let page = run.join("report.html");
    let mode = fs::metadata(&page).expect("a page").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let html = fs::read_to_string(&page).expect("text");
    assert!(html.len() < 3_000_000, "{}", html.len());
    for words in [
        "Content-Security-Policy",
        ">LEAK<",
        "Leaky::STORE",
        "app.rb:45",
        "@token",
        "token = &#39;x&#39; * 80",
        "what keeps what in dump C",
    ] {
        assert!(html.contains(words), "no {words}");
    }
    // The same again over it, and elsewhere.
    assert_eq!(bench.run(&["report", "run"]).status, 0);
    let again = fs::read_to_string(&page).expect("text");
    assert_eq!(again, html, "the same run, the same page");
    let answer = bench.run(&["report", "run/", "-o", "other.html"]);
    assert_eq!(answer.stdout, "other.html\n");
    let other = fs::read_to_string(bench.home.path().join("other.html")).expect("text");
    assert_eq!(other, html);
}

#[test]
fn json_is_as_its_schema_says() {
    let bench = Bench::new();
    recorded(&bench);
    let json = json_of(&bench, "run");
    assert_eq!(json["schema"], "rbleak/report/v1");
    assert_eq!(json["verdict"]["verdict"], "leak");
    let finding = &json["findings"][0];
    assert_eq!(finding["holder"], "Leaky::STORE");
    let steps = finding["steps"].as_array().expect("steps");
    assert!(
        steps.iter().any(|step| step["edge"] == "@token"),
        "{steps:?}"
    );
    assert_eq!(finding["source"]["line"], 45);
    let fit = json["plots"]["objects"]["fit"].as_array().expect("a line");
    let rate = (fit[2]["estimate"].as_f64().expect("a number")
        - fit[0]["estimate"].as_f64().expect("a number"))
        / (fit[2]["x"].as_f64().expect("a number") - fit[0]["x"].as_f64().expect("a number"));
    assert!((rate - 2.0).abs() < 0.01, "{rate}");
    let nodes = json["trees"]["retained"]["nodes"]
        .as_array()
        .expect("nodes");
    assert!(nodes.len() > 20, "{}", nodes.len());
    // What is not as the schema says would be told.
    let schema = fs::read_to_string(repository().join("docs/schema/report-v1.json"));
    let schema: Value = serde_json::from_str(&schema.expect("the schema")).expect("JSON");
    let mut wrong = json.clone();
    wrong["findings"][0]["share"] = json!("much");
    assert!(!jsonschema::is_valid(&schema, &wrong));
}

#[test]
fn markdown_is_short_enough_for_a_comment() {
    let bench = Bench::new();
    recorded(&bench);
    let answer = bench.run(&["report", "run", "--format", "markdown"]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    let text = answer.stdout;
    assert!(text.starts_with("## LEAK\n"), "{text}");
    for words in [
        "### 1. Leaky::STORE",
        "> 45 │",
        "**held by**: Leaky::STORE → Array",
    ] {
        assert!(text.contains(words), "no {words} in {text}");
    }
    insta::assert_snapshot!(text);
    // What GitHub takes.
    assert!(text.len() < 65_536, "{}", text.len());
    assert!(text.lines().count() < 200, "{}", text.lines().count());
}

#[test]
fn values_of_strings_are_shown_where_asked_for_alone() {
    let bench = Bench::new();
    let run = recorded(&bench);
    let dump = [
        json!({ "type": "ROOT", "root": "vm", "references": ["0x100"] }),
        json!({ "address": "0x100", "type": "ARRAY", "length": 1, "references": ["0x200"],
            "memsize": 400 }),
        json!({ "address": "0x200", "type": "STRING", "value": "password=s3cret", "memsize": 4000 }),
    ];
    let dump: String = dump.iter().map(|line| format!("{line}\n")).collect();
    fs::write(run.join("dump.ndjson"), dump).expect("a dump");
    let text = fs::read_to_string(run.join("manifest.json")).expect("the manifest");
    let mut manifest: Value = serde_json::from_str(&text).expect("JSON");
    manifest["dumps"] =
        json!([{ "label": "A", "file": "dump.ndjson", "requests": 1, "file_bytes": 9 }]);
    fs::write(run.join("manifest.json"), manifest.to_string()).expect("a manifest");
    for format in ["html", "markdown", "json"] {
        for (flags, shown) in [(&[][..], false), (&["--show-values"], true)] {
            let arguments = ["report", "run", "--format", format, "-o", "out"];
            let answer = bench.run(&[&arguments[..], flags].concat());
            assert_eq!(answer.status, 0, "{}", answer.stderr);
            let text = fs::read_to_string(bench.home.path().join("out")).expect("text");
            assert!(
                text.contains("what keeps what") || format == "json",
                "{text}"
            );
            assert_eq!(text.contains("s3cret"), shown, "{format} {flags:?}");
        }
    }
}

#[test]
fn what_is_missing_is_said_with_how_to_get_it() {
    // Without its dumps.
    let bench = Bench::new();
    let run = recorded(&bench);
    let manifest = run.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    value["dumps"] = json!([]);
    fs::write(&manifest, value.to_string()).expect("a manifest");
    let json = json_of(&bench, "run");
    assert!(notes(&json).contains("keeps no heap dumps"), "{json:#}");
    assert!(json["trees"].is_null());
    assert_eq!(json["findings"][0]["holder"], "Leaky::STORE");

    // With a dump that is gone.
    let bench = Bench::new();
    let run = recorded(&bench);
    fs::remove_file(run.join("B.ndjson.zst")).expect("it was there");
    let json = json_of(&bench, "run");
    assert!(notes(&json).contains("lacks its B.ndjson.zst"), "{json:#}");

    // Without the hunt's answer: judged again.
    let bench = Bench::new();
    let run = recorded(&bench);
    fs::remove_file(run.join("report.json")).expect("it was there");
    let json = json_of(&bench, "run");
    assert!(notes(&json).contains("report.json is missing"), "{json:#}");
    assert_eq!(json["verdict"]["verdict"], "leak");
    assert_eq!(json["findings"][0]["holder"], "Leaky::STORE");

    // Without samples.
    let bench = Bench::new();
    let run = recorded(&bench);
    fs::remove_file(run.join("samples.csv")).expect("it was there");
    let json = json_of(&bench, "run");
    assert!(notes(&json).contains("samples.csv is missing"), "{json:#}");
    assert!(json["plots"].is_null());
}

/// No leak, and no dumps: nothing is made up.
#[test]
fn a_run_without_a_leak() {
    let bench = Bench::new();
    let run = recorded(&bench);
    let mut samples = "requests,live_slots,memsize_bytes,content_bytes,malloc_in_use_bytes,malloc_free_bytes,traced\n".to_owned();
    for round in 0..12 {
        samples.push_str(&format!(
            "{},30000,2400000,400000,7000000,300000,0\n",
            round * 200
        ));
    }
    fs::write(run.join("samples.csv"), samples).expect("samples");
    fs::remove_file(run.join("report.json")).expect("it was there");
    let text = fs::read_to_string(run.join("manifest.json")).expect("the manifest");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    value["dumps"] = json!([]);
    fs::write(run.join("manifest.json"), value.to_string()).expect("a manifest");
    let json = json_of(&bench, "run");
    assert_eq!(json["verdict"]["verdict"], "no leak");
    assert_eq!(json["findings"], json!([]));
    assert_eq!(bench.run(&["report", "run"]).status, 0);
}

/// A thousand findings and more endpoints, with long names: what is shown is
/// bounded, and what is left out is counted.
#[test]
fn a_page_of_a_large_run_stays_small() {
    let bench = Bench::new();
    let run = recorded(&bench);
    let path = run.join("report.json");
    let text = fs::read_to_string(&path).expect("the report");
    let mut report: Value = serde_json::from_str(&text).expect("JSON");
    let mut finding = report["findings"][0].clone();
    finding["holder"] = json!("Deeply::Nested::Holder".repeat(12));
    let site = finding["sites"][0].clone();
    finding["sites"] = json!(vec![site; 40]);
    report["findings"] = json!(vec![finding; 1000]);
    let endpoint = json!({
        "endpoint": "/a/rather/long/path".repeat(12), "cause": "nothing",
        "objects_per_request": { "estimate": 0.0, "low": -0.1, "high": 0.1 },
        "object_bytes_per_request": { "estimate": 0.0, "low": -1.0, "high": 1.0 },
    });
    report["tables"]["endpoints"] = json!({ "rows": vec![endpoint; 5000], "left_out": 7 });
    fs::write(&path, report.to_string()).expect("a report");
    let answer = bench.run(&["report", "run"]);
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    let page = fs::read_to_string(run.join("report.html")).expect("a page");
    assert!(page.len() < 3_000_000, "{}", page.len());
    for words in ["950 more findings", "4607 more rows"] {
        assert!(page.contains(words), "no {words}");
    }
}

#[test]
fn a_watch_and_a_capture_are_told_too() {
    let bench = Bench::new();
    let watched = bench.home.path().join("watched");
    fs::create_dir(&watched).expect("a folder");
    let mut lines =
        "{\"schema\":\"rbleak/recording/v1\",\"command\":\"puma\",\"every_seconds\":1}\n"
            .to_owned();
    for at in 0..60 {
        lines.push_str(&format!(
            "{{\"at_seconds\":{at},\"process\":\"web\",\"rss_bytes\":{}}}\n",
            40_000_000 + at * 1_000_000
        ));
    }
    fs::write(watched.join("memory.ndjson"), &lines).expect("a recording");
    let json = json_of(&bench, "watched");
    assert_eq!(json["verdict"]["verdict"], "leak", "{json:#}");
    assert!(json["plots"]["0_rss"].is_object(), "{json:#}");

    let run = recorded(&bench);
    let manifest = run.join("manifest.json");
    let text = fs::read_to_string(&manifest).expect("the manifest");
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    value["capture"] =
        json!({ "via": "agent", "process": "puma", "start_time": 1, "redacted": false });
    fs::write(&manifest, value.to_string()).expect("a manifest");
    let json = json_of(&bench, "run");
    assert_eq!(json["verdict"]["verdict"], "growth");
    assert_eq!(json["findings"][0]["holder"], "Leaky::STORE");
    assert!(json["trees"]["retained"].is_object());
}

/// A hunt keeps what its report needs, secrets excepted.
#[test]
fn a_hunt_keeps_its_command_line_and_its_memory() {
    needs("ruby");
    let bench = Bench::new();
    let folder = common::leaky();
    let hunted = bench.run(&[
        "hunt",
        "-q",
        "-C",
        folder.to_str().expect("UTF-8"),
        "--path",
        "/leak",
        "--header",
        "Authorization: s3cret",
        "--requests",
        "50",
    ]);
    assert_eq!(hunted.status, 1, "{}\n{}", hunted.stdout, hunted.stderr);
    let run = bench.only_run();
    let json = json_of(&bench, run.to_str().expect("UTF-8"));
    let command = json["listings"]["command"].as_str().expect("a command");
    assert!(
        command.ends_with("--path /leak --header 'Authorization: …' --requests 50"),
        "{command}"
    );
    let rss = json["plots"]["rss_bytes"]["points"]
        .as_array()
        .expect("points");
    assert!(rss.len() > 8, "{}", rss.len());
    for entry in fs::read_dir(&run).expect("the run") {
        let path = entry.expect("an entry").path();
        if path
            .extension()
            .is_some_and(|end| end == "json" || end == "csv")
        {
            let text = fs::read_to_string(&path).expect("text");
            assert!(!text.contains("s3cret"), "{}", path.display());
        }
    }
    // The newest run is the one that is meant.
    let newest = bench.run(&["report"]);
    assert_eq!(newest.status, 0, "{}", newest.stderr);
    assert!(newest.stdout.starts_with(".rbleak/"), "{}", newest.stdout);
}

#[test]
fn what_is_no_run_is_refused_in_a_sentence() {
    let bench = Bench::new();
    let refused = |arguments: &[&str], words: &str| {
        let answer: Answer = bench.run(&[&["report"], arguments].concat());
        answer.assert_refused(words);
    };
    refused(&[], "there is no .rbleak in this folder: hunt first");
    refused(&["nowhere"], "there is no folder nowhere");
    let home = bench.home.path();
    fs::create_dir(home.join("folder")).expect("a folder");
    refused(
        &["folder"],
        "folder is no run: it has neither manifest.json nor memory.ndjson",
    );
    fs::create_dir_all(home.join(".rbleak")).expect("a folder");
    refused(&[], ".rbleak has no run");
    fs::create_dir_all(home.join("several/web-1")).expect("a folder");
    fs::write(home.join("several/web-1/manifest.json"), "{}").expect("a file");
    refused(
        &["several"],
        "several has several runs: give one of them: several/web-1",
    );
    refused(&["several/web-1"], "it is no manifest of a run");

    let run = recorded(&bench);
    refused(
        &["run", "-o", "run/samples.csv", "--format", "json"],
        "--output run/samples.csv would overwrite the input",
    );
    fs::write(run.join("report.json"), "{\"schema\":\"rbleak/diff/v1\"}").expect("a file");
    refused(
        &["run"],
        "cannot use run/report.json: its schema is \"rbleak/diff/v1\"",
    );
    fs::write(run.join("report.json"), "{").expect("a file");
    refused(&["run"], "cannot use run/report.json");
    fs::remove_file(run.join("report.json")).expect("it was there");
    let header = "requests,live_slots,memsize_bytes,content_bytes,malloc_in_use_bytes,malloc_free_bytes,traced";
    fs::write(run.join("samples.csv"), format!("{header}\n0,NaN,1,,,,0\n")).expect("a file");
    refused(&["run"], "line 2 has figures that no hunt writes");
    fs::write(run.join("samples.csv"), "time,rss\n1,2\n").expect("a file");
    refused(
        &["run"],
        "cannot use run/samples.csv: it is no samples of a hunt",
    );
    fs::remove_file(run.join("samples.csv")).expect("it was there");
    refused(&["run"], "has neither report.json nor samples.csv");
    let text = fs::read_to_string(run.join("manifest.json")).expect("the manifest");
    fs::write(
        run.join("manifest.json"),
        text.replace("\"complete\"", "\"interrupted\""),
    )
    .expect("a manifest");
    refused(&["run"], "the run run was interrupted; hunt again");
}
