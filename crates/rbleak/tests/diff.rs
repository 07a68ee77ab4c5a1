//! `rbleak diff` on real dumps.

mod common;

use common::{Answer, Bench, fixture, needs};
use std::path::Path;
use std::process::Command;

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn dumps(version: &str, labels: &[&str]) -> Vec<String> {
    labels
        .iter()
        .map(|label| text(&fixture(&format!("{version}/{label}.ndjson.zst"))).to_owned())
        .collect()
}

fn diff(flags: &[&str], dumps: &[String]) -> Answer {
    let mut all = vec!["diff"];
    all.extend(flags);
    all.extend(dumps.iter().map(String::as_str));
    Bench::new().run(&all)
}

/// A plain copy of a fixture, for heapy.
fn plain(bench: &Bench, version: &str, label: &str) -> String {
    let path = bench.home.path().join(format!("{label}.json"));
    let packed = std::fs::File::open(fixture(&format!("{version}/{label}.ndjson.zst")));
    let mut out = std::fs::File::create(&path).expect("a file");
    zstd::stream::copy_decode(packed.expect("a fixture"), &mut out).expect("unpacked");
    text(&path).to_owned()
}

#[test]
fn heapy_s_format_and_identity_give_heapy_s_lines() {
    needs("heapy");
    for version in ["3.1", "3.3"] {
        for labels in [&["A", "B", "C"][..], &["A", "B"]] {
            let bench = Bench::new();
            let files: Vec<String> = labels.iter().map(|l| plain(&bench, version, l)).collect();
            let theirs = Command::new("heapy")
                .arg("diff")
                .args(&files)
                .output()
                .expect("heapy");
            let theirs = String::from_utf8_lossy(&theirs.stdout).into_owned();
            let mut all = vec!["diff", "--format", "heapy", "--identity", "address"];
            all.extend(files.iter().map(String::as_str));
            let ours = bench.run(&all);
            assert_eq!(ours.status, 1, "{}", ours.stderr);
            let sorted = |text: &str| {
                let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
                lines.sort();
                lines
            };
            assert!(!sorted(&theirs).is_empty(), "heapy says nothing");
            assert_eq!(
                sorted(&ours.stdout),
                sorted(&theirs),
                "{version} {labels:?}"
            );
        }
    }
}

#[test]
fn the_leaker_comes_first_on_every_ruby_and_in_every_grouping() {
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let files = dumps(version, &["A", "B", "C"]);
        let answer = diff(&["--app", "--format", "json"], &files);
        assert_eq!(answer.status, 1, "{version}: {}", answer.stderr);
        let row = &answer.json()["tables"]["rows"]["rows"][0];
        assert_eq!(
            (&row["file"], &row["line"]),
            (&"gen.rb".into(), &208.into()),
            "{version}"
        );
        let objects = row["objects"].as_u64().expect("a count");
        assert!(
            objects > 0 && objects.is_multiple_of(30),
            "{version}: {row}"
        );
        for by in ["class", "file", "gem", "method"] {
            let answer = diff(&["--by", by], &files);
            assert_eq!(answer.status, 1, "{version} {by}: {}", answer.stderr);
        }
    }
}

/// Without a sidecar the class of the instance is as far as a name goes; from
/// 3.2 on shapes name its variable, too.
#[test]
fn holders_are_named_first_on_every_ruby() {
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let answer = diff(
            &["--holders", "--format", "json"],
            &dumps(version, &["A", "B", "C"]),
        );
        assert_eq!(answer.status, 1, "{version}: {}", answer.stderr);
        let found = &answer.json()["findings"][0];
        let holder = found["holder"].as_str().expect("a name").to_owned();
        assert!(holder.starts_with("Leaker"), "{version}: {holder}");
        assert_eq!(found["sites"][0]["line"], 208, "{version}");
    }
}

#[test]
fn what_people_read() {
    let files = dumps("3.1", &["A", "B", "C"]);
    let answer = diff(&["--app", "--limit", "4"], &files);
    let fixtures = files[0].trim_end_matches("3.1/A.ndjson.zst");
    insta::assert_snapshot!(answer.stdout.replace(fixtures, ""));
}

#[test]
fn four_dumps_show_when_each_was_born() {
    // `full` was taken right after C, of the same process.
    let answer = diff(
        &["--app", "--format", "json"],
        &dumps("3.1", &["A", "B", "C", "full"]),
    );
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    let row = &answer.json()["tables"]["rows"]["rows"][0];
    assert_eq!(
        row["born_objects_by_dump"],
        serde_json::json!([0, 90, 90, 0]),
        "{row}"
    );
}

#[test]
fn untraced_dumps_say_that_the_identity_is_the_weaker_one() {
    let answer = diff(&[], &dumps("3.1", &["notrace", "A"]));
    assert!(
        answer.stdout.contains("weaker"),
        "{}\n{}",
        answer.stdout,
        answer.stderr
    );
}

#[test]
fn compaction_is_detected_and_growth_told_by_kind() {
    let answer = diff(&[], &dumps("3.4", &["A", "C", "compact"]));
    assert!(answer.stderr.contains("moved"), "{}", answer.stderr);
    assert!(
        answer.stdout.contains("growth by kind"),
        "{}",
        answer.stdout
    );
    // 3.4 keeps the sites of objects that moved.
    assert!(answer.stdout.contains("gen.rb:208"), "{}", answer.stdout);
}

#[test]
fn other_processes_and_other_orders_are_refused() {
    let mixed = [dumps("3.1", &["A"]), dumps("3.3", &["B"])].concat();
    diff(&[], &mixed).assert_refused("different processes");
    diff(&[], &dumps("3.1", &["C", "B", "A"])).assert_refused("order");
    diff(&[], &dumps("3.1", &["A", "A"])).assert_refused("same");
}

#[test]
fn no_growth_is_said() {
    let answer = diff(
        &["--only", "NoSuchClassAnywhere"],
        &dumps("3.1", &["A", "B", "C"]),
    );
    assert_eq!(answer.status, 0, "{}", answer.stderr);
    assert!(answer.stdout.contains("no growth"), "{}", answer.stdout);
}

#[test]
fn broken_dumps_are_repaired_and_named_and_strict_refuses_them() {
    for version in ["2.1", "2.7", "3.1", "3.2", "3.3", "3.4", "4.0"] {
        let files = dumps(version, &["broken", "cut"]);
        let answer = diff(&[], &files);
        assert!(
            !answer.stderr.contains("panicked"),
            "{version}: {}",
            answer.stderr
        );
        assert!(
            answer.stderr.contains("were repaired, the first is line"),
            "{version}: {}",
            answer.stderr
        );
        let strict = diff(&["--strict"], &files);
        assert_eq!(strict.status, 2, "{version}");
        assert!(
            strict.stderr.contains("--strict"),
            "{version}: {}",
            strict.stderr
        );
    }
}

#[test]
fn a_dump_that_is_cut_says_where() {
    let answer = diff(&[], &dumps("3.3", &["A", "cut"]));
    assert!(
        answer.stderr.contains("ends in the middle of line"),
        "{}",
        answer.stderr
    );
}

#[test]
fn plain_gzip_zstd_and_stdin_say_the_same() {
    let bench = Bench::new();
    let (a, b) = (plain(&bench, "3.1", "A"), plain(&bench, "3.1", "B"));
    let gz = Command::new("gzip")
        .args(["-k", &b])
        .status()
        .expect("gzip");
    assert!(gz.success());
    let rows = |answer: &Answer| answer.json()["tables"].to_string();
    let expected = rows(&bench.run(&["diff", "--format", "json", &a, &b]));
    let packed = dumps("3.1", &["A", "B"]);
    assert_eq!(
        rows(&bench.run(&["diff", "--format", "json", &packed[0], &packed[1]])),
        expected
    );
    let gz = format!("{b}.gz");
    assert_eq!(
        rows(&bench.run(&["diff", "--format", "json", &a, &gz])),
        expected
    );
    let piped = bench
        .command(&["diff", "--format", "json", &a, "-"])
        .stdin(std::fs::File::open(&gz).expect("a file"))
        .output()
        .expect("rbleak starts");
    assert_eq!(rows(&common::answer(&piped)), expected);
    // A path may be a pipe, too.
    let script = format!(
        "'{}' diff --format json '{a}' <(cat '{b}')",
        env!("CARGO_BIN_EXE_rbleak")
    );
    let piped = Command::new("bash")
        .args(["-c", &script])
        .output()
        .expect("bash");
    assert_eq!(rows(&common::answer(&piped)), expected);
}

#[test]
fn output_diff_holds_the_retained_lines_and_nothing_else() {
    let bench = Bench::new();
    let files = dumps("3.1", &["A", "B", "C"]);
    let answer = bench.run(&[
        "diff",
        "--format",
        "json",
        "--output-diff",
        "kept.json",
        &files[0],
        &files[1],
        &files[2],
    ]);
    let kept = std::fs::read_to_string(bench.home.path().join("kept.json")).expect("a file");
    let lines: Vec<serde_json::Value> = kept
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let objects = answer.json()["facts"]["retained"]["objects"]
        .as_u64()
        .expect("a count");
    assert_eq!(lines.len() as u64, objects);
    assert!(lines.iter().any(|line| line["method"] == "leak"));
}

/// Three dumps of one process: before the cache has anything, when it is full,
/// and when all of it has been replaced. The garbage of earlier requests has
/// been collected in between, as on any busy server, so that slots are handed
/// out again.
const REPLACED: &str = r#"
require "objspace"
require "rack"
app, = Rack::Builder.parse_file(File.join(ARGV[0], "config.ru"))
request = Rack::MockRequest.new(app)
ObjectSpace.trace_object_allocations_start
dump = lambda do |label|
  4.times { GC.start }
  File.open(label, "w") { |io| ObjectSpace.dump_all(output: io) }
end
request.get("/")
CACHE.clear
dump.call("A")
%w[B C].each do |label|
  CACHE.clear
  GC.start
  LIMIT.times { request.get("/") }
  dump.call(label)
end
"#;

#[test]
fn a_cache_that_is_wholly_replaced_is_not_retained() {
    needs("ruby");
    let bench = Bench::new();
    let made = Command::new("ruby")
        .args(["-e", REPLACED, text(&common::app("bounded_replaced"))])
        .current_dir(bench.home.path())
        .env("LIMIT", "20000")
        .output()
        .expect("ruby");
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
    let json = |flags: &[&str]| {
        let mut all = vec!["diff", "--format", "json"];
        all.extend(flags);
        all.extend(["A", "B", "C"]);
        bench.run(&all).json()
    };
    let by_address = json(&["--identity", "address"]);
    let address_bytes = by_address["facts"]["retained"]["bytes"]
        .as_u64()
        .expect("bytes");
    assert!(address_bytes > 1_000_000, "{by_address:#}");
    let strict = json(&[]);
    // What is left is the script's own: the files that it wrote, inline caches.
    let bytes = strict["facts"]["retained"]["bytes"]
        .as_u64()
        .expect("bytes");
    assert!(bytes * 100 < address_bytes, "{bytes} of {address_bytes}");
    let slots = strict["facts"]["reused"]["slots"]
        .as_u64()
        .expect("a count");
    assert!(slots > 10_000, "{strict:#}");
    let text = bench.run(&["diff", "A", "B", "C"]).stdout;
    assert!(
        text.contains("slots hold another object than before"),
        "{text}"
    );
}
