//! Who is at the other end of a connection: the environment whose process has the socket.
//!
//! A presigned URL names the session that signed it, not who uses it: a worker reports with a URL that the submission
//! signed. For the record, and for faults that kill the caller, the kernel knows better. Only on Linux; elsewhere such
//! a call counts as the client's.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::{Arc, OnceLock},
};

use crate::lambda::process::Running;

/// The other end of a connection.
#[derive(Debug)]
pub(crate) struct Peer {
    address: SocketAddr,
    /// Whose it is, once that was found: a connection does not change hands.
    owner: OnceLock<Arc<Running>>,
}

impl Peer {
    /// The one with this address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, owner: OnceLock::new() }
    }

    /// Whose it is, if that was found before.
    pub(crate) fn known(&self) -> Option<Arc<Running>> {
        self.owner.get().cloned()
    }

    /// Looks for whose it is, in the kernel's tables, which takes a millisecond and more; `find` tells who has the socket
    /// with an inode. `port` is ours.
    pub(crate) fn find(&self, port: u16, find: impl FnOnce(u64) -> Option<Arc<Running>>) -> Option<Arc<Running>> {
        let found = find(socket(self.address, port)?)?;
        Some(Arc::clone(self.owner.get_or_init(|| found)))
    }
}

/// The inode of the socket that connects `peer` to our port.
fn socket(peer: SocketAddr, port: u16) -> Option<u64> {
    // The kernel writes the table while connections come and go, and may leave out one; hardly twice in a row.
    (0..3).find_map(|_| inode(&fs::read_to_string("/proc/net/tcp").ok()?, peer.port(), port))
}

/// Whether a process has this socket open.
pub(crate) fn has_socket(pid: i32, inode: u64) -> bool {
    let wanted = format!("socket:[{inode}]");
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| fs::read_link(entry.path()).is_ok_and(|link| link == Path::new(&wanted)))
}

/// The inode in a table of connections, by local and remote port on the loopback.
fn inode(table: &str, local: u16, remote: u16) -> Option<u64> {
    // 127.0.0.1 as the kernel writes it, in the machine's byte order.
    let address = u32::from_ne_bytes([127, 0, 0, 1]);
    let ends = [local, remote].map(|port| format!("{address:08X}:{port:04X}"));
    let inodes = table.lines().filter_map(|line| {
        let mut fields = line.split_whitespace().skip(1);
        let here = [fields.next()?, fields.next()?] == ends;
        here.then(|| fields.nth(6))?
    });
    // A connection that was closed a while ago has none.
    inodes.filter_map(|inode| inode.parse().ok()).find(|inode| *inode != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let inode = socket(client.local_addr().unwrap(), listener.local_addr().unwrap().port()).unwrap();
        let pid = i32::try_from(std::process::id()).unwrap();
        assert!(has_socket(pid, inode));
        assert!(!has_socket(pid, inode + 1_000_000));
    }
}
