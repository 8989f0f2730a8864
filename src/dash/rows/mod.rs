//! The rows of the dashboard's tables, each built from several kinds of records
//! of one process, connection, listener or latency. Their columns are declared like those of the
//! tools.

mod close_wait;
mod connection;
mod latency;
mod listener;
mod port;
mod process;
mod remote;
mod traffic;

use std::hash::Hash;

use crate::dash::model::Who;
use crate::report::{Key, Row};

pub use close_wait::{CloseWaitRow, close_wait};
pub use connection::{ConnectionRow, connections};
pub use latency::{LatencyRow, groupings, latencies};
pub use listener::{ListenerRow, listeners};
pub use port::{PortRow, ports};
pub use process::{ProcessRow, processes};
pub use remote::{RemoteRow, remotes};
pub use traffic::{Traffic, bytes, retrans};

/// A row that can be selected.
pub trait TableRow: Row + Clone {
    /// What it keeps when its numbers change.
    type Id: Clone + PartialEq + Eq + Hash + Ord;

    /// Leading columns that stay when the others are scrolled.
    const PINNED: usize;
    /// Index of the column to sort by at first.
    const SORT: usize;
    /// The columns that add up to [`busy`](Self::busy), by which rows are sorted at first where there are any.
    const SUM: &'static [usize] = &[];
    /// They have a [trend](Self::who).
    const TREND: bool = false;

    /// Who it is.
    fn id(&self) -> Self::Id;
    /// What filters match.
    fn key(&self) -> &Key;
    /// The sum that says how busy it is; `None`: unknown.
    fn busy(&self) -> Option<u64> {
        None
    }
    /// Whose traffic over time is its trend.
    fn who(&self) -> Option<Who> {
        None
    }
    /// The length of the interval that its numbers were counted in, ns.
    fn interval_ns(&self) -> u64 {
        0
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
