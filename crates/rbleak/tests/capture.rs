//! `rbleak capture` of real Rubies: dumps that say what is there, clusters,
//! refusals, and ends at any moment.

mod common;
#[path = "common/live.rs"]
mod live;

use common::{Bench, answer, app, needs};
use live::{Live, captured, copy_program, names_in, objects, rbleak, rows, run, unpacked, until};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const WAITS: &str = "$stdout.sync = true; puts Process.pid; sleep";

#[test]
fn a_copy_says_what_the_process_itself_says() {
    let bench = Bench::new();
    let direct = bench.home.path().join("direct");
    let code = format!(
        "require 'objspace'
         $stdout.sync = true
         KEPT = Array.new(5_000) {{ |i| [\"kept #{{i}}\", {{ i => i.to_f }}] }}
         trap(:USR1) {{ File.open('{}', 'w') {{ |io| ObjectSpace.dump_all(output: io) }}; puts 'dumped' }}
         2.times {{ GC.start }}
         GC.disable
         puts 'up'
         sleep",
        direct.display()
    );
    let mut ruby = Live::with_agent(&bench, &code);
    // The first loads what the agent needs.
    captured(&bench, &[&ruby.text(), "-o", "first"]);
    captured(&bench, &[&ruby.text(), "-o", "second"]);
    let killed = Command::new("kill").args(["-USR1", &ruby.text()]).status();
    assert!(killed.expect("kill").success());
    assert_eq!(ruby.line(), "dumped");
    let direct = objects(&std::fs::read_to_string(&direct).expect("a dump"));
    let copied = objects(&unpacked(&bench.home.path().join("second/A.ndjson.zst")));
    assert!(direct.len() > 20_000, "{}", direct.len());
    let missing: Vec<_> = direct
        .keys()
        .filter(|it| !copied.contains_key(*it))
        .collect();
    // Between the two lie the trap and what it made.
    assert!(missing.len() < 100, "{missing:?}");
    let more = copied.keys().filter(|it| !direct.contains_key(*it)).count();
    assert!(more < 200, "the agent's own are few: {more}");
    let differ: Vec<_> = copied
        .iter()
        .filter(|(key, line)| direct.get(*key).is_some_and(|known| known != *line))
        .collect();
    // Inline caches of methods that were called meanwhile, and the agent itself.
    assert!(differ.len() < 300, "{differ:#?}");
    let kept = |line: &&String| {
        let value = line.split_once("\"value\":\"kept ");
        value.is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    assert_eq!(copied.values().filter(kept).count(), 5_000);
    assert!(!differ.iter().any(|(_, line)| kept(line)));
}

#[test]
fn dumps_of_a_leak_name_it() {
    let bench = Bench::new();
    let code = "$stdout.sync = true
        LEAK = []
        Thread.new { loop { 20.times { LEAK << 'leaked'.dup }; sleep 0.01 } }
        puts 'up'
        sleep";
    let ruby = Live::with_agent(&bench, code);
    let arguments = [
        "--count", "3", "--every", "400ms", "--trace", "200ms", "-o", "run",
    ];
    let json = captured(&bench, &[&[ruby.text().as_str()], &arguments[..]].concat());
    let labels: Vec<_> = rows(&json).iter().map(|row| row["dump"].clone()).collect();
    assert_eq!(labels, ["A", "B", "C"]);
    let told = run(&bench, &["diff", "--holders", "run"]);
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    assert!(told.stdout.contains("LEAK"), "{}", told.stdout);
    assert!(told.stdout.contains("-e:3"), "{}", told.stdout);
    for file in ["A.ndjson.zst", "C.names.ndjson.zst", "manifest.json"] {
        let mode = std::fs::metadata(bench.home.path().join("run").join(file));
        assert_eq!(mode.expect(file).permissions().mode() & 0o777, 0o600);
    }
    // Tracing went off with the capture: a later dump has no new sites.
    captured(&bench, &[&ruby.text(), "-o", "after"]);
    let after = unpacked(&bench.home.path().join("after/A.ndjson.zst"));
    assert!(!after.contains("\"file\":\"-e\""));
}

#[test]
fn redacted_dumps_hold_lengths_and_no_values() {
    let bench = Bench::new();
    let secret = "hunter2-\\\"quoted\\\"";
    let code = format!("S = \"{secret}\" * 10; T = \"{secret}\".to_sym; {WAITS}");
    let ruby = Live::with_agent(&bench, &code);
    captured(&bench, &[&ruby.text(), "-o", "plain"]);
    captured(&bench, &[&ruby.text(), "-o", "redacted", "--redact"]);
    let plain = unpacked(&bench.home.path().join("plain/A.ndjson.zst"));
    let redacted = unpacked(&bench.home.path().join("redacted/A.ndjson.zst"));
    assert!(plain.contains("hunter2"));
    assert!(!redacted.contains("hunter2") && !redacted.contains("\"value\":\""));
    assert!(objects(&redacted).len() > 10_000, "its lines are whole");
    assert!(redacted.contains("\"bytesize\":160"), "its lengths stay");
    for file in names_in(&bench.home.path().join("redacted")) {
        if file.ends_with(".zst") {
            let text = unpacked(&bench.home.path().join("redacted").join(&file));
            let values = text.lines().filter(|line| line.contains("hunter2"));
            assert_eq!(values.count(), 0, "{file}");
        }
    }
}

fn cluster(bench: &Bench, more: &[&str]) -> Live {
    needs("puma");
    let mut arguments = vec![
        "agent",
        "--",
        "puma",
        "-C",
        "puma.rb",
        "-b",
        "tcp://127.0.0.1:0",
    ];
    arguments.extend(more);
    let mut command = rbleak(bench, &arguments);
    command.current_dir(app("cluster"));
    Live::start(command)
}

#[test]
fn workers_of_a_cluster_are_told_apart() {
    for (index, more) in [&["--preload"][..], &[]].into_iter().enumerate() {
        let bench = Bench::new();
        let puma = cluster(&bench, more);
        let pid = puma.text();
        let mut answer = None;
        let mut attempt = 0;
        // They boot one after another, and take their titles then.
        until("three workers and their agents", || {
            attempt += 1;
            let out = format!("all-{attempt}");
            let arguments = [
                "capture", &pid, "--all", "--via", "agent", "-q", "--format", "json",
            ];
            let told = run(&bench, &[&arguments[..], &["-o", &out]].concat());
            let names = format!("{}", told.stdout.matches("\"process\": \"worker ").count());
            let is_whole = told.status == 0 && names == "3";
            answer = Some(told);
            is_whole
        });
        let json = answer.expect("asked").json();
        let mut names: Vec<_> = rows(&json)
            .iter()
            .map(|row| row["process"].as_str().expect("a name").to_owned())
            .collect();
        names.sort();
        assert_eq!(names, ["puma", "worker 0", "worker 1", "worker 2"]);
        let one = captured(&bench, &[&pid, "--worker", "2", "-o", "two"]);
        assert_eq!(rows(&one)[0]["process"], "worker 2", "{one:#}");
        if index > 0 {
            continue;
        }
        // Worker 1 leaks; it has to have leaked some.
        std::thread::sleep(Duration::from_millis(500));
        let biggest = captured(&bench, &[&pid, "--biggest", "-o", "big"]);
        assert_eq!(rows(&biggest)[0]["process"], "worker 1", "{biggest:#}");
        run(&bench, &["capture", &pid, "--worker", "7"])
            .assert_refused("no worker 7: it has worker 0");
        let master = run(&bench, &["capture", &pid, "-o", "master"]);
        assert!(
            master.stdout.contains("the master of 3 workers"),
            "{}",
            master.stdout
        );
    }
}

#[test]
fn who_has_no_heap_of_ruby_is_refused_and_left_alone() {
    let bench = Bench::new();
    let refused = |pid: &str, words: &str| {
        run(&bench, &["capture", pid, "-o", "out"]).assert_refused(words);
        assert!(!bench.home.path().join("out").exists(), "{words}");
    };
    refused("4194305", "no process 4194305 is running");
    refused("2", "thread of the kernel");
    let mut sleeper = Command::new("sleep").arg("60").spawn().expect("sleep");
    refused(&sleeper.id().to_string(), "is no Ruby");
    sleeper.kill().expect("killed");
    let zombie = sleeper.id().to_string();
    until("a zombie", || {
        std::fs::read_to_string(format!("/proc/{zombie}/stat")).is_ok_and(|it| it.contains(" Z "))
    });
    refused(&zombie, "a zombie");
    sleeper.wait().expect("ended");

    let mut ruby = Live::plain(WAITS);
    let signal = |name: &str| {
        let sent = Command::new("kill").args([name, &ruby.text()]).status();
        assert!(sent.expect("kill").success());
    };
    signal("-STOP");
    until("it to stop", || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", ruby.pid()));
        stat.is_ok_and(|stat| stat.contains(") T "))
    });
    refused(&ruby.text(), "is stopped");
    signal("-CONT");
    std::fs::create_dir(bench.home.path().join("full")).expect("a folder");
    std::fs::write(bench.home.path().join("full/x"), "x").expect("a file");
    run(&bench, &["capture", &ruby.text(), "-o", "full"]).assert_refused("no empty folder");
    run(&bench, &["capture", &ruby.text(), "--every", "1s"]).assert_refused("--count");
    captured(&bench, &[&ruby.text(), "-o", "out"]);
    assert!(ruby.is_alive());
}

/// A program of 32 bits that waits: headers of elf(5), and pause(2) in a loop.
fn narrow_program() -> Vec<u8> {
    const CODE: [u8; 9] = [0xb8, 29, 0, 0, 0, 0xcd, 0x80, 0xeb, 0xf7];
    const BASE: u32 = 0x0804_8000;
    const HEADERS: u32 = 84;
    let mut bytes = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    let half = |bytes: &mut Vec<u8>, all: &[u16]| {
        bytes.extend(all.iter().flat_map(|it| it.to_le_bytes()));
    };
    let word = |bytes: &mut Vec<u8>, all: &[u32]| {
        bytes.extend(all.iter().flat_map(|it| it.to_le_bytes()));
    };
    half(&mut bytes, &[2, 3]);
    word(&mut bytes, &[1, BASE + HEADERS, 52, 0, 0]);
    half(&mut bytes, &[52, 32, 1, 0, 0, 0]);
    let length = HEADERS + CODE.len() as u32;
    word(&mut bytes, &[1, 0, BASE, BASE, length, length, 5, 0x1000]);
    bytes.extend(CODE);
    bytes
}

#[test]
fn a_program_of_32_bits_is_refused() {
    let bench = Bench::new();
    let (written, program) = (
        bench.home.path().join("written"),
        bench.home.path().join("ruby"),
    );
    std::fs::write(&written, narrow_program()).expect("written");
    copy_program(&written, &program);
    let process = Command::new(&program).spawn();
    let mut process = process.expect("this test needs a kernel that runs programs of 32 bits");
    let pid = process.id().to_string();
    until("it to run", || {
        std::fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == program)
    });
    let told = run(&bench, &["capture", &pid, "-o", "out"]);
    process.kill().expect("killed");
    process.wait().expect("ended");
    told.assert_refused("is a program of 32 bits");
}

#[test]
fn another_users_process_is_refused() {
    let bench = Bench::new();
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|it| {
        use std::os::unix::fs::MetadataExt;
        it.uid() == 0
    });
    let told = if is_root {
        let ruby = Live::plain(WAITS);
        // Where nobody may go: a copy that they may run.
        let program = bench.home.path().join("rbleak");
        copy_program(Path::new(env!("CARGO_BIN_EXE_rbleak")), &program);
        std::fs::set_permissions(bench.home.path(), PermissionsExt::from_mode(0o755))
            .expect("a mode");
        let output = Command::new(&program)
            .args(["capture", &ruby.text()])
            .current_dir("/tmp")
            .uid(65534)
            .output();
        answer(&output.expect("it starts"))
    } else {
        run(&bench, &["capture", "1"])
    };
    told.assert_refused("belongs to another user");
}

#[test]
fn a_full_disk_ends_a_capture_and_nothing_else() {
    let bench = Bench::new();
    let mut ruby = Live::with_agent(
        &bench,
        &format!("K = Array.new(50_000) {{ rand.to_s }}; {WAITS}"),
    );
    let none = |_: &str| names_in(bench.home.path()).iter().any(|name| name == "out");
    for via in ["agent", "inject"] {
        if via == "inject" {
            ruby = Live::plain(&format!("K = Array.new(50_000) {{ rand.to_s }}; {WAITS}"));
        }
        // Files of 64 kB at most; the signal that comes with it is ignored.
        let script = format!(
            "trap '' XFSZ; ulimit -f 64; exec '{}' capture {} --via {via} -o out",
            env!("CARGO_BIN_EXE_rbleak"),
            ruby.pid()
        );
        let output = Command::new("bash")
            .args(["-c", &script])
            .current_dir(bench.home.path())
            .env("XDG_RUNTIME_DIR", bench.home.path())
            .output();
        let told = answer(&output.expect("bash"));
        told.assert_refused("cannot write");
        assert!(
            !none(via),
            "{via}: {:?}",
            names_in(&bench.home.path().join("out"))
        );
        assert!(ruby.is_alive(), "{via}");
        captured(&bench, &[&ruby.text(), "-o", via]);
    }
}

#[test]
fn a_process_that_ends_meanwhile_leaves_its_whole_dumps() {
    let bench = Bench::new();
    let mut ruby = Live::with_agent(&bench, WAITS);
    let capture = rbleak(
        &bench,
        &[
            "capture",
            "--count",
            "2",
            "--every",
            "60s",
            "-o",
            "out",
            &ruby.text(),
        ],
    )
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .expect("rbleak starts");
    let manifest = bench.home.path().join("out/manifest.json");
    until("the first dump", || {
        std::fs::read_to_string(&manifest).is_ok_and(|text| text.contains("A.ndjson.zst"))
    });
    ruby.kill();
    let told = answer(&capture.wait_with_output().expect("it ends"));
    told.assert_refused("ended while the next dump was waited for");
    let text = std::fs::read_to_string(&manifest).expect("a manifest");
    assert!(text.contains("\"status\": \"failed\""), "{text}");
    assert!(!unpacked(&bench.home.path().join("out/A.ndjson.zst")).is_empty());
    run(&bench, &["diff", "out"]).assert_refused("A.ndjson.zst");
    let summary = run(&bench, &["summary", "out/A.ndjson.zst"]);
    assert_eq!(summary.status, 0, "{}", summary.stderr);
}

/// Few here; `script/kill-captures` does it some hundred times.
#[test]
fn killed_at_any_moment_it_leaves_the_process_alone() {
    let bench = Bench::new();
    let code = format!(
        "K = Array.new(20_000) {{ |i| i.to_s }}; Thread.new {{ loop {{ K.shuffle; sleep 0.001 }} }}; {WAITS}"
    );
    let mut rubies = [
        ("agent", Live::with_agent(&bench, &code)),
        ("inject", Live::plain(&code)),
    ];
    for round in 0..24_u64 {
        for (via, ruby) in &mut rubies {
            let out = format!("{via}-{round}");
            let mut capture = rbleak(&bench, &["capture", "-q", "-o", &out, &ruby.text()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("rbleak starts");
            std::thread::sleep(Duration::from_micros(500 + round * 2_700));
            capture.kill().expect("killed");
            capture.wait().expect("ended");
            assert!(ruby.is_alive(), "{via} in round {round}");
        }
    }
    for (via, ruby) in &mut rubies {
        let mut last = String::new();
        until("a capture that works", || {
            let told = run(
                &bench,
                &["capture", "-q", "-o", &format!("{via}-last"), &ruby.text()],
            );
            last = told.stderr;
            told.status == 0
        });
        assert!(ruby.is_alive(), "{via}: {last}");
        until("copies to end", || {
            let tasks = format!("/proc/{0}/task/{0}/children", ruby.pid());
            std::fs::read_to_string(tasks).is_ok_and(|children| children.trim().is_empty())
        });
    }
}
