//! Listening sockets and what they lose for want of room.
//!
//! Where functions can be hooked, programs count each loss by its cause. Elsewhere `sk_drops` tells
//! how much a listener has dropped, and the counters of its network namespace tell why, as far as
//! they leave no doubt ([`split`]). [`Listeners`] turns sums that only grow into intervals, and
//! [`check`] holds them against the namespace's own counters.

mod advise;
mod args;
mod attribution;
mod client;
mod event;
mod group;
pub mod hooks;
mod model;
mod netns;
mod nstat;
mod reconcile;
mod row;
mod source;
mod watch;

use crate::wire::ListenerEntry;

pub use advise::{AdviceRow, advise};
pub use args::Args;
pub use attribution::{Losses, Ways, split};
pub use client::{ClientRow, Clients};
pub use event::{Batches, EventRow};
pub use group::{group, rows};
pub use model::{Interval, Listeners, Numbers, One};
pub use netns::{Space, Spaces};
pub use nstat::{Knobs, Mib};
pub use reconcile::{Check, Reading};
pub use row::{ListenerRow, silent};
pub use source::{Record, Source};
pub use watch::{SAMPLE, Watch};

/// A listener among all that there are or were: its address and when it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// Address of the socket.
    pub sk: u64,
    /// `CLOCK_MONOTONIC` ns.
    pub born: u64,
}

impl ListenerEntry {
    /// Who it is.
    pub fn id(&self) -> Id {
        Id { sk: self.sk, born: self.listener.born }
    }

    /// The network namespace it is in, by inode.
    pub fn netns(&self) -> u32 {
        self.listener.flow.netns
    }
}
