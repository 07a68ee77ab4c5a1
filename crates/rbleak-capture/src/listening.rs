//! Which processes listen on which TCP port: the kernel's socket tables,
//! joined with the descriptors of each process. Knows no HTTP.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Socket {
    address: SocketAddr,
    inode: u64,
}

/// A listening socket of some of the processes asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listener {
    /// Where to connect to.
    pub(crate) address: SocketAddr,
    /// Who holds it.
    pub(crate) pids: Vec<u32>,
}

/// The listening sockets of these processes, by port.
pub(crate) fn listeners(pids: &[u32]) -> Vec<Listener> {
    let Some(&first) = pids.first() else {
        return Vec::new();
    };
    let held: Vec<(u32, Vec<u64>)> = pids.iter().map(|&pid| (pid, inodes(pid))).collect();
    let mut listeners: Vec<Listener> = sockets(first)
        .into_iter()
        .filter_map(|socket| {
            let holders = held
                .iter()
                .filter(|(_, inodes)| inodes.contains(&socket.inode));
            let pids: Vec<u32> = holders.map(|&(pid, _)| pid).collect();
            (!pids.is_empty()).then_some(Listener {
                address: reachable(socket.address),
                pids,
            })
        })
        .collect();
    listeners.sort_by_key(|listener| listener.address.port());
    listeners
}

/// Whether anybody in our own network listens on this port.
pub(crate) fn is_taken(port: u16) -> bool {
    let own = std::process::id();
    sockets(own)
        .iter()
        .any(|socket| socket.address.port() == port)
}

/// The table of the network that a process lives in.
fn sockets(pid: u32) -> Vec<Socket> {
    ["tcp", "tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).ok())
        .flat_map(|text| text.lines().filter_map(parse_line).collect::<Vec<_>>())
        .collect()
}

fn inodes(pid: u32) -> Vec<u64> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    entries
        .filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let inode = target
                .to_str()?
                .strip_prefix("socket:[")?
                .strip_suffix(']')?;
            inode.parse().ok()
        })
        .collect()
}

/// One line of `/proc/net/tcp`, if its socket listens (state 0A).
fn parse_line(line: &str) -> Option<Socket> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    if *words.get(3)? != "0A" {
        return None;
    }
    let (address, port) = words.get(1)?.split_once(':')?;
    // Words of 32 bits, each in the order of the machine.
    let mut bytes = Vec::new();
    for index in 0..address.len() / 8 {
        let word = u32::from_str_radix(address.get(index * 8..index * 8 + 8)?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    let ip = match bytes.len() {
        4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        16 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
        _ => return None,
    };
    Some(Socket {
        address: SocketAddr::new(ip, u16::from_str_radix(port, 16).ok()?),
        inode: words.get(9)?.parse().ok()?,
    })
}

/// An address that listens everywhere is reached on the loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = address.ip().to_canonical();
    let ip = if ip.is_unspecified() {
        IpAddr::V4(Ipv4Addr::LOCALHOST)
    } else {
        ip
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_endian = "little")]
    fn lines_of_the_kernel_are_read() {
        let line =
            " 0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4242 1";
        let socket = parse_line(line).unwrap();
        assert_eq!(socket.address.to_string(), "127.0.0.1:8080");
        assert_eq!(socket.inode, 4242);
        let six = " 0: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 7 1";
        assert_eq!(parse_line(six).unwrap().address.to_string(), "[::1]:80");
        assert_eq!(parse_line(&line.replace(" 0A ", " 01 ")), None);
        assert_eq!(parse_line("  sl  local_address rem_address   st"), None);
    }

    #[test]
    fn our_own_listener_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let own = std::process::id();
        let found = listeners(&[own]);
        assert!(
            found
                .iter()
                .any(|l| l.address == address && l.pids == [own]),
            "{found:?}"
        );
        assert!(is_taken(address.port()));
    }
}
