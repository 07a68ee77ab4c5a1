//! An agent for a process that has none: its files, where the process can read
//! them, and the piece of Ruby that starts it. Who evaluates that piece there,
//! and how, is not known here.

use std::fs::{self, DirBuilder};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rbleak_process::{Pid, local_sockets, status};
use rustix::fs::{Gid, Uid, chown};

use crate::interrupt::Interrupt;
use crate::live::{LiveError, Session};
use crate::private_directory::AGENT;

/// As the process sees them. Some containers have no writable /tmp.
const BASES: [&str; 3] = ["/tmp", "/dev/shm", "/var/tmp"];
const NAME: &str = "rbleak-guest-";
const SOCKET: &str = "agent.sock";
const FILE: &str = "guest.rb";

/// The agent as one file.
fn text() -> String {
    const FRAME: &str = "guest.rb";
    const COMMENT: &str = "# frozen_string_literal: true\n";
    let other = [FRAME, "resident.rb", "driver.rb"];
    let parts = AGENT.iter().filter(|(name, _)| !other.contains(name));
    // Ruby takes such a comment at the beginning of a file alone.
    let parts: String = parts
        .map(|(_, text)| text.trim_start_matches(COMMENT))
        .collect();
    let frame = AGENT.iter().find(|(name, _)| *name == FRAME);
    frame
        .map_or("", |(_, text)| text)
        .replace("# THE AGENT", &parts)
}

/// The folder of a guest. It goes with this value, whether the agent has
/// started or not; the agent itself leaves with its client.
#[derive(Debug)]
pub struct Guest {
    pid: Pid,
    /// As the process sees it.
    inside: PathBuf,
    /// As we do.
    outside: PathBuf,
}

/// Why there is no place for it.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the agent where process {pid} could read it ({}): {source}", BASES.join(", "))]
pub struct NoPlace {
    /// The process.
    pub pid: Pid,
    /// What the operating system said of the last of them.
    pub source: io::Error,
}

impl Guest {
    /// Writes the agent where the process can read it.
    ///
    /// # Errors
    /// See [`NoPlace`].
    pub fn prepare(pid: Pid) -> Result<Guest, NoPlace> {
        let mut failure = io::Error::from(io::ErrorKind::NotFound);
        for base in BASES {
            match Guest::prepare_in(pid, Path::new(base)) {
                Ok(guest) => return Ok(guest),
                Err(error) => failure = error,
            }
        }
        Err(NoPlace {
            pid,
            source: failure,
        })
    }

    fn prepare_in(pid: Pid, base: &Path) -> io::Result<Guest> {
        let mut random = [0; 8];
        fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
        let number = u64::from_ne_bytes(random);
        let inside = base.join(format!("{NAME}{number:016x}"));
        let outside = local_sockets::seen_from_outside(pid, &inside);
        DirBuilder::new().mode(0o700).create(&outside)?;
        // From here on it goes if something fails.
        let guest = Guest {
            pid,
            inside,
            outside,
        };
        let path = guest.outside.join(FILE);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        io::Write::write_all(&mut file, text().as_bytes())?;
        guest.give(&path)?;
        guest.give(&guest.outside)?;
        Ok(guest)
    }

    /// To the user that the process runs as: it is ours already, unless we are
    /// root.
    fn give(&self, path: &Path) -> io::Result<()> {
        let status = status::read(self.pid).map_err(io::Error::other)?;
        if status.owner.0 == rustix::process::geteuid().as_raw() {
            return Ok(());
        }
        let (user, group) = status.owner;
        chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(group)))?;
        Ok(())
    }

    /// Ruby that starts the agent in a thread of its own, and does nothing
    /// else: evaluated wherever the process happens to be, so that it looks up
    /// nothing in the scope that it finds.
    pub fn code(&self) -> String {
        let file = self.inside.join(FILE);
        let file = file.display();
        format!(
            "::TOPLEVEL_BINDING.eval(%q[->{{::Thread.new{{begin;::Thread.current.report_on_exception=false;\
             ::TOPLEVEL_BINDING.eval(::File.read('{file}'),'{file}');rescue ::Exception;end}}}}.call])"
        )
    }

    /// The session, once the agent listens; `None` until then.
    ///
    /// # Errors
    /// See [`LiveError`].
    pub fn session(&self, interrupt: &Interrupt) -> Result<Option<Session>, LiveError> {
        let paths = [&self.inside, &self.outside];
        for path in paths {
            if let Some(session) = Session::at(self.pid, &path.join(SOCKET), interrupt)? {
                return Ok(Some(session));
            }
        }
        Ok(None)
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // Once the process has ended there is only our own view. The agent may
        // have been here before us.
        for path in [&self.outside, &self.inside] {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// Removes folders of guests that never came, because rbleak was killed before:
/// those of this user from before `until` in which nobody listens.
pub fn remove_left_guests(until: SystemTime) {
    let folders = BASES
        .iter()
        .flat_map(|base| fs::read_dir(base).into_iter().flatten().flatten());
    let own = rustix::process::geteuid().as_raw();
    for folder in folders {
        let is_guests = folder
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(NAME));
        let is_left = || {
            // Of the entry itself: a link is none of ours.
            let found = folder.metadata().ok()?;
            let is_old = found.modified().ok()? < until;
            Some(found.is_dir() && found.uid() == own && is_old)
        };
        if is_guests
            && is_left() == Some(true)
            && UnixStream::connect(folder.path().join(SOCKET)).is_err()
        {
            let _ = fs::remove_dir_all(folder.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_file_with_all_that_an_agent_needs() {
        let text = text();
        for part in [
            "module Wire",
            "module Copy",
            "module Commands",
            "def visit",
            ".visit(__dir__)",
        ] {
            assert_eq!(text.matches(part).count(), 1, "{part}");
        }
        assert!(!text.contains("module Driver") && !text.contains("THE AGENT"));
        assert_eq!(text.matches("frozen_string_literal").count(), 1);
    }

    #[test]
    fn its_folder_is_private_and_goes_with_it() {
        use std::os::unix::fs::PermissionsExt;
        let guest = Guest::prepare(Pid::own()).unwrap();
        let inside = guest.inside.clone();
        let mode = fs::metadata(&inside).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        assert!(
            guest
                .code()
                .contains(&inside.join("guest.rb").display().to_string())
        );
        assert!(guest.session(&Interrupt::new()).unwrap().is_none());
        remove_left_guests(SystemTime::UNIX_EPOCH);
        assert!(inside.exists(), "it may be in use");
        drop(guest);
        assert!(!inside.exists());
    }

    #[test]
    fn what_a_killed_rbleak_left_goes() {
        let guest = Guest::prepare(Pid::own()).unwrap();
        let left = Path::new("/tmp").join(format!("{NAME}test-{}", std::process::id()));
        fs::create_dir(&left).unwrap();
        let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(9);
        fs::File::open(&left).unwrap().set_modified(old).unwrap();
        remove_left_guests(old + std::time::Duration::from_secs(1));
        assert!(!left.exists() && guest.outside.exists());
    }
}
