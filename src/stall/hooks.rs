//! Hooks of connections that do not move.

use crate::kernel::attach::{Hook, attach};

/// All connections, or those with something queued, unread or probed.
pub static CONNECTIONS: Hook = Hook {
    name: "connections",
    attach: &[attach!(Iterator { Needed dump_connections: tcp; })],
    required: true,
};
