//! However it ends, nothing is left: not after a stop, an interrupt, a
//! server that ignores SIGTERM, nor after rbleak itself was killed.

#![allow(clippy::unwrap_used, reason = "a test ends by it")]

mod common;

use std::time::{Duration, Instant};

use common::{PUMA, Place, boot, leaky, lives, processes_of};
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
        // Else it is late: a boot that takes too long.
        let error = App::boot(launch, &interrupt).unwrap_err();
        assert!(matches!(error, CaptureError::Interrupted), "{error}");
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
        let error = app.run(1_000).unwrap_err();
        assert!(matches!(error, CaptureError::Interrupted), "{error}");
        assert!(processes_of(&place).is_empty());
    }
}
