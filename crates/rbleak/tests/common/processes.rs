//! Processes to watch.
#![allow(dead_code, unreachable_pub)] // each test file takes its own share

use crate::common::Bench;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Keeps some megabytes a second.
pub const LEAK: &str =
    "$stdout.sync = true; puts 'up'; $k = []; loop { 100.times { $k << 'x' * 8000 }; sleep 0.02 }";
/// Allocates much, and keeps nothing but what it has from the start on.
pub const STABLE: &str = "$stdout.sync = true; $k = Array.new(20_000) { 'x' * 200 }; puts 'up'; \
     loop { 100.times { 'x' * 4000 }; sleep 0.02 }";
/// Loses memory that Ruby knows nothing of.
pub const NATIVE: &str = "require 'fiddle'; puts 'up'; $stdout.flush; \
     loop { 100.times { p = Fiddle.malloc(4000); Fiddle::Pointer.new(p)[0, 4000] = 'x' * 4000 }; sleep 0.02 }";

/// A process that lasts until the test is over.
pub struct Process {
    child: Child,
    pub first_line: String,
}

impl Process {
    pub fn start(program: &str, arguments: &[&str]) -> Process {
        let child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Process {
            child: child.unwrap_or_else(|_| panic!("this test needs {program}")),
            first_line: String::new(),
        }
    }

    /// A Ruby that runs this code, and has printed a line.
    pub fn ruby(code: &str) -> Process {
        Process::in_folder(&["-e", code], &std::env::temp_dir())
    }

    pub fn in_folder(arguments: &[&str], folder: &std::path::Path) -> Process {
        // One that prints nothing is not waited for.
        let prints = arguments.iter().any(|word| word.contains("puts"));
        let stdout = match prints {
            true => Stdio::piped(),
            false => Stdio::null(),
        };
        let mut child = Command::new("ruby")
            .args(arguments)
            .current_dir(folder)
            .stdout(stdout)
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs `ruby`: run script/setup");
        let mut first_line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut first_line);
            read.expect("a first line");
        }
        Process { child, first_line }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal by its name.
pub fn signal(pid: u32, name: &str) {
    let sent = Command::new("kill")
        .args([&format!("-{name}"), &pid.to_string()])
        .status();
    assert!(sent.expect("kill").success());
}

/// Waits until something is so.
pub fn until(what: &str, is_so: impl Fn() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(
            since.elapsed() < Duration::from_secs(60),
            "waited for {what}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The one folder of a recording.
pub fn record_folder(bench: &Bench) -> PathBuf {
    let folders: Vec<PathBuf> = std::fs::read_dir(bench.home.path().join(".rbleak"))
        .expect("a folder of recordings")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(folders.len(), 1, "{folders:?}");
    folders.into_iter().next().expect("one")
}

/// The recording.
pub fn ndjson(bench: &Bench) -> String {
    std::fs::read_to_string(record_folder(bench).join("memory.ndjson")).expect("a recording")
}
