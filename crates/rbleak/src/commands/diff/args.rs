//! What may be written after `rbleak diff`.

use crate::cli::EXIT_CODES;
use clap::{Args, ValueEnum};
use rbleak_units::Bytes;
use std::path::PathBuf;

/// What makes two objects of two dumps the same one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum IdentityArg {
    /// Address, type, class, and where traced allocation site and generation
    Strict,
    /// The address alone, as heapy takes it
    Address,
}

/// How the answer of `diff` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people
    Text,
    /// For programs; carries its "schema"
    Json,
    /// heapy's lines
    Heapy,
}

/// By what rows are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum GroupArg {
    /// Class and the line that allocated
    Site,
    /// Class
    Class,
    /// File that allocated
    File,
    /// Gem that allocated
    Gem,
    /// Method that allocated
    Method,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = DIFF_HELP)]
pub(crate) struct DiffArgs {
    /// Heap dumps in the order in which they were taken: plain, .gz, .zst, - for stdin, or a
    /// run's folder for all of its dumps
    #[arg(required = true, num_args = 1.., value_name = "DUMP")]
    pub(crate) dumps: Vec<PathBuf>,

    /// Group rows by
    #[arg(long, value_enum, default_value_t = GroupArg::Site)]
    pub(crate) by: GroupArg,
    /// What makes two objects the same
    #[arg(long, value_enum, default_value_t = IdentityArg::Strict)]
    pub(crate) identity: IdentityArg,
    /// Only rows whose class or file matches
    #[arg(long, value_name = "REGEX")]
    pub(crate) only: Option<String>,
    /// Leave out what gems, the standard library and Ruby itself allocated
    #[arg(long)]
    pub(crate) app: bool,
    /// Say who holds what is new, too (reads references: more memory)
    #[arg(long)]
    pub(crate) holders: bool,
    /// Sidecar of names for --holders [default: X.names.ndjson.zst beside X.ndjson.zst]
    #[arg(long, value_name = "FILE", requires = "holders")]
    pub(crate) names: Option<PathBuf>,
    /// Rows at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) limit: usize,
    /// Write the lines of the retained objects to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) output_diff: Option<PathBuf>,
    /// Take repaired, skipped and cut lines as an error
    #[arg(long)]
    pub(crate) strict: bool,
    /// Memory that it may take, such as 2GiB or 500MB; what needs more is refused
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) memory: Option<Bytes>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    pub(crate) format: DiffFormat,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const DIFF_HELP: &str = "\
Examples:
  rbleak diff A.json B.json C.json               in B and in C, not in A: retained
  rbleak diff A.json B.json                      in B and not in A: allocated
  rbleak diff --app --by class A.zst B.zst C.zst
  rbleak diff --holders .rbleak/TIME             the dumps of a run: who holds it, by name
  rbleak diff --format heapy --identity address A.json B.json C.json

Holders: what is new hangs on old objects; those whose paths from a name have the
same classes and named references are one holder, and so are paths of one name that
are equal in 80 % of their parts, the upper ones weighing more: memlab's figure, at
which entries of different classes in one Hash are one leak. Different names,
constants or instance variables are never one.

Exit codes: 0 no growth, 1 growth, 2 wrong use or failure.";
