//! Hooks of drops.

use crate::kernel::attach::{Hook, attach};

/// The kernel frees a buffer that was not delivered.
pub static DROP: Hook = Hook {
    name: "drop",
    attach: &[
        attach!(Tracepoint { Needed drop_tracepoint: kfree_skb; }),
        attach!(RawTracepoint { Needed drop_raw_tracepoint: kfree_skb; }),
    ],
    required: true,
};
