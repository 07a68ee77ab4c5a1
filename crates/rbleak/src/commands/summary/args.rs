//! What may be written after `rbleak summary`.

use crate::cli::{Output, TOLD_EXIT_CODES};
use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// One table of a summary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SummaryTable {
    /// Internal types
    Types,
    /// Classes by bytes
    Classes,
    /// Classes by number of objects
    Instances,
    /// Classes and the lines that allocated
    Sites,
    /// Files that allocated
    Files,
    /// Gems that allocated
    Gems,
    /// Age in garbage collections
    Ages,
    /// Sizes of slots, and free ones
    Slots,
    /// Strings with the same value
    Duplicates,
    /// The largest Strings
    Strings,
    /// The largest Arrays
    Arrays,
    /// The largest Hashes
    Hashes,
    /// Threads and fibers
    Threads,
    /// Records of the virtual machine
    Imemo,
    /// Objects implemented in C
    Structs,
    /// Named, anonymous and singleton classes
    Modules,
}

impl SummaryTable {
    /// All of them, in the order in which they are shown.
    pub(crate) const ALL: &[SummaryTable] = &[
        SummaryTable::Types,
        SummaryTable::Classes,
        SummaryTable::Instances,
        SummaryTable::Sites,
        SummaryTable::Files,
        SummaryTable::Gems,
        SummaryTable::Ages,
        SummaryTable::Slots,
        SummaryTable::Duplicates,
        SummaryTable::Strings,
        SummaryTable::Arrays,
        SummaryTable::Hashes,
        SummaryTable::Threads,
        SummaryTable::Imemo,
        SummaryTable::Structs,
        SummaryTable::Modules,
    ];
}

#[derive(Clone, Debug, Args)]
#[command(after_help = TOLD_EXIT_CODES, after_long_help = SUMMARY_HELP)]
pub(crate) struct SummaryArgs {
    /// Heap dump: plain, .gz, .zst, or - for stdin
    #[arg(value_name = "DUMP")]
    pub(crate) dump: PathBuf,

    /// Only this table; repeat for several [default: all that the dump has]
    #[arg(long, value_enum, value_name = "TABLE", hide_possible_values = true)]
    pub(crate) table: Vec<SummaryTable>,
    /// Show the values of equal Strings
    #[arg(long)]
    pub(crate) show_values: bool,
    /// Rows of each table at most, the others summed up in one; 0 for all
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(crate) limit: usize,
    /// Names of constants and threads [default: X.names.ndjson.zst beside X.ndjson.zst]
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) output: Output,
}

const SUMMARY_HELP: &str = "\
Examples:
  rbleak summary C.ndjson.zst
  rbleak summary --table classes --table gems --limit 50 C.ndjson.zst
  rbleak summary --table duplicates --show-values C.ndjson.zst

Tables: types, classes, instances, sites, files, gems, ages, slots, duplicates,
strings, arrays, hashes, threads, imemo, structs, modules. Each adds up to the sum
in its title; those by type, class, line, file, gem, age and slot to the heap.
Values of Strings are compared, never shown unless asked for.

Exit codes: 0 told, 2 wrong use or failure.";
