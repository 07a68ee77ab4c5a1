//! `rbleak completions`: what a shell needs to complete rbleak's commands and
//! flags, made of the definition of the command line.

use crate::cli::{Cli, CompletionsArgs};
use crate::exit::ExitStatus;
use crate::files::write_for_all;
use crate::shell;
use anyhow::{Context, Result};
use clap::CommandFactory;

/// Runs the command.
pub(crate) fn run(args: &CompletionsArgs) -> Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut shown(), "rbleak", &mut script);
    match &args.output {
        Some(path) => write_for_all(path, &script)
            .with_context(|| format!("cannot write {}", path.display()))?,
        None => shell::print(&String::from_utf8(script).context("the completions are no text")?)?,
    }
    Ok(ExitStatus::Clean)
}

/// The command line without what nobody is to call by hand: generators offer hidden
/// commands, too.
fn shown() -> clap::Command {
    let all = Cli::command();
    let commands = all.get_subcommands().filter(|it| !it.is_hide_set());
    clap::Command::new("rbleak")
        .version(env!("CARGO_PKG_VERSION"))
        .subcommands(commands.cloned())
}
