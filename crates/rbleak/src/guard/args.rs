//! What may be written after `rbleak guard`.

use crate::capture::Via;
use crate::cli::Output;
use crate::watch::{duration, every};
use clap::Args;
use rbleak_units::Bytes;
use std::path::PathBuf;
use std::time::Duration;

/// Memory that is too much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum At {
    /// Only a leak counts.
    Never,
    /// Of the limit.
    Percent(f64),
    Size(Bytes),
}

#[derive(Debug, Args)]
#[command(after_help = GUARD_EXIT_CODES, after_long_help = GUARD_HELP)]
#[command(override_usage = "rbleak guard [OPTIONS] <PID | --find NAME>")]
pub(crate) struct GuardArgs {
    /// Process to guard, with all below it: the master of a cluster
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), required_unless_present = "find", conflicts_with = "find")]
    pub(crate) pid: Option<u32>,
    /// Guard the process of this name, such as puma: waits for it, and for the next one when it ends
    #[arg(long, value_name = "NAME")]
    pub(crate) find: Option<String>,

    /// Memory at which dumps are taken: a share of the limit, a size, or never [default: 80%]
    #[arg(
        long,
        value_name = "PERCENT|SIZE",
        default_value = "80%",
        hide_default_value = true,
        value_parser = at,
        help_heading = "When"
    )]
    pub(crate) at: At,
    /// Memory that the processes may have together [default: their control group's limit]
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size, help_heading = "When")]
    pub(crate) limit: Option<Bytes>,
    /// From A to B and from B to C; less where memory would not last for that
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, help_heading = "When")]
    pub(crate) every: Duration,
    /// Until the same process is captured once more
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = duration, help_heading = "When")]
    pub(crate) again: Duration,
    /// How long [default: until SIGTERM or Ctrl-C, or until the process ends]
    #[arg(long = "for", value_name = "TIME", value_parser = duration, help_heading = "When")]
    pub(crate) at_most: Option<Duration>,
    /// End after the first set
    #[arg(long, help_heading = "When")]
    pub(crate) once: bool,
    /// Between two looks at the processes; 100ms at least
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = every, help_heading = "When")]
    pub(crate) sample_every: Duration,

    /// Trace allocations for so long before A, and until C: only then dumps know the lines that allocated
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = "Dumps")]
    pub(crate) trace: Option<Duration>,
    /// How the process is reached
    #[arg(long, value_enum, default_value_t = Via::Auto, help_heading = "Dumps")]
    pub(crate) via: Via,
    /// Time that one dump may take
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration, help_heading = "Dumps")]
    pub(crate) timeout: Duration,
    /// Leave out what strings and symbols say, before it reaches the disk; lengths stay
    #[arg(long, help_heading = "Dumps")]
    pub(crate) redact: bool,

    /// Folder under which guards and their sets are kept
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".rbleak",
        help_heading = "Output"
    )]
    pub(crate) run_dir: PathBuf,
    /// Sets that are kept, the newest, those of guards that have ended counted
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..), help_heading = "Output")]
    pub(crate) keep: u16,
    /// Upload sets to a folder, s3://BUCKET/PREFIX, gs://BUCKET/PREFIX or az://CONTAINER/PREFIX
    #[arg(long, value_name = "URL", help_heading = "Output")]
    pub(crate) upload: Option<String>,
    /// Shell command after each set, with RBLEAK_SET, RBLEAK_PID, RBLEAK_WHY and others
    #[arg(long, value_name = "CMD", help_heading = "Output")]
    pub(crate) exec: Option<String>,
    /// Time that the command may take
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = duration, help_heading = "Output")]
    pub(crate) exec_timeout: Duration,
    /// Time to finish after SIGTERM, for a dump under way, uploads and the command
    #[arg(long, value_name = "TIME", default_value = "25s", value_parser = duration, help_heading = "Output")]
    pub(crate) grace: Duration,
    #[command(flatten, next_help_heading = "Output")]
    pub(crate) output: Output,
    /// No lines on stderr about what happens
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

const GUARD_EXIT_CODES: &str = "Exit codes: 0 nothing happened, 1 a leak or too much memory was captured, 2 wrong use or failure.";

const GUARD_HELP: &str = "\
Examples:
  rbleak guard 4711                              a server and its workers, until SIGTERM
  rbleak guard --trace 60s 4711                  with the lines that allocated, of 60 s and more
  rbleak guard --find puma --upload s3://b/p     in a pod, beside the app's container
  rbleak guard --at 1.5GB --exec 'notify.sh' 4711

Watches the processes as rbleak watch does. When one of them leaks, or when the
memory in use crosses --at, it takes dump A of the right one (the one that leaks
fastest, has grown most, or is biggest), then B and C, as rbleak capture does:
rbleak diff SET names what was kept. When memory will not last until then, they
are taken sooner.

Before each dump, what a copy of the process may take is compared with what is
free. Too little is said with both figures, and it is tried again later. A worker
at 80 % of its limit has no room for that when it is the only one: see docs/guard.md.

Of object stores the credentials are those of the environment: AWS_ACCESS_KEY_ID,
AWS_SECRET_ACCESS_KEY, AWS_REGION, AWS_ENDPOINT and the like, GOOGLE_…, AZURE_….

SIGTERM and Ctrl-C end it: the dump under way and uploads have --grace to finish.
A second one ends it at once.

Exit codes: 0 nothing happened, 1 a leak or too much memory was captured, 2 wrong use or
failure, also if nothing could be captured.";

fn at(text: &str) -> Result<At, String> {
    let hint = || "expected a share such as 80%, a size such as 1.5GB, or never".to_owned();
    if text == "never" {
        return Ok(At::Never);
    }
    if let Some(number) = text.strip_suffix('%') {
        let percent: f64 = number.trim().parse().map_err(|_| hint())?;
        return match percent > 0.0 && percent <= 100.0 {
            true => Ok(At::Percent(percent)),
            false => Err("a share of the limit is more than 0% and not more than 100%".to_owned()),
        };
    }
    crate::memory::size(text).map(At::Size).map_err(|_| hint())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_share_or_a_size() {
        assert_eq!(at("80%"), Ok(At::Percent(80.0)));
        assert_eq!(at("72.5%"), Ok(At::Percent(72.5)));
        assert_eq!(at("2GiB"), Ok(At::Size(Bytes(2 << 30))));
        assert_eq!(at("never"), Ok(At::Never));
        for wrong in ["80", "0%", "101%", "NaN%", "much", "", "-5MB"] {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }
}
