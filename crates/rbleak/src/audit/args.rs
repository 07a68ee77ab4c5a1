//! What may be written after `rbleak audit`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

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
