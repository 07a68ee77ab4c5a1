//! `rbleak verify`: leaks that are mended, half mended, not mended, on real
//! apps; and what is said of runs that cannot be compared.

mod common;

use common::{Answer, Bench, app, leaky, needs};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An app that is copied, hunted, changed and hunted again.
struct Patient {
    bench: Bench,
    folder: PathBuf,
    flags: &'static [&'static str],
    runs: Vec<String>,
}

impl Patient {
    fn new(original: &Path, flags: &'static [&'static str]) -> Patient {
        needs("ruby");
        let bench = Bench::new();
        let folder = bench.home.path().join("app");
        copy(original, &folder);
        Patient {
            bench,
            folder,
            flags,
            runs: Vec::new(),
        }
    }

    fn change(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = fs::read_to_string(&path).expect("a source");
        assert!(text.contains(from), "no `{from}` in {file}");
        fs::write(path, text.replace(from, to)).expect("a source");
    }

    /// Hunts; the folder of the run.
    fn hunt(&mut self, status: i32) -> String {
        let mut all = vec!["hunt", "-q", "-C", "app"];
        all.extend(self.flags);
        let answer = self.bench.run(&all);
        assert_eq!(
            answer.status, status,
            "{}\n{}",
            answer.stdout, answer.stderr
        );
        let new = fs::read_dir(self.bench.home.path().join(".rbleak"))
            .expect("runs")
            .map(|entry| format!(".rbleak/{}", entry.expect("an entry").file_name().display()))
            .find(|run| !self.runs.contains(run))
            .expect("a new run");
        self.runs.push(new.clone());
        new
    }

    fn verify(&self, before: &str, after: &str) -> Answer {
        self.bench
            .run(&["verify", "--format", "json", before, after])
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        match entry.file_type().expect("a type").is_dir() {
            true => copy(&entry.path(), &to),
            false => {
                fs::copy(entry.path(), to).expect("a copy");
            }
        }
    }
}

fn figure<'a>(json: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let rows = json["tables"]["figures"]["rows"].as_array().expect("rows");
    rows.iter()
        .find(|row| row["figure"] == name)
        .unwrap_or_else(|| panic!("no {name} in {json:#}"))
}

fn assert_fixed(answer: &Answer, holder: &str) {
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(json["verdict"]["answer"], "fixed", "{json:#}");
    let objects = &json["facts"]["plateau"]["objects_per_request"];
    let (at_most, margin) = (objects["at_most"].as_f64(), objects["margin"].as_f64());
    assert!(
        at_most.expect("a bound") < margin.expect("a margin"),
        "{json:#}"
    );
    let row = &json["tables"]["holders"]["rows"][0];
    assert_eq!(row["holder"], holder, "{json:#}");
    assert_eq!(row["went"], "gone", "{json:#}");
    let difference = &figure(&json, "objects_per_request")["difference"];
    assert!(
        difference["high"].as_f64().expect("a rate") < 0.0,
        "{json:#}"
    );
}

/// `rate` objects per request are left.
fn assert_leaks_on(answer: &Answer, holder: &str, rate: f64, went: &str) {
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(json["verdict"]["answer"], "still_leaks", "{json:#}");
    let left = figure(&json, "objects_per_request")["after"]["estimate"].as_f64();
    let left = left.expect("a rate");
    assert!((left - rate).abs() <= 0.05 * rate, "{left} for {rate}");
    let row = &json["tables"]["holders"]["rows"][0];
    assert_eq!(row["holder"], holder, "{json:#}");
    assert_eq!(row["went"], went, "{json:#}");
    assert_eq!(json["facts"]["plateau"], serde_json::Value::Null);
}

#[test]
fn the_demo_s_leak_mended_half_mended_and_not() {
    let mut patient = Patient::new(&leaky(), &["--path", "/leak"]);
    let leaks = patient.hunt(1);
    let on = patient.hunt(1);
    assert_leaks_on(&patient.verify(&leaks, &on), "Leaky::STORE", 2.0, "same");
    let line = "STORE << Session.new(token)";
    let half = "STORE << Session.new(token) if (@turn = (@turn || 0) + 1).odd?";
    patient.change("app.rb", line, half);
    let half_mended = patient.hunt(1);
    let answer = patient.verify(&leaks, &half_mended);
    assert_leaks_on(&answer, "Leaky::STORE", 1.0, "smaller");
    patient.change("app.rb", half, "Session.new(token)");
    let mended = patient.hunt(0);
    assert_fixed(&patient.verify(&leaks, &mended), "Leaky::STORE");
    assert_fixed(&patient.verify(&half_mended, &mended), "Leaky::STORE");
}

#[test]
fn a_rails_app_s_leak_mended_half_mended_and_not() {
    let mut patient = Patient::new(&app("rails61"), &["--path", "/reports", "--requests", "50"]);
    let service = "app/services/report_service.rb";
    let leaks = patient.hunt(1);
    let on = patient.hunt(1);
    assert_leaks_on(
        &patient.verify(&leaks, &on),
        "ReportService::SEEN",
        2.0,
        "same",
    );
    let half = "SEEN << entry if (@@turn = (defined?(@@turn) ? @@turn : 0) + 1).odd?";
    patient.change(service, "SEEN << entry", half);
    let half_mended = patient.hunt(1);
    let answer = patient.verify(&leaks, &half_mended);
    assert_leaks_on(&answer, "ReportService::SEEN", 1.0, "smaller");
    patient.change(service, half, "");
    let mended = patient.hunt(0);
    assert_fixed(&patient.verify(&leaks, &mended), "ReportService::SEEN");
}

#[test]
fn a_leak_that_is_moved_is_a_new_one() {
    let mut patient = Patient::new(&leaky(), &["--path", "/leak"]);
    let leaks = patient.hunt(1);
    patient.change("app.rb", "STORE << Session.new(token)", "CREATED << token");
    let elsewhere = patient.hunt(1);
    let answer = patient.verify(&leaks, &elsewhere);
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(json["verdict"]["answer"], "new_leak", "{json:#}");
    let rows = &json["tables"]["holders"]["rows"];
    assert_eq!(
        (&rows[0]["holder"], &rows[0]["went"]),
        (&"Leaky::STORE".into(), &"gone".into())
    );
    assert_eq!(
        (&rows[1]["holder"], &rows[1]["went"]),
        (&"Leaky::CREATED".into(), &"new".into())
    );
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["-c", "user.name=t", "-c", "user.email=t@example.com"])
        .args(arguments)
        .output()
        .expect("git starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn another_revision_is_hunted_in_a_worktree_that_goes_again() {
    needs("git");
    let patient = Patient::new(&leaky(), &["--path", "/leak"]);
    let home = patient.bench.home.path();
    fs::write(
        patient.folder.join("config.ru"),
        "require_relative 'secret'\nrequire_relative 'app'\nrun Leaky\n",
    )
    .expect("config.ru");
    fs::write(patient.folder.join("secret.rb"), "SECRET = 1\n").expect("a secret");
    fs::write(home.join(".gitignore"), "secret.rb\n.rbleak\n").expect("ignores");
    git(home, &["init", "-q"]);
    git(home, &["add", "-A"]);
    git(home, &["commit", "-q", "-m", "leaks"]);
    patient.change(
        "app.rb",
        "STORE << Session.new(token)",
        "Session.new(token)",
    );
    let flags = [
        "verify",
        "--format",
        "json",
        "-q",
        "--baseline",
        "HEAD",
        "-C",
        "app",
        "--path",
        "/leak",
    ];
    let lacking = patient.bench.run(&flags);
    lacking.assert_refused("the hunt of ");
    let mut with = flags.to_vec();
    with.extend(["--carry", "app/secret.rb"]);
    let answer = patient.bench.run(&with);
    assert_fixed(&answer, "Leaky::STORE");
    let json = answer.json();
    let per_round = |run: &str| json["facts"][run]["load"]["requests_per_round"].clone();
    assert_eq!(per_round("before"), per_round("after"));
    assert_eq!(git(home, &["worktree", "list"]).lines().count(), 1);
    // The runs compare later, too.
    let runs = ["before", "after"].map(|run| {
        json["facts"][run]["run"]
            .as_str()
            .expect("a run")
            .to_owned()
    });
    assert_fixed(&patient.verify(&runs[0], &runs[1]), "Leaky::STORE");
    patient
        .bench
        .run(&["verify", "--baseline", "nowhere", "-C", "app"])
        .assert_refused("has no such revision");
    Bench::new()
        .run(&[
            "verify",
            "--baseline",
            "HEAD",
            "-C",
            leaky().to_str().expect("UTF-8"),
            "--carry",
            "/etc/hostname",
        ])
        .assert_refused("--carry takes files of the repository's own folder");
}

#[test]
fn an_app_in_no_repository_has_no_baseline() {
    let bench = Bench::new();
    fs::write(bench.home.path().join("config.ru"), "run 1").expect("config.ru");
    bench
        .run(&["verify", "--baseline", "HEAD"])
        .assert_refused("--baseline wants the app in a git repository");
}

/// A run as a hunt leaves it, of a made-up app that keeps `objects` objects of
/// 40 B with each request.
struct Made<'a> {
    objects: f64,
    rounds: u64,
    holder: &'a str,
    cause: &'a str,
    path: &'a str,
    ruby: &'a str,
}

const LEAKS: Made<'static> = Made {
    objects: 2.0,
    rounds: 10,
    holder: "Store::ALL",
    cause: "ruby_objects",
    path: "/users",
    ruby: "3.1.7",
};
const CLEAN: Made<'static> = Made {
    objects: 0.0,
    holder: "",
    cause: "nothing",
    ..LEAKS
};

impl Made<'_> {
    fn write(&self, bench: &Bench, name: &str) {
        let folder = bench.home.path().join(name);
        fs::create_dir(&folder).expect("a folder");
        let manifest = serde_json::json!({
            "schema": "rbleak/run/v1",
            "rbleak_version": "0.1.0",
            "started": format!("2026-11-23T16:41:{:02}Z", name.len()),
            "status": "complete",
            "app": {
                "target": "config.ru", "mode": "in process", "directory": "/srv/app",
                "agent_directory": "/tmp/agent", "frameworks": [], "ruby": self.ruby,
            },
            "load": {
                "paths": [self.path], "warmup": 100, "requests_per_round": 100,
                "rounds": self.rounds, "seconds": 1.0, "boot_seconds": 0.1,
            },
            "dumps": [],
        });
        fs::write(folder.join("manifest.json"), manifest.to_string()).expect("a manifest");
        let mut samples = String::from(
            "requests,live_slots,memsize_bytes,content_bytes,malloc_in_use_bytes,malloc_free_bytes,traced\n",
        );
        for round in 0..=self.rounds {
            let (requests, kept) = (round * 100, self.objects * (round * 100) as f64);
            let (slots, bytes) = (1e5 + kept, 5e6 + 40.0 * kept);
            samples.push_str(&format!("{requests},{slots:.0},{bytes:.0},,9000000,,0\n"));
        }
        fs::write(folder.join("samples.csv"), samples).expect("samples");
        let findings = match self.holder {
            "" => serde_json::json!([]),
            holder => serde_json::json!([{
                "holder": holder,
                "objects_per_request": self.objects,
                "bytes_per_request": 40.0 * self.objects,
            }]),
        };
        let report = serde_json::json!({
            "schema": "rbleak/hunt/v1",
            "verdict": { "verdict": "?", "cause": self.cause },
            "findings": findings,
        });
        fs::write(folder.join("report.json"), report.to_string()).expect("a report");
    }
}

/// Verifies two made-up runs.
fn made(before: &Made<'_>, after: &Made<'_>, flags: &[&str]) -> Answer {
    let bench = Bench::new();
    before.write(&bench, "a");
    after.write(&bench, "b2");
    let mut all = vec!["verify", "a", "b2"];
    all.extend(flags);
    bench.run(&all)
}

#[test]
fn what_people_read() {
    let fixed = made(&LEAKS, &CLEAN, &[]);
    assert_eq!(fixed.status, 0, "{}", fixed.stderr);
    insta::assert_snapshot!("fixed", fixed.stdout);
    let half = Made {
        objects: 1.0,
        ..LEAKS
    };
    let half = made(&LEAKS, &half, &[]);
    assert_eq!(half.status, 1, "{}", half.stderr);
    insta::assert_snapshot!("half_mended", half.stdout);
    let other = Made {
        path: "/posts",
        ruby: "3.3.0",
        ..CLEAN
    };
    let other = made(&LEAKS, &other, &[]);
    assert_eq!(other.status, 3, "{}", other.stderr);
    insta::assert_snapshot!("other_plans", other.stdout);
}

#[test]
fn what_services_of_ci_read() {
    for format in ["markdown", "github", "junit"] {
        let half = Made {
            objects: 1.0,
            holder: "Proc at app.rb:9",
            ..LEAKS
        };
        let answer = made(&LEAKS, &half, &["--format", format]);
        assert_eq!(answer.status, 1, "{}", answer.stderr);
        insta::assert_snapshot!(format, answer.stdout);
    }
}

#[test]
fn junit_comes_beside_the_answer() {
    let bench = Bench::new();
    LEAKS.write(&bench, "a");
    CLEAN.write(&bench, "b2");
    let answer = bench.run(&["verify", "a", "b2", "--junit", "junit.xml"]);
    assert!(answer.stdout.contains("FIXED"), "{}", answer.stdout);
    let xml = fs::read_to_string(bench.home.path().join("junit.xml")).expect("a file");
    assert!(
        xml.contains("tests=\"2\" failures=\"0\" errors=\"0\""),
        "{xml}"
    );
}

/// The answer to runs that cannot show anything is neither yes nor no.
#[test]
fn what_cannot_be_told_is_inconclusive() {
    let cases = [
        (&CLEAN, &CLEAN, "nothing leaked before"),
        (&LEAKS, &Made { rounds: 7, ..CLEAN }, "too few or too noisy"),
        (
            &LEAKS,
            &Made {
                cause: "undecided",
                ..CLEAN
            },
            "too few or too noisy",
        ),
        (
            &Made {
                cause: "undecided",
                ..CLEAN
            },
            &CLEAN,
            "could not be told whether it leaked before",
        ),
        (
            &LEAKS,
            &Made {
                path: "/posts",
                ..CLEAN
            },
            "other paths: /users before, /posts after",
        ),
        (
            &LEAKS,
            &Made {
                ruby: "3.3.0",
                ..CLEAN
            },
            "other Ruby: 3.1.7 before, 3.3.0 after",
        ),
        // Most of it is left, if below the margin.
        (
            &Made {
                objects: 0.06,
                ..LEAKS
            },
            &Made {
                objects: 0.04,
                ..CLEAN
            },
            "too few or too noisy",
        ),
    ];
    for (before, after, words) in cases {
        let answer = made(before, after, &[]);
        assert_eq!(
            answer.status, 3,
            "{words}: {}\n{}",
            answer.stdout, answer.stderr
        );
        assert!(answer.stdout.contains(words), "{words}: {}", answer.stdout);
    }
    let other = Made {
        ruby: "3.3.0",
        ..CLEAN
    };
    assert_eq!(made(&LEAKS, &other, &["--anyway"]).status, 0);
    assert_eq!(made(&CLEAN, &LEAKS, &[]).status, 1);
}

#[test]
fn a_block_whose_line_moved_is_the_same() {
    let at = |line| Made {
        holder: line,
        ..LEAKS
    };
    let (there, here) = (at("Proc at app.rb:57"), at("Proc at app.rb:59"));
    let json = made(&there, &here, &["--format", "json"]).json();
    let row = &json["tables"]["holders"]["rows"][0];
    assert_eq!(row["went"], "same", "{json:#}");
}

#[test]
fn what_is_no_run_is_refused() {
    let bench = Bench::new();
    LEAKS.write(&bench, "a");
    CLEAN.write(&bench, "b2");
    let home = bench.home.path();
    let run = |before: &str, after: &str| bench.run(&["verify", before, after]);
    run("a", "none").assert_refused("none is a directory without a manifest.json");
    fs::create_dir(home.join("empty")).expect("a folder");
    run("empty", "b2").assert_refused("empty is a directory without a manifest.json");
    let damaged = |name: &str, file: &str, from: &str, to: &str| {
        LEAKS.write(&bench, name);
        let path = home.join(name).join(file);
        let text = fs::read_to_string(&path).expect("a file");
        assert!(text.contains(from), "no {from} in {file}");
        fs::write(path, text.replace(from, to)).expect("a file");
        run(name, "b2")
    };
    damaged("failed", "manifest.json", "complete", "failed")
        .assert_refused("the run failed failed");
    damaged("samples", "samples.csv", ",9000000,", ",x,")
        .assert_refused("these are no samples of a hunt");
    damaged("endless", "samples.csv", ",9000000,", ",inf,")
        .assert_refused("figures that no hunt writes");
    damaged("report", "report.json", "{", "[").assert_refused("cannot use report/report.json");
    damaged("schema", "report.json", "hunt/v1", "diff/v1")
        .assert_refused("its schema is \"rbleak/diff/v1\"");
    damaged("cause", "report.json", "ruby_objects", "magic")
        .assert_refused("it has no verdict of a hunt");
    fs::remove_file(home.join("cause/samples.csv")).expect("removed");
    run("cause", "b2").assert_refused("cannot read cause/samples.csv");
    let both = bench.run(&["verify", "a", "b2", "--path", "/x"]);
    assert_eq!(both.status, 2, "{}", both.stdout);
    assert!(
        both.stderr.contains("cannot be used with"),
        "{}",
        both.stderr
    );
    assert_eq!(bench.run(&["verify", "a"]).status, 2);
    assert_eq!(bench.run(&["verify"]).status, 2);
}

#[test]
fn a_budget_fails_only_what_leaks_more() {
    needs("ruby");
    let bench = Bench::new();
    let app = leaky();
    let hunt = |budget: &str, format: &str| {
        let app = app.to_str().expect("UTF-8");
        bench.run(&[
            "hunt",
            "-q",
            "-C",
            app,
            "--path",
            "/leak",
            "--max-leak",
            budget,
            "--format",
            format,
        ])
    };
    let kept = hunt("3obj/req,1kB/req", "text");
    assert_eq!(kept.status, 0, "{}\n{}", kept.stdout, kept.stderr);
    assert!(
        kept.stdout.contains("IN BUDGET     +2.00 Ruby objects"),
        "{}",
        kept.stdout
    );
    let above = hunt("1.5obj/req", "junit");
    assert_eq!(above.status, 1, "{}\n{}", above.stdout, above.stderr);
    assert!(
        above
            .stdout
            .contains("<failure message=\"LEAK: +2.00 Ruby objects"),
        "{}",
        above.stdout
    );
    let above = hunt("0.01obj/req,16B/req", "github");
    assert_eq!(above.status, 1, "{}\n{}", above.stdout, above.stderr);
    let line = "::error file=examples/leaky/app.rb,line=45,title=leak%3A Leaky%3A%3ASTORE::";
    assert!(above.stdout.starts_with(line), "{}", above.stdout);
    let wrong = bench.run(&["hunt", "--max-leak", "much"]);
    assert_eq!(wrong.status, 2);
    assert!(
        wrong
            .stderr
            .contains("'much' is no budget: write 0.01obj/req"),
        "{}",
        wrong.stderr
    );
}

/// The recipe of docs/ci.md.
#[test]
fn bisect_finds_the_commit_that_leaks() {
    needs("git");
    let recipe = fs::read_to_string(common::repository().join("docs/ci.md")).expect("docs/ci.md");
    let start = recipe
        .find("rbleak hunt -q --keep-dumps no")
        .expect("the recipe");
    let script = recipe[start..].split_once('\'').expect("its end").0;
    let script = script
        .replace("rbleak", env!("CARGO_BIN_EXE_rbleak"))
        .replace("--path /users", "-C app --path /leak --run-dir ../runs");
    let patient = Patient::new(&leaky(), &[]);
    let home = patient.bench.home.path().join("repository");
    fs::create_dir(&home).expect("a folder");
    fs::rename(&patient.folder, home.join("app")).expect("a move");
    git(&home, &["init", "-q"]);
    let source = home.join("app/app.rb");
    let leaks = fs::read_to_string(&source).expect("a source");
    let clean = leaks.replace("STORE << Session.new(token)", "Session.new(token)");
    for step in 0..4 {
        let text = if step < 2 { &clean } else { &leaks };
        fs::write(&source, format!("{text}# {step}\n")).expect("a source");
        git(&home, &["add", "-A"]);
        git(&home, &["commit", "-q", "-m", &format!("step {step}")]);
    }
    git(&home, &["bisect", "start", "HEAD", "HEAD~3"]);
    let said = git(&home, &["bisect", "run", "sh", "-c", &script]);
    assert!(said.contains("is the first bad commit"), "{said}");
    assert!(said.contains("step 2"), "{said}");
}
