//! Hooks of connections that do not move.

use crate::kernel::attach::{Hook, attach};

/// A thread begins to wait in `send()` for room. The function runs for those that wait alone, the
/// tracepoint for each segment that is filled.
pub static SEND_WAIT: Hook = Hook {
    name: "send-wait",
    attach: &[
        attach!(Fentry { Needed send_wait_fentry: sk_stream_wait_memory(sk, ..); }),
        attach!(Tracepoint { Needed send_wait_tracepoint: tcp_sendmsg_locked; }),
        attach!(Kprobe { Needed send_wait_kprobe: sk_stream_wait_memory(sk, ..); }),
    ],
    required: false,
};

/// All connections, or those with something queued, unread or probed.
pub static CONNECTIONS: Hook = Hook {
    name: "connections",
    attach: &[attach!(Iterator { Needed dump_connections: tcp; })],
    required: true,
};
