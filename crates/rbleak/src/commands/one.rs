//! What the commands that look into one dump have in common.

use super::diff::agent_directory;
use crate::held::names_beside;
use crate::inputs;
use anyhow::Result;
use rbleak_heap::graph::Count;
use rbleak_heap::{Heap, Names, ObjectId};
use rbleak_report::{Row, json};
use rbleak_units::Bytes;
use std::path::{Path, PathBuf};

/// A dump and what lies beside it.
pub(super) struct One<'a> {
    pub(super) dump: &'a Path,
    pub(super) names: Option<&'a Path>,
    pub(super) output: Option<&'a Path>,
}

impl One<'_> {
    pub(super) fn is_stdin(&self) -> bool {
        self.dump == Path::new("-")
    }

    /// Refuses what would lose data, before anything is read.
    pub(super) fn check(&self) -> Result<()> {
        let inputs = [Some(self.dump), self.names];
        inputs::spare(inputs.into_iter().flatten(), "--output", self.output)
    }

    /// The sidecar that was named, or that lies beside the dump; none is fine.
    pub(super) fn read_names(&self) -> Result<Names> {
        let names = inputs::names(self.names, names_beside(self.dump))?;
        Ok(names.unwrap_or_default())
    }

    /// Tells the files of rbleak's agent from those of the app.
    pub(super) fn is_tool_file(&self) -> impl Fn(&str) -> bool + use<> {
        let agent: Option<PathBuf> = agent_directory(self.dump);
        move |file| {
            let agent = agent.as_deref();
            agent.is_some_and(|agent| Path::new(file).starts_with(agent))
        }
    }
}

/// How many rows are shown at most.
pub(super) fn rows_at_most(limit: usize) -> usize {
    match limit {
        0 => usize::MAX,
        limit => limit,
    }
}

pub(super) fn share(part: Bytes, whole: Bytes) -> f64 {
    part.as_f64() / whole.as_f64().max(1.0)
}

/// `app.rb:45`, if it is known.
pub(crate) fn place(heap: &Heap, id: ObjectId) -> Option<String> {
    heap.site(id).map(|site| heap.site_info(site).to_string())
}

/// What a table leaves out, as a row: with it, its rows add up.
pub(super) fn others(rows: usize, count: Count, cells: Vec<String>) -> Row {
    Row {
        cells,
        data: json!({
            "others": rows,
            "objects": count.objects.0,
            "bytes": count.bytes.0,
        }),
    }
}
