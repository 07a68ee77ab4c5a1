//! A run told on one page: the document of `rbleak report`.
//!
//! ```text
//! folder ─open─▶ Opened ─▶ sections (verdict, memory, findings, endpoints, retained, …) ─▶ Document
//! ```
//! What hunts wrote down is read, and nothing outside the run's folder; what is
//! missing there is said, with how to get it. Renderings are those of
//! `rbleak-report`.

mod args;
mod capture;
mod figures;
mod findings;
mod folder;
mod hunt;
mod parts;
mod reproduce;
mod retained;
mod tables;
mod watch;

pub(crate) use args::{ReportArgs, ReportFormat};
pub(crate) use folder::{Kind, Opened, newest};

use anyhow::Result;
use rbleak_report::{Document, Page};
use rbleak_units::Bytes;

/// How much is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Findings at most.
    pub(crate) findings: usize,
    /// Nodes of the tree at most.
    pub(crate) nodes: usize,
    /// Rows of a table at most.
    pub(crate) rows: usize,
    /// Points of a plot at most.
    pub(crate) points: usize,
    /// Whether the hunt's own JSON is told, too.
    pub(crate) with_json: bool,
    /// Whether strings in the tree show their values.
    pub(crate) show_values: bool,
    /// What reading the dumps may take.
    pub(crate) memory: Option<Bytes>,
}

impl Wish {
    /// What the form has room for.
    pub(crate) fn of(args: &ReportArgs) -> Wish {
        let page = Wish {
            findings: 50,
            nodes: 1500,
            rows: 400,
            points: 1500,
            with_json: args.format == ReportFormat::Html,
            show_values: args.show_values,
            memory: args.memory,
        };
        match args.format {
            ReportFormat::Html | ReportFormat::Json => page,
            // A comment is read from top to bottom.
            ReportFormat::Markdown => Wish {
                findings: 5,
                nodes: 20,
                rows: 20,
                ..page
            },
        }
    }
}

/// What there is to say of a run, and what stands around it on a page.
///
/// # Errors
/// If a file of the run is there and cannot be used.
pub(crate) fn tell(opened: &Opened, wish: &Wish) -> Result<(Document, Page)> {
    match &opened.kind {
        Kind::Hunt(run) => hunt::tell(opened, run, wish),
        Kind::Capture(manifest) => capture::tell(opened, manifest, wish),
        Kind::Watch(recording) => watch::tell(opened, recording, wish),
    }
}
