//! The flags of `verify`.

use crate::hunt::args::HuntArgs;
use clap::Args;
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes: 0 the leak is gone, 1 it still leaks or something new does, 2 wrong use or failure, 3 inconclusive.";

/// Flags that say what is hunted and how: of no use with two runs.
const OF_HUNTS: [&str; 27] = [
    "paths_from",
    "param",
    "har",
    "log",
    "command",
    "path",
    "method",
    "header",
    "body",
    "warmup",
    "requests",
    "rounds",
    "min_rounds",
    "concurrency",
    "rackup",
    "boot",
    "each",
    "environment",
    "ruby",
    "no_bundler",
    "directory",
    "port",
    "boot_timeout",
    "request_timeout",
    "stop_timeout",
    "run_dir",
    "memory",
];

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = HELP)]
#[command(
    override_usage = "rbleak verify [OPTIONS] <BEFORE> <AFTER>\n       rbleak verify [OPTIONS] --baseline <REF> [HUNT OPTIONS] [-- CMD]"
)]
pub(crate) struct VerifyArgs {
    /// The run of the app that leaked: a folder that hunt made
    #[arg(value_name = "BEFORE", requires = "after", required_unless_present = "baseline", conflicts_with_all = OF_HUNTS)]
    pub(crate) before: Option<PathBuf>,
    /// The run of the app that is mended
    #[arg(value_name = "AFTER")]
    pub(crate) after: Option<PathBuf>,
    /// Hunt the app as it was at a git revision, then as it is now
    #[arg(long, value_name = "REF", conflicts_with_all = ["before", "after"])]
    pub(crate) baseline: Option<String>,
    /// File that git does not know and the app needs, such as config/master.key; repeat for several
    #[arg(long, value_name = "FILE", requires = "baseline")]
    pub(crate) carry: Vec<PathBuf>,
    /// Compare runs of different plans: other paths, apps, Rubies
    #[arg(long)]
    pub(crate) anyway: bool,
    #[command(flatten)]
    pub(crate) hunt: HuntArgs,
}

const HELP: &str = "\
Examples:
  rbleak hunt --path /users                      it leaks: .rbleak/A
  (mend it)
  rbleak hunt --path /users                      .rbleak/B
  rbleak verify .rbleak/A .rbleak/B              is it gone, and nothing new there
  rbleak verify --baseline main --path /users    both hunts at once

Gone means: what leaked before is shown to grow by less than the margins, each
with 95 % confidence, over eight rounds or more.

With --baseline the revision is checked out into a temporary worktree, which is
removed again; the tree itself is not touched. What git does not know is not in
it: take it along with --carry.

Exit codes: 0 the leak is gone and nothing new leaks, 1 it still leaks or
something new does, 2 wrong use or failure, 3 inconclusive: nothing leaked
before, the rounds after it were too few, or the runs are of different plans.";
