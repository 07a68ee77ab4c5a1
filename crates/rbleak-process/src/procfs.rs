//! Opens files below `/proc/PID`. Knows nothing of what is in them.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::maps::Mapping;
use crate::{MissingField, Pid, ProcessError};

/// No file that is searched for a version or a marker is read further.
pub(crate) const LARGEST_PROGRAM: u64 = 64 << 20;

/// `/proc/PID/file`.
pub(crate) fn path(pid: Pid, file: &str) -> PathBuf {
    Path::new("/proc").join(pid.to_string()).join(file)
}

/// The whole of `/proc/PID/file`.
pub(crate) fn bytes(pid: Pid, file: &'static str) -> Result<Vec<u8>, ProcessError> {
    fs::read(path(pid, file)).map_err(|source| ProcessError::reading(pid, file, source))
}

/// The same as text. Names of files and programs need not be UTF-8: what is
/// not becomes U+FFFD, which matters to nobody who only reads them.
pub(crate) fn text(pid: Pid, file: &'static str) -> Result<String, ProcessError> {
    bytes(pid, file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads and parses `/proc/PID/file`.
pub(crate) fn parsed<T>(
    pid: Pid,
    file: &'static str,
    parse: impl FnOnce(&str) -> Result<T, MissingField>,
) -> Result<T, ProcessError> {
    parse(&text(pid, file)?).map_err(|source| ProcessError::Malformed { pid, file, source })
}

/// The file behind a mapping, the one that is mapped and not one that has
/// taken its name since.
pub(crate) fn mapped_file(pid: Pid, mapping: &Mapping) -> io::Result<Vec<u8>> {
    let Some(file) = mapping.file() else {
        return Err(io::ErrorKind::NotFound.into());
    };
    if file.deleted {
        let range = format!("map_files/{:x}-{:x}", mapping.start.0, mapping.end.0);
        return program(&path(pid, &range));
    }
    // The process may see another root than we do, in a container say. Where
    // we may not look through its eyes, the path itself is the best guess.
    let relative = Path::new(&file.path).strip_prefix("/").map(Path::to_owned);
    let inside = path(pid, "root").join(relative.unwrap_or_default());
    program(&inside).or_else(|_| program(Path::new(&file.path)))
}

/// The program that the process runs, even if its file is gone.
pub(crate) fn executable(pid: Pid) -> io::Result<Vec<u8>> {
    program(&path(pid, "exe"))
}

/// A file, as far as it is looked at.
pub(crate) fn program(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LARGEST_PROGRAM)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether the program was started with the rights of another user, so that
/// the loader does not trust its environment: AT_SECURE in `/proc/PID/auxv`,
/// see getauxval(3).
pub(crate) fn is_secure(pid: Pid) -> bool {
    const AT_SECURE: usize = 23;
    const WORD: usize = size_of::<usize>();
    let bytes = bytes(pid, "auxv").unwrap_or_default();
    let word = |at: &[u8]| at.try_into().map_or(0, usize::from_ne_bytes);
    bytes
        .chunks_exact(2 * WORD)
        .any(|pair| word(&pair[..WORD]) == AT_SECURE && word(&pair[WORD..]) != 0)
}
