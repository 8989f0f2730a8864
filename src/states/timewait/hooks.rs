//! Hooks of `TIME_WAIT`, which is a different kind of socket.

use crate::kernel::attach::AttachPoint::Needed;
use crate::kernel::attach::{Hook, Parameters};
use crate::kernel::builders::{fentry, iterator, kprobe, plain, program};

/// A timewait socket takes over a connection, moves on to `TIME_WAIT`, and is killed; by polling
/// they are found in the socket summary.
///
/// Not `tcp_time_wait` itself: it also runs when no timewait socket can be allocated.
pub static TIME_WAIT: Hook = Hook {
    name: "time-wait",
    attach: &[
        fentry(&[
            Needed(&[
                program("timewait_fentry", "inet_twsk_hashdance", Parameters::Begin(&["tw", "sk"])),
                program(
                    "timewait_schedule_fentry",
                    "inet_twsk_hashdance_schedule",
                    Parameters::Begin(&["tw", "sk"]),
                ),
            ]),
            Needed(&[program(
                "timewait_reschedule_fentry",
                "__inet_twsk_schedule",
                Parameters::Begin(&["tw"]),
            )]),
            Needed(&[program("timewait_end_fentry", "inet_twsk_kill", Parameters::Begin(&["tw"]))]),
        ]),
        kprobe(&[
            Needed(&[
                program("timewait_kprobe", "inet_twsk_hashdance", Parameters::Begin(&["tw", "sk"])),
                program(
                    "timewait_schedule_kprobe",
                    "inet_twsk_hashdance_schedule",
                    Parameters::Begin(&["tw", "sk"]),
                ),
            ]),
            Needed(&[program(
                "timewait_reschedule_kprobe",
                "__inet_twsk_schedule",
                Parameters::Begin(&["tw"]),
            )]),
            Needed(&[program("timewait_end_kprobe", "inet_twsk_kill", Parameters::Begin(&["tw"]))]),
        ]),
        iterator(&[Needed(&[plain("dump_sockets", "tcp")])]),
    ],
    required: false,
};

/// What may end a timewait socket before its time.
pub static TIME_WAIT_CAUSE: Hook = Hook {
    name: "time-wait-cause",
    attach: &[
        fentry(&[
            Needed(&[program(
                "timewait_segment_fentry",
                "tcp_timewait_state_process",
                Parameters::Begin(&["tw", "skb", "th"]),
            )]),
            Needed(&[program(
                "timewait_reuse_fentry",
                "tcp_twsk_unique",
                Parameters::Begin(&["sk", "sktw"]),
            )]),
            Needed(&[program(
                "timewait_deschedule_fentry",
                "inet_twsk_deschedule_put",
                Parameters::Begin(&["tw"]),
            )]),
        ]),
        kprobe(&[
            Needed(&[program(
                "timewait_segment_kprobe",
                "tcp_timewait_state_process",
                Parameters::Begin(&["tw", "skb", "th"]),
            )]),
            Needed(&[program(
                "timewait_reuse_kprobe",
                "tcp_twsk_unique",
                Parameters::Begin(&["sk", "sktw"]),
            )]),
            Needed(&[program(
                "timewait_deschedule_kprobe",
                "inet_twsk_deschedule_put",
                Parameters::Begin(&["tw"]),
            )]),
        ]),
    ],
    required: false,
};
