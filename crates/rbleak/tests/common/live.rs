//! Rubies to capture, with and without the agent.
#![allow(dead_code, unreachable_pub)] // each test file takes its own share

use crate::common::{Answer, Bench, answer, needs};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const PATIENCE: Duration = Duration::from_secs(60);

/// A Ruby that has printed a line; ended with the test.
pub struct Live {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    pub first: String,
}

impl Live {
    /// Without the agent.
    pub fn plain(code: &str) -> Live {
        needs("ruby");
        let mut command = Command::new("ruby");
        command.args(["-e", code]).env_remove("RUBYOPT");
        Live::start(command)
    }

    /// With it.
    pub fn with_agent(bench: &Bench, code: &str) -> Live {
        needs("ruby");
        Live::start(rbleak(bench, &["agent", "--", "ruby", "-e", code]))
    }

    /// One that traces another process: by PTRACE_SEIZE, without a debugger.
    pub fn tracing(pid: u32) -> Live {
        let tracer = Live::plain(&format!(
            "require 'fiddle'
             i = Fiddle::TYPE_LONG
             seize = Fiddle::Function.new(Fiddle.dlopen(nil)['ptrace'], [i, i, i, i], i)
             puts seize.call(0x4206, {pid}, 0, 0); $stdout.flush; sleep"
        ));
        assert_eq!(tracer.first, "0", "it traces");
        tracer
    }

    pub fn start(mut command: Command) -> Live {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("piped");
        let mut live = Live {
            child,
            lines: BufReader::new(stdout).lines(),
            first: String::new(),
        };
        live.first = live.line();
        live
    }

    /// The next line that it prints.
    pub fn line(&mut self) -> String {
        self.lines
            .next()
            .expect("a line before it ends")
            .expect("text")
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn text(&self) -> String {
        self.pid().to_string()
    }

    pub fn is_alive(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// rbleak with a home of its own, in which sockets lie too.
pub fn rbleak(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = bench.command(arguments);
    command
        .env("HOME", bench.home.path())
        .env("XDG_RUNTIME_DIR", bench.home.path())
        .env_remove("XDG_DATA_HOME");
    command
}

pub fn run(bench: &Bench, arguments: &[&str]) -> Answer {
    let output: Output = rbleak(bench, arguments).output().expect("rbleak starts");
    answer(&output)
}

/// Captures to a folder; it must succeed.
pub fn captured(bench: &Bench, arguments: &[&str]) -> serde_json::Value {
    let mut all = vec!["capture", "--format", "json"];
    all.extend(arguments);
    let told = run(bench, &all);
    assert_eq!(told.status, 0, "{}\n{}", told.stdout, told.stderr);
    told.json()
}

/// The rows of dumps.
pub fn rows(json: &serde_json::Value) -> Vec<&serde_json::Value> {
    let rows = json["tables"]["dumps"]["rows"].as_array();
    rows.unwrap_or_else(|| panic!("{json:#}")).iter().collect()
}

/// The lines of a compressed file.
pub fn unpacked(path: &Path) -> String {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8(zstd::decode_all(&bytes[..]).expect("Zstandard")).expect("UTF-8")
}

/// The lines of a dump by address, or by name of the root.
pub fn objects(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().map(|line| {
        let json: serde_json::Value = serde_json::from_str(line).expect("whole lines of JSON");
        let key = json["address"].as_str().or(json["root"].as_str());
        (key.expect("an address").to_owned(), line.to_owned())
    });
    lines.collect()
}

/// What lies in a folder, by name.
pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// The sockets of resident agents.
pub fn sockets(bench: &Bench) -> Vec<PathBuf> {
    let folders = names_in(bench.home.path());
    let folders = folders.iter().filter(|it| it.starts_with("rbleak-agents-"));
    let all = folders.flat_map(|folder| {
        let folder = bench.home.path().join(folder);
        names_in(&folder)
            .into_iter()
            .map(move |name| folder.join(name))
    });
    all.collect()
}

/// Copies a program. Not in this process: a file that it holds open for writing,
/// be it in the child of another thread, cannot be executed.
pub fn copy_program(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg(from).arg(to).status();
    assert!(copied.expect("cp").success());
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(to, mode).expect("a mode");
}

/// Waits until something is so.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_so() {
        assert!(since.elapsed() < PATIENCE, "waited for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
