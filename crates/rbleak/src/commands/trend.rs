//! `rbleak trend`: the verdict on recorded memory.

use crate::cli::{TrendArgs, UnitArg};
use crate::exit::ExitStatus;
use crate::inputs;
use crate::shell;
use crate::verdicts::{Judged, blocks, status_of};
use anyhow::{Context, Result, bail};
use rbleak_report::{Block, Document, Note, to_svg};
use rbleak_trend::recording::{self, ReadOptions, Recording, Unit};
use rbleak_trend::{Settings, judge};
use rbleak_units::Bytes;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

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
    shell::show(&document, args.format, args.output.as_deref())?;
    Ok(status_of(&judged))
}

/// Refuses what would lose data, before anything is read.
fn check(args: &TrendArgs) -> Result<()> {
    let stdin = Path::new("-");
    if args.files.iter().filter(|file| *file == stdin).count() > 1 {
        bail!("- (stdin) can be one of the recordings only: give files for the others");
    }
    for (flag, output) in [("--output", &args.output), ("--svg", &args.svg)] {
        let inputs = args.files.iter().map(PathBuf::as_path);
        inputs::spare(inputs, flag, output.as_deref())?;
    }
    if args.output.is_some() && args.output == args.svg {
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
