//! Bad input: one clear sentence, exit 2, nothing lost.

mod common;

use common::{Bench, answer, app, fixture, leaky, needs};
use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn hunt_app(name: &str, more: &[&str]) -> common::Answer {
    needs("ruby");
    let app = app(name);
    let mut all = vec!["hunt", "-C", text(&app)];
    all.extend(more);
    Bench::new().run(&all)
}

#[test]
fn no_config_ru() {
    let answer = hunt_app("no_config", &[]);
    answer.assert_refused("there is no ");
    answer.assert_refused("config.ru");
}

#[test]
fn a_syntax_error_in_it() {
    let answer = hunt_app("syntax_error", &[]);
    answer.assert_refused("SyntaxError");
    assert!(answer.stderr.contains("config.ru:3"), "{}", answer.stderr);
}

#[test]
fn an_app_that_raises_at_boot() {
    let answer = hunt_app("raises_at_boot", &[]);
    answer.assert_refused("KeyError");
    assert!(answer.stderr.contains("config.ru:5"), "{}", answer.stderr);
}

#[test]
fn an_app_that_exits_at_boot() {
    hunt_app("exits_at_boot", &[]).assert_refused("exit");
}

#[test]
fn a_route_that_answers_500() {
    let answer = hunt_app("fails", &[]);
    answer.assert_refused("answered 500");
    // The body's first lines.
    assert!(answer.stderr.lines().count() > 1, "{}", answer.stderr);
}

#[test]
fn a_route_that_is_not_there() {
    let app = leaky();
    let answer = Bench::new().run(&["hunt", "-C", text(&app), "--path", "/none"]);
    answer.assert_refused("answered 404");
    assert!(answer.stderr.contains("no such route"), "{}", answer.stderr);
}

#[test]
fn a_route_that_raises() {
    let app = leaky();
    let answer = Bench::new().run(&["hunt", "-C", text(&app), "--path", "/boom"]);
    answer.assert_refused("RuntimeError: boom");
}

#[test]
fn a_server_that_never_listens() {
    needs("ruby");
    let script = app("never_listens.rb");
    let answer = Bench::new().run(&["hunt", "--boot-timeout", "3", "--", "ruby", text(&script)]);
    answer.assert_refused("within 3 s");
}

#[test]
fn a_server_that_dies_under_load() {
    needs("puma");
    let folder = app("dies_under_load");
    let answer = Bench::new().run(&[
        "hunt",
        "-C",
        text(&folder),
        "--",
        "puma",
        "-b",
        "tcp://127.0.0.1:{port}",
    ]);
    answer.assert_refused("died");
}

#[test]
fn a_port_in_use() {
    needs("puma");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let app = leaky();
    let bind = format!("tcp://127.0.0.1:{port}");
    let answer = Bench::new().run(&[
        "hunt",
        "-C",
        text(&app),
        "--port",
        &port,
        "--",
        "puma",
        "-b",
        &bind,
    ]);
    answer.assert_refused("in use");
}

#[test]
fn a_command_that_does_not_exist() {
    let answer = Bench::new().run(&["hunt", "--", "no-such-command-anywhere"]);
    answer.assert_refused("no-such-command-anywhere");
}

#[test]
fn no_such_ruby() {
    let app = leaky();
    let answer = Bench::new().run(&["hunt", "-C", text(&app), "--ruby", "/no/ruby"]);
    answer.assert_refused("/no/ruby");
}

#[test]
fn code_that_raises() {
    needs("ruby");
    let answer = Bench::new().run(&["hunt", "--each", "raise 'no'"]);
    answer.assert_refused("RuntimeError: no");
}

#[test]
fn a_count_that_is_none() {
    let answer = common::answer(
        &Bench::new()
            .command(&["hunt"])
            .env("TEST_COUNT", "abc")
            .output()
            .expect("rbleak starts"),
    );
    answer.assert_refused("TEST_COUNT=abc");
}

#[test]
fn dumps_that_are_none() {
    let bench = Bench::new();
    let home = bench.home.path();
    let good = fixture("3.1/A.ndjson.zst");
    let good = text(&good);
    std::fs::write(home.join("empty"), "").expect("a file");
    std::fs::write(home.join("junk"), [0u8, 159, 146, 150, 10, 7].repeat(999)).expect("a file");
    std::fs::write(home.join("json"), "{\"a\":1}\n[2]\n").expect("a file");
    std::fs::create_dir(home.join("folder")).expect("a folder");
    bench
        .run(&["diff", good, "missing"])
        .assert_refused("missing");
    bench
        .run(&["diff", good, "folder"])
        .assert_refused("is a directory");
    bench
        .run(&["diff", good, "empty"])
        .assert_refused("is empty");
    bench
        .run(&["diff", good, "junk"])
        .assert_refused("no heap dump");
    bench
        .run(&["diff", good, "json"])
        .assert_refused("no heap dump");
    bench.run(&["diff", good, good]).assert_refused("same");
}

/// Runs rbleak, waits until `ready`, sends it a signal, answers what it said.
fn interrupt(bench: &Bench, arguments: &[&str], ready: impl Fn() -> bool) -> common::Answer {
    let child = bench
        .command(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbleak starts");
    let start = Instant::now();
    while !ready() {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "never came that far"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = rustix::process::Pid::from_raw(child.id() as i32).expect("a pid");
    rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal");
    answer(&child.wait_with_output().expect("rbleak ends"))
}

#[test]
fn ctrl_c_stops_the_app_and_says_so_in_the_run() {
    needs("puma");
    let bench = Bench::new();
    let app = leaky();
    let arguments = [
        "hunt",
        "-C",
        text(&app),
        "--path",
        "/clean",
        "--requests",
        "100000",
        "--",
        "puma",
        "-b",
        "tcp://127.0.0.1:{port}",
    ];
    let manifest = || {
        let runs = std::fs::read_dir(bench.home.path().join(".rbleak")).ok()?;
        let run = runs.flatten().next()?;
        let text = std::fs::read_to_string(run.path().join("manifest.json")).ok()?;
        serde_json::from_str::<serde_json::Value>(&text).ok()
    };
    let answer = interrupt(&bench, &arguments, || {
        manifest().is_some_and(|m| m["app"]["pid"].is_u64())
    });
    answer.assert_refused("interrupted");
    let manifest = bench.manifest();
    assert_eq!(manifest["status"], "interrupted");
    let pid = manifest["app"]["pid"].as_u64().expect("a pid");
    assert!(
        !Path::new(&format!("/proc/{pid}")).exists(),
        "{pid} lives on"
    );
}

#[test]
fn a_full_disk_ends_in_a_sentence_and_leaves_no_half_dump() {
    needs("ruby");
    // A file system of 300 kB, in a mount namespace of its own.
    let bench = Bench::new();
    let disk = bench.home.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let app = leaky();
    let script = format!(
        "mount -t tmpfs -o size=300k none '{disk}' && '{rbleak}' hunt -C '{app}' --path /leak --run-dir '{disk}/runs'; status=$?; find '{disk}' -name '*.zst' -o -name '.rbleak-*' | sed 's/^/left: /'; exit $status",
        disk = disk.display(),
        rbleak = env!("CARGO_BIN_EXE_rbleak"),
        app = app.display(),
    );
    let output = std::process::Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
        .output()
        .expect("this test needs unshare of util-linux");
    let answer = answer(&output);
    answer.assert_refused("No space left on device");
    assert!(!answer.stdout.contains("left:"), "{}", answer.stdout);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let bench = Bench::new();
    let (a, b) = (fixture("3.1/A.ndjson.zst"), fixture("3.1/B.ndjson.zst"));
    let script = format!(
        "'{}' diff --limit 0 '{}' '{}' | head -n 1; exit ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_rbleak"),
        a.display(),
        b.display()
    );
    let output = std::process::Command::new("bash")
        .args(["-c", &script])
        .current_dir(bench.home.path())
        .output()
        .expect("bash");
    let answer = answer(&output);
    assert_eq!(answer.status, 1, "{}", answer.stderr);
    assert_eq!(answer.stderr, "");
}

#[test]
fn an_output_never_goes_over_an_input() {
    let bench = Bench::new();
    let home = bench.home.path();
    for (name, from) in [("A", "3.1/A.ndjson.zst"), ("B", "3.1/B.ndjson.zst")] {
        std::fs::copy(fixture(from), home.join(name)).expect("a copy");
    }
    let before = std::fs::read(home.join("B")).expect("B");
    bench
        .run(&["diff", "A", "B", "--output-diff", "./B"])
        .assert_refused("input");
    bench
        .run(&["diff", "A", "B", "-o", "B"])
        .assert_refused("input");
    assert_eq!(std::fs::read(home.join("B")).expect("B"), before);
}

#[test]
fn stdin_that_is_closed_or_empty() {
    let bench = Bench::new();
    let good = fixture("3.1/A.ndjson.zst");
    let mut child = bench
        .command(&["diff", text(&good), "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbleak starts");
    child
        .stdin
        .take()
        .expect("stdin")
        .write_all(b"")
        .expect("nothing");
    answer(&child.wait_with_output().expect("it ends")).assert_refused("empty");
}

/// The processes whose working directory is `folder`.
fn processes_in(folder: &Path) -> Vec<u32> {
    std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == folder))
        .collect()
}

fn eventually(seconds: u64, what: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while !what() {
        if start.elapsed() > Duration::from_secs(seconds) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Killed outright, rbleak cannot stop what it started: the app must see by
/// itself that nobody is left, under load and while it still boots.
#[test]
fn the_app_ends_with_a_killed_rbleak() {
    needs("puma");
    let modes: [&[&str]; 3] = [
        &["--path", "/clean", "--requests", "1000000"],
        &[
            "--path",
            "/clean",
            "--requests",
            "1000000",
            "--",
            "puma",
            "-b",
            "tcp://127.0.0.1:{port}",
        ],
        &["--", "ruby", "-e", "sleep"],
    ];
    for mode in modes {
        let bench = Bench::new();
        // A folder of its own tells the app's processes from all others.
        let copy = tempfile::tempdir().expect("a folder");
        for file in ["app.rb", "config.ru"] {
            std::fs::copy(leaky().join(file), copy.path().join(file)).expect("a copy");
        }
        let folder = copy.path().canonicalize().expect("a folder");
        let mut all = vec!["hunt", "-C", text(&folder)];
        all.extend(mode);
        let mut rbleak = bench
            .command(&all)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("rbleak starts");
        let lives = || !processes_in(&folder).is_empty();
        assert!(eventually(30, lives), "{mode:?}: never started");
        std::thread::sleep(Duration::from_secs(2));
        assert!(lives(), "{mode:?}: ended by itself");
        rbleak.kill().expect("a signal");
        rbleak.wait().expect("its end");
        assert!(eventually(15, || !lives()), "{mode:?}: lives on");
    }
}
