//! The flags of `report`.

use clap::{Args, ValueEnum};
use rbleak_units::Bytes;
use std::path::PathBuf;

const EXIT_CODES: &str = "Exit codes: 0 the report is written, 2 wrong use or failure.";

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// One page that fetches nothing
    Html,
    /// For a pull request
    Markdown,
    /// For programs; docs/schema/report-v1.json is its schema
    Json,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = HELP)]
pub(crate) struct ReportArgs {
    /// A run's folder, of hunt, capture or watch [default: the newest in .rbleak]
    #[arg(value_name = "RUN")]
    pub(crate) run: Option<PathBuf>,
    /// How it is written
    #[arg(long, value_enum, default_value_t = ReportFormat::Html)]
    pub(crate) format: ReportFormat,
    /// Write it to FILE [default: RUN/report.html; Markdown and JSON: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Show values of strings that the tree of what keeps what has (they may be secret)
    #[arg(long)]
    pub(crate) show_values: bool,
    /// Memory that reading the heap dump may take, such as 2GiB [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) memory: Option<Bytes>,
}

const HELP: &str = "\
Examples:
  rbleak report                                 the newest run, to RUN/report.html
  rbleak report .rbleak/2026-11-23T14-02-11
  rbleak report --format markdown >comment.md   for a pull request
  rbleak report --format json | jq .findings

The page is one file of less than 3 MB: it fetches nothing and sends nothing, and
its content security policy lets no other script run. It shows names of classes,
constants, files and lines, and the lines around those that allocate; no values of
strings, unless --show-values is given.

Exit codes: 0 the report is written, 2 wrong use or failure.";
