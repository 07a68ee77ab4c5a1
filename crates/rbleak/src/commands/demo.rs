//! `rbleak demo`: the whole way on a small app that leaks.
//!
//! With a Ruby that has Rack, the app is booted and hunted for real. Without
//! one, the samples and dumps of such a hunt, carried in the binary, take the
//! same way from the statistics on, and the output says so.

use super::hunt::{Conclusion, hunt, status_of};
use crate::cli::Format;
use crate::derailed::Defaults;
use crate::exit::ExitStatus;
use crate::held::Evidence;
use crate::hunt::args::HuntArgs;
use crate::hunt::diagnose::diagnose;
use crate::hunt::document::{Told, document};
use crate::hunt::plan::Plan;
use crate::run::{Manifest, parse_samples};
use crate::shell;
use crate::sources::Sources;
use anyhow::{Context, Result, bail};
use clap::Args;
use clap::Parser;
use rbleak_heap::{Heap, Names, ReadOptions};
use rbleak_report::Note;
use rbleak_trend::{Margins, Rounds};
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};

/// The app, as it lies in `examples/leaky`.
const APP: &[(&str, &str)] = &[
    ("app.rb", include_str!("../../../../examples/leaky/app.rb")),
    (
        "config.ru",
        include_str!("../../../../examples/leaky/config.ru"),
    ),
];

/// A hunt of that app, recorded by `script/record-demo`.
const MANIFEST: &str = include_str!("../../recorded/manifest.json");
const SAMPLES: &str = include_str!("../../recorded/samples.csv");
const NAMES: &[u8] = include_bytes!("../../recorded/C.names.ndjson.zst");
const DUMPS: &[(&str, &[u8])] = &[
    ("A", include_bytes!("../../recorded/A.ndjson.zst")),
    ("B", include_bytes!("../../recorded/B.ndjson.zst")),
    ("C", include_bytes!("../../recorded/C.ndjson.zst")),
];

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

/// Runs the command.
pub(crate) fn run(args: &DemoArgs) -> Result<ExitStatus> {
    let lacking = if args.recorded {
        Some("--recorded was asked for")
    } else {
        lacking()
    };
    let mut conclusion = match lacking {
        None => live(args)?,
        Some(_) => recorded()?,
    };
    if let Some(why) = lacking {
        conclusion.document.note(Note::warning(format!(
            "{why}: these are the samples and dumps of an earlier hunt that rbleak carries with it, analysed now"
        )));
    }
    conclusion.document.note(Note::plain(
        "the app is examples/leaky of rbleak's repository; your own: cd to the folder of its config.ru, then rbleak hunt --path /some/path",
    ));
    shell::show(&conclusion.document, args.format, None)?;
    Ok(match conclusion.status {
        ExitStatus::Found => ExitStatus::Clean,
        _ => ExitStatus::Inconclusive,
    })
}

/// What keeps the demo from running live.
fn lacking() -> Option<&'static str> {
    let works = |code: &str| {
        Command::new("ruby")
            .args(["-e", code])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    };
    if !works("") {
        Some("there is no Ruby on the PATH")
    } else if !works("require 'rack'") {
        Some("this Ruby has no rack gem")
    } else {
        None
    }
}

fn live(args: &DemoArgs) -> Result<Conclusion> {
    let here = std::env::current_dir().context("this folder is gone")?;
    let folder = here.join(".rbleak").join("demo");
    std::fs::create_dir_all(&folder)
        .and_then(|()| {
            APP.iter()
                .try_for_each(|(name, text)| std::fs::write(folder.join(name), text))
        })
        .with_context(|| format!("cannot write the demo's app to {}", folder.display()))?;
    let hunt_args = demo_hunt(&folder, args.quiet)?;
    let plan = Plan::new(&hunt_args, &Defaults::default(), &here)?;
    hunt(&plan, &here, false)
}

/// The flags of the demo's hunt, by the same parser as any.
fn demo_hunt(folder: &Path, quiet: bool) -> Result<HuntArgs> {
    #[derive(Parser)]
    struct Flags {
        #[command(flatten)]
        hunt: HuntArgs,
    }
    let mut words: Vec<std::ffi::OsString> = ["rbleak", "--path", "/leak", "-C"]
        .into_iter()
        .map(Into::into)
        .collect();
    words.push(folder.into());
    if quiet {
        words.push("--quiet".into());
    }
    Ok(Flags::try_parse_from(words)?.hunt)
}

fn recorded() -> Result<Conclusion> {
    let manifest =
        Manifest::parse(MANIFEST.as_bytes()).context("the recorded manifest is damaged")?;
    let Some(samples) = parse_samples(SAMPLES) else {
        bail!("the recorded samples are damaged");
    };
    let mut rounds = Rounds::default();
    samples.into_iter().for_each(|sample| rounds.push(sample));
    let options = ReadOptions::default();
    let evidence = Evidence {
        heaps: DUMPS
            .iter()
            .map(|(name, bytes)| Ok(Heap::read(*bytes, name, &options)?))
            .collect::<Result<Vec<Heap>>>()?,
        names: Names::read(BufReader::new(zstd::Decoder::new(NAMES)?))?,
        counts: manifest.dumps.iter().map(|dump| dump.requests).collect(),
        agent_directory: manifest.app.agent_directory.clone(),
    };
    let margins = Margins::default();
    let diagnosis = diagnose(&rounds, &margins, None, Some(&evidence))?;
    let document = document(&Told {
        app: &manifest.app,
        load: &manifest.load,
        margins: &margins,
        diagnosis: &diagnosis,
        caches: &[],
        sources: &Sources::embedded(&manifest.app.directory, APP),
        known: Vec::new(),
        run: None,
        all: false,
        budget: None,
        endpoints: None,
    });
    Ok(Conclusion {
        document,
        status: status_of(diagnosis.signals.cause),
        folder: None,
    })
}
