//! The command line: what may be written, nothing of what it does.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Exit codes, shown in every command's `--help`.
const EXIT_CODES: &str =
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
    Hunt(Box<HuntArgs>),
    /// What is in B and C and not in A (two dumps: allocated; more: growth)
    Diff(DiffArgs),
    /// The whole way on a small app that leaks
    Demo(DemoArgs),
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs; carries its "schema"
    Json,
}

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = HUNT_HELP)]
pub(crate) struct HuntArgs {
    /// Server to start and drive over HTTP; {port} is replaced by a free port
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,

    /// Path to request; repeat for several, requested in turn [default: /]
    #[arg(long, value_name = "PATH", help_heading = "Requests")]
    pub(crate) path: Vec<String>,
    /// Request method [default: GET]
    #[arg(long, value_name = "METHOD", help_heading = "Requests")]
    pub(crate) method: Option<String>,
    /// Request header; repeat for several
    #[arg(long, value_name = "NAME: VALUE", help_heading = "Requests")]
    pub(crate) header: Vec<String>,
    /// Request body, or @FILE to read it from a file
    #[arg(long, value_name = "TEXT", help_heading = "Requests")]
    pub(crate) body: Option<String>,

    /// Requests before the first sample [default: one round]
    #[arg(long, value_name = "N", help_heading = "Load")]
    pub(crate) warmup: Option<u64>,
    /// Requests per round [default: what takes about half a second, 50 to 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = "Load")]
    pub(crate) requests: Option<u64>,
    /// Rounds at most; the verdict may come sooner
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(7..), help_heading = "Load")]
    pub(crate) rounds: u32,
    /// Rounds at least, for a cache that takes long to fill [default: 8]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), help_heading = "Load")]
    pub(crate) min_rounds: Option<u32>,
    /// Requests under way at once (server only)
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=256), help_heading = "Load")]
    pub(crate) concurrency: u16,

    /// The app's config.ru [default: config.ru in this folder]
    #[arg(long, value_name = "FILE", conflicts_with_all = ["boot", "each", "command"], help_heading = "App")]
    pub(crate) rackup: Option<PathBuf>,
    /// Ruby file to load before --each: for jobs, rake tasks, gems
    #[arg(
        long,
        value_name = "FILE",
        requires = "each",
        conflicts_with = "command",
        help_heading = "App"
    )]
    pub(crate) boot: Option<PathBuf>,
    /// Ruby code to run in place of a request
    #[arg(long, value_name = "CODE", conflicts_with_all = ["command", "path", "method", "header", "body"], help_heading = "App")]
    pub(crate) each: Option<String>,
    /// RACK_ENV and RAILS_ENV of the app [default: production]
    #[arg(long, value_name = "ENV", help_heading = "App")]
    pub(crate) environment: Option<String>,
    /// The Ruby to start
    #[arg(
        long,
        value_name = "FILE",
        default_value = "ruby",
        help_heading = "App"
    )]
    pub(crate) ruby: PathBuf,
    /// Start Ruby without Bundler even where there is a Gemfile
    #[arg(long, help_heading = "App")]
    pub(crate) no_bundler: bool,
    /// Folder of the app
    #[arg(
        short = 'C',
        long = "directory",
        value_name = "DIR",
        help_heading = "App"
    )]
    pub(crate) directory: Option<PathBuf>,
    /// Port on which CMD listens, where it takes no {port}
    #[arg(long, value_name = "PORT", requires = "command", help_heading = "App")]
    pub(crate) port: Option<u16>,
    /// Seconds that the app may take to boot or to listen
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..), help_heading = "App")]
    pub(crate) boot_timeout: u64,
    /// Seconds that one request may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..), help_heading = "App")]
    pub(crate) request_timeout: u64,
    /// Seconds that the app may take to stop before it is killed
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        help_heading = "App"
    )]
    pub(crate) stop_timeout: u64,

    /// Folder under which the run is kept
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".rbleak",
        help_heading = "Output"
    )]
    pub(crate) run_dir: PathBuf,
    /// Whether the run keeps its heap dumps
    #[arg(long, value_name = "WHETHER", default_value = "yes", value_parser = ["yes", "no"], help_heading = "Output")]
    pub(crate) keep_dumps: String,
    /// Show what levelled off, too
    #[arg(long, help_heading = "Output")]
    pub(crate) all: bool,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text, help_heading = "Output")]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// No progress on stderr
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

const HUNT_HELP: &str = "\
Examples:
  rbleak hunt --path /users                      config.ru of this folder, in process
  rbleak hunt --path / --path /about             two paths in turn
  rbleak hunt --path /x -- puma -p {port}        a server, over HTTP
  rbleak hunt --boot lib/job.rb --each 'Job.new.perform'

derailed's variables are read as defaults: TEST_COUNT (requests per round),
WARM_COUNT, PATH_TO_HIT, REQUEST_METHOD, REQUEST_BODY, HTTP_*, USE_SERVER,
RAILS_ENV, RACK_ENV.

Nothing is created or migrated in a database. The run is kept in .rbleak/TIME:
manifest.json, samples.csv, report.json, app.log and the heap dumps, which hold
the values of your strings: they are readable by you alone.

Exit codes: 0 no leak, 1 it leaks, 2 wrong use or failure, 3 inconclusive.";

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

#[derive(Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = DIFF_HELP)]
pub(crate) struct DiffArgs {
    /// Heap dumps in the order in which they were taken: plain, .gz, .zst, or - for stdin
    #[arg(required = true, num_args = 2.., value_name = "DUMP")]
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
    /// Rows at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) limit: usize,
    /// Write the lines of the retained objects to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) output_diff: Option<PathBuf>,
    /// Take repaired, skipped and cut lines as an error
    #[arg(long)]
    pub(crate) strict: bool,
    /// Read plain files instead of mapping them (for files that may shrink)
    #[arg(long)]
    pub(crate) no_mmap: bool,
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
  rbleak diff --format heapy --identity address A.json B.json C.json

Exit codes: 0 no growth, 1 growth, 2 wrong use or failure.";

#[derive(Debug, Args)]
#[command(after_help = "Exit codes: 0 the leak was found, 2 failure, 3 it was not found.")]
pub(crate) struct DemoArgs {
    /// Analyse the dumps that rbleak carries even where there is a Ruby
    #[arg(long)]
    pub(crate) recorded: bool,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// No progress on stderr
    #[arg(short, long)]
    pub(crate) quiet: bool,
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
