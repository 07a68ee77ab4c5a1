//! How a file is named to services that look at the sources from their root.

use std::path::{Path, PathBuf};

/// The path from the root of the sources: of the checkout that CI names, or of
/// the git repository. Absolute where the file lies in neither.
pub(crate) fn of(file: &Path, workspace: Option<PathBuf>) -> String {
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let root = workspace
        .and_then(|path| path.canonicalize().ok())
        .or_else(|| {
            file.ancestors()
                .find(|folder| folder.join(".git").exists())
                .map(Path::to_owned)
        })
        .or_else(|| std::env::current_dir().ok()?.canonicalize().ok());
    let relative = root
        .as_deref()
        .and_then(|root| file.strip_prefix(root).ok());
    relative.unwrap_or(&file).display().to_string()
}
