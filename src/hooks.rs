//! The places in the kernel that the tools watch, and the programs that can serve them.

use crate::kernel::plan::{Hook, Rung, RungKind};

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
