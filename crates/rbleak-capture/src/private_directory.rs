//! The directory that only rbleak and its child know: the agent's Ruby files,
//! the agents' sockets, the pipes for dumps, and the lifeline. It goes with
//! the run. Knows nothing of what travels through it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::fs::{CWD, FileType, Mode, OFlags};

use crate::error::CaptureError;

macro_rules! agent_files {
    ($($name:literal),+) => {
        [$(($name, include_str!(concat!("../../../agent/", $name)))),+]
    };
}

/// The Ruby side, carried in the binary.
pub(crate) const AGENT: [(&str, &str); 17] = agent_files![
    "agent.rb",
    "wire.rb",
    "core.rb",
    "lines.rb",
    "figures.rb",
    "malloc.rb",
    "named.rb",
    "names.rb",
    "held.rb",
    "census.rb",
    "dump.rb",
    "copy.rb",
    "place.rb",
    "commands.rb",
    "resident.rb",
    "guest.rb",
    "driver.rb"
];

/// `sockaddr_un` takes 107 bytes and a zero; the longest name is `4194304.sock`.
const LONGEST_BASE: usize = 107 - "/rbleak-4194304-4294967295/4194304.sock".len();

/// Two runs of one process get different directories.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// A directory that is removed on drop.
#[derive(Debug)]
pub(crate) struct PrivateDirectory {
    path: PathBuf,
    /// Open for as long as rbleak lives: servers end when it closes.
    _lifeline: File,
}

impl PrivateDirectory {
    /// Makes the directory in the first of `bases` that will do, and writes
    /// the agent into it.
    pub(crate) fn create(bases: &[PathBuf]) -> Result<PrivateDirectory, CaptureError> {
        let mut failure = None;
        for base in bases {
            match Self::create_in(base) {
                Ok(directory) => return Ok(directory),
                Err(source) => {
                    failure.get_or_insert(CaptureError::PrivateDirectory {
                        base: base.clone(),
                        source,
                    });
                }
            }
        }
        Err(failure.unwrap_or(CaptureError::PrivateDirectory {
            base: PathBuf::new(),
            source: io::Error::from(io::ErrorKind::NotFound),
        }))
    }

    fn create_in(base: &Path) -> io::Result<PrivateDirectory> {
        let text = base.as_os_str().as_encoded_bytes();
        // RUBYOPT is split at whitespace, and knows no quotes.
        if text.len() > LONGEST_BASE || text.iter().any(u8::is_ascii_whitespace) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the path is too long for a socket, or has spaces",
            ));
        }
        let path = loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let path = base.join(format!("rbleak-{}-{count}", std::process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => break path,
                // A run that was killed left it behind, or somebody is in our way.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && count < 10_000 => {}
                Err(error) => return Err(error),
            }
        };
        Self::fill(&path).inspect_err(|_| drop(fs::remove_dir_all(&path)))
    }

    fn fill(path: &Path) -> io::Result<PrivateDirectory> {
        for (name, text) in AGENT {
            OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path.join(name))?
                .write_all(text.as_bytes())?;
        }
        let lifeline = path.join("lifeline");
        make_fifo(&lifeline)?;
        // Reading and writing: opening it for writing only would wait.
        let _lifeline = OpenOptions::new().read(true).write(true).open(&lifeline)?;
        Ok(PrivateDirectory {
            path: path.to_owned(),
            _lifeline,
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn agent(&self) -> PathBuf {
        self.path.join("agent.rb")
    }

    pub(crate) fn driver(&self) -> PathBuf {
        self.path.join("driver.rb")
    }

    pub(crate) fn socket(&self, pid: u32) -> PathBuf {
        self.path.join(format!("{pid}.sock"))
    }

    /// The sockets there are, of living and dead processes.
    pub(crate) fn sockets(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.path).into_iter().flatten().flatten();
        entries
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "sock")
            })
            .collect()
    }

    /// A new pipe for one dump, opened for reading without waiting for a writer.
    pub(crate) fn pipe(&self) -> io::Result<Pipe> {
        let path = self
            .path
            .join(format!("pipe-{}", COUNT.fetch_add(1, Ordering::Relaxed)));
        make_fifo(&path)?;
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits() as i32)
            .open(&path)?;
        Ok(Pipe { path, reader })
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        // A child that is still about to end may make a socket meanwhile.
        for _ in 0..3 {
            if fs::remove_dir_all(&self.path).is_ok() {
                break;
            }
        }
    }
}

/// A named pipe; its name goes on drop.
#[derive(Debug)]
pub(crate) struct Pipe {
    pub(crate) path: PathBuf,
    pub(crate) reader: File,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

fn make_fifo(path: &Path) -> io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, path, FileType::Fifo, mode, 0).map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn is_private_and_goes_with_its_owner() {
        let base = PathBuf::from("/tmp");
        let directory = PrivateDirectory::create(&[base]).unwrap();
        let path = directory.path().to_owned();
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(directory.agent().is_file() && directory.driver().is_file());
        let pipe = directory.pipe().unwrap();
        assert!(pipe.path.exists());
        drop(pipe);
        drop(directory);
        assert!(!path.exists());
    }

    #[test]
    fn a_base_that_will_not_do_is_passed_over() {
        let bases = ["/tmp/with space", "/no/such/place", "/tmp"].map(PathBuf::from);
        let directory = PrivateDirectory::create(&bases).unwrap();
        assert!(directory.path().starts_with("/tmp"));
        let error = PrivateDirectory::create(&bases[..2]).unwrap_err();
        assert!(error.to_string().contains("/tmp/with space"), "{error}");
    }
}
