//! The agent in a place that stays, for processes that rbleak does not start:
//! its files, and the `RUBYOPT` that loads it.

use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::private_directory::AGENT;

/// What RUBYOPT names.
const ENTRY: &str = "resident.rb";
/// Only a resident agent's file has this name in a RUBYOPT.
const ENDING: &[u8] = b"/rbleak-agent/resident.rb";
/// The folder's own name, by which [`without_agent`] knows it.
const FOLDER: &str = "rbleak-agent";

/// Where the agent lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installed {
    entry: PathBuf,
}

/// Why it could not be put there.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// RUBYOPT cannot carry the path.
    #[error(
        "{} cannot stand in RUBYOPT, which is split at blanks and knows no quotes: \
         choose a plain absolute path with --dir", folder.display()
    )]
    Path {
        /// The folder.
        folder: PathBuf,
    },
    /// Somebody else could change what would be loaded.
    #[error(
        "{} can be changed by other users: whoever writes there would run code in your \
         processes; choose another place with --dir", folder.display()
    )]
    Writable {
        /// The folder.
        folder: PathBuf,
    },
    /// The system refused.
    #[error("cannot install the agent in {}: {source}", folder.display())]
    System {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Installed {
    /// Puts the agent below `base`, in a folder of its own, or brings the one
    /// that is there up to date. A file changes as a whole: Rubies may be
    /// starting meanwhile. Readable by all, for a server may run as another
    /// user, and it holds no secret.
    ///
    /// # Errors
    /// See [`InstallError`].
    pub fn install(base: &Path) -> Result<Installed, InstallError> {
        let folder = base.join(FOLDER);
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_.+@%=:,-".contains(byte);
        if !folder.is_absolute() || !folder.as_os_str().as_bytes().iter().all(plain) {
            return Err(InstallError::Path { folder });
        }
        let system = |source| InstallError::System {
            folder: folder.clone(),
            source,
        };
        fs::create_dir_all(base).map_err(system)?;
        match DirBuilder::new().mode(0o755).create(&folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(system(error));
            }
            _ => {}
        }
        let found = fs::symlink_metadata(&folder).map_err(system)?;
        let own = rustix::process::geteuid().as_raw();
        if !found.is_dir() || found.uid() != own || found.mode() & 0o022 != 0 {
            return Err(InstallError::Writable { folder });
        }
        for (name, text) in AGENT {
            write(&folder, name, text).map_err(system)?;
        }
        Ok(Installed {
            entry: folder.join(ENTRY),
        })
    }

    /// The option that loads it, to be appended to `RUBYOPT`.
    pub fn option(&self) -> String {
        // Checked when it was installed.
        format!("-r{}", self.entry.display())
    }

    /// `RUBYOPT` with it, once, behind what was there.
    pub fn rubyopt(&self, inherited: Option<&OsStr>) -> OsString {
        let mut options = inherited.map(without_agent).unwrap_or_default();
        if !options.is_empty() {
            options.push(" ");
        }
        options.push(self.option());
        options
    }
}

/// Options without those that load a resident agent.
pub(crate) fn without_agent(options: &OsStr) -> OsString {
    let words = options.as_bytes().split(u8::is_ascii_whitespace);
    let is_ours = |word: &[u8]| word.starts_with(b"-r") && word.ends_with(ENDING);
    let kept: Vec<&[u8]> = words
        .filter(|word| !word.is_empty())
        .filter(|word| !is_ours(word))
        .collect();
    OsStr::from_bytes(&kept.join(&b' ')).to_owned()
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = folder.join(name);
    if fs::read(&path).is_ok_and(|there| there == text.as_bytes()) {
        return Ok(());
    }
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let written = fs::File::create(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::from_mode(0o644))?;
        fs::rename(&temporary, &path)
    });
    written.inspect_err(|_| drop(fs::remove_file(&temporary)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_there_once_and_is_named_once() {
        let base = tempfile::tempdir().unwrap();
        let first = Installed::install(base.path()).unwrap();
        fs::write(base.path().join("rbleak-agent/dump.rb"), "old").unwrap();
        let again = Installed::install(base.path()).unwrap();
        assert_eq!(first, again);
        let text = fs::read_to_string(base.path().join("rbleak-agent/dump.rb")).unwrap();
        assert!(text.contains("module Dump"));
        let left = fs::read_dir(base.path().join("rbleak-agent")).unwrap();
        assert_eq!(left.count(), AGENT.len());
        let options = again.rubyopt(Some(OsStr::new("-W0  -r/x/rbleak-agent/resident.rb -rset")));
        assert_eq!(
            options.to_str().unwrap(),
            format!("-W0 -rset {}", again.option())
        );
        assert_eq!(again.rubyopt(None).to_str().unwrap(), again.option());
    }

    #[test]
    fn a_place_that_rubyopt_cannot_name_or_others_can_change_is_refused() {
        let base = tempfile::tempdir().unwrap();
        for path in ["a b", "a\"b", "a$b"] {
            let refused = Installed::install(&base.path().join(path)).unwrap_err();
            assert!(refused.to_string().contains("RUBYOPT"), "{refused}");
        }
        assert!(Installed::install(Path::new("relative")).is_err());
        let folder = base.path().join("rbleak-agent");
        fs::create_dir(&folder).unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o777)).unwrap();
        let refused = Installed::install(base.path()).unwrap_err();
        assert!(refused.to_string().contains("other users"), "{refused}");
    }
}
