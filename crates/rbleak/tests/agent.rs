//! `rbleak agent` in real Rubies: it is there in every one of them, follows them
//! through forks and exec, and lets nobody else in.

mod common;
#[path = "common/live.rs"]
mod live;

use common::{Bench, answer};
use live::{Live, captured, rbleak, rows, run, sockets, until};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const WAITS: &str = "$stdout.sync = true; puts Process.pid; sleep";

#[test]
fn the_line_for_a_shell_loads_it_in_every_ruby() {
    let bench = Bench::new();
    let printed = run(&bench, &["agent", "--env"]);
    assert_eq!(printed.status, 0, "{}", printed.stderr);
    for place in ["systemd", "Procfile", "Dockerfile"] {
        assert!(printed.stdout.contains(place), "{}", printed.stdout);
    }
    let mut shell = Command::new("sh");
    let script = format!("{}\nexec ruby -W1 -e '{WAITS}'", printed.stdout);
    shell
        .args(["-c", &script])
        .env("RUBYOPT", "-W0")
        .env("XDG_RUNTIME_DIR", bench.home.path());
    let ruby = Live::start(shell);
    let json = captured(&bench, &[&ruby.text(), "--via", "agent", "-o", "out"]);
    assert_eq!(rows(&json)[0]["via"], "agent", "{json:#}");
    let files = bench.home.path().join(".local/share/rbleak/rbleak-agent");
    assert!(files.join("resident.rb").is_file());
    // Installed again, it is the same.
    assert_eq!(run(&bench, &["agent", "--env"]).stdout, printed.stdout);
}

#[test]
fn it_follows_forks_daemons_and_exec() {
    let bench = Bench::new();
    let code = "$stdout.sync = true
        daemon, writer = IO.pipe
        parent = fork { fork { Process.daemon(true, true); writer.puts Process.pid; sleep 60 }; sleep }
        executed = fork { exec('ruby', '-e', 'sleep') }
        forked = Process.respond_to?(:_fork) ? fork { sleep } : fork { sleep }
        puts [daemon.gets.to_i, parent, executed, forked, Process.pid].join(' ')
        sleep";
    let ruby = Live::with_agent(&bench, code);
    let pids: Vec<&str> = ruby.first.split(' ').collect();
    assert_eq!(pids.len(), 5);
    for pid in &pids {
        // A Ruby that was executed takes a moment to begin.
        until("its socket", || {
            let name = format!("/{pid}.sock");
            sockets(&bench)
                .iter()
                .any(|path| path.display().to_string().ends_with(&name))
        });
        let mut told = None;
        until("its agent", || {
            let out = format!("out-{pid}");
            let answer = run(
                &bench,
                &["capture", "--via", "agent", "-q", "-o", &out, pid],
            );
            let done = answer.status == 0;
            told = Some(answer.stderr);
            done
        });
        assert_eq!(told.as_deref(), Some(""));
    }
    for pid in &pids[..4] {
        // They are no children of this test.
        let _ = Command::new("kill").args(["-9", pid]).status();
    }
}

#[test]
fn sockets_are_private_and_go_with_their_processes() {
    let bench = Bench::new();
    let mut killed = Live::with_agent(&bench, WAITS);
    let mut ended = Live::with_agent(&bench, "puts 1; $stdout.flush; sleep 0.2");
    let stays = Live::with_agent(&bench, WAITS);
    let all = sockets(&bench);
    let folder = all[0].parent().expect("a folder");
    let mode = std::fs::metadata(folder).expect("a folder").permissions();
    assert_eq!(mode.mode() & 0o777, 0o700);
    until("the one that ends in good order", || !ended.is_alive());
    killed.kill();
    until("its end", || !killed.is_alive());
    let left: Vec<String> = live::names_in(folder);
    let mut expected = [killed.pid(), stays.pid()].map(|pid| format!("{pid}.sock"));
    expected.sort();
    assert_eq!(left, expected, "the killed one could not remove its own");
    captured(&bench, &[&stays.text(), "-o", "out"]);
    assert_eq!(live::names_in(folder), [format!("{}.sock", stays.pid())]);
}

#[test]
fn what_cannot_be_done_is_refused() {
    let bench = Bench::new();
    let ruby = Live::plain(WAITS);
    run(&bench, &["capture", "--via", "agent", &ruby.text()]).assert_refused("no agent is loaded");
    run(&bench, &["agent", "--", "/no/such/program"]).assert_refused("cannot start");
    run(&bench, &["agent", "--env", "--dir", "a b"]).assert_refused("RUBYOPT");
    let open = bench.home.path().join("rbleak-agent");
    std::fs::create_dir(&open).expect("a folder");
    std::fs::set_permissions(&open, PermissionsExt::from_mode(0o777)).expect("a mode");
    run(&bench, &["agent", "--env", "--dir", "."]).assert_refused("other users");
    let nothing = rbleak(&bench, &["agent"]).output().expect("rbleak starts");
    assert_eq!(answer(&nothing).status, 2);
}

/// And a capture in the midst of it waits its turn.
#[test]
fn a_watch_asks_the_agent_that_is_there() {
    let bench = Bench::new();
    let code = "$stdout.sync = true; puts 'up'; $k = []
        loop { 20.times { $k << 'x' * 2000 }; sleep 0.02 }";
    let ruby = Live::with_agent(&bench, code);
    let pid = ruby.text();
    let watch = |seconds| {
        let watch = ["watch", &pid, "--every", "100ms", "--gc-every", "150ms"];
        let more = ["--for", seconds, "--no-record", "--format", "json"];
        run(&bench, &[&watch[..], &more[..]].concat())
    };
    // What a capture loads is no part of the leak: that is told after it.
    std::thread::scope(|scope| {
        let watch = scope.spawn(|| watch("4s"));
        captured(&bench, &["--via", "agent", &pid, "-o", "out"]);
        assert_ne!(watch.join().expect("no panic").status, 2);
    });
    let told = watch("12s");
    assert_eq!(told.status, 1, "{}\n{}", told.stdout, told.stderr);
    let json = told.json();
    assert_eq!(json["verdict"]["grows"], "Ruby objects", "{json:#}");
    let row = &json["tables"]["processes"]["rows"][0];
    assert!(
        row["malloc_in_use_bytes"].as_u64() > Some(1_000_000),
        "{row}"
    );
}
