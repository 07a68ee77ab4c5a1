//! `rbleak watch` in a real pseudo-terminal.

mod common;
#[path = "common/processes.rs"]
mod processes;
#[path = "common/terminal.rs"]
mod terminal;

use common::Bench;
use processes::{LEAK, Process};
use rustix::process::{Pid, Signal, kill_process};
use terminal::Session;

#[test]
fn chart_rows_and_verdict_are_drawn_and_the_answer_stays_behind() {
    let ruby = Process::ruby(LEAK);
    let pid = ruby.pid().to_string();
    let mut session = Session::start(
        Bench::new(),
        &["watch", &pid, "--every", "100ms", "--no-record"],
        &[],
    );
    session.expect("rbleak watch  ruby");
    assert!(session.is_raw());
    session.expect("anonymous memory");
    session.expect("by age or time");
    session.expect(&pid);
    session.expect("ruby heap");
    session.expect("LEAK");
    session.keys("aj");
    session.expect("age");
    session.keys("q");
    session.expect("memory by kind");
    assert_eq!(session.ended().code(), Some(1));
}

#[test]
fn signals_and_ctrl_c_leave_the_terminal_as_it_was_and_tell_the_verdict() {
    for keys in ["\x03", ""] {
        let mut session = Session::start(
            Bench::new(),
            &[
                "watch",
                "--every",
                "100ms",
                "--no-record",
                "--",
                "ruby",
                "-e",
                LEAK,
            ],
            &[("NO_COLOR", "1")],
        );
        session.expect("rbleak watch  ruby");
        session.expect("anonymous memory");
        if keys.is_empty() {
            kill_process(Pid::from_child(&session.child), Signal::TERM).expect("sent");
        } else {
            session.keys(keys);
        }
        // Its last table: what stands above may have scrolled out of sight.
        session.expect("memory by kind");
        let status = session.ended().code();
        assert!([Some(1), Some(3)].contains(&status), "{status:?}");
    }
}
