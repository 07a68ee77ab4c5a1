//! The command line: what may be written, nothing of what it does.

use crate::hunt::budget::Budget;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rbleak_units::Bytes;
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
    /// Whether a leak is gone: two runs of hunt, or this tree against another revision
    Verify(Box<crate::verify::args::VerifyArgs>),
    /// A run as one page of HTML that fetches nothing; as Markdown; as JSON
    Report(crate::report::ReportArgs),
    /// What is in B and C and not in A (two dumps: allocated; more: growth)
    Diff(DiffArgs),
    /// The shortest way from a name to an object, to a class's instances, or to a line's
    Path(PathArgs),
    /// What keeps most alive, and with --base what keeps what is new
    Retained(RetainedArgs),
    /// What a heap is made of: types, classes, lines, ages, slots, equal strings
    Summary(SummaryArgs),
    /// Everything of one object: sizes, what it refers to, what refers to it
    Show(ShowArgs),
    /// The same in the terminal: dominators, classes, search, paths
    Explore(ExploreArgs),
    /// Gems and Rubies known to leak
    Audit(AuditArgs),
    /// Memory over time of a process tree, with a verdict and the time to its limit
    Watch(Box<crate::watch::WatchArgs>),
    /// Takes dumps of the right process by itself, when it leaks or memory gets short
    Guard(Box<crate::guard::GuardArgs>),
    /// The verdict on a recorded memory series: plateau, leak, bloat, fragmentation
    Trend(TrendArgs),
    /// Allocator and settings as a running Ruby really has them, and what mends them
    Doctor(DoctorArgs),
    /// Heap dumps from a running process, by its agent, by injection, or from its memory
    Capture(Box<crate::capture::CaptureArgs>),
    /// The agent for processes that are to be captured later
    Agent(crate::capture::AgentArgs),
    #[command(hide = true)]
    InjectHelper(crate::capture::InjectArgs),
    #[command(hide = true)]
    FreezeHelper(crate::capture::FreezeArgs),
    /// The whole way on a small app that leaks
    Demo(DemoArgs),
    /// Completions for a shell
    Completions(CompletionsArgs),
    /// Man pages
    Man(ManArgs),
}

/// How the answer is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs; carries its "schema"
    Json,
}

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

    /// Names of constants, variables and blocks [default: X.names.ndjson.zst beside X.ndjson.zst]
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// All paths to the objects of a class or line as one tree, not the most common one
    #[arg(long, conflicts_with = "object")]
    pub(crate) all: bool,
    /// Show what Strings say that are keys of Hashes on the path of one object
    #[arg(long, conflicts_with_all = ["class", "site"])]
    pub(crate) show_values: bool,
    /// Lines of a path or tree at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 40)]
    pub(crate) limit: usize,
    /// Memory that it may take, such as 2GiB or 500MB; what needs more is refused
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) memory: Option<Bytes>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
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
#[command(after_help = RETAINED_EXIT_CODES, after_long_help = RETAINED_HELP)]
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
    /// Names of constants, variables and blocks [default: X.names.ndjson.zst beside X.ndjson.zst]
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Memory that it may take, such as 2GiB or 500MB; what needs more is refused
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) memory: Option<Bytes>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const RETAINED_EXIT_CODES: &str = "Exit codes: 0 told, 2 wrong use or failure.";

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
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const TOLD_EXIT_CODES: &str = "Exit codes: 0 told, 2 wrong use or failure.";

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
    /// Names of constants, variables and blocks [default: X.names.ndjson.zst beside X.ndjson.zst]
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Memory that it may take, such as 2GiB or 500MB; what needs more is refused
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) memory: Option<Bytes>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
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

#[derive(Clone, Debug, Args)]
#[command(after_help = TOLD_EXIT_CODES, after_long_help = EXPLORE_HELP)]
pub(crate) struct ExploreArgs {
    /// Heap dump: plain, .gz or .zst
    #[arg(value_name = "DUMP")]
    pub(crate) dump: PathBuf,

    /// Names of constants, variables and blocks [default: X.names.ndjson.zst beside X.ndjson.zst]
    #[arg(long, value_name = "FILE")]
    pub(crate) names: Option<PathBuf>,
    /// Memory that it may take, such as 2GiB or 500MB; what needs more is refused
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) memory: Option<Bytes>,
}

const EXPLORE_HELP: &str = "\
Examples:
  rbleak explore C.ndjson.zst

Keys: arrows or h j k l to move, open and close; Enter for what an object refers
to and what refers to it, Backspace back; / to search for a class, FILE:LINE or an
address; p for the way to an object; Tab for the next view; ? for all keys; q quits.

Exit codes: 0 left, 2 wrong use or failure.";

/// How the answer of `audit` is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuditFormat {
    /// For people
    Text,
    /// For programs; carries its "schema"
    Json,
    /// For code scanning: SARIF 2.1.0
    Sarif,
    /// For comments on pull requests
    Markdown,
    /// Workflow commands of GitHub Actions
    Github,
}

#[derive(Debug, Args)]
#[command(after_help = AUDIT_EXIT_CODES, after_long_help = AUDIT_HELP)]
pub(crate) struct AuditArgs {
    /// Lockfile, its folder, or - for stdin [default: as Bundler finds it]
    #[arg(value_name = "LOCKFILE")]
    pub(crate) lockfile: Option<PathBuf>,

    /// The Ruby that runs it, such as 3.1.7 or jruby-9.4.5.0 [default: the lockfile's]
    #[arg(long, value_name = "VERSION")]
    pub(crate) ruby: Option<String>,
    /// File with ignores [default: .rbleak.yml beside the lockfile]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Show all leaks of everything, with descriptions
    #[arg(long)]
    pub(crate) all: bool,

    /// Take the advisories of a folder: gems/GEM/ID.yml
    #[arg(long, value_name = "DIR", help_heading = "Advisories")]
    pub(crate) db: Option<PathBuf>,
    /// Fail if the advisories are older
    #[arg(long, value_name = "DAYS", help_heading = "Advisories")]
    pub(crate) fail_on_stale: Option<u32>,
    /// Fetch the advisories anew, and end; the only time that the network is used
    #[arg(
        long,
        conflicts_with_all = ["lockfile", "ruby", "config", "all", "db", "fail_on_stale"],
        help_heading = "Advisories"
    )]
    pub(crate) update: bool,
    /// Git repository to fetch, rbleak's own or one like ruby-mem-advisory-db
    #[arg(
        long,
        value_name = "URL",
        requires = "update",
        help_heading = "Advisories"
    )]
    pub(crate) from: Option<String>,
    /// Seconds that fetching may take
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..), help_heading = "Advisories")]
    pub(crate) timeout: u64,

    /// How the answer is written
    #[arg(long, value_enum, default_value_t = AuditFormat::Text)]
    pub(crate) format: AuditFormat,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const AUDIT_EXIT_CODES: &str =
    "Exit codes: 0 nothing is known to leak, 1 something is, 2 wrong use or failure.";

const AUDIT_HELP: &str = "\
Examples:
  rbleak audit                                   the lockfile that Bundler would use
  rbleak audit --ruby 3.3.0 Gemfile.lock         and that Ruby
  rbleak audit --format sarif -o rbleak.sarif    for code scanning
  rbleak audit --format github                   annotations on the lockfile's lines
  rbleak audit --update                          newer advisories
  rbleak audit --update --from https://github.com/rubymem/ruby-mem-advisory-db

Leaks that are known and bearable are passed over by .rbleak.yml:
  audit:
    ignore:
      - id: oj-1027
        reason: Oj::Doc is not used
        until: 2027-01-31

A gem from git or a folder is reported as not known: its version does not tell
what its code is.

Exit codes: 0 nothing is known to leak, 1 something is, 2 wrong use or failure.";

/// The unit of memory columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum UnitArg {
    /// Bytes
    B,
    /// 1 024 bytes
    Kb,
    /// 1 024 kB
    Mb,
    /// 1 024 MB
    Gb,
}

#[derive(Debug, Args)]
#[command(after_help = TREND_EXIT_CODES, after_long_help = TREND_HELP)]
pub(crate) struct TrendArgs {
    /// Recordings: rbleak's own, CSV, bare numbers, Prometheus JSON, or - for stdin
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Unit of memory columns [default: as the header says; bare numbers: mb]
    #[arg(long, value_enum, value_name = "UNIT")]
    pub(crate) unit: Option<UnitArg>,
    /// Seconds between bare numbers
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    pub(crate) every: f64,
    /// Memory that the process may have, such as 512MB: when will it be reached
    #[arg(long, value_name = "SIZE")]
    pub(crate) limit: Option<String>,
    /// Write a chart to FILE
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const TREND_EXIT_CODES: &str =
    "Exit codes: 0 no leak, 1 leak, 2 wrong use or failure, 3 inconclusive.";

const TREND_HELP: &str = "\
Examples:
  rbleak trend memory.csv                        a column time and one rss_kb, RSS (MB), …
  rbleak trend tmp/*-memory-*-times.txt          derailed's: MB, every 5 s
  rbleak trend --limit 512MB memory.csv          when will the limit be reached
  curl …/api/v1/query_range?query=… | rbleak trend -

Sixty samples or more are recommended, twelve are the least. The verdict is a
heuristic on the shape of the series; its confidence is how often such verdicts
were right on labelled series.

Exit codes: 0 no leak, 1 leak, 2 wrong use or failure, 3 inconclusive: too few
samples, still warming up, or a leak is not ruled out.";

#[derive(Debug, Args)]
#[command(after_help = DOCTOR_EXIT_CODES, after_long_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// A running Ruby, or a process with a Ruby below it
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "command")]
    pub(crate) pid: Option<u32>,
    /// Command to start, look at and end again [default: ruby -e sleep]
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,

    /// Exit with 1 if there is a finding
    #[arg(long)]
    pub(crate) strict: bool,
    /// Seconds until a Ruby must have been seen in CMD
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) boot_timeout: u64,
    /// How the answer is written
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,
    /// Write the answer to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const DOCTOR_EXIT_CODES: &str =
    "Exit codes: 0 it was looked at, 1 with --strict: there is a finding, 2 wrong use or failure.";

const DOCTOR_HELP: &str = "\
Examples:
  rbleak doctor 4711                   a running server, as it really is
  rbleak doctor --strict -- bin/start  what this command would get, for CI
  rbleak doctor                        what a plain ruby gets here

What is mapped decides, not what the environment says. Processes of other users
need root.

Exit codes: 0 it was looked at, 1 with --strict: there is a finding, 2 wrong use
or failure.";

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

#[derive(Debug, Args)]
#[command(after_help = WRITTEN_EXIT_CODES, after_long_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
    /// Write them to FILE
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

const WRITTEN_EXIT_CODES: &str = "Exit codes: 0 written, 2 wrong use or failure.";

const COMPLETIONS_HELP: &str = "\
Examples:
  source <(rbleak completions bash)                  for this bash
  rbleak completions bash -o ~/.local/share/bash-completion/completions/rbleak
  rbleak completions zsh -o ~/.zfunc/_rbleak         with fpath+=~/.zfunc in ~/.zshrc
  rbleak completions fish -o ~/.config/fish/completions/rbleak.fish

Exit codes: 0 written, 2 wrong use or failure.";

#[derive(Debug, Args)]
#[command(after_help = WRITTEN_EXIT_CODES, after_long_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// The command that the page is of [default: rbleak itself]
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) of: Option<String>,
    /// Write all pages into DIR: rbleak.1, rbleak-hunt.1 and so on
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

const MAN_HELP: &str = "\
Examples:
  rbleak man hunt | man -l -
  rbleak man --dir ~/.local/share/man/man1

Exit codes: 0 written, 2 wrong use or failure.";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
