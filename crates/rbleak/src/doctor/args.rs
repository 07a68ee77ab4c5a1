//! What may be written after `rbleak doctor`.

use crate::cli::Output;
use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_EXIT_CODES, after_long_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// A running Ruby, or a process with a Ruby below it
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "command")]
    pub(crate) pid: Option<u32>,
    /// Command to start, look at and end again [default: ruby -e sleep]
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,

    /// Exit with 1 if there is a finding
    #[arg(long)]
    pub(crate) strict: bool,
    /// Seconds until a Ruby must have been seen in CMD
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) boot_timeout: u64,
    #[command(flatten)]
    pub(crate) output: Output,
}

const DOCTOR_EXIT_CODES: &str =
    "Exit codes: 0 it was looked at, 1 with --strict: there is a finding, 2 wrong use or failure.";

const DOCTOR_HELP: &str = "\
Examples:
  rbleak doctor 4711                   a running server, as it really is
  rbleak doctor --strict -- bin/start  what this command would get, for CI
  rbleak doctor                        what a plain ruby gets here

What is mapped decides, not what the environment says. Processes of other users
need root.

Exit codes: 0 it was looked at, 1 with --strict: there is a finding, 2 wrong use
or failure.";
