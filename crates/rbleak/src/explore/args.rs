//! What may be written after `rbleak explore`.

use crate::cli::{Reading, TOLD_EXIT_CODES};
use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
#[command(after_help = TOLD_EXIT_CODES, after_long_help = EXPLORE_HELP)]
pub(crate) struct ExploreArgs {
    /// Heap dump: plain, .gz or .zst
    #[arg(value_name = "DUMP")]
    pub(crate) dump: PathBuf,

    #[command(flatten)]
    pub(crate) reading: Reading,
}

const EXPLORE_HELP: &str = "\
Examples:
  rbleak explore C.ndjson.zst

Keys: arrows or h j k l to move, open and close; Enter for what an object refers
to and what refers to it, Backspace back; / to search for a class, FILE:LINE or an
address; p for the way to an object; Tab for the next view; ? for all keys; q quits.

Exit codes: 0 left, 2 wrong use or failure.";
