//! Listening sockets and the connections dropped because a queue was full.
//!
//! With fentry or kprobes, programs count each drop by cause. Else `sk_drops` counts the drops of a
//! listener, and the counters of its network namespace give the cause, as far as
//! they leave no doubt ([`split`]). [`Listeners`] turns sums that only grow into intervals, and
//! [`check`] holds them against the namespace's own counters.

mod advise;
mod args;
mod attribution;
mod client;
mod event;
mod files;
mod group;
mod holders;
pub mod hooks;
mod model;
mod monitor;
mod moved;
mod netns;
mod nstat;
mod pace;
mod quick;
mod reconcile;
mod record;
pub(crate) mod settle;
mod source;
mod tool;

use crate::wire::ListenerEntry;

pub use advise::advise;
pub use args::{Args, WAIT_OCTAVES};
pub use attribution::{Coverage, Drops, split};
pub use client::Clients;
pub use event::{Batches, sampled_drops};
pub use files::{Files, files};
pub use group::{ListenerRowOptions, rows};
pub use holders::{HolderRecord, Holders};
pub use model::{ListenInterval, ListenerInterval, Listeners, Numbers};
pub use monitor::{ListenMonitor, SAMPLE};
pub use netns::{NetnsCounters, NetnsReader};
pub use nstat::{ListenCounters, Sysctls};
pub use pace::Pace;
pub use quick::listeners_now;
pub use reconcile::{Reading, Reconciliation};
pub(crate) use record::heading;
pub use record::{Advice, Bound, Cause, Diagnosis, DropClient, DropEvent, ListenerRecord, silent};
pub use source::{ListenSource, RingRecord};
pub use tool::{LISTENOVERFLOW, LISTENOVERFLOW_WAIT, TOOL};

/// A listener among all that there are or were: its address and when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ListenerId {
    /// Address of the socket.
    pub sk: u64,
    /// `CLOCK_MONOTONIC` ns.
    pub born: u64,
}

impl ListenerEntry {
    /// Who it is.
    pub fn id(&self) -> ListenerId {
        ListenerId { sk: self.sk, born: self.listener.born }
    }

    /// The network namespace it is in, by inode.
    pub fn netns(&self) -> u32 {
        self.listener.flow.netns
    }
}
