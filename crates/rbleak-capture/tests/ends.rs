//! However it ends, nothing is left: not after a stop, an interrupt, a
//! server that ignores SIGTERM, nor after rbleak itself was killed.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

mod common;

use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use common::{PUMA, Place, boot, eventually, inherited, leaky, lives, processes_of};
use rbleak_capture::{App, CaptureError, Interrupt, Request};

#[test]
fn a_stop_leaves_nothing() {
    let place = leaky();
    let app = boot(place.server(PUMA, "/clean"));
    let (pid, directory) = (app.pid(), app.about().agent_directory.clone());
    assert!(directory.exists());
    app.stop().unwrap();
    assert!(!lives(pid) && !directory.exists());
    assert!(processes_of(&place).is_empty());
}

#[test]
fn a_server_that_ignores_the_signal_is_killed() {
    let config = format!(
        "trap('TERM') {{ }}\nfork {{ trap('TERM') {{ }}; sleep }}\n{}",
        common::LEAKY
    );
    let place = Place::new(&[("config.ru", &config)]);
    let mut launch = place.in_process("/clean");
    launch.stop_timeout = Duration::from_secs(1);
    let app = boot(launch);
    assert_eq!(processes_of(&place).len(), 2);
    let since = Instant::now();
    app.stop().unwrap();
    assert!(since.elapsed() >= Duration::from_secs(1));
    assert!(processes_of(&place).is_empty());
}

/// Requests the interrupt after a while.
fn later(interrupt: &Interrupt) {
    let interrupt = interrupt.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(500));
        interrupt.request();
    });
}

#[test]
fn an_interrupt_while_booting() {
    let slow = Place::new(&[("config.ru", "sleep")]);
    let silent = ["ruby", "-e", "sleep"];
    for launch in [
        slow.in_process("/"),
        slow.server(&silent, "/"),
        slow.code(None, "1"),
    ] {
        let mut launch = launch;
        if let rbleak_capture::Mode::Code { boot, .. } = &mut launch.mode {
            *boot = Some("config.ru".into());
        }
        let interrupt = Interrupt::new();
        later(&interrupt);
        let since = Instant::now();
        let error = App::boot(launch, &interrupt).unwrap_err();
        assert!(matches!(error, CaptureError::Interrupted), "{error}");
        assert!(since.elapsed() < Duration::from_secs(5));
        assert!(processes_of(&slow).is_empty());
    }
}

#[test]
fn an_interrupt_while_running() {
    let place = leaky();
    for mut launch in [place.in_process("/slow"), place.server(PUMA, "/clean")] {
        if matches!(launch.mode, rbleak_capture::Mode::Server { .. }) {
            launch.requests = vec![Request::get("/clean"), Request::get("/slow")];
        }
        let interrupt = Interrupt::new();
        let mut app = App::boot(launch, &interrupt).unwrap();
        later(&interrupt);
        let since = Instant::now();
        let error = app.run(1_000).unwrap_err();
        assert!(matches!(error, CaptureError::Interrupted), "{error}");
        assert!(since.elapsed() < Duration::from_secs(5));
        assert!(processes_of(&place).is_empty());
    }
}

/// Not a test: the tool that is killed below.
#[test]
#[ignore = "run by the_app_ends_with_the_tool"]
fn victim() {
    let Some(mode) = std::env::var_os("RBLEAK_TEST_VICTIM") else {
        return;
    };
    let place = leaky();
    fs::write(
        std::env::var_os("RBLEAK_TEST_DIRECTORY").unwrap(),
        place.directory.path().as_os_str().as_encoded_bytes(),
    )
    .unwrap();
    let launch = match mode.to_str() {
        Some("server") => place.server(PUMA, "/clean"),
        Some("booting") => place.server(&["ruby", "-e", "sleep"], "/clean"),
        _ => place.in_process("/clean"),
    };
    let mut app = boot(launch);
    loop {
        app.run(10).unwrap();
    }
}

#[test]
fn the_app_ends_with_the_tool() {
    for mode in ["in-process", "server", "booting"] {
        let notes = tempfile::tempdir().unwrap();
        let file = notes.path().join("directory");
        let mut tool = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--ignored"])
            .envs(inherited())
            .env("RBLEAK_TEST_VICTIM", mode)
            .env("RBLEAK_TEST_DIRECTORY", &file)
            .process_group(0)
            .spawn()
            .unwrap();
        let of_app = || -> Vec<u32> {
            let directory = fs::read_to_string(&file).unwrap_or_default();
            let entries = fs::read_dir("/proc").unwrap().flatten();
            entries
                .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
                .filter(|pid| {
                    !directory.is_empty()
                        && fs::read_link(format!("/proc/{pid}/cwd"))
                            .is_ok_and(|cwd| cwd.as_os_str() == directory.as_str())
                })
                .filter(|&pid| lives(pid))
                .collect()
        };
        assert!(
            eventually(Duration::from_secs(30), || !of_app().is_empty()),
            "{mode}: never started"
        );
        // Until it is under load, or deep in its boot.
        std::thread::sleep(Duration::from_secs(2));
        assert!(!of_app().is_empty(), "{mode}: ended by itself");
        let pid = tool.id();
        tool.kill().unwrap();
        tool.wait().unwrap();
        assert!(
            eventually(Duration::from_secs(15), || of_app().is_empty()),
            "{mode}: {:?} live on",
            of_app()
        );
        let left = format!("rbleak-{pid}-");
        let leaves_nothing = || {
            let entries = fs::read_dir("/tmp").unwrap().flatten();
            entries
                .filter_map(|entry| entry.file_name().into_string().ok())
                .all(|name| !name.starts_with(&left))
        };
        assert!(
            eventually(Duration::from_secs(5), leaves_nothing),
            "{mode}: the private directory is left"
        );
        let _ = fs::remove_dir_all(fs::read_to_string(&file).unwrap());
    }
}
