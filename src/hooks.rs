//! The places in the kernel that the tools watch, and the programs that can serve them.

use crate::kernel::facts::Facts;
use crate::kernel::plan::{Hook, Plan, Rung, RungKind};
use crate::kernel::refusal::Refusal;

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

const FORGOTTEN: &str = "events of sockets that found no room to be remembered, so without owner and duration \
     (use a larger --track-max)";

const UNSEEN: &str = "events of sockets that found no room to be remembered, so without owner and duration \
     (use a larger --track-max), or shown as CLOSE when it may have been TIME_WAIT";

impl Spec {
    /// What its rungs of one kind attach to: the names to look for in the kernel.
    pub fn targets(&self, kind: RungKind) -> Vec<&'static str> {
        self.hooks
            .iter()
            .chain(self.hash_hooks)
            .flat_map(|hook| hook.rungs)
            .filter(|rung| rung.kind == kind)
            .map(|rung| rung.target)
            .collect()
    }

    /// The plan for a kernel, with sockets in a hash map or in socket storage.
    ///
    /// # Errors
    /// As of [`Plan::decide`].
    pub fn plan(
        &self,
        facts: &Facts,
        forced: Option<RungKind>,
        use_hash: bool,
    ) -> Result<Plan, Refusal> {
        let extra = if use_hash { self.hash_hooks } else { &[] };
        let hooks: Vec<_> = self.hooks.iter().chain(extra).copied().collect();
        Plan::decide(self.name, &hooks, facts, forced)
    }
}

/// tcpstates about events.
pub static TCPSTATES: Spec = Spec {
    name: "tcpstates",
    hooks: &[&STATE, &TIME_WAIT, &SEND_USE, &RECV_USE, &OWNERS],
    hash_hooks: &[&DESTROY],
    untracked_means: UNSEEN,
    counts_in_kernel: false,
};

/// tcpstates --summary.
pub static TCPSTATES_SUMMARY: Spec = Spec {
    name: "tcpstates",
    hooks: &[&STATE, &SEND_USE, &RECV_USE, &OWNERS, &SOCKETS],
    hash_hooks: &[&DESTROY],
    untracked_means: FORGOTTEN,
    counts_in_kernel: false,
};

/// tcpcount, however it groups.
pub static TCPCOUNT: Spec = Spec {
    name: "tcpcount",
    hooks: &[&STATE, &SEND, &RECV, &SEGMENT, &DESTROY, &OWNERS, &COUNTS],
    hash_hooks: &[],
    untracked_means: "events counted as (other) for want of room (use a larger --max-keys)",
    counts_in_kernel: true,
};

const fn tracepoint(program: &'static str, target: &'static str) -> Rung {
    Rung { kind: RungKind::Tracepoint, program, target }
}

const fn iterator(program: &'static str, target: &'static str) -> Rung {
    Rung { kind: RungKind::Iterator, program, target }
}

/// A socket changes its state.
pub static STATE: Hook = Hook {
    name: "state",
    rungs: &[tracepoint("state_tracepoint", "inet_sock_set_state")],
    required: true,
};

/// A connection goes on as a timewait socket, which [`STATE`] does not show, or such a socket ends.
pub static TIME_WAIT: Hook =
    Hook { name: "time-wait", rungs: &[iterator("dump_sockets", "tcp")], required: false };

/// A process has sent.
pub static SEND: Hook = Hook {
    name: "send",
    rungs: &[tracepoint("send_tracepoint", "sock_send_length")],
    required: true,
};

/// A process has received.
pub static RECV: Hook = Hook {
    name: "recv",
    rungs: &[tracepoint("recv_tracepoint", "sock_recv_length")],
    required: true,
};

/// A first send, which tells who has accepted a connection. Without it owners are learned later.
pub static SEND_USE: Hook = Hook {
    name: "send",
    rungs: &[tracepoint("send_tracepoint", "sock_send_length")],
    required: false,
};

/// Likewise a first receive.
pub static RECV_USE: Hook = Hook {
    name: "recv",
    rungs: &[tracepoint("recv_tracepoint", "sock_recv_length")],
    required: false,
};

/// A segment has reached an established socket.
pub static SEGMENT: Hook = Hook {
    name: "segment",
    rungs: &[tracepoint("segment_tracepoint", "tcp_probe")],
    required: true,
};

/// A socket is gone: what is remembered of it elsewhere goes too.
pub static DESTROY: Hook = Hook {
    name: "destroy",
    rungs: &[tracepoint("destroy_tracepoint", "tcp_destroy_sock")],
    required: true,
};

/// Who has sockets open: those older than the tool, and those accepted but not used yet.
pub static OWNERS: Hook =
    Hook { name: "owners", rungs: &[iterator("learn_owners", "task_file")], required: false };

/// All sockets there are.
pub static SOCKETS: Hook =
    Hook { name: "sockets", rungs: &[iterator("dump_sockets", "tcp")], required: true };

/// Counters, read in one go.
pub static COUNTS: Hook =
    Hook { name: "counts", rungs: &[iterator("dump_counts", "bpf_map_elem")], required: true };
