//! `rbleak trend`: the verdict on recorded memory.

use crate::cli::Output;
use crate::exit::ExitStatus;
use crate::inputs;
use crate::shell;
use crate::verdicts::{Judged, blocks, status_of};
use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use rbleak_report::{Block, Document, Note, to_svg};
use rbleak_trend::recording::{self, ReadOptions, Recording, Unit};
use rbleak_trend::{Settings, judge};
use rbleak_units::Bytes;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

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
    #[command(flatten)]
    pub(crate) output: Output,
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

/// Runs the command.
pub(crate) fn run(args: &TrendArgs) -> Result<ExitStatus> {
    check(args)?;
    let options = ReadOptions {
        unit: args.unit.map(unit),
        every: args.every,
    };
    let limit = args.limit.as_deref().map(limit).transpose()?;
    let mut judged = Vec::new();
    let mut notes = Vec::new();
    for path in &args.files {
        let recording = read(path, &options)?;
        let remarks = recording.remarks.iter();
        notes.extend(remarks.map(|remark| Note::plain(format!("{}: {remark}", name(path)))));
        let settings = Settings {
            limit: limit.or(recording.header.limit),
            ..Settings::default()
        };
        for track in recording.tracks {
            judged.push(Judged {
                source: name(path),
                process: track.name,
                judgement: judge(&track.series, &settings),
                series: track.series,
                births: Vec::new(),
            });
        }
    }
    let mut document = Document::new("rbleak/trend/v1");
    blocks(&judged).into_iter().for_each(|b| document.push(b));
    notes.into_iter().for_each(|note| document.note(note));
    if let Some(path) = &args.svg {
        write_svg(path, &document, &caption(&document))?;
    }
    shell::show(&document, args.output.format, args.output.file.as_deref())?;
    Ok(status_of(&judged))
}

/// Refuses what would lose data, before anything is read.
fn check(args: &TrendArgs) -> Result<()> {
    let stdin = Path::new("-");
    if args.files.iter().filter(|file| *file == stdin).count() > 1 {
        bail!("- (stdin) can be one of the recordings only: give files for the others");
    }
    for (flag, output) in [("--output", &args.output.file), ("--svg", &args.svg)] {
        let inputs = args.files.iter().map(PathBuf::as_path);
        inputs::spare(inputs, flag, output.as_deref())?;
    }
    if args.output.file.is_some() && args.output.file == args.svg {
        bail!("--output and --svg name the same file: give two names");
    }
    Ok(())
}

fn read(path: &Path, options: &ReadOptions) -> Result<Recording> {
    let result = if path == Path::new("-") {
        recording::read(std::io::stdin().lock(), options)
    } else {
        let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
        recording::read(BufReader::new(file), options)
    };
    result.with_context(|| name(path))
}

fn name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

fn unit(unit: UnitArg) -> Unit {
    match unit {
        UnitArg::B => Unit::Bytes,
        UnitArg::Kb => Unit::Kilobytes,
        UnitArg::Mb => Unit::Megabytes,
        UnitArg::Gb => Unit::Gigabytes,
    }
}

/// `512MB`, `2 GiB`, or bytes.
fn limit(text: &str) -> Result<Bytes> {
    match Unit::amount(text) {
        Some(bytes) if bytes.0 > 0 => Ok(bytes),
        _ => bail!("--limit {text} is no amount of memory: give one such as 512MB"),
    }
}

/// Writes the charts of a document.
pub(super) fn write_svg(path: &Path, document: &Document, caption: &str) -> Result<()> {
    let svg = to_svg(document, caption);
    crate::files::write_atomically(path, |out| std::io::Write::write_all(out, svg.as_bytes()))
        .with_context(|| format!("cannot write {}", path.display()))
}

/// The verdict in a line.
pub(super) fn caption(document: &Document) -> String {
    let verdict = document.blocks.iter().find_map(|block| match block {
        Block::Verdict(verdict) => Some(format!("{} {}", verdict.word, verdict.headline)),
        _ => None,
    });
    verdict.unwrap_or_default()
}
