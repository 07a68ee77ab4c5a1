//! A run's folder as an input: its manifest, and the dumps that it still has.
//!
//! Opens the manifest and looks where files lie; it reads no dump.

use crate::manifest::{DumpRecord, MANIFEST_FILE, Manifest, ManifestError, Status};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A manifest is some kilobytes: what is larger is none.
const MOST_BYTES: u64 = 16 << 20;

/// A run whose hunt came to its end, with all its dumps in place.
#[derive(Clone, Debug)]
pub struct RecordedRun {
    /// What it says of itself.
    pub manifest: Manifest,
    /// At least one, oldest first.
    pub dumps: Vec<RecordedDump>,
}

/// A dump of a run, where it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordedDump {
    /// A regular file below the run's folder.
    pub path: PathBuf,
    /// Its sidecar of names, as sure to be there.
    pub names: Option<PathBuf>,
}

/// Why a folder is no run whose dumps can be read: what, where, what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// There is no manifest.
    #[error(
        "{} is a directory without a {MANIFEST_FILE}: give heap dump files, or a run's folder as rbleak hunt makes it in .rbleak", folder.display()
    )]
    NoRun {
        /// The folder.
        folder: PathBuf,
    },
    /// The manifest is there and cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The manifest.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The manifest is none that can be used.
    #[error("cannot use {}: {source}", path.display())]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// Why.
        source: ManifestError,
    },
    /// The hunt did not come to its end.
    #[error("the run {} {}; hunt again{}", folder.display(), ended(*status, error.as_deref()), instead(dumps))]
    Unfinished {
        /// The run's folder.
        folder: PathBuf,
        /// How it ended.
        status: Status,
        /// What it says of that.
        error: Option<String>,
        /// The dumps that it took until then.
        dumps: Vec<String>,
    },
    /// It has none.
    #[error(
        "the run {} has no heap dumps: its verdict needed none, or it was made with --keep-dumps no; hunt again, on a path that leaks", folder.display()
    )]
    NoDumps {
        /// The run's folder.
        folder: PathBuf,
    },
    /// A dump or sidecar is not there any more, or not to be opened.
    #[error(
        "the run {} lacks its {file}: {source}; put it back, or hunt again", folder.display()
    )]
    Gone {
        /// The run's folder.
        folder: PathBuf,
        /// As the manifest names it.
        file: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn ended(status: Status, error: Option<&str>) -> String {
    match (status, error) {
        (Status::Interrupted, _) => "was interrupted".to_owned(),
        (Status::Failed, Some(error)) => format!("failed ({error})"),
        (Status::Failed, None) => "failed".to_owned(),
        (Status::Running | Status::Complete, _) => {
            "is not complete: its hunt goes on, or was killed".to_owned()
        }
    }
}

fn instead(dumps: &[String]) -> String {
    match dumps {
        [] => String::new(),
        some => format!(", or give the dumps that it took: {}", some.join(", ")),
    }
}

impl RecordedRun {
    /// Reads the manifest of a run's folder and finds its dumps.
    ///
    /// # Errors
    /// If the folder is no run, its hunt did not come to its end, or a file
    /// that the manifest names is gone or lies outside.
    pub fn open(folder: &Path) -> Result<RecordedRun, RunError> {
        let (path, manifest) = complete(folder)?;
        if manifest.dumps.is_empty() {
            let folder = folder.to_owned();
            return Err(RunError::NoDumps { folder });
        }
        let find = |file: &str| find(folder, &path, file);
        let found = |dump: &DumpRecord| -> Result<RecordedDump, RunError> {
            Ok(RecordedDump {
                path: find(&dump.file)?,
                names: dump.names.as_deref().map(find).transpose()?,
            })
        };
        let dumps = manifest.dumps.iter().map(found).collect::<Result<_, _>>()?;
        Ok(RecordedRun { manifest, dumps })
    }

    /// The manifest of a run whose hunt came to its end, whether it has dumps
    /// or not.
    ///
    /// # Errors
    /// If the folder is no run, or its hunt did not come to its end.
    pub fn manifest(folder: &Path) -> Result<Manifest, RunError> {
        complete(folder).map(|(_, manifest)| manifest)
    }

    /// The manifest beside a file, if the file is one of a run.
    pub fn manifest_beside(file: &Path) -> Option<Manifest> {
        let folder = match file.parent()? {
            empty if empty.as_os_str().is_empty() => Path::new("."),
            folder => folder,
        };
        read(folder).ok().map(|(_, manifest)| manifest)
    }
}

/// The manifest of a run that came to its end.
fn complete(folder: &Path) -> Result<(PathBuf, Manifest), RunError> {
    let (path, manifest) = read(folder)?;
    if manifest.status != Status::Complete {
        return Err(RunError::Unfinished {
            folder: folder.to_owned(),
            status: manifest.status,
            error: manifest.error,
            dumps: manifest.dumps.into_iter().map(|dump| dump.file).collect(),
        });
    }
    Ok((path, manifest))
}

fn read(folder: &Path) -> Result<(PathBuf, Manifest), RunError> {
    let path = folder.join(MANIFEST_FILE);
    let mut bytes = Vec::new();
    let read = File::open(&path).and_then(|file| file.take(MOST_BYTES).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder.to_owned();
            return Err(RunError::NoRun { folder });
        }
        Err(source) => return Err(RunError::Read { path, source }),
    }
    match Manifest::parse(&bytes) {
        Ok(manifest) => Ok((path, manifest)),
        Err(source) => Err(RunError::Manifest { path, source }),
    }
}

/// Where a file of a run really lies: below its folder, links followed.
fn find(folder: &Path, manifest: &Path, file: &str) -> Result<PathBuf, RunError> {
    let path = folder.join(file);
    let gone = |source| RunError::Gone {
        folder: folder.to_owned(),
        file: file.to_owned(),
        source,
    };
    let real = path.canonicalize().map_err(gone)?;
    if !real.starts_with(folder.canonicalize().map_err(gone)?) {
        return Err(RunError::Manifest {
            path: manifest.to_owned(),
            source: ManifestError::Outside {
                file: file.to_owned(),
            },
        });
    }
    if !real.is_file() {
        return Err(gone(io::Error::other("it is no regular file")));
    }
    // As the user named the folder.
    Ok(path)
}
