//! `--exec`: a command after each set, which has its time and no more. Runs
//! beside the watch; whoever calls [`Hook::turn`] learns how it ended.

use rustix::process::{Pid as Group, Signal, kill_process_group};
use std::collections::VecDeque;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the command is told of a set, in `RBLEAK_…`.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) folder: PathBuf,
    pub(crate) pid: u32,
    pub(crate) process: String,
    /// `leak` or `level`.
    pub(crate) trigger: &'static str,
    /// In one sentence.
    pub(crate) why: String,
    pub(crate) dumps: usize,
    /// `complete`, `failed` or `interrupted`.
    pub(crate) status: &'static str,
}

/// Runs the command for one set after another.
#[derive(Debug)]
pub(crate) struct Hook {
    command: String,
    limit: Duration,
    waiting: VecDeque<Facts>,
    running: Option<(Child, Instant, PathBuf)>,
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) folder: PathBuf,
    /// In a sentence, why it is no success.
    pub(crate) failure: Option<String>,
}

impl Hook {
    pub(crate) fn new(command: String, limit: Duration) -> Hook {
        Hook {
            command,
            limit,
            waiting: VecDeque::new(),
            running: None,
        }
    }

    pub(crate) fn push(&mut self, facts: Facts) {
        self.waiting.push_back(facts);
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running.is_none()
    }

    /// Starts what can be started; what has ended meanwhile.
    pub(crate) fn turn(&mut self) -> Option<Ended> {
        if let Some((child, since, folder)) = &mut self.running {
            let failure = match child.try_wait() {
                Ok(None) if since.elapsed() < self.limit => return None,
                Ok(None) => {
                    kill(child);
                    Some(format!(
                        "the command of --exec was killed: it took longer than {} s",
                        self.limit.as_secs()
                    ))
                }
                Ok(Some(status)) if status.success() => None,
                Ok(Some(status)) => Some(format!("the command of --exec failed ({status})")),
                Err(error) => Some(format!(
                    "the command of --exec cannot be waited for: {error}"
                )),
            };
            let folder = folder.clone();
            self.running = None;
            return Some(Ended { folder, failure });
        }
        let facts = self.waiting.pop_front()?;
        match self.start(&facts) {
            Ok(child) => {
                self.running = Some((child, Instant::now(), facts.folder));
                None
            }
            Err(error) => Some(Ended {
                folder: facts.folder,
                failure: Some(format!("the command of --exec cannot be started: {error}")),
            }),
        }
    }

    fn start(&self, facts: &Facts) -> io::Result<Child> {
        // What it prints is no answer of ours.
        let stderr = io::stderr();
        let out = rustix::io::dup(&stderr).map_or_else(|_| Stdio::null(), Stdio::from);
        Command::new("/bin/sh")
            .args(["-c", &self.command])
            .env("RBLEAK_SET", &facts.folder)
            .env("RBLEAK_PID", facts.pid.to_string())
            .env("RBLEAK_PROCESS", &facts.process)
            .env("RBLEAK_TRIGGER", facts.trigger)
            .env("RBLEAK_WHY", &facts.why)
            .env("RBLEAK_DUMPS", facts.dumps.to_string())
            .env("RBLEAK_STATUS", facts.status)
            .stdin(Stdio::null())
            .stdout(out)
            // All that it starts ends with it.
            .process_group(0)
            .spawn()
    }
}

impl Drop for Hook {
    fn drop(&mut self) {
        if let Some((child, ..)) = &mut self.running {
            kill(child);
        }
    }
}

fn kill(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Group::from_raw) {
        // It may have ended by itself.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str, limit: Duration) -> Ended {
        let mut hook = Hook::new(command.to_owned(), limit);
        hook.push(Facts {
            folder: "/a b/set".into(),
            pid: 7,
            process: "worker \"1\"; exit 9".to_owned(),
            trigger: "leak",
            why: "it $(leaks)".to_owned(),
            dumps: 3,
            status: "complete",
        });
        loop {
            if let Some(ended) = hook.turn() {
                assert!(hook.is_idle());
                return ended;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn it_is_told_of_the_set_by_its_environment() {
        let command = r#"test "$RBLEAK_SET" = "/a b/set" && test "$RBLEAK_WHY" = 'it $(leaks)' &&
            test "$RBLEAK_PID$RBLEAK_DUMPS$RBLEAK_STATUS$RBLEAK_TRIGGER" = 73completeleak"#;
        let ended = run(command, Duration::from_secs(60));
        assert_eq!(ended.failure, None);
        assert_eq!(ended.folder, PathBuf::from("/a b/set"));
    }

    #[test]
    fn its_failure_and_its_taking_too_long_are_told() {
        let failed = run("exit 3", Duration::from_secs(60)).failure;
        assert!(failed.is_some_and(|text| text.contains("exit status: 3")));
        // What it started ends with it.
        let long = run("sleep 60 & wait", Duration::from_millis(50)).failure;
        assert!(long.is_some_and(|text| text.contains("was killed")));
    }
}
