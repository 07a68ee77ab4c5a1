//! What may be written after `rbleak agent` and `rbleak capture`.

use crate::cli::Format;
use clap::{Args, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

#[derive(Debug, Args)]
#[command(after_help = AGENT_EXIT_CODES, after_long_help = AGENT_HELP)]
#[command(override_usage = "rbleak agent [--dir DIR] <--env | -- CMD…>")]
pub(crate) struct AgentArgs {
    /// Command to become, with the agent in it and in every Ruby below it
    #[arg(
        last = true,
        value_name = "CMD",
        required_unless_present = "env",
        conflicts_with = "env"
    )]
    pub(crate) command: Vec<OsString>,
    /// Install the agent and print what loads it, for shell, Docker, systemd and Procfile
    #[arg(long)]
    pub(crate) env: bool,
    /// Folder to install it in [default: rbleak below XDG_DATA_HOME or ~/.local/share]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

const AGENT_EXIT_CODES: &str = "Exit codes: 0 printed, 2 wrong use or failure; else that of CMD.";

const AGENT_HELP: &str = "\
Examples:
  rbleak agent -- bundle exec puma -w 3    rbleak becomes puma
  eval \"$(rbleak agent --env)\"             every Ruby that this shell starts from now on
  rbleak agent --env --dir /opt            for an image: see the lines for Docker

The agent waits for rbleak capture: a thread that sleeps, under 1 MB. It listens on
a socket in a folder that its user alone may look into, below XDG_RUNTIME_DIR or
/tmp, and answers that user and root. It follows forks, exec and Process.daemon,
needs no gem, and patches nothing but fork.

Exit codes: 0 printed, 2 wrong use or failure; with CMD, that of CMD.";

/// How a process is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Via {
    /// The agent where it is loaded, injection elsewhere
    Auto,
    /// The agent alone
    Agent,
    /// Injection, also where the agent is loaded
    Inject,
    /// From the memory of a copy that never runs: no Ruby code is run
    Snapshot,
}

#[derive(Debug, Args)]
#[command(after_help = CAPTURE_EXIT_CODES, after_long_help = CAPTURE_HELP)]
pub(crate) struct CaptureArgs {
    /// Ruby to capture, or the master of a cluster
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), required_unless_present = "core")]
    pub(crate) pid: Option<u32>,

    /// Core file to read in place of a process: one of the kernel's, or gcore's
    #[arg(long, value_name = "FILE", conflicts_with_all = ["pid", "count", "every", "trace", "via", "timeout", "worker", "biggest", "all"])]
    pub(crate) core: Option<PathBuf>,
    /// Ruby's program or library of the core file, where it lies elsewhere now
    #[arg(long, value_name = "FILE", requires = "core")]
    pub(crate) exe: Option<PathBuf>,

    /// Dumps, one after another: 3 for A, B and C
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=26))]
    pub(crate) count: u8,
    /// Between two dumps [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) every: Option<Duration>,
    /// Trace allocations for so long before the first dump, and until the last
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) trace: Option<Duration>,
    /// How the process is reached
    #[arg(long, value_enum, default_value_t = Via::Auto)]
    pub(crate) via: Via,
    /// Time that one dump may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    pub(crate) timeout: Duration,

    /// Worker N of the cluster
    #[arg(long, value_name = "N", help_heading = "Cluster", conflicts_with_all = ["biggest", "all"])]
    pub(crate) worker: Option<u32>,
    /// The Ruby of the tree that holds most memory
    #[arg(long, help_heading = "Cluster", conflicts_with = "all")]
    pub(crate) biggest: bool,
    /// Every Ruby of the tree, one after another, each in a folder of its own
    #[arg(long, help_heading = "Cluster")]
    pub(crate) all: bool,

    /// Leave out what strings and symbols say, before it reaches the disk; lengths stay
    #[arg(long, help_heading = "Output")]
    pub(crate) redact: bool,
    /// Folder to make for the dumps [default: .rbleak/capture-TIME]
    #[arg(short, long, value_name = "FOLDER", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub(crate) format: Format,
    /// No progress on stderr
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

const CAPTURE_EXIT_CODES: &str = "Exit codes: 0 captured, 2 wrong use or failure.";

const CAPTURE_HELP: &str = "\
Examples:
  rbleak capture 4711                             one dump of a running Ruby
  rbleak capture --count 3 --every 5m 4711        A, B and C; then: rbleak diff FOLDER
  rbleak capture --trace 60s 4711                 with the lines that allocated, of 60 s
  rbleak capture --biggest 4711                   the largest worker of a cluster
  rbleak capture --via snapshot 4711              without running any Ruby in it
  rbleak capture --core core.4711                 from a core file

The process forks, and the copy writes its heap: the process stands still for the
fork alone. Where the agent is loaded (rbleak agent) it is asked to. Elsewhere, on
x86-64 and aarch64, the main thread is stopped for some tenths of a millisecond and
Ruby is told to start the same agent, which leaves when the capture is over. Where
it is stuck in C code, and with --via snapshot, its memory is read instead on x86-64,
from a copy that never runs a line of it: the dump then has no values that only C
code knows.

While the copy writes, pages that either of the two writes to are held twice. What
that may come to is compared with what is free in the control group first.

The dumps lie in FOLDER with their names and manifest.json, readable by you alone:
they hold the values of your strings, unless --redact leaves them out.

Exit codes: 0 captured, 2 wrong use or failure; nothing was changed in the process.";

/// Of the helper that stops a thread: nobody is to call it by hand.
#[derive(Debug, Args)]
pub(crate) struct InjectArgs {
    pub(crate) pid: u32,
    /// Memory to give back, in place of code to inject
    #[arg(num_args = 2, value_names = ["ADDRESS", "LENGTH"])]
    pub(crate) unmap: Vec<u64>,
}

/// Of the helper that keeps a copy of a process.
#[derive(Debug, Args)]
pub(crate) struct FreezeArgs {
    pub(crate) pid: u32,
}

fn duration(text: &str) -> Result<Duration, String> {
    crate::watch::duration(text)
}
