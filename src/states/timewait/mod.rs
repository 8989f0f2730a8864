//! Connections that continue as timewait sockets.
//!
//! The full socket closes, and the tracepoint says just that: `FIN_WAIT2` → `CLOSE`. What follows
//! only the kernel's list of sockets shows, so the list is polled. A close that may
//! lead to `TIME_WAIT` is held until a poll that began after it. Such a poll finds its timewait
//! socket, because the kernel lists it before it closes the full socket; or the connection is over.
//!
//! A timewait socket of an orphan begins in `FIN_WAIT2`, until the peer's FIN comes.
//!
//! [`TimeWaits`] judges what the polls find; [`Poller`] says when and begins them, [`Look`] is one.

mod filter;
pub mod hooks;
mod judge;
mod names;
mod namespace;
mod pending;
mod poller;
mod shared;
mod table;

use crate::wire::StateEvent;

pub use filter::TimeWaitFilter;
pub use judge::TimeWaits;
pub use poller::{Look, Poller};

/// Maximum number of connections: in `TIME_WAIT` they take up to 11 MB, held until the next poll 21 MB; with
/// another address each, 30 MB more. What a poll has found takes as much again while it is shown.
/// No kernel keeps more timewait sockets by itself (`tcp_max_tw_buckets`).
pub const ROOM: usize = 262_144;

/// A change that is to be shown.
#[derive(Debug, Clone, Copy)]
pub struct Shown {
    /// What changed; if found by polling, the kernel never sent this record.
    pub event: StateEvent,
    /// Found by polling.
    pub polled: bool,
}

/// What is counted here on top of the programs' own counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Adjustments {
    /// Changes that no program has seen.
    pub found: u64,
    /// Events and found changes that a filter keeps out.
    pub filtered: u64,
    /// Events of programs that turned out to be none: the connection is still in `FIN_WAIT2`.
    pub void: u64,
    /// Connections for which there was no room, so that `TIME_WAIT` is not shown.
    pub untracked: u64,
}
