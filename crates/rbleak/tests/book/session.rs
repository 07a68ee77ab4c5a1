//! A page's commands, run as they stand: one shell after another in a home of
//! their own, in which lies what a reader has.
//!
//! - `~/leaky`: examples/leaky, a git repository; `~/rbleak`: what a checkout of
//!   rbleak has of it
//! - `~/dumps`: the recorded hunt that rbleak carries, as a run's folder
//! - `~/endpoints`, `~/rails`, `~/sinatra`: apps of the tests
//! - `~/shop`, `~/memory`, `~/jobs`, `~/gem`: what lies in `tests/book/home`

use crate::common::{app, leaky, repository};
use crate::pages::{Console, Page};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(300);
/// Stands before each command's output.
const MARK: char = '\u{1e}';
/// Where the pages' home is said to be.
const HOME: &str = "/home/you";

/// Runs all commands of a page; gives for each block the output of each command,
/// as it would be written into the page.
pub(crate) fn run(page: &Page, blocks: &[Console]) -> Vec<Vec<String>> {
    let home = tempfile::Builder::new().prefix("book").tempdir();
    let home = home.expect("a home");
    let home = home.path().canonicalize().expect("a home");
    furnish(&home);
    let script = home.join(".script");
    fs::write(&script, text(blocks)).expect("written");
    let output = home.join(".output");
    let file = fs::File::create(&output).expect("a file");
    let rbleak = Path::new(env!("CARGO_BIN_EXE_rbleak"));
    let bin = rbleak.parent().expect("a folder");
    let path = std::env::var("PATH").expect("a PATH");
    let mut shell = Command::new("bash");
    shell
        .args(["--norc", "--noprofile"])
        .arg(&script)
        .current_dir(home.join(page.folder()))
        .env_clear()
        .env("PATH", format!("{}:{path}", bin.display()))
        .env("HOME", &home)
        .env("LANG", "C.UTF-8")
        // Sockets of agents; none of the user's own are met.
        .env("XDG_RUNTIME_DIR", &home)
        .stdin(Stdio::null())
        .stderr(file.try_clone().expect("a file"))
        .stdout(file)
        .process_group(0);
    let mut child = shell.spawn().expect("this test needs `bash`");
    let since = Instant::now();
    let ended = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break Some(status);
        }
        if since.elapsed() > PATIENCE {
            break None;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    // What it has left in the background goes with it.
    let group = rustix::process::Pid::from_child(&child);
    let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    let _ = child.wait();
    let said = String::from_utf8_lossy(&fs::read(&output).expect("an output")).into_owned();
    assert!(
        ended.is_some(),
        "{}: its commands do not end:\n{said}",
        page.name
    );
    let said = said.replace(&home.display().to_string(), HOME);
    let mut outputs = said.split(MARK).skip(1).map(trimmed);
    let outputs: Vec<Vec<String>> = blocks
        .iter()
        .map(|block| outputs.by_ref().take(block.commands.len()).collect())
        .collect();
    let _ = fs::remove_dir_all(&home);
    outputs
}

/// No line ends in a space, in a page.
fn trimmed(output: &str) -> String {
    let lines: Vec<&str> = output.lines().map(str::trim_end).collect();
    match lines.join("\n").trim_end() {
        "" => String::new(),
        text => format!("{text}\n"),
    }
}

fn text(blocks: &[Console]) -> String {
    let mut script = "said=0\n".to_owned();
    for command in blocks.iter().flat_map(|block| &block.commands) {
        // `$?` is that of the command before, as in a terminal.
        script.push_str(&format!(
            "printf '\\036'; (exit $said)\n{}\nsaid=$?\n",
            command.text
        ));
    }
    script
}

fn furnish(home: &Path) {
    copy(&leaky(), &home.join("leaky"));
    copy(&leaky(), &home.join("rbleak/examples/leaky"));
    copy(&app("endpoints"), &home.join("endpoints"));
    copy(&app("rails61"), &home.join("rails"));
    copy(&app("sinatra"), &home.join("sinatra"));
    copy(
        &repository().join("crates/rbleak/recorded"),
        &home.join("dumps"),
    );
    copy(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/book/home"),
        home,
    );
    let commit = "git init -q -b main && git add -A && \
                  git -c user.name=you -c user.email=you@example.org commit -q -m 'An app that leaks'";
    let done = Command::new("sh")
        .args(["-c", commit])
        .current_dir(home.join("leaky"))
        .status();
    assert!(done.expect("a shell").success());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("copied");
        }
    }
}
