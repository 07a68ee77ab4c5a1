//! The helper that has a process copied, and keeps the copy: a process of its own,
//! out of reach of Ctrl-C and of whoever kills rbleak, for the thread that is
//! stopped must be let go on as it was, and the copy must not outlive its use. It
//! keeps the copy until its standard input ends, be it with rbleak.

use super::args::FreezeArgs;
use super::inject::MOST_URGENT;
use anyhow::{Context, Result, anyhow, bail};
use rbleak_process::Pid;
use rbleak_process::inject::Frozen;
use rbleak_process::memory::Registers;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// What the helper says, a line each time.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Frozen {
        copy: u32,
        stopped_us: u64,
        stack_pointer: u64,
        general: Vec<u64>,
    },
    Ended {
        was_whole: bool,
        stopped_us: u64,
    },
    Failed(String),
}

/// A copy that the helper keeps. Dropping it ends it.
pub(super) struct Kept {
    helper: Child,
    says: BufReader<ChildStdout>,
    of: Pid,
    /// The copy's number.
    pub(super) copy: Pid,
    /// For how long the main thread stood still.
    pub(super) stopped: Duration,
    /// What the main thread's registers held.
    pub(super) registers: Registers,
}

/// Has a process copied.
pub(super) fn freeze(pid: Pid) -> Result<Kept> {
    let doing = || format!("cannot copy process {pid}");
    // Also when its file was replaced meanwhile.
    let mut helper = Command::new("/proc/self/exe")
        .arg("freeze-helper")
        .arg(pid.to_string())
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(doing)?;
    let stdout = helper.stdout.take();
    let stdout = stdout
        .ok_or_else(|| anyhow!("no pipe"))
        .with_context(doing)?;
    let mut kept = Kept {
        helper,
        says: BufReader::new(stdout),
        of: pid,
        copy: pid,
        stopped: Duration::ZERO,
        registers: Registers::default(),
    };
    match kept.hear()? {
        Said::Frozen {
            copy,
            stopped_us,
            stack_pointer,
            general,
        } => {
            kept.copy = Pid(copy);
            kept.stopped = Duration::from_micros(stopped_us);
            kept.registers = Registers {
                stack_pointer,
                general,
            };
            Ok(kept)
        }
        Said::Failed(sentence) => bail!(sentence),
        Said::Ended { .. } => bail!("{}: the helper did something else", doing()),
    }
}

impl Kept {
    fn hear(&mut self) -> Result<Said> {
        let doing = || format!("cannot copy process {}", self.of);
        let mut line = String::new();
        self.says.read_line(&mut line).with_context(doing)?;
        serde_json::from_str(&line)
            .map_err(|_| anyhow!("the helper that keeps the copy has ended"))
            .with_context(doing)
    }

    /// Ends the copy; for how long the main thread stood still once more.
    pub(super) fn end(mut self) -> Result<Duration> {
        drop(self.helper.stdin.take());
        match self.hear()? {
            Said::Ended {
                was_whole: true,
                stopped_us,
            } => Ok(Duration::from_micros(stopped_us)),
            Said::Ended { .. } => bail!(
                "the copy of process {} that was read was killed meanwhile, for want of memory \
                 say; the process itself goes on",
                self.of
            ),
            Said::Failed(sentence) => bail!(sentence),
            Said::Frozen { .. } => bail!("the helper did something else"),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        drop(self.helper.stdin.take());
        // It ends the copy and itself.
        let _ = self.helper.wait();
    }
}

/// The helper itself; `say` passes a line on.
pub(crate) fn keep(args: &FreezeArgs, mut say: impl FnMut(&str) -> Result<()>) -> Result<()> {
    // While it waits for a processor, a thread of somebody else's stands still.
    // Only root may.
    let _ = rustix::process::setpriority_process(None, MOST_URGENT);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let mut say = |said: &Said| {
        let line = serde_json::to_string(said).unwrap_or_default();
        say(&format!("{line}\n"))
    };
    let frozen = match Frozen::of(Pid(args.pid)) {
        Ok(frozen) => frozen,
        Err(error) => return say(&Said::Failed(error.to_string())),
    };
    let registers = frozen.registers();
    say(&Said::Frozen {
        copy: frozen.pid().0,
        stopped_us: micros(frozen.stopped()),
        stack_pointer: registers.stack_pointer,
        general: registers.general.clone(),
    })?;
    // Until whoever asked has read it, or is gone.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    match frozen.end() {
        Ok((was_whole, stopped)) => say(&Said::Ended {
            was_whole,
            stopped_us: micros(stopped),
        }),
        Err(error) => say(&Said::Failed(error.to_string())),
    }
}
