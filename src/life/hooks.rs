//! Hooks of connections.

use crate::kernel::attach::{Hook, attach};

/// A reset is sent. Some endings differ only in one that follows.
pub static RESET: Hook = Hook {
    name: "reset",
    attach: &[
        attach!(Tracepoint { Needed reset_tracepoint: tcp_send_reset; }),
        attach!(RawTracepoint { Needed reset_raw_tracepoint: tcp_send_reset; }),
    ],
    required: false,
};

/// `connect()` returns: without a route, for example, its socket has not changed its state.
pub static CONNECT_RETURN: Hook = Hook {
    name: "connect-return",
    attach: &[attach!(Fentry {
        Needed connect4_fexit: tcp_v4_connect(sk, uaddr, addr_len) if bpf_probe_read_kernel;
        WherePresent connect6_fexit: tcp_v6_connect(sk, uaddr, addr_len) if bpf_probe_read_kernel;
    })],
    required: false,
};

/// All connections that have not ended.
pub static OPEN_CONNECTIONS: Hook = Hook {
    name: "open-connections",
    attach: &[attach!(Iterator { Needed dump_open: tcp; })],
    required: false,
};
