//! The command line: what may be written, nothing of what it does.

use clap::{Args, Parser, Subcommand, ValueEnum};
use rbleak_units::Bytes;
use std::path::PathBuf;

/// Exit codes, shown in every command's `--help`.
pub(crate) const EXIT_CODES: &str =
    "Exit codes: 0 nothing found, 1 found, 2 wrong use or failure, 3 inconclusive.";

/// Finds memory leaks in Ruby applications and names what holds them.
#[derive(Debug, Parser)]
#[command(name = "rbleak", version, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Boot and drive an app; decide whether it leaks; name what leaks and who holds it
    Hunt(Box<crate::hunt::args::HuntArgs>),
    /// Whether a leak is gone: two runs of hunt, or this tree against another revision
    Verify(Box<crate::verify::args::VerifyArgs>),
    /// A run as one page of HTML that fetches nothing; as Markdown; as JSON
    Report(crate::report::ReportArgs),
    /// What is in B and C and not in A (two dumps: allocated; more: growth)
    Diff(crate::commands::diff::DiffArgs),
    /// The shortest way from a name to an object, to a class's instances, or to a line's
    Path(crate::commands::path::PathArgs),
    /// What keeps most alive, and with --base what keeps what is new
    Retained(crate::commands::retained::RetainedArgs),
    /// What a heap is made of: types, classes, lines, ages, slots, equal strings
    Summary(crate::commands::summary::SummaryArgs),
    /// Everything of one object: sizes, what it refers to, what refers to it
    Show(crate::commands::show::ShowArgs),
    /// The same in the terminal: dominators, classes, search, paths
    Explore(crate::explore::ExploreArgs),
    /// Gems and Rubies known to leak
    Audit(crate::audit::args::AuditArgs),
    /// Memory over time of a process tree, with a verdict and the time to its limit
    Watch(Box<crate::watch::WatchArgs>),
    /// Takes dumps of the right process by itself, when it leaks or memory gets short
    Guard(Box<crate::guard::GuardArgs>),
    /// The verdict on a recorded memory series: plateau, leak, bloat, fragmentation
    Trend(crate::commands::trend::TrendArgs),
    /// Allocator and settings as a running Ruby really has them, and what mends them
    Doctor(crate::doctor::args::DoctorArgs),
    /// Heap dumps from a running process, by its agent, by injection, or from its memory
    Capture(Box<crate::capture::CaptureArgs>),
    /// The agent for processes that are to be captured later
    Agent(crate::capture::AgentArgs),
    #[command(hide = true)]
    InjectHelper(crate::capture::InjectArgs),
    #[command(hide = true)]
    FreezeHelper(crate::capture::FreezeArgs),
    /// The whole way on a small app that leaks
    Demo(crate::commands::demo::DemoArgs),
    /// Completions for a shell
    Completions(crate::commands::completions::CompletionsArgs),
    /// Man pages
    Man(crate::commands::man::ManArgs),
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs; carries its "schema"
    Json,
}

/// Of what is asked, not searched.
pub(crate) const TOLD_EXIT_CODES: &str = "Exit codes: 0 told, 2 wrong use or failure.";

/// Of what writes a file of its own.
pub(crate) const WRITTEN_EXIT_CODES: &str = "Exit codes: 0 written, 2 wrong use or failure.";

// Parts of the arguments of several commands. What is flattened must have no
// doc comment: clap would take it for what the command is about.

// How the answer is written, and where to.
#[derive(Clone, Debug, Args)]
pub(crate) struct Output {
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

// What a heap dump is read with.
#[derive(Clone, Debug, Args)]
pub(crate) struct Reading {
    /// Names of constants, variables and blocks [default: X.names.ndjson.zst beside X.ndjson.zst]
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Memory that it may take, such as 2GiB or 500MB; what needs more is refused
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) memory: Option<Bytes>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
