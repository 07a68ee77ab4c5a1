//! Why nothing can be said of a process: one sentence each.

use std::io;
use std::path::Path;

use crate::Pid;

/// Why a process cannot be looked at.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The process has ended, or there never was one of that number.
    #[error("no process {pid} is running")]
    NoSuchProcess {
        /// The number asked for.
        pid: Pid,
    },
    /// A zombie, or a thread of the kernel.
    #[error("process {pid} has no memory: it has just ended, or it is a thread of the kernel")]
    NoMemory {
        /// The number asked for.
        pid: Pid,
    },
    /// The process belongs to another user, or a security module protects it.
    #[error(
        "not permitted to read {file} of process {pid}: run as the user that the process runs as, \
         or as root"
    )]
    NotPermitted {
        /// The number asked for.
        pid: Pid,
        /// The file below `/proc/PID`.
        file: &'static str,
    },
    /// There is no `/proc` of the kind that Linux has.
    #[error("this needs Linux: there is no /proc here")]
    NotLinux,
    /// The file cannot be read, for a reason of the system's.
    #[error("cannot read /proc/{pid}/{file}")]
    Unreadable {
        /// The number asked for.
        pid: Pid,
        /// The file below `/proc/PID`.
        file: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The file does not say what proc(5) promises.
    #[error("cannot make sense of /proc/{pid}/{file}")]
    Malformed {
        /// The number asked for.
        pid: Pid,
        /// The file below `/proc/PID`.
        file: &'static str,
        /// What is missing.
        source: MissingField,
    },
}

/// A text of the kernel's lacks a field, or has no number in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it has no field {0} that can be read")]
pub struct MissingField(pub &'static str);

impl ProcessError {
    /// What the failure to read `/proc/PID/file` means.
    pub(crate) fn reading(pid: Pid, file: &'static str, source: io::Error) -> ProcessError {
        const ESRCH: i32 = 3; // errno(3); std has no kind for it
        let exists = || Path::new("/proc").join(pid.to_string()).exists();
        match source.kind() {
            io::ErrorKind::PermissionDenied => ProcessError::NotPermitted { pid, file },
            io::ErrorKind::NotFound if !Path::new("/proc/self/stat").exists() => {
                ProcessError::NotLinux
            }
            io::ErrorKind::NotFound if !exists() => ProcessError::NoSuchProcess { pid },
            _ if source.raw_os_error() == Some(ESRCH) && exists() => ProcessError::NoMemory { pid },
            _ if source.raw_os_error() == Some(ESRCH) => ProcessError::NoSuchProcess { pid },
            _ => ProcessError::Unreadable { pid, file, source },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// No process can have this number: the kernel's limit is 2^22.
    const NOBODY: Pid = Pid(u32::MAX);

    fn sentence(pid: Pid, errno: i32) -> String {
        ProcessError::reading(pid, "maps", io::Error::from_raw_os_error(errno)).to_string()
    }

    #[test]
    fn each_failure_is_told_in_one_sentence() {
        let not_permitted = "not permitted to read maps of process 4294967295: \
                             run as the user that the process runs as, or as root";
        assert_eq!(
            sentence(NOBODY, 2),
            "no process 4294967295 is running",
            "ENOENT"
        );
        assert_eq!(
            sentence(NOBODY, 3),
            "no process 4294967295 is running",
            "ESRCH"
        );
        assert_eq!(sentence(NOBODY, 13), not_permitted, "EACCES");
        assert_eq!(sentence(NOBODY, 1), not_permitted, "EPERM");
        assert_eq!(
            sentence(NOBODY, 5),
            "cannot read /proc/4294967295/maps",
            "EIO"
        );
    }

    #[test]
    fn a_process_without_memory_is_not_taken_for_an_ended_one() {
        let own = Pid::own();
        assert!(sentence(own, 3).starts_with(&format!("process {own} has no memory")));
    }
}
