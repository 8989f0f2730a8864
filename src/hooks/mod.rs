//! The places in the kernel that the tools watch, and the programs that can serve them.

mod accept;
mod send_recv;
mod sockets;

use crate::kernel::attach::{Attach, AttachMethod, Hook};
use crate::kernel::error::StartError;
use crate::kernel::facts::{Facts, SymbolNames};
use crate::kernel::plan::{Plan, PlanRequest};

pub use crate::latency::hooks::{
    LATENCIES, LISTENING, SEND_BEGIN, TCPLATENCY, TCPLATENCY_EVENTS, sends_return, tcplatency,
};
pub use crate::listen::hooks::{
    FINAL_ACK, FIND_LISTENERS, LISTENER_QUEUES, LISTENERS, SYN, SYNACK_RETRANS, WAITS,
};
pub use crate::states::timewait::hooks::{TIME_WAIT, TIME_WAIT_CAUSE};
pub use accept::{ACCEPT_RETURN, ACCEPT_RETURN_ASKED};
pub use send_recv::{COUNTS, RECV, SEGMENT, SEND};
pub use sockets::{ACCEPT, CHILD, DESTROY, OWNERS, SOCKETS, STATE};

/// A tool's name and the hooks it wants.
#[derive(Debug)]
pub struct Spec {
    /// The binary's name.
    pub name: &'static str,
    /// In the order to attach them.
    pub hooks: &'static [&'static Hook],
    /// Those that are needed besides where sockets are kept in a hash map.
    pub hash_hooks: &'static [&'static Hook],
    /// What it means that an event was untracked, and what to do about it.
    pub untracked_means: &'static str,
    /// Events end in counters of the kernel: none is on its way to user space.
    pub counts_in_kernel: bool,
}

const FORGOTTEN: &str = "events without owner or duration: socket table full (raise --track-max)";

const UNSEEN: &str = "events without owner or duration, or CLOSE shown for TIME_WAIT: socket table full \
     (raise --track-max)";

const LISTENERS_FORGOTTEN: &str =
    "listeners or waits not counted: table full (raise --max-listeners)";

impl Spec {
    /// What its attach of some kinds attach to: the names to look for in the kernel.
    pub fn targets(&self, kinds: &[AttachMethod]) -> Vec<&'static str> {
        let hooks = self.hooks.iter().chain(self.hash_hooks);
        let attach = hooks.flat_map(|hook| hook.attach).filter(|rung| kinds.contains(&rung.kind));
        let mut targets: Vec<_> = attach.flat_map(Attach::programs).map(|one| one.target).collect();
        targets.sort_unstable();
        targets.dedup();
        targets
    }

    /// Everything to look for in the kernel.
    pub fn wanted(&self) -> SymbolNames {
        SymbolNames {
            tracepoints: self.targets(&[AttachMethod::Tracepoint, AttachMethod::RawTracepoint]),
            iterators: self.targets(&[AttachMethod::Iterator]),
            functions: self.targets(&[AttachMethod::Fentry, AttachMethod::Kprobe]),
        }
    }

    /// The plan for a kernel.
    ///
    /// # Errors
    /// As of [`Plan::decide`].
    pub fn plan(&self, facts: &Facts, request: PlanRequest) -> Result<Plan, StartError> {
        Plan::decide(self.name, self.hooks, self.hash_hooks, facts, request)
    }
}

/// tcpstates about events.
pub static TCPSTATES: Spec = Spec {
    name: "tcpstates",
    hooks: &[&STATE, &ACCEPT, &TIME_WAIT, &TIME_WAIT_CAUSE, &OWNERS],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: UNSEEN,
    counts_in_kernel: false,
};

/// tcpstates --summary.
pub static TCPSTATES_SUMMARY: Spec = Spec {
    name: "tcpstates",
    hooks: &[&STATE, &ACCEPT, &OWNERS, &SOCKETS],
    hash_hooks: &[&CHILD, &DESTROY],
    untracked_means: FORGOTTEN,
    counts_in_kernel: false,
};

/// tcpdash: what tcpcount, tcpstates --summary, tcplatency and listenoverflow want, each place once.
pub static TCPDASH: Spec = Spec {
    name: "tcpdash",
    hooks: &[
        &STATE,
        &SEND,
        &SEND_BEGIN,
        &RECV,
        &SEGMENT,
        &DESTROY,
        &SYN,
        &FINAL_ACK,
        &SYNACK_RETRANS,
        &CHILD,
        &ACCEPT_RETURN,
        &OWNERS,
        &LISTENING,
        &FIND_LISTENERS,
        &LISTENER_QUEUES,
        &COUNTS,
        &LATENCIES,
        &LISTENERS,
        &WAITS,
        &SOCKETS,
    ],
    hash_hooks: &[],
    untracked_means: "events, sockets or listeners not counted: table full (raise --max-keys or \
                      --track-max)",
    counts_in_kernel: true,
};

/// tcpcount, however it groups.
pub static TCPCOUNT: Spec = Spec {
    name: "tcpcount",
    hooks: &[&STATE, &SEND, &RECV, &SEGMENT, &DESTROY, &OWNERS, &COUNTS],
    hash_hooks: &[&CHILD],
    untracked_means: "events counted as (other): table full (raise --max-keys)",
    counts_in_kernel: true,
};

/// listenoverflow.
pub static LISTENOVERFLOW: Spec = Spec {
    name: "listenoverflow",
    hooks: &[
        &STATE,
        &SYN,
        &FINAL_ACK,
        &SYNACK_RETRANS,
        &CHILD,
        &ACCEPT_RETURN,
        &FIND_LISTENERS,
        &LISTENER_QUEUES,
        &LISTENERS,
        &WAITS,
    ],
    hash_hooks: &[],
    untracked_means: LISTENERS_FORGOTTEN,
    counts_in_kernel: false,
};

/// listenoverflow --wait.
pub static LISTENOVERFLOW_WAIT: Spec = Spec {
    name: "listenoverflow",
    hooks: &[
        &STATE,
        &SYN,
        &FINAL_ACK,
        &SYNACK_RETRANS,
        &CHILD,
        &ACCEPT_RETURN_ASKED,
        &FIND_LISTENERS,
        &LISTENER_QUEUES,
        &LISTENERS,
        &WAITS,
    ],
    hash_hooks: &[],
    untracked_means: LISTENERS_FORGOTTEN,
    counts_in_kernel: false,
};
