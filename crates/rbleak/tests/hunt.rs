//! `rbleak hunt` on real apps: each way to leak, told apart and named.

mod common;

use common::{Answer, Bench, app, leaky, needs};

fn hunt(bench: &Bench, arguments: &[&str]) -> Answer {
    needs("ruby");
    let mut all = vec!["hunt", "--format", "json"];
    all.extend(arguments);
    bench.run(&all)
}

fn hunt_leaky(path: &str) -> Answer {
    let app = leaky();
    hunt(
        &Bench::new(),
        &["-C", app.to_str().expect("UTF-8"), "--path", path],
    )
}

/// A leak of `objects` per request, held by `holder`, born at a line of
/// app.rb that contains `code`.
fn assert_leak(answer: &Answer, holder: &str, objects: f64, code: &str) {
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    let found = &json["findings"][0];
    assert_eq!(json["verdict"]["cause"], "ruby_objects", "{json:#}");
    let rate = json["verdict"]["objects_per_request"]["estimate"].as_f64();
    let rate = rate.expect("a rate");
    assert!(
        (rate - objects).abs() < 0.02 * objects,
        "{rate} for {objects}"
    );
    assert_eq!(found["holder"], holder, "{json:#}");
    let site = &found["sites"][0];
    assert_eq!(site["file"], "app.rb", "{json:#}");
    let source = std::fs::read_to_string(leaky().join("app.rb")).expect("the example");
    let line = site["line"].as_u64().expect("a line") as usize;
    let text = source.lines().nth(line - 1).expect("such a line");
    assert!(text.contains(code), "line {line}: {text}");
}

#[test]
fn a_constant_is_named() {
    let answer = hunt_leaky("/leak");
    assert_leak(&answer, "Leaky::STORE", 2.0, "'x' * 80");
    let path = answer.json()["findings"][0]["path"].to_string();
    assert!(path.contains("Leaky::Session → @token → String"), "{path}");
}

#[test]
fn a_closure_is_named_by_its_line() {
    let source = std::fs::read_to_string(leaky().join("app.rb")).expect("the example");
    let line = source
        .lines()
        .position(|l| l.contains("get '/closure'"))
        .expect("the route")
        + 1;
    let answer = hunt_leaky("/closure");
    assert_leak(&answer, &format!("Proc at app.rb:{line}"), 3.0, "");
}

#[test]
fn a_class_level_ivar_is_named() {
    assert_leak(&hunt_leaky("/ivar"), "Leaky@cache", 1.0, "@cache <<");
}

#[test]
fn a_global_is_named() {
    assert_leak(&hunt_leaky("/global"), "$seen", 1.0, "$seen <<");
}

#[test]
fn a_private_constant_is_named() {
    assert_leak(&hunt_leaky("/private"), "Leaky::HIDDEN", 1.0, "HIDDEN <<");
}

#[test]
fn a_status_of_201_is_a_success() {
    assert_leak(&hunt_leaky("/created"), "Leaky::CREATED", 1.0, "CREATED <<");
}

#[test]
fn native_memory_is_told_from_objects() {
    let answer = hunt_leaky("/native");
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(json["verdict"]["cause"], "native", "{json:#}");
    let bytes = json["verdict"]["malloc_in_use_bytes_per_request"]["estimate"].as_f64();
    let bytes = bytes.expect("a rate");
    assert!((540.0..720.0).contains(&bytes), "{bytes}");
    assert!(json["findings"].as_array().expect("a list").is_empty());
}

#[test]
fn a_string_that_is_appended_to_is_named() {
    let answer = hunt_leaky("/buffer");
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    assert_eq!(json["verdict"]["cause"], "ruby_bytes", "{json:#}");
    assert_eq!(json["findings"][0]["holder"], "Leaky::BUFFER", "{json:#}");
    let bytes = json["findings"][0]["bytes_per_request"]
        .as_f64()
        .expect("a rate");
    assert!((bytes - 600.0).abs() < 6.0, "{bytes}");
}

#[test]
fn a_clean_route_is_clean() {
    let answer = hunt_leaky("/clean");
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    assert_eq!(answer.json()["verdict"]["cause"], "nothing");
}

#[test]
fn a_bounded_cache_is_listed_as_levelled_off() {
    let answer = hunt_leaky("/bounded");
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    let levelled = answer.json()["facts"]["levelled_off"].to_string();
    assert!(levelled.contains("Leaky::CACHE"), "{levelled}");
}

fn hunt_puma(path: &str) -> Answer {
    needs("puma");
    let app = leaky();
    hunt(
        &Bench::new(),
        &[
            "-C",
            app.to_str().expect("UTF-8"),
            "--path",
            path,
            "--concurrency",
            "5",
            "--",
            "puma",
            "-t",
            "5:5",
            "-b",
            "tcp://127.0.0.1:{port}",
        ],
    )
}

#[test]
fn puma_leaking() {
    assert_leak(&hunt_puma("/leak"), "Leaky::STORE", 2.0, "'x' * 80");
}

#[test]
fn puma_clean() {
    let answer = hunt_puma("/clean");
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
}

#[test]
fn puma_bounded() {
    let answer = hunt_puma("/bounded");
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    let levelled = answer.json()["facts"]["levelled_off"].to_string();
    assert!(levelled.contains("Leaky::CACHE"), "{levelled}");
}

fn hunt_code(path: &str) -> Answer {
    let app = leaky();
    let each = format!("Leaky.call('PATH_INFO' => '{path}')");
    hunt(
        &Bench::new(),
        &[
            "-C",
            app.to_str().expect("UTF-8"),
            "--boot",
            app.join("app.rb").to_str().expect("UTF-8"),
            "--each",
            &each,
        ],
    )
}

#[test]
fn code_leaking() {
    assert_leak(&hunt_code("/leak"), "Leaky::STORE", 2.0, "'x' * 80");
}

#[test]
fn code_clean() {
    let answer = hunt_code("/clean");
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
}

#[test]
fn code_bounded() {
    let answer = hunt_code("/bounded");
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
    let levelled = answer.json()["facts"]["levelled_off"].to_string();
    assert!(levelled.contains("Leaky::CACHE"), "{levelled}");
}

/// The service's constant, the service's own line before any gem's, and no
/// database made on the way.
#[test]
fn a_rails_app_that_keeps_structs_in_a_service() {
    let app = app("rails61");
    let files = |directory: &std::path::Path| {
        let mut all: Vec<_> = std::fs::read_dir(directory)
            .expect("a folder")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        all.sort();
        all
    };
    let before = files(&app);
    let answer = hunt(
        &Bench::new(),
        &["-C", app.to_str().expect("UTF-8"), "--path", "/reports"],
    );
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let json = answer.json();
    let found = &json["findings"][0];
    assert_eq!(found["holder"], "ReportService::SEEN", "{json:#}");
    assert_eq!(
        found["sites"][0]["file"], "app/services/report_service.rb",
        "{json:#}"
    );
    assert!(
        found["path"].to_string().contains("ReportService::Entry"),
        "{json:#}"
    );
    assert_eq!(files(&app), before, "the hunt left files in the app");
}

#[test]
fn a_clean_rails_route_is_clean() {
    let app = app("rails61");
    let answer = hunt(
        &Bench::new(),
        &["-C", app.to_str().expect("UTF-8"), "--path", "/clean"],
    );
    assert_eq!(answer.status, 0, "{}\n{}", answer.stdout, answer.stderr);
}

#[test]
fn a_sinatra_app() {
    let app = app("sinatra");
    let answer = hunt(
        &Bench::new(),
        &["-C", app.to_str().expect("UTF-8"), "--path", "/visit"],
    );
    assert_eq!(answer.status, 1, "{}\n{}", answer.stdout, answer.stderr);
    let holder = answer.json()["findings"][0]["holder"].to_string();
    assert!(holder.contains("VISITORS"), "{holder}");
}

#[test]
fn a_run_keeps_what_it_measured_and_its_dumps_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let bench = Bench::new();
    let app = leaky();
    let answer = hunt(
        &bench,
        &["-C", app.to_str().expect("UTF-8"), "--path", "/leak"],
    );
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    let run = bench.only_run();
    assert_eq!(bench.manifest()["status"], "complete");
    for file in [
        "samples.csv",
        "report.json",
        "A.ndjson.zst",
        "B.ndjson.zst",
        "C.ndjson.zst",
    ] {
        let mode = std::fs::metadata(run.join(file))
            .expect(file)
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let mode = std::fs::metadata(&run)
        .expect("the folder")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o700);
    // The next command that the answer names works, and shows no rbleak.
    let dumps: Vec<String> = ["A", "B", "C"]
        .map(|label| {
            run.join(format!("{label}.ndjson.zst"))
                .display()
                .to_string()
        })
        .into();
    let diff = bench.run(&["diff", &dumps[0], &dumps[1], &dumps[2]]);
    assert_eq!(diff.status, 1, "{}", diff.stderr);
    assert!(diff.stdout.contains("app.rb:45"), "{}", diff.stdout);
    assert!(
        diff.stdout.contains("objects of rbleak's own agent"),
        "{}",
        diff.stdout
    );
    let agent = bench.manifest()["app"]["agent_directory"]
        .as_str()
        .expect("a path")
        .to_owned();
    assert!(!diff.stdout.contains(&agent), "{}", diff.stdout);
    // The report in the folder is the answer that was printed.
    assert_eq!(
        std::fs::read_to_string(run.join("report.json")).expect("a report"),
        answer.stdout
    );
}

#[test]
fn dumps_go_when_they_are_not_to_be_kept() {
    let bench = Bench::new();
    let app = leaky();
    let answer = hunt(
        &bench,
        &[
            "-C",
            app.to_str().expect("UTF-8"),
            "--path",
            "/leak",
            "--keep-dumps",
            "no",
        ],
    );
    assert_leak(&answer, "Leaky::STORE", 2.0, "'x' * 80");
    let left: Vec<_> = std::fs::read_dir(bench.only_run())
        .expect("the folder")
        .map(|e| {
            e.expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        })
        .filter(|name| name.ends_with(".zst"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn nothing_of_rbleak_itself_is_ever_found() {
    for answer in [hunt_leaky("/leak"), hunt_puma("/leak")] {
        let text = answer.json()["findings"].to_string().to_lowercase();
        assert!(!text.contains("rbleak"), "{text}");
    }
}
