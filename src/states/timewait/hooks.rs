//! Hooks of `TIME_WAIT`, which is a different kind of socket.

use crate::kernel::attach::{Hook, attach};

/// A timewait socket takes over a connection, moves on to `TIME_WAIT`, and is killed; by polling
/// they are found in the socket summary.
///
/// Not `tcp_time_wait` itself: it also runs when no timewait socket can be allocated.
pub static TIME_WAIT: Hook = Hook {
    name: "time-wait",
    attach: &[
        attach!(Fentry {
            Needed timewait_fentry: inet_twsk_hashdance(tw, sk, ..)
                | timewait_schedule_fentry: inet_twsk_hashdance_schedule(tw, sk, ..);
            Needed timewait_reschedule_fentry: __inet_twsk_schedule(tw, ..);
            Needed timewait_end_fentry: inet_twsk_kill(tw, ..);
        }),
        attach!(Kprobe {
            Needed timewait_kprobe: inet_twsk_hashdance(tw, sk, ..)
                | timewait_schedule_kprobe: inet_twsk_hashdance_schedule(tw, sk, ..);
            Needed timewait_reschedule_kprobe: __inet_twsk_schedule(tw, ..);
            Needed timewait_end_kprobe: inet_twsk_kill(tw, ..);
        }),
        attach!(Iterator { Needed dump_sockets: tcp; }),
    ],
    required: false,
};

/// What may end a timewait socket before its time.
pub static TIME_WAIT_CAUSE: Hook = Hook {
    name: "time-wait-cause",
    attach: &[
        attach!(Fentry {
            Needed timewait_segment_fentry: tcp_timewait_state_process(tw, skb, th, ..);
            Needed timewait_reuse_fentry: tcp_twsk_unique(sk, sktw, ..);
            Needed timewait_deschedule_fentry: inet_twsk_deschedule_put(tw, ..);
        }),
        attach!(Kprobe {
            Needed timewait_segment_kprobe: tcp_timewait_state_process(tw, skb, th, ..);
            Needed timewait_reuse_kprobe: tcp_twsk_unique(sk, sktw, ..);
            Needed timewait_deschedule_kprobe: inet_twsk_deschedule_put(tw, ..);
        }),
    ],
    required: false,
};
