//! `rbleak watch` end to end: real processes, verdicts, recordings, ends.

mod common;
#[path = "common/processes.rs"]
mod processes;

use common::{Answer, Bench, answer};
use processes::{LEAK, Process, STABLE, ndjson, record_folder, signal};
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn watch(bench: &Bench, pid: u32, more: &[&str]) -> Answer {
    let pid = pid.to_string();
    let mut arguments = vec!["watch", pid.as_str(), "--every", "100ms"];
    arguments.extend(more);
    bench.run(&arguments)
}

#[test]
fn a_leak_is_told_from_outside_and_its_recording_is_judged_the_same() {
    let bench = Bench::new();
    let ruby = Process::ruby(LEAK);
    let told = watch(
        &bench,
        ruby.pid(),
        &[
            "--for", "8s", "--limit", "4GB", "--svg", "m.svg", "--format", "json",
        ],
    );
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    assert_eq!(json["schema"], "rbleak/watch/v1");
    assert_eq!(json["verdict"]["verdict"], "leak");
    assert_eq!(json["facts"]["watched"]["pid"], ruby.pid());
    // 100 strings of 8 kB every 20 ms: 40 MB a second at most.
    let rate = json["verdict"]["footprint_rate"]["per_hour"]["estimate"].as_f64();
    assert!(
        rate.is_some_and(|rate| (20e9..160e9).contains(&rate)),
        "{rate:?}"
    );
    assert!(
        json["facts"]["until_limit"]["seconds"]["estimate"].as_f64() > Some(0.0),
        "{json}"
    );
    let kinds = &json["tables"]["kinds"]["rows"][0];
    assert!(kinds["ruby_heap_bytes"].as_u64() > Some(100_000), "{kinds}");
    assert!(
        kinds["malloc_main_arena_bytes"].as_u64() > Some(1_000_000),
        "{kinds}"
    );
    let process = &json["tables"]["processes"]["rows"][0];
    assert!(
        process["uss_bytes"].as_u64() <= process["pss_bytes"].as_u64(),
        "{process}"
    );
    let svg = std::fs::read_to_string(bench.home.path().join("m.svg")).expect("a chart");
    assert!(svg.contains("LEAK"), "{svg}");

    let folder = record_folder(&bench);
    for name in ["memory.ndjson", "memory.csv"] {
        let file = folder.join(name);
        let again = bench.run(&["trend", file.to_str().expect("UTF-8"), "--format", "json"]);
        assert_eq!(again.status, 1, "{}", again.stderr);
        assert_eq!(
            again.json()["verdict"]["samples"],
            json["verdict"]["samples"]
        );
    }
    assert!(folder.join("report.json").is_file());
}

#[test]
fn a_stable_process_is_watched_until_that_is_known() {
    let ruby = Process::ruby(STABLE);
    let told = watch(
        &Bench::new(),
        ruby.pid(),
        &["--until-verdict", "--for", "90s", "--no-record"],
    );
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
    assert!(
        told.stdout.contains("the verdict is known"),
        "{}",
        told.stdout
    );
    assert!(told.stdout.contains("  PLATEAU") || told.stdout.contains("  BLOAT"));
}

#[test]
fn with_the_agent_it_is_known_what_grows() {
    for (code, grows) in [(LEAK, "Ruby objects"), (processes::NATIVE, "native memory")] {
        let bench = Bench::new();
        let told = bench.run(&[
            "watch",
            "--every",
            "100ms",
            "--gc-every",
            "150ms",
            "--for",
            "12s",
            "--format",
            "json",
            "--",
            "ruby",
            "-e",
            code,
        ]);
        assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
        let json = told.json();
        assert_eq!(json["verdict"]["grows"], grows, "{json}");
        assert!(
            json["tables"]["processes"]["rows"][0]["malloc_in_use_bytes"].as_u64()
                > Some(1_000_000)
        );
        assert_eq!(
            json["facts"]["watched"]["ended"],
            "as long as was asked for"
        );
        let text = ndjson(&bench);
        assert!(
            text.lines()
                .filter(|line| line.contains("live_slots"))
                .count()
                > 30
        );
        // What was started is gone.
        let pid = json["facts"]["watched"]["pid"].as_u64().expect("a PID");
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}

#[test]
fn a_stable_process_with_the_agent_is_no_leak() {
    let told = Bench::new().run(&[
        "watch",
        "--every",
        "100ms",
        "--gc-every",
        "150ms",
        "--for",
        "14s",
        "--no-record",
        "--",
        "ruby",
        "-e",
        STABLE,
    ]);
    assert_ne!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert_ne!(told.status, 2, "{}\n{}", told.stdout, told.stderr);
}

/// A few runs of those of script/real-processes.
#[test]
fn five_threads_under_jemalloc_are_told_right() {
    let workload = common::repository().join("script/real-processes.d/workload.rb");
    let workload = workload.to_str().expect("UTF-8");
    let library = "libjemalloc.so.2";
    for (kind, verdict) in [("native", "leak"), ("stable", "plateau")] {
        let preload = format!("LD_PRELOAD={library}");
        let told = Bench::new().run(&[
            "watch",
            "--every",
            "100ms",
            "--gc-every",
            "150ms",
            "--for",
            "14s",
            "--no-record",
            "--format",
            "json",
            "--",
            "env",
            &preload,
            "ruby",
            workload,
            kind,
            "5",
        ]);
        let json = told.json();
        let allocator = json["facts"]["allocator"].as_str();
        assert!(
            allocator.is_some_and(|text| text.starts_with("jemalloc")),
            "this test needs {library}: run script/setup: {json:#}"
        );
        assert_eq!(json["verdict"]["verdict"], verdict, "{json:#}");
    }
}

#[test]
fn requests_make_a_rate_per_request() {
    let bench = Bench::new();
    let log = bench.home.path().join("access.log");
    std::fs::write(&log, "old\n").expect("a log");
    let code = format!(
        "puts 'up'; $stdout.flush; log = File.open('{}', 'a'); log.sync = true; $k = []; \
         loop {{ 20.times {{ log.puts 'GET /' ; $k << 'x' * 60_000 }}; sleep 0.05 }}",
        log.display()
    );
    let ruby = Process::ruby(&code);
    let told = watch(
        &bench,
        ruby.pid(),
        &[
            "--for",
            "14s",
            "--requests-from",
            "access.log",
            "--format",
            "json",
        ],
    );
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    let rate = &json["verdict"]["rate"]["per_request"];
    let estimate = rate["estimate"].as_f64();
    // The log is read once a second, and what malloc adds counts too.
    assert!(
        estimate.is_some_and(|rate| (45e3..80e3).contains(&rate)),
        "{rate}"
    );
}

#[test]
fn bad_use_is_one_sentence() {
    let bench = Bench::new();
    let own = std::process::id().to_string();
    let refused = |arguments: &[&str], words: &str| {
        bench
            .run(&[&["watch"], arguments].concat())
            .assert_refused(words);
    };
    refused(&["4194305"], "no process 4194305 is running");
    refused(
        &[&own, "--requests-from", "https://x/"],
        "https is not spoken here",
    );
    refused(
        &[&own, "--requests-from", "none.log"],
        "cannot count the lines of none.log",
    );
    refused(
        &[&own, "--requests-from", "http://127.0.0.1:1/"],
        "requests cannot be counted by",
    );
    refused(
        &[&own, "--prometheus", "192.0.2.1:1"],
        "cannot serve figures at 192.0.2.1:1",
    );
    refused(
        &[&own, "--svg", "none/x.svg"],
        "cannot be written at the end",
    );
    refused(&[&own, "--svg", "x", "-o", "x"], "same file");
    refused(
        &[&own, "--directory", "/"],
        "for a command that rbleak starts",
    );
    refused(&[&own, "--run-dir", "/proc/none"], "--run-dir DIR");
    refused(&["--", "/no/such/program"], "cannot start");
    // clap's own form.
    for (arguments, words) in [
        (&["1", "--every", "50ms"][..], "100ms is the least"),
        (&["1", "--every", "1"], "with its unit"),
        (&["1", "--prometheus", "here"], "expected a port"),
        (&[], "required"),
        (&["0"], "0 is not in"),
    ] {
        let told = bench.run(&[&["watch"], arguments].concat());
        assert_eq!(told.status, 2, "{}", told.stderr);
        assert!(told.stderr.contains(words), "{words}: {}", told.stderr);
    }
    // Only those of the last two are left behind, where something was started.
    let left = std::fs::read_dir(bench.home.path().join(".rbleak"));
    assert!(left.map_or(0, Iterator::count) <= 1);
}

#[test]
fn what_is_no_ruby_is_watched_all_the_same() {
    let sleep = Process::start("sleep", &["60"]);
    let told = watch(&Bench::new(), sleep.pid(), &["--for", "4s"]);
    assert!(
        told.stdout.contains("no Ruby is seen in process"),
        "{}",
        told.stdout
    );
    assert!(
        told.stderr.contains("watched all the same"),
        "{}",
        told.stderr
    );
    assert!(
        told.stdout.contains("sleep") && told.stdout.contains("RSS"),
        "{}",
        told.stdout
    );
    assert_ne!(told.status, 2);
}

#[test]
fn a_zombie_and_a_thread_of_the_kernel_have_no_memory() {
    let ruby = Process::ruby("pid = fork { exit! }; puts pid; $stdout.flush; sleep");
    let zombie = ruby.first_line.trim();
    std::thread::sleep(Duration::from_millis(200));
    Bench::new()
        .run(&["watch", zombie])
        .assert_refused("a zombie");
    let is_kernel = std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n");
    if is_kernel {
        Bench::new()
            .run(&["watch", "2"])
            .assert_refused("a thread of the kernel");
    }
}

#[test]
fn a_process_that_ends_ends_the_watch_with_what_was_seen() {
    let bench = Bench::new();
    let ruby = Process::ruby(&format!("Thread.new {{ sleep 7; exit! }}; {LEAK}"));
    let since = Instant::now();
    let told = watch(&bench, ruby.pid(), &["--for", "60s"]);
    assert!(since.elapsed() < Duration::from_secs(30));
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("it ended"), "{}", told.stdout);
    assert!(told.stdout.contains("process") && told.stdout.contains(" ended"));
    let command = Bench::new().run(&["watch", "--no-record", "--", "ruby", "-e", "exit 7"]);
    assert_eq!(command.status, 3, "{}", command.stderr);
    assert!(
        command.stdout.contains("it ended (exit status: 7)"),
        "{}",
        command.stdout
    );
    assert!(
        command.stdout.contains("NOT ENOUGH DATA"),
        "{}",
        command.stdout
    );
}

#[test]
fn signals_end_it_with_its_verdict_and_kill_loses_nothing() {
    for (name, signal_name) in [
        ("INT", Some("interrupted")),
        ("TERM", Some("interrupted")),
        ("KILL", None),
    ] {
        let bench = Bench::new();
        let mut started = bench.command(&["watch", "--every", "100ms", "--", "ruby", "-e", LEAK]);
        let child = started
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rbleak starts");
        std::thread::sleep(Duration::from_secs(6));
        signal(child.id(), name);
        let output = child.wait_with_output().expect("it ends");
        let told = answer(&output);
        if let Some(words) = signal_name {
            assert!(
                [1, 3].contains(&told.status),
                "{}\n{}",
                told.stdout,
                told.stderr
            );
            assert!(told.stdout.contains(words), "{}", told.stdout);
        }
        let text = ndjson(&bench);
        assert!(text.lines().count() > 20, "{name}: {text}");
        let file = record_folder(&bench).join("memory.ndjson");
        let again = bench.run(&["trend", file.to_str().expect("UTF-8")]);
        assert_ne!(again.status, 2, "{}", again.stderr);
        // Nor does the command outlive it.
        let ruby = format!("/proc/{}/exe", life_of(&text));
        processes::until("the command to end", || std::fs::read_link(&ruby).is_err());
    }
}

/// The PID of the process in a recording.
fn life_of(ndjson: &str) -> u64 {
    let line = ndjson.lines().nth(1).expect("a sample");
    let json: serde_json::Value = serde_json::from_str(line).expect("JSON");
    json["life"].as_u64().expect("a PID")
}

#[test]
fn a_full_disk_ends_neither_the_watch_nor_what_was_written() {
    let bench = Bench::new();
    let ruby = Process::ruby(LEAK);
    // Files of 4 kB at most; the signal that comes with it is ignored.
    let script = format!(
        "trap '' XFSZ; ulimit -f 4; exec '{}' watch {} --every 100ms --for 8s",
        env!("CARGO_BIN_EXE_rbleak"),
        ruby.pid()
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .current_dir(bench.home.path())
        .output()
        .expect("bash");
    let told = answer(&output);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert!(
        told.stdout.contains("what was written before is whole"),
        "{}",
        told.stdout
    );
    let text = ndjson(&bench);
    assert!(text.ends_with('\n') && text.lines().count() > 15, "{text}");
    for line in text.lines() {
        assert!(
            serde_json::from_str::<serde_json::Value>(line).is_ok(),
            "{line}"
        );
    }
}

#[test]
fn figures_are_served_on_the_loopback() {
    let bench = Bench::new();
    let ruby = Process::ruby(LEAK);
    let pid = ruby.pid().to_string();
    let mut child = bench
        .command(&[
            "watch",
            &pid,
            "--every",
            "100ms",
            "--prometheus",
            "0",
            "--for",
            "8s",
            "--plain",
        ])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("rbleak starts");
    let stderr = child.stderr.take().expect("stderr");
    let lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    let address = lines
        .map_while(Result::ok)
        .find_map(|line| {
            Some(
                line.split_once("http://")?
                    .1
                    .trim_end_matches("/metrics")
                    .to_owned(),
            )
        })
        .expect("an address");
    assert!(address.starts_with("127.0.0.1:"), "{address}");
    let get = |path: &str| {
        let mut stream = std::net::TcpStream::connect(&address).expect("a server");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("asked");
        let mut text = String::new();
        std::io::Read::read_to_string(&mut stream, &mut text).expect("answered");
        text
    };
    std::thread::sleep(Duration::from_secs(4));
    let text = get("/metrics");
    assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
    for name in [
        "rbleak_resident_bytes{process=\"ruby\"} ",
        "rbleak_verdict{",
        "rbleak_kind_bytes{",
    ] {
        assert!(text.contains(name), "{name}: {text}");
    }
    assert!(get("/").starts_with("HTTP/1.1 404"));
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
}

/// As root another user is made; else root's own processes are another's.
#[test]
fn a_process_of_another_user_is_watched_as_far_as_anybody_may() {
    let bench = Bench::new();
    let is_root = rustix::process::geteuid().is_root();
    let mut other = None;
    let told = if is_root {
        common::needs("setpriv");
        let ruby = other.insert(Process::ruby(LEAK));
        // The binary, where nobody may reach it.
        let open = tempfile::tempdir_in("/tmp").expect("a folder");
        std::fs::set_permissions(
            open.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o777),
        )
        .expect("open to all");
        let binary = open.path().join("rbleak");
        std::fs::copy(env!("CARGO_BIN_EXE_rbleak"), &binary).expect("a copy");
        let output = Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&binary)
            .args([
                "watch",
                &ruby.pid().to_string(),
                "--every",
                "100ms",
                "--for",
                "8s",
            ])
            .current_dir(open.path())
            .output()
            .expect("setpriv starts");
        answer(&output)
    } else {
        watch(&bench, 1, &["--for", "3s"])
    };
    assert!(
        told.stdout.contains("belongs to another user"),
        "{}\n{}",
        told.stdout,
        told.stderr
    );
    assert!(told.stderr.contains("as root"), "{}", told.stderr);
    if is_root {
        assert_eq!(told.status, 1, "{}", told.stdout);
        assert!(told.stdout.contains("anonymous"), "{}", told.stdout);
    }
}
