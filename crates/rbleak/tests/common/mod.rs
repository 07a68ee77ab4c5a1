//! What the end-to-end tests share: the binary, the apps, the needs.
#![allow(dead_code, unreachable_pub)] // each test file takes its own share

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// The repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .expect("the repository is there")
}

/// The example app that leaks on purpose.
pub fn leaky() -> PathBuf {
    repository().join("examples/leaky")
}

/// One of the small apps of the tests.
pub fn app(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/apps")
        .join(name)
}

/// A dump of the fixtures.
pub fn fixture(name: &str) -> PathBuf {
    let path = repository().join("fixtures/dumps").join(name);
    assert!(path.is_file(), "no fixture {}", path.display());
    path
}

/// Fails the test with a sentence when a command is missing.
pub fn needs(command: &str) {
    let found = Command::new(command).arg("--version").output();
    assert!(
        found.is_ok(),
        "this test needs `{command}`, which is not on the PATH: run script/setup"
    );
}

/// rbleak in an empty folder of its own, with none of derailed's variables.
pub struct Bench {
    pub home: tempfile::TempDir,
}

pub struct Answer {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Bench {
    pub fn new() -> Bench {
        Bench {
            home: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rbleak"));
        command.args(arguments).current_dir(self.home.path());
        for name in [
            "TEST_COUNT",
            "CNT",
            "WARM_COUNT",
            "PATH_TO_HIT",
            "ENDPOINT",
            "USE_SERVER",
            "REQUEST_METHOD",
            "REQUEST_BODY",
            "RACK_ENV",
            "RAILS_ENV",
            "RUBYOPT",
        ] {
            command.env_remove(name);
        }
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Answer {
        answer(&self.command(arguments).output().expect("rbleak starts"))
    }

    /// The most memory that rbleak had, in bytes, and what it said.
    pub fn peak(&self, arguments: &[&str]) -> (u64, Answer) {
        let mut child = self
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("rbleak starts");
        let status = format!("/proc/{}/status", child.id());
        let mut peak = 0;
        // The peak only rises: what it was last is what it was.
        while child.try_wait().expect("its state").is_none() {
            let text = std::fs::read_to_string(&status).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let kilobytes =
                line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            peak = kilobytes.map_or(peak, |kilobytes| peak.max(kilobytes * 1024));
            std::thread::sleep(Duration::from_millis(1));
        }
        (peak, answer(&child.wait_with_output().expect("it ends")))
    }

    /// The folder of the one run that was made here.
    pub fn only_run(&self) -> PathBuf {
        let runs: Vec<PathBuf> = std::fs::read_dir(self.home.path().join(".rbleak"))
            .expect("a folder of runs")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.join("manifest.json").is_file())
            .collect();
        assert_eq!(runs.len(), 1, "{runs:?}");
        runs.into_iter().next().expect("one")
    }

    pub fn manifest(&self) -> serde_json::Value {
        let text =
            std::fs::read_to_string(self.only_run().join("manifest.json")).expect("a manifest");
        serde_json::from_str(&text).expect("JSON")
    }
}

pub fn answer(output: &Output) -> Answer {
    Answer {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

impl Answer {
    /// One sentence on stderr and exit 2; evidence may stand below it.
    pub fn assert_refused(&self, words: &str) {
        assert_eq!(self.status, 2, "{}\n{}", self.stdout, self.stderr);
        let first = self.stderr.lines().next().unwrap_or("");
        assert!(
            first.starts_with("rbleak: ") && first.contains(words),
            "expected `{words}` in: {}",
            self.stderr
        );
        for line in self.stderr.lines().skip(1) {
            assert!(
                line.starts_with("  │"),
                "more than one sentence: {}",
                self.stderr
            );
        }
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}\n{}", self.stdout, self.stderr))
    }
}
