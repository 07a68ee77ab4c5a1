//! What may stand where a dump is asked for: a file, `-`, or a run's folder.
//!
//! A folder stands for the dumps of its run, with the names that go with them.
//! No output may lie where an input does. Knows what is in neither.

use crate::held::{names_beside, read_names};
use crate::shell;
use anyhow::{Result, bail};
use rbleak_capture::RecordedRun;
use rbleak_heap::{Heap, Memory, Names, ReadError, ReadOptions};
use rbleak_units::grouped;
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

/// The names in the file that was given for them, or else in the sidecar beside
/// the dump; `None` where there is neither.
pub(crate) fn names(given: Option<&Path>, beside: Option<PathBuf>) -> Result<Option<Names>> {
    let Some(path) = given.map(Path::to_owned).or(beside) else {
        return Ok(None);
    };
    let names = read_names(&path)?;
    if names.is_empty() && given.is_some() {
        bail!(
            "{} has no names: expected the lines that rbleak hunt writes to X.names.ndjson.zst",
            path.display()
        );
    }
    if names.skipped_lines() > 0 {
        shell::warn(&format!(
            "{}: {} lines could not be read",
            path.display(),
            grouped(names.skipped_lines() as u64)
        ));
    }
    Ok(Some(names))
}

/// Refuses an output that would take the place of an input, before anything is
/// read.
pub(crate) fn spare<'a>(
    inputs: impl IntoIterator<Item = &'a Path>,
    flag: &str,
    output: Option<&Path>,
) -> Result<()> {
    let Some(output) = output else {
        return Ok(());
    };
    if let Some(input) = inputs.into_iter().find(|input| is_same_file(input, output)) {
        bail!(
            "{flag} {} would overwrite the input {}: give another name",
            output.display(),
            input.display()
        );
    }
    if output.is_dir() {
        bail!(
            "{flag} {} is a directory: give the name of a file",
            output.display()
        );
    }
    Ok(())
}

fn is_same_file(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (a.metadata(), b.metadata()) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// The paths alone.
pub(crate) fn paths(dumps: &[DumpInput]) -> Vec<PathBuf> {
    dumps.iter().map(|dump| dump.path.clone()).collect()
}
