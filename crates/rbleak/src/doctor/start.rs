//! Starts a command only to look at the Ruby in it, and ends it again.

use super::look::{Looked, look_at, ruby_below};
use anyhow::{Context, Result, bail};
use rbleak_process::Pid;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A Ruby of which it is known that it runs is looked at for so long: what is
/// loaded late is there by then.
const SETTLES: Duration = Duration::from_millis(700);
/// Between two looks. Ruby takes ten times as long to start and end again.
const STEP: Duration = Duration::from_millis(3);

/// Ends all that was started, however the look ended.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = rustix::process::Pid::from_raw(self.0.id() as i32) {
            // It may have ended by itself.
            let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        }
        let _ = self.0.wait();
    }
}

/// Starts `command` and looks at the first Ruby that it becomes or starts:
/// the last look counts, be it that the Ruby has settled or that it has ended.
pub(crate) fn look_at_command(command: &[String], patience: Duration) -> Result<Looked> {
    let [program, arguments @ ..] = command else {
        bail!("no command is given");
    };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let mut group = Group(child);
    let pid = Pid(group.0.id());
    let started = Instant::now();
    let mut first = None;
    let mut last = None;
    loop {
        // A process that is just starting, or ending, cannot be read.
        if let Ok(Some(ruby)) = ruby_below(pid)
            && let Ok(looked) = look_at(ruby)
        {
            first.get_or_insert_with(Instant::now);
            last = Some(looked);
        }
        let settled = first.is_some_and(|first: Instant| first.elapsed() > SETTLES);
        let ended = group.0.try_wait().context("cannot wait for the command")?;
        match (last.is_some(), ended) {
            (true, Some(_)) => break,
            (false, Some(status)) => {
                bail!(
                    "{program} ended ({status}) and no Ruby was seen in it: give a command that starts one"
                )
            }
            (_, None) if settled => break,
            (_, None) if started.elapsed() > patience => {
                if last.is_some() {
                    break;
                }
                bail!(
                    "no Ruby within {} s in {program}: give a command that starts one",
                    patience.as_secs()
                );
            }
            _ => sleep(STEP),
        }
    }
    last.context("no Ruby was seen")
}
