//! What may be written after `rbleak watch`.

use crate::cli::Output;
use clap::Args;
use rbleak_units::Bytes;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// More often costs more than it tells.
const SHORTEST: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(after_help = WATCH_EXIT_CODES, after_long_help = WATCH_HELP)]
pub(crate) struct WatchArgs {
    /// Process to watch, with all below it
    #[arg(value_name = "PID", value_parser = clap::value_parser!(u32).range(1..), required_unless_present = "command", conflicts_with = "command")]
    pub(crate) pid: Option<u32>,
    /// Command to start with rbleak's agent in it, and to watch; ended with the watch
    #[arg(last = true, value_name = "CMD")]
    pub(crate) command: Vec<String>,

    /// Between two samples; 100ms at least
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = every)]
    pub(crate) every: Duration,
    /// How long [default: until Ctrl-C, or until it ends]
    #[arg(long = "for", value_name = "TIME", value_parser = duration)]
    pub(crate) at_most: Option<Duration>,
    /// Until a leak is found, or none of the processes has one
    #[arg(long)]
    pub(crate) until_verdict: bool,
    /// Memory that the processes may have together, such as 512MB [default: their control group's]
    #[arg(long, value_name = "SIZE", value_parser = crate::memory::size)]
    pub(crate) limit: Option<Bytes>,
    /// Where requests are counted: a URL that answers a number or Puma's stats, or an access log
    #[arg(long, value_name = "URL|FILE")]
    pub(crate) requests_from: Option<String>,

    /// Between two full collections that the agent asks for [default: what costs the app 0.25 %]
    #[arg(long, value_name = "TIME", value_parser = every, help_heading = "App")]
    pub(crate) gc_every: Option<Duration>,
    /// Memory from outside only: start CMD without the agent, ask none that is in PID
    #[arg(long, conflicts_with = "gc_every", help_heading = "App")]
    pub(crate) no_agent: bool,
    /// Folder of the app
    #[arg(
        short = 'C',
        long = "directory",
        value_name = "DIR",
        help_heading = "App"
    )]
    pub(crate) directory: Option<PathBuf>,
    /// Seconds that CMD may take to stop before it is killed
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        help_heading = "App"
    )]
    pub(crate) stop_timeout: u64,

    /// Folder under which the recording is kept
    #[arg(
        long,
        value_name = "DIR",
        default_value = ".rbleak",
        help_heading = "Output"
    )]
    pub(crate) run_dir: PathBuf,
    /// Keep no recording
    #[arg(long, help_heading = "Output")]
    pub(crate) no_record: bool,
    /// Serve the figures at ADDR, as 9464, 0.0.0.0:9464; a port alone is for this machine only
    #[arg(long, value_name = "ADDR", value_parser = address, help_heading = "Output")]
    pub(crate) prometheus: Option<SocketAddr>,
    /// Write a chart to FILE
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) svg: Option<PathBuf>,
    /// Lines in place of a screen, on a terminal too
    #[arg(long, help_heading = "Output")]
    pub(crate) plain: bool,
    #[command(flatten, next_help_heading = "Output")]
    pub(crate) output: Output,
    /// Neither screen nor lines, only the answer
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,
}

const WATCH_EXIT_CODES: &str =
    "Exit codes: 0 no leak, 1 leak, 2 wrong use or failure, 3 inconclusive.";

const WATCH_HELP: &str = "\
Examples:
  rbleak watch 4711                        a running server and its workers, until Ctrl-C
  rbleak watch --until-verdict 4711        until it is known whether it leaks
  rbleak watch --for 10m -- puma -w 3      with the agent: live slots and malloc, too
  rbleak watch --requests-from http://127.0.0.1:9293/stats?token=x 4711
  rbleak watch --prometheus 9464 4711      figures at http://127.0.0.1:9464/metrics

RSS and anonymous memory are read with every sample. PSS, USS and memory by kind
make the kernel walk all pages while the process can map none: they are read only
as often as that takes 0.2 % of the time. With the agent, of CMD or in a process
that rbleak agent has prepared, a full collection is asked for as often as that
takes the app 0.25 % of its time, and live slots and malloc's bytes in use are read
right after it; --gc-every asks at a fixed time, --no-agent for none.

The recording is kept in .rbleak/watch-TIME: memory.ndjson and memory.csv (rbleak
trend reads both), report.json, and app.log of a CMD. It never grows beyond 30 MB:
then every other sample of it is dropped.

A process of another user is watched as far as anybody may: RSS and anonymous
memory. For more, run as that user or as root.

Exit codes: 0 no leak, 1 leak, 2 wrong use or failure, 3 inconclusive: too few
samples, still warming up, or a leak is not ruled out. Ctrl-C and SIGTERM end the
watch with its verdict.";

pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let hint = || "expected a time with its unit, such as 500ms, 10s, 5m or 24h".to_owned();
    let time: jiff::SignedDuration = text.parse().map_err(|_| hint())?;
    match Duration::try_from(time) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(hint()),
    }
}

pub(crate) fn every(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time < SHORTEST {
        return Err(
            "100ms is the least: more often costs the process more than it tells".to_owned(),
        );
    }
    Ok(time)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.strip_prefix(':').unwrap_or(text);
    if let Ok(port) = port.parse::<u16>() {
        return Ok(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    let text = text.replace("localhost:", "127.0.0.1:");
    text.parse()
        .map_err(|_| "expected a port, or an address with its port such as 0.0.0.0:9464".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_samples_a_floor() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(every("100ms"), Ok(SHORTEST));
        for wrong in ["10", "-1s", "0s", "soon", ""] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(every("99ms").is_err_and(|sentence| sentence.contains("100ms is the least")));
    }

    #[test]
    fn a_port_alone_is_for_this_machine_only() {
        for text in ["9464", ":9464", "localhost:9464"] {
            assert_eq!(
                address(text).map(|a| a.to_string()),
                Ok("127.0.0.1:9464".to_owned())
            );
        }
        assert_eq!(
            address("0.0.0.0:1").map(|a| a.to_string()),
            Ok("0.0.0.0:1".to_owned())
        );
        assert!(address("here").is_err() && address("99999").is_err());
    }
}
