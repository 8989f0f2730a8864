//! What many connections of one network namespace have in common, kept once.

use super::shared::Shared;
use crate::wire::{COMM_LEN, Flow, StateEvent};

/// A connection between two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ends {
    /// Number of the addresses.
    path: u32,
    lport: u16,
    rport: u16,
}

/// Who had the socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Owner {
    pub cgroup: u64,
    pub pid: u32,
    pub comm: [u8; COMM_LEN],
    /// `STATE_MPTCP`.
    pub flags: u8,
}

/// Addresses and owners by number. Each connection that is kept holds one of both.
#[derive(Debug, Default)]
pub struct Names {
    /// Flows without their ports.
    paths: Shared<Flow>,
    owners: Shared<Owner>,
}

fn path_of(flow: &Flow) -> Flow {
    Flow { lport: 0, rport: 0, ..*flow }
}

impl Owner {
    /// Who closed a socket.
    pub fn of(event: &StateEvent) -> Self {
        let StateEvent { cgroup, pid, comm, flags, .. } = *event;
        Self { cgroup, pid, comm, flags }
    }

    /// What they did to this connection: nothing yet.
    pub fn event(self, flow: Flow) -> StateEvent {
        let Self { cgroup, pid, comm, flags } = self;
        StateEvent { cgroup, pid, comm, flags, flow, ..StateEvent::default() }
    }
}

impl Names {
    /// The ends of a flow, if some connection between its addresses is kept.
    pub fn find(&self, flow: &Flow) -> Option<Ends> {
        let path = self.paths.number(&path_of(flow))?;
        Some(Ends { path, lport: flow.lport, rport: flow.rport })
    }

    /// For one more connection.
    pub fn acquire(&mut self, flow: &Flow, owner: Owner) -> (Ends, u32) {
        let path = self.paths.acquire(path_of(flow));
        (Ends { path, lport: flow.lport, rport: flow.rport }, self.owners.acquire(owner))
    }

    /// For a second one like it.
    pub fn share(&mut self, ends: Ends, owner: u32) {
        self.paths.share(ends.path);
        self.owners.share(owner);
    }

    /// One connection fewer; whose it was.
    pub fn release(&mut self, ends: Ends, owner: u32) -> (Flow, Owner) {
        let path = self.paths.release(ends.path);
        (Flow { lport: ends.lport, rport: ends.rport, ..path }, self.owners.release(owner))
    }

    /// Whether none is kept.
    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty() && self.owners.is_empty()
    }
}
