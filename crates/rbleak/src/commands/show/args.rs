//! What may be written after `rbleak show`.

use crate::cli::{Output, Reading};
use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
#[command(after_help = SHOW_EXIT_CODES, after_long_help = SHOW_HELP)]
pub(crate) struct ShowArgs {
    /// Heap dump: plain, .gz, .zst, or - for stdin
    #[arg(value_name = "DUMP")]
    pub(crate) dump: PathBuf,
    /// Address as in the dump, or the name of a constant, a variable or a class
    #[arg(value_name = "OBJECT")]
    pub(crate) object: String,

    /// Show its value, if it is a String, a Symbol or a Float
    #[arg(long)]
    pub(crate) show_values: bool,
    /// References and referrers shown at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) output: Output,
}

const SHOW_EXIT_CODES: &str =
    "Exit codes: 0 it is in the dump, 2 it is not, wrong use, or failure.";

const SHOW_HELP: &str = "\
Examples:
  rbleak show C.ndjson.zst 0x7f26dcdbd0d0
  rbleak show C.ndjson.zst Leaky::STORE          a name, if rbleak hunt took the dump
  rbleak show C.ndjson.zst Leaky                 a class or module

References and referrers come with the name of the edge where it is known, what
keeps most first.

Exit codes: 0 it is in the dump, 2 it is not, wrong use, or failure.";
