//! Processes that have a listener open.

use std::collections::HashMap;
use std::fmt::Write as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ListenerId;
use crate::report::{Comm, Key};
use crate::wire::{Holder, Record as _};

/// A process that has a listener open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(inline)]
pub struct HolderRecord {
    /// its PID; null if it is outside of the pid namespace
    #[schemars(range(min = 1, max = 2_147_483_647))]
    pub pid: Option<u32>,
    /// name of its main thread
    pub comm: Option<Comm>,
}

/// Those of all listeners, as a search has found them.
#[derive(Clone, Debug, Default)]
pub struct Holders {
    searched: u64,
    found: HashMap<ListenerId, Vec<HolderRecord>>,
}

impl Holders {
    /// None yet, of a search that begins at this `CLOCK_MONOTONIC` ns.
    pub fn since(searched: u64) -> Self {
        Self { searched, ..Self::default() }
    }

    /// Takes in one that the programs have written; a search writes empty ones where it can stop.
    pub fn add(&mut self, bytes: &[u8]) {
        let Some(Holder { sk, born, pid, comm, .. }) = Holder::read(bytes) else { return };
        if sk == 0 {
            return;
        }
        let Key { pid, comm, .. } = Key::default().owned(pid, comm);
        let holder = HolderRecord { pid, comm };
        self.found.entry(ListenerId { sk, born }).or_default().push(holder);
    }

    /// Those of a listener; `None`: it is younger than the search.
    pub fn of(&self, id: ListenerId) -> Option<Vec<HolderRecord>> {
        let found = self.found.get(&id).cloned();
        found.or_else(|| (id.born < self.searched).then(Vec::new))
    }
}

/// All of them as a table shows them: `nginx 29229 29231`, names only where they change.
pub fn text(holders: &[HolderRecord]) -> String {
    let mut text = String::new();
    let mut last = None;
    for HolderRecord { pid, comm } in holders {
        let pid = pid.map_or_else(|| "-".into(), |pid| pid.to_string());
        let comm = comm.as_ref().map(Comm::to_text);
        let gap = if text.is_empty() { "" } else { " " };
        let _ = match &comm {
            Some(comm) if last != Some(comm.clone()) => write!(text, "{gap}{comm} {pid}"),
            _ => write!(text, "{gap}{pid}"),
        };
        last = comm;
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holders_of_a_new_listener_are_unknown() {
        let mut holders = Holders::since(5);
        let mut holder = Holder::default();
        (holder.sk, holder.born, holder.pid) = (1, 7, 42);
        holder.comm[..5].copy_from_slice(b"nginx");
        holders.add(holder.as_bytes());
        holder.pid = 43;
        holders.add(holder.as_bytes());
        holders.add(Holder::default().as_bytes());
        let found = holders.of(ListenerId { sk: 1, born: 7 }).unwrap();
        assert_eq!(text(&found), "nginx 42 43");
        assert_eq!(holders.of(ListenerId { sk: 1, born: 8 }), None);
        assert_eq!(holders.of(ListenerId { sk: 0, born: 0 }), Some(vec![]));
        assert_eq!(holders.of(ListenerId { sk: 2, born: 4 }), Some(vec![]), "the kernel's own");
    }
}
