//! The process that rbleak started, with everything below it: started in a
//! group of its own, its output in a log, and never left behind. Knows
//! neither agents nor ports.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child as Handle, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rbleak_process::stat::Stat;
use rbleak_process::{Pid, tree};
use rustix::process::{Signal, kill_process, kill_process_group};

use crate::error::CaptureError;
use crate::launch::Launch;

/// How often a wait for a process looks.
pub(crate) const TICK: Duration = Duration::from_millis(20);

/// How much of the log is quoted.
const TAIL_LINES: usize = 20;
const TAIL_BYTES: u64 = 32_000;
/// Of a backtrace the head: a whole one would push its own message out.
const BACKTRACE_LINES: usize = 5;

/// A child in a process group of its own; killed on drop.
#[derive(Debug)]
pub(crate) struct Child {
    handle: Handle,
    command: String,
    log: PathBuf,
    status: Option<ExitStatus>,
}

impl Child {
    /// Starts a program in the app's directory, with the inherited
    /// environment and `more`.
    pub(crate) fn start<A, V>(
        launch: &Launch,
        program: &OsStr,
        arguments: &[A],
        more: &[(&str, V)],
    ) -> Result<Child, CaptureError>
    where
        A: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        let write = |source| CaptureError::Write {
            path: launch.log.clone(),
            source,
        };
        let log = File::create(&launch.log).map_err(write)?;
        let copy = log.try_clone().map_err(write)?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(&launch.directory)
            .env_clear()
            .envs(&launch.inherited)
            .envs(more.iter().map(|(key, value)| (key, value)))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(copy);
        let handle = command.spawn().map_err(|source| CaptureError::Spawn {
            program: program.to_string_lossy().into_owned(),
            source,
        })?;
        let words = std::iter::once(program).chain(arguments.iter().map(AsRef::as_ref));
        let words: Vec<_> = words.map(OsStr::to_string_lossy).collect();
        Ok(Child {
            handle,
            command: words.join(" "),
            log: launch.log.clone(),
            status: None,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.handle.id()
    }

    pub(crate) fn command(&self) -> &str {
        &self.command
    }

    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// How the child ended; `None` while it lives.
    pub(crate) fn ended(&mut self) -> Option<String> {
        if self.status.is_none() {
            self.status = self.handle.try_wait().ok().flatten();
        }
        self.status.map(|status| status.to_string())
    }

    /// Like [`Child::ended`], for a child that has just closed its
    /// connections: its end may take a moment.
    pub(crate) fn ended_within(&mut self, patience: Duration) -> Option<String> {
        let since = Instant::now();
        loop {
            let status = self.ended();
            if status.is_some() || since.elapsed() > patience {
                return status;
            }
            thread::sleep(TICK);
        }
    }

    /// The last lines of the log.
    pub(crate) fn log_tail(&self) -> String {
        let read = || -> io::Result<String> {
            let mut file = File::open(&self.log)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
            let mut bytes = Vec::new();
            file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        last_lines(&read().unwrap_or_default())
    }

    /// The child's living processes.
    pub(crate) fn tree(&self) -> Vec<Stat> {
        tree::of_group(Pid(self.pid()), &tree::all().unwrap_or_default())
    }

    /// Asks all of it to end, and kills what has not ended in time.
    pub(crate) fn stop(&mut self, patience: Duration) {
        let since = Instant::now();
        self.signal(Signal::TERM);
        while since.elapsed() < patience {
            if self.ended().is_some() && self.tree().is_empty() {
                return;
            }
            thread::sleep(TICK);
        }
        self.kill();
    }

    /// Ends all of it, now.
    pub(crate) fn kill(&mut self) {
        // Twice: one may have forked while the table was read.
        for _ in 0..2 {
            self.signal(Signal::KILL);
        }
        if self.status.is_none() {
            self.status = self.handle.wait().ok();
        }
    }

    fn signal(&mut self, signal: Signal) {
        let tree = self.tree();
        let own = Pid(self.pid());
        // The number of a group is not given out again while it has members.
        if tree.iter().any(|process| process.group == own)
            && let Some(group) = number(own)
        {
            let _ = kill_process_group(group, signal);
        }
        for process in tree.iter().filter(|process| process.group != own) {
            if let Some(pid) = number(process.pid) {
                let _ = kill_process(pid, signal);
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A process's number as the system calls take it.
fn number(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(i32::try_from(pid.0).ok()?)
}

/// The end of a log, long backtraces shortened.
fn last_lines(text: &str) -> String {
    let mut frames = 0;
    let lines = text.lines().filter(|line| {
        frames = if line.starts_with("\tfrom ") {
            frames + 1
        } else {
            0
        };
        frames <= BACKTRACE_LINES
    });
    let lines: Vec<&str> = lines.collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

/// Random digits for a session secret.
pub(crate) fn random_digits() -> io::Result<String> {
    let mut bytes = [0; 64];
    fs::File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_log_keeps_the_message_of_a_long_backtrace() {
        let mut log = "started\n".repeat(30) + "app.rb:1: boom (RuntimeError)\n";
        log += &"\tfrom gem.rb:2\n".repeat(100);
        let tail = last_lines(&log);
        assert!(tail.contains("boom"), "{tail}");
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert_eq!(last_lines(""), "");
    }
}
