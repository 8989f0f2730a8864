//! Sockets that are bound to a port and neither listen nor are connected: nothing lists them but
//! `ss --bound-inactive`, and others that want the port get EADDRINUSE.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::sync::OnceLock;

use super::PortSettings;
use crate::kernel::sock_diag::{self, DiagSocket};
use crate::report::{Comm, Ts, record};

/// Sockets of a namespace that are kept in mind, and shown.
const MOST: usize = 1000;

record! {
    /// a socket that is bound to a port outside of `ip_local_port_range`, and neither listens nor is connected; seen twice at least
    "bound" Bound known(laddr lport netns) {
        /// null: no process that can be read has it open
        pid,
        comm,
        laddr,
        lport,
        netns,
    }
}

/// A socket: its namespace and inode.
type Id = (Option<u32>, u32);

/// Looks at them now and then.
#[derive(Debug, Default)]
pub struct BoundSockets {
    before: HashSet<Id>,
    now: HashSet<Id>,
    /// Those of this look that were there in the one before.
    again: Vec<(Option<u32>, DiagSocket)>,
    owners: HashMap<u32, (u32, Option<Comm>)>,
}

/// Whether the kernel lists them, as found out with one of our own.
fn listed() -> bool {
    static LISTED: OnceLock<bool> = OnceLock::new();
    *LISTED.get_or_init(|| ask().unwrap_or(false))
}

fn ask() -> anyhow::Result<bool> {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let any: std::net::SocketAddr = ([0, 0, 0, 0], 0).into();
    bind(&socket, &any)?;
    let socket = TcpListener::from(socket);
    let own = socket.local_addr()?.port();
    Ok(sock_diag::sockets(sock_diag::BOUND)?.iter().any(|one| one.lport == own))
}

impl BoundSockets {
    /// Looks at the thread's namespace: how many there are; `None`: the kernel does not list them.
    pub fn look(&mut self, netns: Option<u32>) -> Option<u64> {
        if !listed() {
            return None;
        }
        let all = sock_diag::sockets(sock_diag::BOUND).ok()?;
        let pool = PortSettings::here().ok()?.pool(0);
        let fixed = all
            .iter()
            .filter(|one| one.lport > 0 && !(pool.first..=pool.last).contains(&one.lport));
        for one in fixed.take(MOST) {
            let id = (netns, one.inode);
            self.now.insert(id);
            if self.before.contains(&id) {
                self.again.push((netns, *one));
            }
        }
        Some(all.len() as u64)
    }

    /// Ends a look at all namespaces, at wall-clock `ts`: what has been there for longer.
    pub fn finish(&mut self, ts: i64) -> Vec<Bound> {
        self.before = std::mem::take(&mut self.now);
        let again = std::mem::take(&mut self.again);
        let unknown: HashSet<u32> = again.iter().map(|(_, one)| one.inode).collect();
        self.owners.retain(|inode, _| unknown.contains(inode));
        if unknown.iter().any(|inode| !self.owners.contains_key(inode)) {
            self.owners.extend(owners(&unknown));
        }
        let row = |(netns, one): (Option<u32>, DiagSocket)| {
            let owner = self.owners.get(&one.inode).cloned();
            let (pid, comm) = owner.map_or((None, None), |(pid, comm)| (Some(pid), comm));
            let (laddr, lport) = (Some(one.laddr), Some(one.lport));
            Bound { ts: Ts(ts), pid, comm, laddr, lport, netns }
        };
        again.into_iter().map(row).collect()
    }
}

/// Processes that have these sockets open, by inode.
fn owners(inodes: &HashSet<u32>) -> HashMap<u32, (u32, Option<Comm>)> {
    let mut found = HashMap::new();
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    for process in processes {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let files = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        for inode in files.filter_map(|file| socket_inode(&file.path())) {
            if inodes.contains(&inode) {
                found.entry(inode).or_insert_with(|| (pid, comm(&process.path())));
            }
        }
    }
    found
}

/// `socket:[4711]`
fn socket_inode(file: &Path) -> Option<u32> {
    let target = fs::read_link(file).ok()?;
    target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn comm(process: &Path) -> Option<Comm> {
    let text = fs::read(process.join("comm")).ok()?;
    let text = text.strip_suffix(b"\n").unwrap_or(&text);
    let mut bytes = [0; crate::wire::COMM_LEN];
    for (to, from) in bytes.iter_mut().zip(text) {
        *to = *from;
    }
    Some(Comm::Kernel(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_shown_when_it_is_seen_again() {
        let mut bound = BoundSockets::default();
        let socket = DiagSocket {
            laddr: [127, 0, 0, 1].into(),
            lport: 80,
            device: 0,
            queued: 0,
            limit: 0,
            inode: 1,
        };
        let id = (Some(7), 1);
        bound.now.insert(id);
        assert!(bound.finish(1).is_empty(), "it may listen in a moment");
        bound.now.insert(id);
        bound.again.push((Some(7), socket));
        let rows = bound.finish(2);
        assert_eq!((rows.len(), rows[0].lport, rows[0].netns), (1, Some(80), Some(7)));
        assert!(bound.finish(3).is_empty(), "it is gone");
    }

    #[test]
    fn the_owner_is_the_process_that_has_it_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let file = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&listener));
        let inode = socket_inode(Path::new(&file)).unwrap();
        let owner = owners(&HashSet::from([inode])).remove(&inode).unwrap();
        assert_eq!(owner.0, std::process::id());
        assert!(owner.1.is_some());
    }
}
