//! `rbleak explore` in a real pseudo-terminal, seen through a terminal
//! emulator.

mod common;

use common::{Bench, fixture, repository};
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(60);
const ROWS: u16 = 24;
const COLUMNS: u16 = 110;

/// rbleak in a terminal.
struct Session {
    child: Child,
    /// What is typed goes here.
    keyboard: File,
    /// The terminal's other side, held open to look at its modes.
    terminal: File,
    screen: Arc<Mutex<vt100::Parser>>,
    before: Termios,
    _bench: Bench,
}

impl Session {
    fn open(environment: &[(&str, &str)]) -> Session {
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
        grantpt(&control).expect("granted");
        unlockpt(&control).expect("unlocked");
        let name = ptsname(&control, Vec::new()).expect("a name");
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let terminal = File::from(rustix::fs::open(name, flags, Mode::empty()).expect("opened"));
        let size = Winsize {
            ws_row: ROWS,
            ws_col: COLUMNS,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        tcsetwinsize(&terminal, size).expect("a size");
        let before = tcgetattr(&terminal).expect("modes");
        let bench = Bench::new();
        let dump = repository().join("crates/rbleak/recorded/C.ndjson.zst");
        let end = || Stdio::from(terminal.try_clone().expect("a terminal"));
        let child = bench
            .command(&["explore", dump.to_str().expect("UTF-8")])
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(environment.iter().copied())
            .stdin(end())
            .stdout(end())
            .stderr(end())
            .spawn()
            .expect("rbleak starts");
        let control = File::from(control);
        let mut output = control.try_clone().expect("a terminal");
        let screen = Arc::new(Mutex::new(vt100::Parser::new(ROWS, COLUMNS, 1000)));
        let seen = Arc::clone(&screen);
        std::thread::spawn(move || {
            let mut block = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut block) {
                seen.lock().expect("a screen").process(&block[..count]);
            }
        });
        Session {
            child,
            keyboard: control,
            terminal,
            screen,
            before,
            _bench: bench,
        }
    }

    fn text(&self) -> String {
        self.screen.lock().expect("a screen").screen().contents()
    }

    /// Waits for the screen to show something.
    fn expect(&self, words: &str) {
        self.wait(words, |screen| screen.contents().contains(words));
    }

    fn wait(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
        let start = Instant::now();
        while !is_so(self.screen.lock().expect("a screen").screen()) {
            assert!(
                start.elapsed() < PATIENCE,
                "waited for {what}:\n{}",
                self.text()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    fn is_raw(&self) -> bool {
        let now = tcgetattr(&self.terminal).expect("modes");
        now.local_modes != self.before.local_modes
    }

    /// Waits for the end; the terminal must be as it was.
    fn ended(mut self) -> ExitStatus {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                break status;
            }
            assert!(start.elapsed() < PATIENCE, "still there:\n{}", self.text());
            std::thread::sleep(Duration::from_millis(20));
        };
        self.wait("the usual screen", |screen| {
            !screen.alternate_screen() && !screen.hide_cursor()
        });
        let now = tcgetattr(&self.terminal).expect("modes");
        assert_eq!(now.local_modes, self.before.local_modes);
        assert_eq!(now.input_modes, self.before.input_modes);
        assert_eq!(now.output_modes, self.before.output_modes);
        status
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // A test that failed leaves it behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_leak_is_found_with_a_few_keys() {
    let mut session = Session::open(&[]);
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
    let mut session = Session::open(&[]);
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
    // Too narrow for details.
    session.wait("a narrow screen", |screen| {
        !screen.contents().contains("dominator ") && screen.contents().contains("1 Dominators")
    });
    session.keys("q");
    assert_eq!(session.ended().code(), Some(0));
}

#[test]
fn ctrl_c_and_signals_leave_the_terminal_as_it_was() {
    let mut session = Session::open(&[("NO_COLOR", "1")]);
    session.expect("Leaky (module)");
    session.keys("/abc\x03");
    assert_eq!(session.ended().code(), Some(0));
    for (signal, number) in [
        (rustix::process::Signal::TERM, 15),
        (rustix::process::Signal::HUP, 1),
        (rustix::process::Signal::INT, 2),
    ] {
        let session = Session::open(&[]);
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
    let mut session = Session::open(&[]);
    session.expect("Leaky (module)");
    session.keys("\x1b[24~");
    session.expect("asked for with F12");
    assert_eq!(session.ended().code(), Some(101));
}

#[test]
fn no_colour_where_none_is_wanted() {
    for (environment, is_colored) in [(&[("NO_COLOR", "1")][..], false), (&[], true)] {
        let mut session = Session::open(environment);
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
