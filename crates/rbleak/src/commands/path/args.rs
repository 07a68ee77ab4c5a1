//! What may be written after `rbleak path`.

use crate::cli::{Output, Reading};
use clap::Args;
use std::path::PathBuf;

#[derive(Clone, Debug, Args)]
#[command(after_help = PATH_EXIT_CODES, after_long_help = PATH_HELP)]
#[command(
    override_usage = "rbleak path [OPTIONS] <DUMP> <OBJECT | --class NAME | --site FILE:LINE>"
)]
#[command(group = clap::ArgGroup::new("target").required(true))]
pub(crate) struct PathArgs {
    /// Heap dump: plain, .gz, .zst, - for stdin, or a run's folder for its last one
    #[arg(value_name = "DUMP")]
    pub(crate) dump: PathBuf,
    /// Address of the object, as in the dump
    #[arg(value_name = "OBJECT", group = "target")]
    pub(crate) object: Option<String>,
    /// All instances of a class
    #[arg(long, value_name = "NAME", group = "target")]
    pub(crate) class: Option<String>,
    /// All objects that a line allocated; the end of the file's path is enough
    #[arg(long, value_name = "FILE:LINE", group = "target")]
    pub(crate) site: Option<String>,

    /// All paths to the objects of a class or line as one tree, not the most common one
    #[arg(long, conflicts_with = "object")]
    pub(crate) all: bool,
    /// Show what Strings say that are keys of Hashes on the path of one object
    #[arg(long, conflicts_with_all = ["class", "site"])]
    pub(crate) show_values: bool,
    /// Lines of a path or tree at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) limit: usize,
    #[command(flatten)]
    pub(crate) reading: Reading,
    #[command(flatten)]
    pub(crate) output: Output,
}

const PATH_EXIT_CODES: &str =
    "Exit codes: 0 it is in the dump (held or not), 2 it is not, wrong use, or failure.";

const PATH_HELP: &str = "\
Examples:
  rbleak path C.ndjson.zst 0x7f26dcdbd0d0        why this object is there
  rbleak path C.ndjson.zst --class Session       what holds most Sessions
  rbleak path C.ndjson.zst --class Session --all
  rbleak path C.ndjson.zst --site app.rb:46

A path begins with a name: a constant, a class or global variable, a block. The
names are in a file that rbleak hunt writes beside the last dump; a dump alone
has those of classes only, and from Ruby 3.2 on those of instance variables.

Exit codes: 0 it is in the dump (held or not), 2 it is not, wrong use, or failure.";
