//! What may be written after `rbleak retained`.

use crate::cli::{Output, Reading, TOLD_EXIT_CODES};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// Of what the largest are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RetainedBy {
    /// Objects that stand on top: what they keep does not overlap
    Object,
    /// Classes
    Class,
    /// Lines that allocated
    Site,
    /// Gems that allocated
    Gem,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = TOLD_EXIT_CODES, after_long_help = RETAINED_HELP)]
pub(crate) struct RetainedArgs {
    /// Heap dump: plain, .gz, .zst, - for stdin, or a run's folder for its last one
    #[arg(value_name = "DUMP")]
    pub(crate) dump: PathBuf,
    /// Earlier dump of the same process, or a run's folder for its first: what is new since, by
    /// the old object that keeps it
    #[arg(long, value_name = "DUMP")]
    pub(crate) base: Option<PathBuf>,

    /// List the largest
    #[arg(long, value_enum, default_value_t = RetainedBy::Object)]
    pub(crate) by: RetainedBy,
    /// Under each object what it keeps
    #[arg(long, conflicts_with = "by")]
    pub(crate) tree: bool,
    /// Levels of the tree at most
    #[arg(long, value_name = "N", default_value_t = 4, requires = "tree", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) depth: u32,
    /// Leave out what keeps less than this part of the heap [default: 0, of a tree 1]
    #[arg(long, value_name = "PERCENT")]
    pub(crate) min: Option<f64>,
    /// Rows at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) output: Output,
}

const RETAINED_HELP: &str = "\
Examples:
  rbleak retained C.ndjson.zst                   what keeps most
  rbleak retained --base A.ndjson.zst C.ndjson.zst
  rbleak retained --by class C.ndjson.zst
  rbleak retained --tree --depth 6 --min 0.5 C.ndjson.zst

An object retains what would go with it: itself and all that only it keeps
alive. Classes, lines and gems count nested objects once, and overlap each other.
Stacks and inline caches count only for what nothing else holds.

Exit codes: 0 told, 2 wrong use or failure.";
