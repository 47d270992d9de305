//! Who is at the other end of a connection: the environment whose process has the socket.
//!
//! A presigned URL names the session that signed it, not who uses it: a worker reports with a URL that the submission
//! signed. For the record, and for faults that kill the caller, the kernel knows better. Only on Linux; elsewhere such
//! a call counts as the client's.

use std::{fs, net::SocketAddr, path::Path};

/// The inode of the socket whose local address is `peer`.
pub(crate) fn socket(peer: SocketAddr) -> Option<u64> {
    inode(&fs::read_to_string("/proc/net/tcp").ok()?, peer.port())
}

/// Whether a process has this socket open.
pub(crate) fn has_socket(pid: i32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(&wanted)))
}

/// The inode in a table of connections, by local port on the loopback.
fn inode(table: &str, port: u16) -> Option<u64> {
    // 127.0.0.1 as the kernel writes it, in the machine's byte order.
    let address = u32::from_ne_bytes([127, 0, 0, 1]);
    let local = format!("{address:08X}:{port:04X}");
    let line = table.lines().find(|line| line.split_whitespace().nth(1) == Some(&local))?;
    line.split_whitespace().nth(9)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let inode = socket(client.local_addr().unwrap()).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(has_socket(pid, inode));
        assert!(!has_socket(pid, inode + 1_000_000));
    }
}
