//! `rbleak explore` in a real pseudo-terminal, seen through a terminal
//! emulator.

mod common;
#[path = "common/terminal.rs"]
mod terminal;

use common::{Bench, fixture, repository};
use rustix::termios::{Winsize, tcsetwinsize};
use std::os::unix::process::ExitStatusExt;
use terminal::{COLUMNS, ROWS, Session};

fn open(environment: &[(&str, &str)]) -> Session {
    let dump = repository().join("crates/rbleak/recorded/C.ndjson.zst");
    let dump = dump.to_str().expect("UTF-8");
    Session::start(Bench::new(), &["explore", dump], environment)
}

#[test]
fn a_leak_is_found_with_a_few_keys() {
    let mut session = open(&[]);
    session.expect("Dominators");
    session.expect("Leaky (module)");
    assert!(session.is_raw());
    assert!(
        session
            .screen
            .lock()
            .expect("a screen")
            .screen()
            .alternate_screen()
    );
    // The largest opens; below it stands the Array with its name.
    session.keys("l");
    session.expect("Leaky::STORE Array (2 402)");
    session.keys("j\r");
    session.expect("refers to (2 402)");
    session.keys("\x7f/app.rb:45\r");
    session.expect("app.rb:45 (600)");
    session.keys("p");
    session.expect("└ @token → String");
    session.keys("\x1b");
    session.wait("the way to be gone", |screen| {
        !screen.contents().contains("└ @token")
    });
    session.keys("?");
    session.expect("what it refers to and what refers to it");
    session.keys("x2");
    session.expect("Leaky::Session  OBJECT");
    session.keys("q");
    assert_eq!(session.ended().code(), Some(0));
}

#[test]
fn the_screen_follows_the_size_of_the_terminal() {
    let mut session = open(&[]);
    session.expect("dominator ");
    let size = Winsize {
        ws_row: 10,
        ws_col: 60,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let mut screen = session.screen.lock().expect("a screen");
    screen.screen_mut().set_size(10, 60);
    drop(screen);
    tcsetwinsize(&session.terminal, size).expect("a size");
    // Nobody's controlling terminal sends no signal.
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&session.child),
        rustix::process::Signal::WINCH,
    )
    .expect("sent");
    // Too narrow for details. The last line comes with the new drawing: the emulator
    // itself cuts the old one off, and a key that is typed together with a change of
    // size is not seen before the next one (crossterm 0.29 takes one event of several).
    session.wait("a narrow screen", |screen| {
        let now = screen.contents();
        !now.contains("dominator ") && now.contains("1 Dominators") && now.contains("? keys")
    });
    session.keys("q");
    assert_eq!(session.ended().code(), Some(0));
}

#[test]
fn ctrl_c_and_signals_leave_the_terminal_as_it_was() {
    let mut session = open(&[("NO_COLOR", "1")]);
    session.expect("Leaky (module)");
    session.keys("/abc\x03");
    assert_eq!(session.ended().code(), Some(0));
    for (signal, number) in [
        (rustix::process::Signal::TERM, 15),
        (rustix::process::Signal::HUP, 1),
        (rustix::process::Signal::INT, 2),
    ] {
        let session = open(&[]);
        session.expect("Leaky (module)");
        let pid = rustix::process::Pid::from_child(&session.child);
        rustix::process::kill_process(pid, signal).expect("sent");
        let status = session.ended();
        assert_eq!(status.signal(), Some(number), "{status:?}");
    }
}

/// F12 panics in builds for tests.
#[cfg(debug_assertions)]
#[test]
fn a_panic_leaves_the_terminal_as_it_was_and_is_told() {
    let mut session = open(&[]);
    session.expect("Leaky (module)");
    session.keys("\x1b[24~");
    session.expect("asked for with F12");
    assert_eq!(session.ended().code(), Some(101));
}

#[test]
fn no_colour_where_none_is_wanted() {
    for (environment, is_colored) in [(&[("NO_COLOR", "1")][..], false), (&[], true)] {
        let mut session = open(environment);
        session.expect("Leaky (module)");
        let screen = session.screen.lock().expect("a screen");
        let cells = (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column)));
        let colored = cells
            .filter_map(|(row, column)| screen.screen().cell(row, column))
            .any(|cell| cell.fgcolor() != vt100::Color::Default);
        drop(screen);
        assert_eq!(colored, is_colored, "{environment:?}");
        session.keys("q");
        session.ended();
    }
}

#[test]
fn what_cannot_work_is_refused_in_one_sentence() {
    let bench = Bench::new();
    let dump = fixture("3.1/C.ndjson.zst");
    let dump = dump.to_str().expect("UTF-8");
    bench
        .run(&["explore", dump])
        .assert_refused("explore needs a terminal");
    bench
        .run(&["explore", "-"])
        .assert_refused("cannot be - (stdin)");
}
