//! The TCP ports on which a process tree listens: `/proc/PID/net/tcp` and
//! `tcp6` (proc_pid_net(5)) say which sockets listen, the links in
//! `/proc/PID/fd` say whose they are.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::{Pid, ProcessError, procfs, tree};

/// A TCP address that accepts connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens; the address may be the unspecified one.
    pub address: SocketAddr,
    /// Who holds a socket there, in the order in which they were asked about:
    /// parents first, then by start, if by their root. Forked workers hold
    /// their parent's, and any of them may answer.
    pub processes: Vec<Pid>,
}

impl Listener {
    /// Where a client on the same machine connects to: what listens
    /// everywhere is reached on the loopback.
    pub fn reachable(&self) -> SocketAddr {
        let ip = match self.address.ip().to_canonical() {
            ip if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
            ip => ip,
        };
        SocketAddr::new(ip, self.address.port())
    }
}

/// A listening socket, not yet known whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Socket {
    /// Where it listens.
    pub address: SocketAddr,
    /// Its number, the same in all processes that hold it.
    pub inode: u64,
}

/// Where a process and its descendants listen, by port and address.
///
/// # Errors
/// When the root has ended or must not be looked at. Descendants that end
/// meanwhile are left out.
pub fn read(root: Pid) -> Result<Vec<Listener>, ProcessError> {
    let tree: Vec<Pid> = tree::read(root)?.iter().map(|stat| stat.pid).collect();
    held_sockets(root)?;
    Ok(of(&tree))
}

/// Where these processes listen, by port and address. Those that have ended
/// or must not be looked at are left out.
pub fn of(processes: &[Pid]) -> Vec<Listener> {
    let mut found: Vec<Listener> = Vec::new();
    for &pid in processes {
        let held = held_sockets(pid).unwrap_or_default();
        if held.is_empty() {
            continue;
        }
        // Read for each process: they may live in namespaces of their own.
        for socket in listening_sockets(pid) {
            if held.contains(&socket.inode) {
                note(&mut found, socket.address, pid);
            }
        }
    }
    found.sort_by_key(|listener| (listener.address.port(), listener.address));
    found
}

/// Whether anybody in the network of the process that calls listens on this
/// port, of whatever address.
pub fn is_taken(port: u16) -> bool {
    listening_sockets(Pid::own())
        .iter()
        .any(|socket| socket.address.port() == port)
}

/// With SO_REUSEPORT many sockets have one address: to a client they are one.
fn note(found: &mut Vec<Listener>, address: SocketAddr, pid: Pid) {
    match found.iter_mut().find(|known| known.address == address) {
        Some(known) if known.processes.contains(&pid) => {}
        Some(known) => known.processes.push(pid),
        None => found.push(Listener {
            address,
            processes: vec![pid],
        }),
    }
}

/// The listening sockets in the text of `/proc/PID/net/tcp` or `tcp6`.
pub fn parse(text: &str) -> Vec<Socket> {
    text.lines().filter_map(parse_line).collect()
}

fn parse_line(line: &str) -> Option<Socket> {
    const LISTEN: &str = "0A"; // TCP_LISTEN in the kernel's net/tcp_states.h
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if *fields.get(3)? != LISTEN {
        return None;
    }
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some(Socket {
        address: SocketAddr::new(parse_ip(ip)?, port),
        inode: fields.get(9)?.parse().ok()?,
    })
}

/// The kernel prints the four bytes of each word of an address as one number
/// of the machine: on little-endian machines 127.0.0.1 is `0100007F`.
fn parse_ip(digits: &str) -> Option<IpAddr> {
    let word = |index: usize| {
        let digits = digits.get(index * 8..index * 8 + 8)?;
        u32::from_str_radix(digits, 16).ok().map(u32::to_ne_bytes)
    };
    match digits.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, part) in bytes.chunks_exact_mut(4).enumerate() {
                part.copy_from_slice(&word(index)?);
            }
            Some(Ipv6Addr::from(bytes).into())
        }
        _ => None,
    }
}

fn listening_sockets(pid: Pid) -> Vec<Socket> {
    // A kernel without IPv6 has no tcp6.
    ["net/tcp", "net/tcp6"]
        .into_iter()
        .filter_map(|file| procfs::text(pid, file).ok())
        .flat_map(|text| parse(&text))
        .collect()
}

/// The sockets among the open files of a process.
pub(crate) fn held_sockets(pid: Pid) -> Result<Vec<u64>, ProcessError> {
    let entries = fs::read_dir(procfs::path(pid, "fd"))
        .map_err(|source| ProcessError::reading(pid, "fd", source))?;
    Ok(entries
        .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
        .filter_map(|target| socket_inode(target.to_str()?))
        .collect())
}

/// The number in `socket:[1681]`.
fn socket_inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    const TCP: &str = "  \
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:07E8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1681 1 00000000cc09dde5 100 0 0 10 0
   1: 020200C0:CC12 507100CB:0050 06 00000000:00000000 03:00000CD2 00000000     0        0 0 3 00000000d2a5ea71
";
    const TCP6: &str = "  \
  sl  local_address                         remote_address                        st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000000000000000000000000000:2404 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 25105 1 0000000000000000 100 0 0 10 0
   1: 00000000000000000000000001000000:2405 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 25106 1 0000000000000000 100 0 0 10 0
";

    #[cfg(target_endian = "little")] // the texts are from such a machine
    #[test]
    fn only_sockets_that_listen_are_read() {
        let shown = |text| -> Vec<(String, u64)> {
            let sockets = parse(text).into_iter();
            sockets.map(|s| (s.address.to_string(), s.inode)).collect()
        };
        assert_eq!(shown(TCP), [("127.0.0.1:2024".to_owned(), 1681)]);
        assert_eq!(
            shown(TCP6),
            [
                ("[::]:9220".to_owned(), 25105),
                ("[::1]:9221".to_owned(), 25106)
            ]
        );
    }

    #[test]
    fn what_listens_everywhere_is_reached_on_the_loopback() {
        let reachable = |text: &str| {
            let listener = Listener {
                address: text.parse().unwrap(),
                processes: Vec::new(),
            };
            listener.reachable().to_string()
        };
        assert_eq!(reachable("0.0.0.0:80"), "127.0.0.1:80");
        assert_eq!(reachable("[::]:80"), "127.0.0.1:80");
        assert_eq!(reachable("[::1]:80"), "[::1]:80");
        assert_eq!(reachable("[::ffff:10.0.0.1]:80"), "10.0.0.1:80");
    }

    #[test]
    fn links_other_than_sockets_are_passed_over() {
        assert_eq!(socket_inode("socket:[1681]"), Some(1681));
        assert_eq!(socket_inode("pipe:[1681]"), None);
        assert_eq!(socket_inode("/dev/null"), None);
    }

    #[test]
    fn the_own_process_is_found_listening() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let found = read(Pid::own()).unwrap();
        let own = found.iter().find(|l| l.address == address).unwrap();
        assert_eq!(own.processes[0], Pid::own());
        assert!(of(&[Pid::own()]).contains(own));
        assert!(is_taken(address.port()));
    }
}
