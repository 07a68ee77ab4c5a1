//! rbleak in a real pseudo-terminal, seen through a terminal emulator.
#![allow(dead_code, unreachable_pub)] // each test file takes its own share

use crate::common::Bench;
use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};
use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(60);
pub const ROWS: u16 = 24;
pub const COLUMNS: u16 = 110;

/// rbleak in a terminal.
pub struct Session {
    pub child: Child,
    /// What is typed goes here.
    keyboard: File,
    /// The terminal's other side, held open to look at its modes.
    pub terminal: File,
    pub screen: Arc<Mutex<vt100::Parser>>,
    before: Termios,
    pub bench: Bench,
}

impl Session {
    /// Starts rbleak in a terminal of its own.
    pub fn start(bench: Bench, arguments: &[&str], environment: &[(&str, &str)]) -> Session {
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
        let end = || Stdio::from(terminal.try_clone().expect("a terminal"));
        let child = bench
            .command(arguments)
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
            bench,
        }
    }

    pub fn text(&self) -> String {
        self.screen.lock().expect("a screen").screen().contents()
    }

    /// Waits for the screen to show something.
    pub fn expect(&self, words: &str) {
        self.wait(words, |screen| screen.contents().contains(words));
    }

    pub fn wait(&self, what: &str, is_so: impl Fn(&vt100::Screen) -> bool) {
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

    pub fn keys(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).expect("typed");
    }

    pub fn is_raw(&self) -> bool {
        let now = tcgetattr(&self.terminal).expect("modes");
        now.local_modes != self.before.local_modes
    }

    /// Waits for the end; the terminal must be as it was.
    pub fn ended(mut self) -> ExitStatus {
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
