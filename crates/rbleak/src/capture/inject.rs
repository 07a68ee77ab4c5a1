//! The injection's helper: a process of its own, out of reach of Ctrl-C and of
//! whoever kills rbleak, for a thread that is stopped must be let go on as it
//! was. It does one thing, says how it went in a line of JSON, and ends.

use super::args::InjectArgs;
use anyhow::{Context, Result, anyhow, bail};
use rbleak_process::Pid;
use rbleak_process::inject::{self, Injection};
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Of setpriority(2).
pub(super) const MOST_URGENT: i32 = -20;

/// What the helper is to do.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Order<'c> {
    /// Have this Ruby evaluated.
    Inject(&'c str),
    /// Give its memory back.
    Unmap(Injection),
}

/// What the helper says.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said {
    Injected {
        address: u64,
        length: u64,
        stopped_us: u64,
    },
    Unmapped {
        stopped_us: u64,
    },
    Failed(String),
}

/// Starts the helper and waits for it.
pub(crate) fn perform(pid: Pid, order: Order<'_>) -> Result<Injection> {
    let doing = || format!("cannot inject into process {pid}");
    // Also when its file was replaced meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg("inject-helper").arg(pid.to_string());
    if let Order::Unmap(at) = order {
        command
            .arg(at.address.to_string())
            .arg(at.length.to_string());
    }
    let mut helper = command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(doing)?;
    if let (Order::Inject(code), Some(mut stdin)) = (order, helper.stdin.take()) {
        stdin.write_all(code.as_bytes()).with_context(doing)?;
    }
    let output = helper.wait_with_output().with_context(doing)?;
    let said = serde_json::from_slice(&output.stdout)
        .map_err(|_| anyhow!("the helper ended ({})", output.status))
        .with_context(doing)?;
    match (said, order) {
        (
            Said::Injected {
                address,
                length,
                stopped_us,
            },
            Order::Inject(_),
        ) => Ok(Injection {
            address,
            length,
            stopped: Duration::from_micros(stopped_us),
        }),
        (Said::Unmapped { stopped_us }, Order::Unmap(at)) => Ok(Injection {
            stopped: Duration::from_micros(stopped_us),
            ..at
        }),
        (Said::Failed(sentence), _) => bail!(sentence),
        _ => bail!("{}: the helper did something else", doing()),
    }
}

/// The helper itself: the line that it answers.
pub(crate) fn help(args: &InjectArgs) -> String {
    // While it waits for a processor, a thread of somebody else's stands still.
    // Only root may.
    let _ = rustix::process::setpriority_process(None, MOST_URGENT);
    let pid = Pid(args.pid);
    let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    let said = match args.unmap[..] {
        [address, length] => match inject::unmap(pid, address, length) {
            Ok(stopped) => Said::Unmapped {
                stopped_us: micros(stopped),
            },
            Err(error) => Said::Failed(error.to_string()),
        },
        _ => {
            let mut code = String::new();
            match std::io::stdin().read_to_string(&mut code) {
                Err(error) => Said::Failed(error.to_string()),
                Ok(_) => match inject::inject(pid, &code) {
                    Ok(injection) => Said::Injected {
                        address: injection.address,
                        length: injection.length,
                        stopped_us: micros(injection.stopped),
                    },
                    Err(error) => Said::Failed(error.to_string()),
                },
            }
        }
    };
    serde_json::to_string(&said).unwrap_or_default()
}
