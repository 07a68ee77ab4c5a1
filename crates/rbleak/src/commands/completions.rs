//! `rbleak completions`: what a shell needs to complete rbleak's commands and
//! flags, made of the definition of the command line.

use crate::cli::{Cli, WRITTEN_EXIT_CODES};
use crate::exit::ExitStatus;
use crate::files::write_for_all;
use crate::shell;
use anyhow::{Context, Result};
use clap::{Args, CommandFactory};
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = WRITTEN_EXIT_CODES, after_long_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
    /// Write them to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  source <(rbleak completions bash)                  for this bash
  rbleak completions bash -o ~/.local/share/bash-completion/completions/rbleak
  rbleak completions zsh -o ~/.zfunc/_rbleak         with fpath+=~/.zfunc in ~/.zshrc
  rbleak completions fish -o ~/.config/fish/completions/rbleak.fish

Exit codes: 0 written, 2 wrong use or failure.";

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
