//! Files are written under a temporary name, mode 0600, then renamed: what is
//! there under its own name is whole, and heap dumps are nobody else's to read.

use std::fs::{DirBuilder, File, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// Lets `fill` write a file that appears at `path` only once it is complete.
/// On an error nothing is left behind, and what was at `path` stays.
pub(crate) fn write_atomically<T, E: From<io::Error>>(
    path: &Path,
    fill: impl FnOnce(&mut BufWriter<&File>) -> Result<T, E>,
) -> Result<T, E> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // tempfile creates with mode 0600.
    let temporary = NamedTempFile::with_prefix_in(".rbleak-", directory)?;
    let mut out = BufWriter::new(temporary.as_file());
    let value = fill(&mut out)?;
    out.flush()?;
    drop(out);
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(value)
}

/// As [`write_atomically`], for what other users may read as well, as far as the
/// umask lets them: completions and man pages, which say nothing of a heap.
pub(crate) fn write_for_all(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut temporary = tempfile::Builder::new()
        .prefix(".rbleak-")
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(directory)?;
    temporary.write_all(bytes)?;
    temporary.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// Creates `path` and what is missing above it; the last one with mode 0700.
pub(crate) fn create_private_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(path)
}

/// A name as part of a file's: what is not plain becomes a dash.
pub(crate) fn plain_name(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
    name.chars()
        .map(|c| if is_plain(c) { c } else { '-' })
        .collect()
}

/// Where what outlasts a run is kept: below `XDG_DATA_HOME`, or else below
/// `HOME`. `None` where neither names a folder.
pub(crate) fn data_folder() -> Option<PathBuf> {
    let absolute = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let data =
        absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")))?;
    Some(data.join("rbleak"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        std::fs::write(&path, "old").unwrap();
        let result: io::Result<()> = write_atomically(&path, |out| {
            out.write_all(b"half")?;
            Err(io::Error::other("disk full"))
        });
        assert!(result.is_err());
        assert_eq!(std::fs::read(&path).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_written_file_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out");
        write_atomically(&path, |out| out.write_all(b"whole")).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
    }
}
