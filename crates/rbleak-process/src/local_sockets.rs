//! The Unix sockets on which a process listens: `/proc/PID/net/unix`
//! (proc_pid_net(5)) says which listen, the links in `/proc/PID/fd` say whose
//! they are.

use std::path::{Path, PathBuf};

use crate::listening::held_sockets;
use crate::{Pid, ProcessError, procfs};

/// A Unix socket with a name that accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalSocket {
    /// Its number, the same in all processes that hold it.
    pub inode: u64,
    /// As it was bound, seen from the root of who bound it. The name may be
    /// gone meanwhile.
    pub path: PathBuf,
}

/// Where a process listens: those of its sockets that have an absolute path.
/// A forked child holds its parent's too, until it closes them.
///
/// # Errors
/// When the process has ended or must not be looked at.
pub fn read(pid: Pid) -> Result<Vec<LocalSocket>, ProcessError> {
    let held = held_sockets(pid)?;
    let mut sockets = parse(&procfs::text(pid, "net/unix")?);
    sockets.retain(|socket| held.contains(&socket.inode));
    Ok(sockets)
}

/// How a path looks from outside of the process that uses it, which may see
/// another root (in a container).
pub fn seen_from_outside(pid: Pid, path: &Path) -> PathBuf {
    let relative = path.strip_prefix("/").unwrap_or(path);
    procfs::path(pid, "root").join(relative)
}

/// The listening sockets in the text of `/proc/PID/net/unix`.
pub fn parse(text: &str) -> Vec<LocalSocket> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<LocalSocket> {
    const ACCEPTS: u32 = 1 << 16; // __SO_ACCEPTCON in the kernel's net.h
    let mut rest = line;
    let mut field = || {
        let (field, tail) = rest.trim_start().split_once(' ')?;
        rest = tail;
        Some(field)
    };
    let (_number, _references, _protocol) = (field()?, field()?, field()?);
    let flags = u32::from_str_radix(field()?, 16).ok()?;
    let (_type, _state) = (field()?, field()?);
    let inode = field()?.parse().ok()?;
    // A path may hold blanks.
    let is_meant = flags & ACCEPTS != 0 && rest.starts_with('/');
    is_meant.then(|| LocalSocket {
        inode,
        path: PathBuf::from(rest),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::{UnixListener, UnixStream};

    #[test]
    fn what_listens_under_a_path_is_found() {
        let text = "Num       RefCount Protocol Flags    Type St Inode Path\n\
            ffff0000: 00000002 00000000 00010000 0001 01 14567 /run/a b.sock\n\
            ffff0001: 00000003 00000000 00000000 0001 03 14568 /run/connected.sock\n\
            ffff0002: 00000002 00000000 00010000 0001 01 14569 @abstract\n\
            ffff0003: 00000002 00000000 00010000 0001 01 14570\n";
        let found = parse(text);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].inode, 14567);
        assert_eq!(found[0].path, Path::new("/run/a b.sock"));
        assert!(parse("").is_empty());
    }

    #[test]
    fn the_own_socket_is_found_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.sock");
        let _listener = UnixListener::bind(&path).unwrap();
        let found = read(Pid::own()).unwrap();
        assert!(found.iter().any(|socket| socket.path == path), "{found:?}");
        UnixStream::connect(seen_from_outside(Pid::own(), &path)).unwrap();
    }
}
