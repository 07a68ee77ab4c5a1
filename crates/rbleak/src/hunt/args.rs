//! What may be written after `rbleak hunt`.

use super::budget::Budget;
use crate::cli::EXIT_CODES;
use clap::{Args, ValueEnum};
use rbleak_units::Bytes;
use std::path::PathBuf;

/// Who knows the paths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PathsFrom {
    /// Rails
    Routes,
}

/// How the answer of a hunt is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HuntFormat {
    /// For people
    Text,
    /// For programs; carries its "schema"
    Json,
    /// For comments on pull requests
    Markdown,
    /// Workflow commands of GitHub Actions
    Github,
    /// For test reports of CI
    Junit,
}

#[derive(Clone, Debug, Args)]
#[command(after_help = EXIT_CODES, after_long_help = HUNT_HELP)]
pub(crate) struct HuntArgs {
    /// Server to start and drive over HTTP; {port} is replaced by a free port
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,

    /// Path to request; repeat for several, each an endpoint of its own [default: /]
    #[arg(long, value_name = "PATH", help_heading = "Requests")]
    pub(crate) path: Vec<String>,
    /// Take the paths from the app: what Rails routes by GET
    #[arg(
        long,
        value_enum,
        value_name = "WHERE",
        conflicts_with = "each",
        help_heading = "Requests"
    )]
    pub(crate) paths_from: Option<PathsFrom>,
    /// Value of a parameter of routes, such as id=1; repeat for several
    #[arg(
        long,
        value_name = "NAME=VALUE",
        requires = "paths_from",
        help_heading = "Requests"
    )]
    pub(crate) param: Vec<String>,
    /// Replay the requests of an HTTP archive, in order and with their shares
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "each",
        help_heading = "Requests"
    )]
    pub(crate) har: Option<PathBuf>,
    /// Replay the requests of an access log (common or combined format)
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "each",
        help_heading = "Requests"
    )]
    pub(crate) log: Option<PathBuf>,
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
    /// Memory that reading the heap dumps may take, such as 2GiB [default: what is free]
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size, help_heading = "Output")]
    pub(crate) memory: Option<Bytes>,
    /// Fail only if more leaks, such as 0.01obj/req,16B/req
    #[arg(long, value_name = "BUDGET", value_parser = Budget::parse, help_heading = "Output")]
    pub(crate) max_leak: Option<Budget>,
    /// Show what levelled off, too
    #[arg(long, help_heading = "Output")]
    pub(crate) all: bool,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = HuntFormat::Text, help_heading = "Output")]
    pub(crate) format: HuntFormat,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE", help_heading = "Output")]
    pub(crate) output: Option<PathBuf>,
    /// Write JUnit's XML to FILE, too
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) junit: Option<PathBuf>,
    /// No progress on stderr
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

const HUNT_HELP: &str = "\
Examples:
  rbleak hunt --path /users                      config.ru of this folder, in process
  rbleak hunt --path / --path /about             two endpoints: which one leaks
  rbleak hunt --paths-from routes --param id=1   all that Rails routes by GET
  rbleak hunt --log access.log                   recorded traffic, in its order
  rbleak hunt --path /x -- puma -p {port}        a server, over HTTP
  rbleak hunt --boot lib/job.rb --each 'Job.new.perform'
  rbleak hunt --path / --max-leak 0.5obj/req --junit leaks.xml      for CI

derailed's variables are read as defaults: TEST_COUNT (requests per round),
WARM_COUNT, PATH_TO_HIT, REQUEST_METHOD, REQUEST_BODY, HTTP_*, USE_SERVER,
RAILS_ENV, RACK_ENV.

Nothing is created or migrated in a database. The run is kept in .rbleak/TIME:
manifest.json, samples.csv, memory.csv, report.json, app.log and the heap dumps,
which hold the values of your strings: they are readable by you alone.

Exit codes: 0 no leak, 1 it leaks, 2 wrong use or failure, 3 inconclusive.";
