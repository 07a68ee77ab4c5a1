//! `rbleak hunt`: boot and drive an app, decide, name what leaks.

use crate::audit::summary;
use crate::derailed::Defaults;
use crate::exit::ExitStatus;
use crate::hunt::args::HuntArgs;
use crate::hunt::budget::{Budget, Kept};
use crate::hunt::diagnose::diagnose;
use crate::hunt::document::{RunLine, Told, document};
use crate::hunt::measure::{Measured, measure};
use crate::hunt::plan::Plan;
use crate::run::{AppFacts, LoadFacts, RunDirectory, Status, begun};
use crate::shell::{self, Progress, Rendering};
use crate::sources::Sources;
use anyhow::{Context, Result};
use jiff::ZonedDateTime;
use rbleak_capture::{CaptureError, Interrupt, Mode};
use rbleak_report::{Document, Fact, to_json};
use rbleak_trend::{Cause, Margins};
use std::path::{Path, PathBuf};

/// Runs the command.
pub(crate) fn run(args: &HuntArgs) -> Result<ExitStatus> {
    let defaults = Defaults::read(std::env::vars_os()).map_err(anyhow::Error::msg)?;
    let here = std::env::current_dir().context("this folder is gone")?;
    let plan = Plan::new(args, &defaults, &here)?;
    let told = hunt(&plan, &here, args.all)?;
    show(&told.document, args)?;
    Ok(told.status)
}

/// Writes the answer as the flags say.
pub(super) fn show(document: &Document, args: &HuntArgs) -> Result<()> {
    if let Some(file) = &args.junit {
        shell::show_as(document, Rendering::Junit, Some(file))?;
    }
    shell::show_as(document, args.format.into(), args.output.as_deref())
}

/// What a hunt comes to.
pub(crate) struct Conclusion {
    pub(crate) document: Document,
    pub(crate) status: ExitStatus,
    /// The run's folder; none of a recorded hunt.
    pub(crate) folder: Option<PathBuf>,
}

/// Hunts as planned; the run is kept below the plan's folder of runs.
pub(crate) fn hunt(plan: &Plan, here: &Path, all: bool) -> Result<Conclusion> {
    let interrupt = interrupt_on_signals()?;
    let now = ZonedDateTime::now();
    let app = AppFacts {
        target: plan.target(),
        mode: plan.mode_name().to_owned(),
        directory: plan.directory.clone(),
        environment: Some(
            plan.environment
                .clone()
                .unwrap_or_else(|| "production".to_owned()),
        ),
        ..AppFacts::default()
    };
    let load = LoadFacts {
        paths: plan.requests.iter().map(|r| r.path.clone()).collect(),
        method: plan.requests.first().map(|r| r.method.clone()),
        sent_digest: plan.sent_digest(),
        command: plan.command.clone(),
        concurrency: match plan.mode {
            Mode::Server { concurrency, .. } => Some(concurrency),
            _ => None,
        },
        ..LoadFacts::default()
    };
    let mut run = RunDirectory::create(&plan.run_parent, &now, begun(&now, app, load))?;
    let progress = Progress::new(plan.quiet);
    let margins = plan.margins();
    let result = measure(plan, &mut run, &interrupt, &progress, &margins)
        .and_then(|measured| conclude(plan, &mut run, here, all, &margins, measured));
    progress.done();
    result.map_err(|error| failed(run, error))
}

fn conclude(
    plan: &Plan,
    run: &mut RunDirectory,
    here: &Path,
    all: bool,
    margins: &Margins,
    measured: Measured,
) -> Result<Conclusion> {
    let diagnosis = diagnose(
        &measured.rounds,
        margins,
        measured.cause,
        measured.evidence.as_ref(),
    )?;
    if !plan.keep_dumps {
        run.drop_dumps()?;
    }
    run.manifest.status = Status::Complete;
    let sources = Sources::of_directory(&plan.directory);
    let budget = plan.budget.as_ref();
    let kept = |budget: &Budget| match &measured.endpoints {
        // Each by itself: their average would hide one.
        Some(found) if diagnosis.signals.cause != Cause::Undecided => {
            let each = found.rows.iter().map(|row| budget.is_kept(&row.signals));
            each.max().unwrap_or(Kept::Untold)
        }
        _ => budget.is_kept(&diagnosis.signals),
    };
    let budget = budget.map(|budget| (budget, kept(budget)));
    let told = |all| {
        document(&Told {
            app: &run.manifest.app,
            load: &run.manifest.load,
            margins,
            diagnosis: &diagnosis,
            caches: &measured.caches,
            sources: &sources,
            known: known(plan, &run.manifest.app, diagnosis.signals.cause),
            run: Some(RunLine {
                path: run
                    .path()
                    .strip_prefix(here)
                    .unwrap_or(run.path())
                    .display()
                    .to_string(),
                dumps: run.manifest.dumps.len(),
                bytes: run.dump_bytes(),
            }),
            all,
            budget,
            endpoints: measured.endpoints.as_ref(),
        })
    };
    // What is kept of the run has all findings, however many are shown.
    run.write("report.json", to_json(&told(true)).as_bytes())?;
    run.save()?;
    Ok(Conclusion {
        document: told(all),
        status: match budget {
            None => status_of(diagnosis.signals.cause),
            Some((_, Kept::Yes)) => ExitStatus::Clean,
            Some((_, Kept::No)) => ExitStatus::Found,
            Some((_, Kept::Untold)) => ExitStatus::Inconclusive,
        },
        folder: Some(run.path().to_owned()),
    })
}

/// What is known of the app's gems; and of its Ruby, where what leaks is no
/// object of the app's.
fn known(plan: &Plan, app: &AppFacts, cause: Cause) -> Vec<Fact> {
    let ruby = app.ruby.as_deref();
    let of_ruby = ruby
        .filter(|_| cause == Cause::Native)
        .and_then(summary::ruby);
    summary::gems(&plan.directory, ruby)
        .into_iter()
        .chain(of_ruby)
        .collect()
}

/// The exit code of what was found.
pub(crate) fn status_of(cause: Cause) -> ExitStatus {
    match cause {
        Cause::RubyObjects | Cause::RubyBytes | Cause::Native => ExitStatus::Found,
        Cause::Nothing => ExitStatus::Clean,
        Cause::Undecided => ExitStatus::Inconclusive,
    }
}

/// Notes in the run's folder how it ended.
fn failed(mut run: RunDirectory, error: anyhow::Error) -> anyhow::Error {
    let interrupted = matches!(
        error.downcast_ref::<CaptureError>(),
        Some(CaptureError::Interrupted)
    );
    run.manifest.status = if interrupted {
        Status::Interrupted
    } else {
        Status::Failed
    };
    run.manifest.error = Some(format!("{error:#}"));
    if let Err(unwritten) = run.save() {
        shell::warn(&format!("{unwritten:#}"));
    }
    error
}

/// The first signal asks for a clean stop, a second one ends rbleak at once.
pub(super) fn interrupt_on_signals() -> Result<Interrupt> {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let interrupt = Interrupt::new();
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        signal_hook::flag::register_conditional_shutdown(signal, 2, interrupt.flag())
            .and_then(|_| signal_hook::flag::register(signal, interrupt.flag()))
            .context("cannot watch for Ctrl-C")?;
    }
    Ok(interrupt)
}
