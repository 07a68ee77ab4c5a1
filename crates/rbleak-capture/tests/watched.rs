//! A command that is left alone, and the figures of its Rubies.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

mod common;

use std::time::{Duration, Instant};

use rbleak_capture::{CaptureError, Interrupt, Launch, Mode, Watched};
use rbleak_process::{Pid, tree};

fn start(command: &[&str]) -> (tempfile::TempDir, Result<Watched, CaptureError>) {
    let directory = tempfile::tempdir().unwrap();
    let mode = Mode::Server {
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        port: None,
        concurrency: 1,
    };
    let mut launch = Launch::new(directory.path(), mode, directory.path().join("log"));
    launch.inherited = std::env::vars_os().collect();
    let watched = Watched::start(&launch);
    (directory, watched)
}

fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(value) = ask() {
            return value;
        }
        assert!(
            since.elapsed() < Duration::from_secs(30),
            "waited for {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_ruby_and_its_forked_child_are_asked_and_the_leak_counts() {
    let code = "$k = []; fork { Thread.new { loop { 100.times { $k << Object.new }; sleep 0.01 } }; sleep }; sleep";
    let (_directory, watched) = start(&["ruby", "-e", code]);
    let watched = watched.unwrap();
    let mut glances = watched.glances(&Interrupt::new());
    let root = watched.pid();
    let child = until("a child", || {
        let all = tree::read(Pid(root)).unwrap();
        all.get(1).map(|stat| stat.pid.0)
    });
    let steady = until("the agent", || glances.ask(root));
    let before = until("the agent of the child", || glances.ask(child));
    std::thread::sleep(Duration::from_millis(300));
    let after = glances.ask(child).unwrap();
    assert!(
        after.live_slots.0 > before.live_slots.0 + 500,
        "{before:?} {after:?}"
    );
    assert!(after.malloc_in_use.is_some() && after.pause > Duration::ZERO);
    let again = glances.ask(root).unwrap();
    assert!(
        again.live_slots.0.abs_diff(steady.live_slots.0) < 200,
        "{steady:?} {again:?}"
    );
    watched.stop();
    assert!(glances.ask(child).is_none() && tree::read(Pid(root)).is_err());
}

#[test]
fn what_is_no_ruby_has_no_agent_and_what_is_not_there_is_an_error() {
    let (_directory, watched) = start(&["sleep", "30"]);
    let watched = watched.unwrap();
    assert!(
        watched
            .glances(&Interrupt::new())
            .ask(watched.pid())
            .is_none()
    );
    let (_directory, nothing) = start(&["/no/such/program"]);
    assert!(matches!(nothing, Err(CaptureError::Spawn { .. })));
}
