//! Connections that do not move, together by process and destination.

use std::collections::BTreeMap;

use crate::model::{Model, process, text};
use crate::report::{Cell, Key};
use crate::stall::Stall;

/// Connections of one process towards one destination.
pub struct Group {
    /// Process, remote end, namespace.
    pub key: Key,
    /// How many.
    pub count: u64,
    /// How long one of them has not moved, at least; ns.
    pub longest: u64,
    /// When the kernel gives the first one up, ns.
    pub dies_in: Option<u64>,
    /// Bytes that were not acknowledged.
    pub bytes: u64,
}

impl Group {
    /// `nginx (812): `, or nothing where the owner is unknown.
    pub fn whose(&self) -> String {
        self.key.pid.map_or(String::new(), |_| format!("{}: ", process(&self.key)))
    }

    /// `192.0.2.1:443`
    pub fn remote(&self) -> String {
        text(Cell::Endpoint(self.key.raddr, self.key.device, self.key.rport))
    }

    /// `1 connection does not move`
    pub fn counted(&self, one: &str, many: &str) -> String {
        match self.count {
            1 => format!("1 connection {one}"),
            count => format!("{count} connections {many}"),
        }
    }
}

/// Those of one kind by process and destination, the most first. Of a server each client has a port of its
/// own: there the client's address is the destination.
pub fn groups(model: &Model, wanted: impl Fn(&Stall) -> bool) -> Vec<Group> {
    let mut all: BTreeMap<Key, Group> = BTreeMap::new();
    for one in model.look.stalls().filter(|one| wanted(one)) {
        let Key { pid, comm, raddr, rport, device, netns, lport, .. } = one.key();
        let served = lport < rport && rport.is_some_and(|port| port >= DYNAMIC);
        let rport = rport.filter(|_| !served);
        let key = Key { pid, comm, raddr, rport, device, netns, ..Key::default() };
        let fresh = || Group { key: key.clone(), count: 0, longest: 0, dies_in: None, bytes: 0 };
        let group = all.entry(key.clone()).or_insert_with(fresh);
        group.count += 1;
        group.longest = group.longest.max(one.stalled_at_least_ns);
        group.dies_in = [group.dies_in, one.dies_in_ns].into_iter().flatten().min();
        group.bytes = group.bytes.saturating_add(one.unacked_bytes.into());
    }
    let mut all: Vec<_> = all.into_values().collect();
    all.sort_by_key(|group| std::cmp::Reverse((group.count, group.longest)));
    all.truncate(MOST);
    all
}

/// Ports from here on are usually chosen by the kernel.
const DYNAMIC: u16 = 32_768;
/// Groups that are shown.
const MOST: usize = 10;
