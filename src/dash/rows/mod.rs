//! The rows of the dashboard's tables, each put together from what several kinds of records tell
//! of one process, connection, listener or latency. Their columns are declared like those of the
//! tools.

mod close_wait;
mod connection;
mod latency;
mod listener;
mod process;
mod traffic;

use std::hash::Hash;

use crate::dash::record::Key;
use crate::filter::Subject;
use crate::report::{Cell, Row};

pub use close_wait::CloseWaitRow;
pub use connection::{ConnectionRow, connections};
pub use latency::{LatencyRow, latencies};
pub use listener::{ListenerRow, listeners};
pub use process::{ProcessRow, processes};
pub use traffic::Traffic;

/// A row that can be selected.
pub trait TableRow: Row + Clone {
    /// What it keeps when its numbers change.
    type Id: Clone + PartialEq + Eq + Hash + Ord;

    /// Leading columns that stay when the others are scrolled.
    const PINNED: usize;
    /// Index of the column to sort by at first.
    const SORT: usize;

    /// Who it is.
    fn id(&self) -> Self::Id;
    /// What filters look at.
    fn key(&self) -> &Key;
    /// The length of the interval that its numbers were counted in, ns.
    fn interval_ns(&self) -> u64 {
        0
    }
}

impl Key {
    /// What filters look at.
    pub fn subject(&self) -> Subject<'_> {
        Subject {
            pid: self.pid,
            comm: self.comm.as_deref(),
            laddr: self.laddr,
            lport: self.lport,
            raddr: self.raddr,
            rport: self.rport,
            netns: self.netns,
            cgroup: self.cgroup.as_deref(),
        }
    }

    fn pid_cell(&self) -> Cell<'_> {
        self.pid.map_or(Cell::Missing, |pid| Cell::Id(pid.into()))
    }

    fn comm_cell(&self) -> Cell<'_> {
        self.comm.as_ref().map_or(Cell::Missing, |comm| Cell::Text(comm.as_bytes()))
    }

    fn local_cell(&self) -> Cell<'_> {
        Cell::Endpoint(self.laddr, self.lport)
    }

    fn remote_cell(&self) -> Cell<'_> {
        Cell::Endpoint(self.raddr, self.rport)
    }
}

fn id(value: Option<u64>) -> Cell<'static> {
    value.map_or(Cell::Missing, Cell::Id)
}

fn nanos(value: Option<u64>) -> Cell<'static> {
    value.map_or(Cell::Missing, Cell::Nanos)
}

fn age(exact: Option<u64>, at_least: Option<u64>) -> Cell<'static> {
    exact.map_or_else(|| at_least.map_or(Cell::Missing, Cell::AtLeast), Cell::Nanos)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
