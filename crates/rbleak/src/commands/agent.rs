//! `rbleak agent`: the agent for processes that rbleak does not start, or starts
//! and leaves.

use crate::capture::{AgentArgs, socket_folders};
use crate::exit::ExitStatus;
use crate::files::data_folder;
use crate::shell;
use anyhow::{Context, Result, bail};
use rbleak_capture::{Installed, remove_stale_sockets};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// Runs the command.
pub(crate) fn run(args: &AgentArgs) -> Result<ExitStatus> {
    let base = match &args.dir {
        Some(dir) => std::path::absolute(dir)
            .with_context(|| format!("cannot tell where {} is", dir.display()))?,
        None => default_base()?,
    };
    let installed = Installed::install(&base)?;
    remove_stale_sockets(&socket_folders());
    let Some((program, arguments)) = args.command.split_first() else {
        shell::print(&lines(&installed.option()))?;
        return Ok(ExitStatus::Clean);
    };
    let inherited = std::env::var_os("RUBYOPT");
    let error = Command::new(program)
        .args(arguments)
        .env("RUBYOPT", installed.rubyopt(inherited.as_deref()))
        // Of a hunt or a watch that this is started in.
        .env_remove("RBLEAK_DIR")
        .env_remove("RBLEAK_OWNED")
        .exec();
    bail!(
        "cannot start `{}`: {error}; is it installed and on the PATH?",
        program.display()
    )
}

fn default_base() -> Result<PathBuf> {
    data_folder().context(
        "there is no place for the agent: set HOME or XDG_DATA_HOME to a folder, or name one \
         with --dir",
    )
}

/// The option in every place where it is set. What is no comment is for a shell,
/// so that it can be evaluated as it stands.
fn lines(option: &str) -> String {
    format!(
        "export RUBYOPT=\"${{RUBYOPT:+$RUBYOPT }}{option}\"\n\
         \n\
         # systemd, in [Service]:\n\
         #   Environment=RUBYOPT={option}\n\
         # Procfile:\n\
         #   web: env RUBYOPT={option} bundle exec puma\n\
         # Dockerfile, with rbleak in the image:\n\
         #   RUN rbleak agent --env --dir /opt\n\
         #   ENV RUBYOPT=-r/opt/rbleak-agent/resident.rb\n"
    )
}
