//! Hooks of retransmits.

use crate::kernel::attach::{Hook, attach};

/// A buffer is sent again.
pub static RETRANSMIT: Hook = Hook {
    name: "retransmit",
    attach: &[
        attach!(Tracepoint { Needed segment_again_tracepoint: tcp_retransmit_skb; }),
        attach!(RawTracepoint { Needed segment_again_raw_tracepoint: tcp_retransmit_skb; }),
    ],
    required: true,
};
