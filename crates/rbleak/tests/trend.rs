//! `rbleak trend` end to end: formats, verdicts, exit codes, bad input.

mod common;

use common::{Answer, Bench, answer};
use std::io::Write;
use std::process::Stdio;

/// A line of so many kB a second, with a little that wobbles.
fn csv(samples: u64, per_second: f64) -> String {
    let mut text = String::from("time,rss_kb\n");
    for i in 0..samples {
        let wobble = (i * 7919 % 13) as f64 * 60.0;
        let rss = 200_000.0 + per_second * i as f64 + wobble;
        text.push_str(&format!("{i},{rss:.0}\n"));
    }
    text
}

fn bench(files: &[(&str, &str)]) -> Bench {
    let bench = Bench::new();
    for (name, text) in files {
        std::fs::write(bench.home.path().join(name), text).expect("a file");
    }
    bench
}

fn piped(bench: &Bench, arguments: &[&str], input: &str) -> Answer {
    let mut child = bench
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbleak starts");
    let mut stdin = child.stdin.take().expect("stdin");
    // It may have ended by then.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    answer(&child.wait_with_output().expect("it ends"))
}

#[test]
fn a_leak_is_told_with_its_rate_and_its_end() {
    let bench = bench(&[("m.csv", &csv(200, 100.0))]);
    let told = bench.run(&["trend", "m.csv", "--limit", "512MB", "--format", "json"]);
    assert_eq!(told.status, 1, "{}", told.stderr);
    let json = told.json();
    let verdict = &json["verdict"];
    assert_eq!(json["schema"], "rbleak/trend/v1");
    assert_eq!(verdict["verdict"], "leak");
    let rate = &verdict["rate"]["per_hour"];
    let truth = 100.0 * 1024.0 * 3600.0;
    assert!(rate["low"].as_f64() < Some(truth) && rate["high"].as_f64() > Some(truth));
    let seconds = verdict["time_to_limit"]["seconds"]["estimate"].as_f64();
    // From 220 MB to 512 MB at 0.1 MB a second.
    assert!(
        seconds.is_some_and(|s| (2800.0..3300.0).contains(&s)),
        "{seconds:?}"
    );
}

#[test]
fn a_plateau_comes_with_its_certificate() {
    let bench = bench(&[("m.csv", &csv(200, 0.0))]);
    let told = bench.run(&["trend", "m.csv"]);
    assert_eq!(told.status, 0, "{}", told.stderr);
    let first = told.stdout.lines().next().unwrap_or("");
    assert!(
        first.starts_with("  PLATEAU") && first.contains("is below"),
        "{first}"
    );
    assert!(told.stdout.contains("heuristic") && told.stdout.contains('█'));
}

#[test]
fn several_files_end_with_the_worst() {
    let bench = bench(&[("a.csv", &csv(200, 0.0)), ("b.csv", &csv(200, 100.0))]);
    let told = bench.run(&["trend", "a.csv", "b.csv", "--svg", "m.svg"]);
    assert_eq!(told.status, 1);
    assert!(told.stdout.starts_with("  LEAK"), "{}", told.stdout);
    assert!(told.stdout.contains("PLATEAU") && told.stdout.contains("b.csv of 2 series"));
    let svg = std::fs::read_to_string(bench.home.path().join("m.svg")).expect("an SVG");
    assert!(svg.starts_with("<svg") && svg.contains("b.csv"));
}

#[test]
fn derailed_s_numbers_come_every_five_seconds() {
    let numbers: String = (0..80)
        .map(|i| format!("{}\n", 100.0 + 0.5 * f64::from(i)))
        .collect();
    let told = piped(&bench(&[]), &["trend", "-", "--format", "json"], &numbers);
    assert_eq!(told.status, 1, "{}", told.stderr);
    assert_eq!(told.json()["verdict"]["seconds"], 395.0);
    let slower = piped(
        &bench(&[]),
        &["trend", "-", "--every", "60", "--format", "json"],
        &numbers,
    );
    assert_eq!(slower.json()["verdict"]["seconds"], 4740.0);
}

#[test]
fn too_few_samples_are_inconclusive() {
    for samples in [1, 11] {
        let told = bench(&[("m.csv", &csv(samples, 50.0))]).run(&["trend", "m.csv"]);
        assert_eq!(told.status, 3, "{}", told.stderr);
        assert!(
            told.stdout.starts_with("  NOT ENOUGH DATA"),
            "{}",
            told.stdout
        );
    }
}

#[test]
fn bad_input_is_one_sentence() {
    for (text, words) in [
        ("", "empty"),
        ("time,rss_kb\n", "empty"),
        ("time,rss_kb\n1,NaN\n", "NaN"),
        ("time,rss_kb\n5,1\n4,1\n", "goes back"),
        ("time,rss_kb\n1,5 MB\n", "another unit"),
        ("{\"x\":1}", "no recording"),
        ("time,cpu\n1,2\n", "no column of memory"),
        ("\u{0}\u{1}", "no recording"),
    ] {
        piped(&bench(&[]), &["trend", "-"], text).assert_refused(words);
    }
    let bench = bench(&[("m.csv", &csv(50, 1.0))]);
    bench.run(&["trend", "none.csv"]).assert_refused("none.csv");
    bench.run(&["trend", "."]).assert_refused("directory");
    bench
        .run(&["trend", "m.csv", "--every=0"])
        .assert_refused("positive");
    bench
        .run(&["trend", "m.csv", "--limit", "much"])
        .assert_refused("--limit much");
    bench
        .run(&["trend", "m.csv", "--svg", "./m.csv"])
        .assert_refused("overwrite");
    bench.run(&["trend", "-", "-"]).assert_refused("stdin");
}

/// A day at one sample a second, in our own format, stays in bounded memory.
#[test]
fn a_day_at_a_second_is_read_in_bounded_memory() {
    let bench = bench(&[]);
    let path = bench.home.path().join("day.ndjson");
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    writeln!(out, "{{\"schema\":\"rbleak/recording/v1\"}}").expect("a line");
    for i in 0..86_400u64 {
        let rss = 500_000_000 + i * 1000 + i * 7919 % 97 * 10_000;
        writeln!(
            out,
            "{{\"at_seconds\":{i},\"process\":\"w\",\"life\":1,\"rss_bytes\":{rss}}}"
        )
        .expect("a line");
    }
    out.flush().expect("a file");
    let script = format!(
        "ulimit -v 400000; exec '{}' trend day.ndjson --format json",
        env!("CARGO_BIN_EXE_rbleak")
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(bench.home.path())
        .output()
        .expect("bash");
    let told = answer(&output);
    assert_eq!(told.status, 1, "{}", told.stderr);
    assert_eq!(told.json()["verdict"]["samples"], 86_400);
}
