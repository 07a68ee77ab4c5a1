//! Which lockfile is meant: the one that is named, the one that
//! `BUNDLE_GEMFILE` leads to, or the nearest one upward.

use anyhow::{Context, Result, bail};
use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A lockfile and its content.
pub(crate) struct Found {
    /// As it is shown.
    pub(crate) shown: String,
    /// Where it lies; `None` for standard input.
    pub(crate) path: Option<PathBuf>,
    pub(crate) bytes: Vec<u8>,
}

/// The Gemfile and its lockfile, by Bundler's names.
const NAMES: [(&str, &str); 2] = [("Gemfile", "Gemfile.lock"), ("gems.rb", "gems.locked")];

/// Larger ones are no lockfiles: that of 2 000 gems has 200 kB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Finds and reads the lockfile.
pub(crate) fn find(
    given: Option<&Path>,
    here: &Path,
    bundle_gemfile: Option<&OsStr>,
) -> Result<Found> {
    if given == Some(Path::new("-")) {
        let mut bytes = Vec::new();
        std::io::stdin()
            .lock()
            .take(MAX_BYTES)
            .read_to_end(&mut bytes)
            .context("cannot read standard input")?;
        return Ok(Found {
            shown: "standard input".to_owned(),
            path: None,
            bytes,
        });
    }
    let path = match given {
        Some(given) => {
            let path = here.join(given);
            if path.is_dir() {
                in_folder(&path).with_context(|| {
                    format!(
                        "there is no Gemfile.lock and no gems.locked in {}",
                        given.display()
                    )
                })?
            } else {
                path
            }
        }
        None => match bundle_gemfile.filter(|value| !value.is_empty()) {
            Some(gemfile) => beside(&here.join(gemfile)),
            None => upward(here)?,
        },
    };
    let shown = path
        .strip_prefix(here)
        .unwrap_or(&path)
        .display()
        .to_string();
    let bytes = read(&path).with_context(|| {
        let led = match (given, bundle_gemfile) {
            (None, Some(_)) => " (BUNDLE_GEMFILE)",
            _ => "",
        };
        format!("cannot read {shown}{led}")
    })?;
    Ok(Found {
        shown,
        path: Some(path),
        bytes,
    })
}

fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path)?;
    file.take(MAX_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The lockfile in a folder.
pub(crate) fn in_folder(folder: &Path) -> Option<PathBuf> {
    NAMES
        .iter()
        .map(|(_, lock)| folder.join(lock))
        .find(|path| path.is_file())
}

/// The lockfile that Bundler writes for a Gemfile.
fn beside(gemfile: &Path) -> PathBuf {
    if gemfile.file_name() == Some(OsStr::new("gems.rb")) {
        return gemfile.with_file_name("gems.locked");
    }
    let mut name = gemfile.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn upward(here: &Path) -> Result<PathBuf> {
    for folder in here.ancestors() {
        if let Some(path) = in_folder(folder) {
            return Ok(path);
        }
        if let Some((gemfile, lock)) = NAMES.iter().find(|(name, _)| folder.join(name).is_file()) {
            bail!(
                "{} has no {lock} beside it: run bundle lock",
                folder.join(gemfile).display()
            );
        }
    }
    bail!(
        "there is no Gemfile.lock and no gems.locked in {} or above it: name one",
        here.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_one_upward_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join("gems.locked"), "x").unwrap();
        let found = find(None, &deep, None).unwrap();
        assert_eq!(found.path, Some(folder.path().join("gems.locked")));
        std::fs::write(folder.path().join("a/Gemfile.lock"), "y").unwrap();
        let found = find(None, &deep, None).unwrap();
        assert_eq!(found.bytes, b"y");
        std::fs::write(deep.join("gems.rb"), "").unwrap();
        let error = find(None, &deep, None).err().unwrap().to_string();
        assert!(
            error.ends_with("gems.rb has no gems.locked beside it: run bundle lock"),
            "{error}"
        );
    }

    #[test]
    fn bundle_gemfile_leads_to_its_lockfile() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Gemfile.rails7.lock"), "7").unwrap();
        std::fs::write(folder.path().join("gems.locked"), "g").unwrap();
        let found = |gemfile: &str| find(None, folder.path(), Some(OsStr::new(gemfile))).unwrap();
        assert_eq!(found("Gemfile.rails7").bytes, b"7");
        assert_eq!(found("gems.rb").bytes, b"g");
        let error = find(None, folder.path(), Some(OsStr::new("other")))
            .err()
            .unwrap();
        assert_eq!(error.to_string(), "cannot read other.lock (BUNDLE_GEMFILE)");
    }
}
