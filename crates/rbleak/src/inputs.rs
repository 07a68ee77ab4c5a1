//! What may stand where a dump is asked for: a file, `-`, or a run's folder.
//!
//! A folder stands for the dumps of its run, with the names that go with them.
//! Knows what is in neither.

use crate::held::names_beside;
use anyhow::{Result, bail};
use rbleak_capture::RecordedRun;
use rbleak_heap::{Heap, Memory, ReadError, ReadOptions};
use std::path::{Path, PathBuf};

/// One dump to be read.
#[derive(Clone, Debug)]
pub(crate) struct DumpInput {
    /// The file, or `-`.
    pub(crate) path: PathBuf,
    /// Its sidecar, where there is one.
    pub(crate) names: Option<PathBuf>,
}

/// Which dump of a run stands for it where one is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    First,
    Last,
}

/// The dumps meant by what was given, in that order; those of a run oldest
/// first.
pub(crate) fn dumps(given: &[PathBuf]) -> Result<Vec<DumpInput>> {
    let mut all = Vec::new();
    for path in given {
        all.append(&mut expand(path)?);
    }
    Ok(all)
}

/// The one dump meant by what was given.
pub(crate) fn dump(given: &Path, which: Which) -> Result<DumpInput> {
    let mut dumps = expand(given)?;
    let dump = match which {
        Which::First => dumps.drain(..).next(),
        Which::Last => dumps.pop(),
    };
    match dump {
        Some(dump) => Ok(dump),
        None => bail!("{} has no dumps", given.display()),
    }
}

fn expand(given: &Path) -> Result<Vec<DumpInput>> {
    if !given.is_dir() {
        return Ok(vec![DumpInput {
            path: given.to_owned(),
            names: names_beside(given),
        }]);
    }
    let run = RecordedRun::open(given)?;
    let dumps = run.dumps.into_iter().map(|dump| DumpInput {
        path: dump.path,
        names: dump.names,
    });
    Ok(dumps.collect())
}

/// Reads a dump, or standard input for `-`.
pub(crate) fn read(path: &Path, options: &ReadOptions, memory: &Memory) -> Result<Heap, ReadError> {
    if path == Path::new("-") {
        Heap::read_within(std::io::stdin(), "standard input", options, memory)
    } else {
        Heap::open_within(path, options, memory)
    }
}

/// The paths alone.
pub(crate) fn paths(dumps: &[DumpInput]) -> Vec<PathBuf> {
    dumps.iter().map(|dump| dump.path.clone()).collect()
}
