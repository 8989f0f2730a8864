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

/// All connections that have not ended.
pub static OPEN_CONNECTIONS: Hook = Hook {
    name: "open-connections",
    attach: &[attach!(Iterator { Needed dump_open: tcp; })],
    required: false,
};
