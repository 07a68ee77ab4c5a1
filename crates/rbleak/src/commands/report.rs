//! `rbleak report`: a run as a page, as Markdown, as JSON.

use crate::exit::ExitStatus;
use crate::files::write_atomically;
use crate::inputs;
use crate::report::{Opened, ReportArgs, ReportFormat, Wish, newest, tell};
use crate::shell::{self, Rendering};
use anyhow::{Context, Result};
use rbleak_report::to_html;
use std::io::Write;
use std::path::PathBuf;

/// Runs the command.
pub(crate) fn run(args: &ReportArgs) -> Result<ExitStatus> {
    let folder = match &args.run {
        Some(folder) => folder.clone(),
        None => newest()?,
    };
    let opened = Opened::new(&folder)?;
    spare(&opened, args)?;
    let (document, page) = tell(&opened, &Wish::of(args))?;
    let rendering = match args.format {
        ReportFormat::Html => {
            let path = output(&opened, args);
            let html = to_html(&document, &page).context("cannot make the page")?;
            write_atomically(&path, |out| out.write_all(html.as_bytes()))
                .with_context(|| format!("cannot write {}", path.display()))?;
            shell::print(&format!("{}\n", path.display()))?;
            return Ok(ExitStatus::Clean);
        }
        ReportFormat::Markdown => Rendering::Markdown,
        ReportFormat::Json => Rendering::Json,
    };
    shell::show_as(&document, rendering, args.output.as_deref())?;
    Ok(ExitStatus::Clean)
}

fn output(opened: &Opened, args: &ReportArgs) -> PathBuf {
    let default = || opened.folder.join("report.html");
    args.output.clone().unwrap_or_else(default)
}

/// Refuses an output that would take the place of what the run keeps.
fn spare(opened: &Opened, args: &ReportArgs) -> Result<()> {
    let entries = std::fs::read_dir(&opened.folder);
    let entries = entries.with_context(|| format!("cannot read {}", opened.shown))?;
    let kept: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension()
                .is_none_or(|end| end != "html" && end != "md")
        })
        .collect();
    let kept = kept.iter().map(PathBuf::as_path);
    inputs::spare(kept, "--output", args.output.as_deref())
}
