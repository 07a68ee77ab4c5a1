//! An audit: where the lockfile and the advisories lie, how the latter are
//! updated, and the answer as a document.

pub(crate) mod args;
pub(crate) mod data;
pub(crate) mod document;
pub(crate) mod locate;
pub(crate) mod place;
pub(crate) mod summary;
pub(crate) mod update;
mod words;

use anyhow::{Context, Result};
use rbleak_audit::Ignores;
use std::io;
use std::path::Path;

/// The name of the file with ignores, beside the lockfile.
const CONFIG: &str = ".rbleak.yml";

/// Reads the ignores: of the file that is named, or of `.rbleak.yml` in
/// `folder` if there is one.
pub(crate) fn ignores(given: Option<&Path>, folder: &Path) -> Result<Ignores> {
    let beside = folder.join(CONFIG);
    let path = given.unwrap_or(&beside);
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if given.is_none() && error.kind() == io::ErrorKind::NotFound => {
            return Ok(Ignores::default());
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    Ignores::from_yaml(&text).with_context(|| path.display().to_string())
}
