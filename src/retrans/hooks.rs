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

/// A window that the peer has closed is probed. No tracepoint shows it.
pub static PROBE: Hook = Hook {
    name: "zero-window-probe",
    attach: &[
        attach!(Fentry { Needed probe_fentry: tcp_send_probe0(sk); }),
        attach!(Kprobe { Needed probe_kprobe: tcp_send_probe0(sk); }),
    ],
    required: false,
};

/// What the kernel has counted of each socket: segments sent, and retransmits that were needless.
pub static SOCKET_COUNTERS: Hook = Hook {
    name: "socket-counters",
    attach: &[attach!(Iterator { Needed visit_sockets: tcp; })],
    required: false,
};
