//! Connections in `TIME_WAIT`. There may be a hundred thousand: an entry has 32 bytes, and what many have in
//! common is kept once.

use foldhash::HashMap;

use super::pending::TimeWaitSocket;
use super::shared::Shared;
use crate::wire::{COMM_LEN, Flow, SockEntry};

/// A connection between two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Ends {
    /// Number of the addresses.
    path: u32,
    lport: u16,
    rport: u16,
}

/// Who had the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Owner {
    cgroup: u64,
    pid: u32,
    comm: [u8; COMM_LEN],
    flags: u8,
}

#[derive(Debug)]
struct Entry {
    since: u64,
    cookie: u64,
    owner: u32,
    /// The last poll that found it, in its low bits.
    seen: u32,
}

/// Those of one network namespace.
#[derive(Debug, Default)]
pub struct KnownSockets {
    /// Flows without their ports.
    paths: Shared<Flow>,
    owners: Shared<Owner>,
    entries: HashMap<Ends, Entry>,
}

fn path_of(flow: &Flow) -> Flow {
    Flow { lport: 0, rport: 0, ..*flow }
}

/// Polls are compared with the last one only.
#[allow(clippy::cast_possible_truncation, reason = "4 billion polls later it has been found again")]
fn low_bits(poll: u64) -> u32 {
    poll as u32
}

impl KnownSockets {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn ends(&self, flow: &Flow) -> Option<Ends> {
        let path = self.paths.number(&path_of(flow))?;
        Some(Ends { path, lport: flow.lport, rport: flow.rport })
    }

    /// Adds one that `poll` has found, in place of another with the same ends; whether there was none.
    pub fn insert(&mut self, flow: Flow, socket: &TimeWaitSocket, poll: u64) -> bool {
        let before = self.remove(&flow);
        let TimeWaitSocket { since, cookie, cgroup, pid, comm, flags } = *socket;
        let owner = self.owners.acquire(Owner { cgroup, pid, comm, flags });
        let path = self.paths.acquire(path_of(&flow));
        let ends = Ends { path, lport: flow.lport, rport: flow.rport };
        self.entries.insert(ends, Entry { since, cookie, owner, seen: low_bits(poll) });
        before.is_none()
    }

    /// Notes that `poll` has found an entry, if it is one of these; whether the ends are known.
    pub fn see(&mut self, found: &SockEntry, poll: u64) -> bool {
        let entry = self.ends(&found.flow).and_then(|ends| self.entries.get_mut(&ends));
        let Some(entry) = entry else { return false };
        if TimeWaitSocket::was_there(entry.since, found) {
            entry.seen = low_bits(poll);
        }
        true
    }

    /// Takes out one that began before `moment`.
    pub fn take_older(&mut self, flow: &Flow, moment: u64) -> Option<TimeWaitSocket> {
        let since = self.entries.get(&self.ends(flow)?)?.since;
        if since < moment { self.remove(flow) } else { None }
    }

    /// Takes out one.
    pub fn remove(&mut self, flow: &Flow) -> Option<TimeWaitSocket> {
        let ends = self.ends(flow)?;
        let entry = self.entries.remove(&ends)?;
        Some(self.release(ends, &entry).1)
    }

    /// Takes out those that `poll` has not found.
    pub fn take_unseen(&mut self, poll: u64) -> Vec<(Flow, TimeWaitSocket)> {
        let unseen = |entry: &Entry| entry.seen != low_bits(poll);
        let taken: Vec<_> = self.entries.extract_if(|_, entry| unseen(entry)).collect();
        if self.entries.len() < self.entries.capacity() / 4 {
            self.entries.shrink_to(2 * self.entries.len());
        }
        taken.into_iter().map(|(ends, entry)| self.release(ends, &entry)).collect()
    }

    fn release(&mut self, ends: Ends, entry: &Entry) -> (Flow, TimeWaitSocket) {
        let Owner { cgroup, pid, comm, flags } = self.owners.release(entry.owner);
        let path = self.paths.release(ends.path);
        let flow = Flow { lport: ends.lport, rport: ends.rport, ..path };
        let Entry { since, cookie, .. } = *entry;
        (flow, TimeWaitSocket { since, cookie, cgroup, pid, comm, flags })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_leaves_nothing_behind() {
        let mut known = KnownSockets::default();
        let socket = |pid| TimeWaitSocket {
            since: 5,
            cookie: 1,
            cgroup: 2,
            pid,
            comm: [b'x'; COMM_LEN],
            flags: 0,
        };
        let flow = |rport| Flow { lport: 80, rport, netns: 7, ..Flow::default() };
        assert!(known.insert(flow(1), &socket(10), 1));
        assert!(known.insert(flow(2), &socket(10), 2));
        assert!(!known.insert(flow(2), &socket(11), 2), "the same ends");
        assert_eq!((known.len(), known.paths.number(&path_of(&flow(1)))), (2, Some(0)));
        assert!(known.take_older(&flow(2), 5).is_none());
        let taken = known.take_unseen(2);
        assert_eq!(
            taken.iter().map(|(flow, one)| (flow.rport, one.pid)).collect::<Vec<_>>(),
            [(1, 10)]
        );
        assert_eq!(known.take_older(&flow(2), 6).map(|one| one.pid), Some(11));
        assert!(known.is_empty() && known.paths.number(&path_of(&flow(1))).is_none());
    }

    #[test]
    fn an_entry_is_small() {
        assert_eq!(size_of::<(Ends, Entry)>(), 32);
    }
}
