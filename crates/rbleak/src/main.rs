//! The `rbleak` command line: arguments → plan → run → document.
//!
//! The only crate that prints, exits, and reads the environment, the clock and
//! the working directory. One file a command in `commands/`; domain values
//! become a document there, and nowhere below.

mod audit;
mod capture;
mod cli;
mod commands;
mod derailed;
mod doctor;
#[cfg(test)]
mod documented;
mod exit;
mod explore;
mod files;
mod findings;
mod guard;
mod held;
mod hunt;
mod inputs;
mod memory;
mod rates;
mod report;
mod run;
mod shell;
mod sources;
mod verdicts;
mod verify;
mod watch;

use clap::Parser;
use cli::{Cli, Command};
use exit::ExitStatus;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match &cli.command {
        Command::Hunt(args) => commands::hunt::run(args),
        Command::Verify(args) => commands::verify::run(args),
        Command::Diff(args) => commands::diff::run(args),
        Command::Path(args) => commands::path::run(args),
        Command::Retained(args) => commands::retained::run(args),
        Command::Summary(args) => commands::summary::run(args),
        Command::Show(args) => commands::show::run(args),
        Command::Explore(args) => commands::explore::run(args),
        Command::Report(args) => commands::report::run(args),
        Command::Audit(args) => commands::audit::run(args),
        Command::Watch(args) => commands::watch::run(args),
        Command::Guard(args) => commands::guard::run(args),
        Command::Trend(args) => commands::trend::run(args),
        Command::Doctor(args) => commands::doctor::run(args),
        Command::Capture(args) => commands::capture::run(args),
        Command::Agent(args) => commands::agent::run(args),
        Command::InjectHelper(args) => commands::capture::help(args),
        Command::FreezeHelper(args) => commands::capture::keep(args),
        Command::Demo(args) => commands::demo::run(args),
        Command::Completions(args) => commands::completions::run(args),
        Command::Man(args) => commands::man::run(args),
    };
    let status = result.unwrap_or_else(|error| {
        let evidence = error
            .downcast_ref::<rbleak_capture::CaptureError>()
            .and_then(rbleak_capture::CaptureError::evidence);
        shell::error(&sentence(&error), evidence);
        ExitStatus::Failure
    });
    status.into()
}

/// The causes in one line; what an outer message already says is left out.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}
