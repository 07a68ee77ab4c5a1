//! `rbleak doctor`: allocator and settings as a running Ruby really has them.

use crate::audit::summary;
use crate::doctor::args::DoctorArgs;
use crate::doctor::document::document;
use crate::doctor::findings::findings;
use crate::doctor::look::look;
use crate::doctor::start::look_at_command;
use crate::exit::ExitStatus;
use crate::shell;
use anyhow::Result;
use rbleak_process::Pid;
use std::time::Duration;

/// Runs the command.
pub(crate) fn run(args: &DoctorArgs) -> Result<ExitStatus> {
    let looked = match args.pid {
        Some(pid) => look(Pid(pid))?,
        None => {
            let patience = Duration::from_secs(args.boot_timeout);
            let plain = ["ruby", "-e", "sleep"].map(str::to_owned);
            match args.command.as_slice() {
                [] => look_at_command(&plain, patience)?,
                command => look_at_command(command, patience)?,
            }
        }
    };
    let findings = findings(&looked);
    // A fact and no finding: no setting mends it, and which of its leaks an app
    // runs into, a process does not tell.
    let leaks = looked.ruby.as_deref().and_then(summary::ruby);
    shell::show(
        &document(&looked, leaks, &findings),
        args.output.format,
        args.output.file.as_deref(),
    )?;
    Ok(match findings.is_empty() || !args.strict {
        true => ExitStatus::Clean,
        false => ExitStatus::Found,
    })
}
