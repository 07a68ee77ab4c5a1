//! `rbleak verify`: whether a leak is gone.

use super::hunt;
use crate::derailed::Defaults;
use crate::exit::ExitStatus;
use crate::hunt::plan::Plan;
use crate::verify::args::VerifyArgs;
use crate::verify::baseline::Worktree;
use crate::verify::document::document;
use crate::verify::judge::{Answer, judge};
use crate::verify::recorded::Recorded;
use anyhow::{Context, Result, bail};
use rbleak_trend::Margins;
use std::path::Path;

/// Runs the command.
pub(crate) fn run(args: &VerifyArgs) -> Result<ExitStatus> {
    if args.hunt.max_leak.is_some() {
        bail!("--max-leak is of hunt: verify takes a leak for mended when it is gone");
    }
    let open = |folder: &Path| Recorded::open(folder, folder.display().to_string());
    let (before, after) = match (&args.before, &args.after, &args.baseline) {
        (Some(before), Some(after), _) => (open(before)?, open(after)?),
        (_, _, Some(revision)) => both(args, revision)?,
        _ => bail!("give two runs, or --baseline REF"),
    };
    let judged = judge(&before, &after, &Margins::default(), args.anyway);
    let document = document(&before, &after, &judged);
    hunt::show(&document, &args.hunt)?;
    Ok(match judged.answer {
        Answer::Fixed => ExitStatus::Clean,
        Answer::StillLeaks | Answer::NewLeak => ExitStatus::Found,
        Answer::Inconclusive => ExitStatus::Inconclusive,
    })
}

/// Hunts the app at a revision, and as it is, by one plan.
fn both(args: &VerifyArgs, revision: &str) -> Result<(Recorded, Recorded)> {
    let defaults = Defaults::read(std::env::vars_os()).map_err(anyhow::Error::msg)?;
    let here = std::env::current_dir().context("this folder is gone")?;
    let mut plan = Plan::new(&args.hunt, &defaults, &here)?;
    let worktree = Worktree::of(&plan.directory, revision)?;
    for file in &args.carry {
        worktree.carry(&here.join(file))?;
    }
    let earlier = worktree.plan(&plan)?;
    let hunted = |plan: &Plan, what: &str| -> Result<Recorded> {
        let folder = hunt::hunt(plan, &here, false)
            .with_context(|| format!("the hunt of {what} failed"))?
            .folder
            .context("the hunt kept no run")?;
        let shown = folder.strip_prefix(&here).unwrap_or(&folder);
        Recorded::open(&folder, shown.display().to_string())
    };
    let before = hunted(&earlier, worktree.short())?;
    // Rounds of the same size: what differs is the app alone. Of several
    // endpoints, each has its own.
    if plan.traffic.is_none() {
        plan.per_round = Some(before.manifest.load.requests_per_round);
    }
    let after = hunted(&plan, "this tree")?;
    Ok((before, after))
}
