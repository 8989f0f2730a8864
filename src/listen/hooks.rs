//! Hooks for SYNs, final ACKs and SYN-ACK retransmits of listeners.

use crate::kernel::attach::AttachPoint::{Needed, WherePresent};
use crate::kernel::attach::{Hook, Parameters, Program};
use crate::kernel::builders::{fentry, iterator, kprobe, plain, program, tracepoint};

const SYN_PARAMETERS: Parameters = Parameters::Begin(&["rsk_ops", "af_ops", "sk", "skb"]);
const MAKE_6: Parameters =
    Parameters::Exactly(&["sk", "skb", "req", "dst", "req_unhash", "own_req"]);
const MAKE_7: Parameters =
    Parameters::Exactly(&["sk", "skb", "req", "dst", "req_unhash", "own_req", "opt_child_init"]);
const MAKE: Parameters = Parameters::Begin(&["sk", "skb", "req"]);

/// The kernel decides about a SYN: queue it, answer it with a cookie, or drop it. Where no function
/// sees it, `sk_drops` of each listener and the counters of its namespace are used.
pub static SYN: Hook = Hook {
    name: "syn",
    attach: &[
        fentry(&[
            Needed(&[program("syn_fentry", "tcp_conn_request", SYN_PARAMETERS)]),
            Needed(&[program(
                "syn_queued_fentry",
                "inet_csk_reqsk_queue_hash_add",
                Parameters::Any,
            )]),
            WherePresent(&[plain("cookie_v4_fentry", "cookie_v4_init_sequence")]),
            WherePresent(&[plain("cookie_v6_fentry", "cookie_v6_init_sequence")]),
            Needed(&[program(
                "syn_fexit",
                "tcp_conn_request",
                Parameters::Exactly(&["rsk_ops", "af_ops", "sk", "skb"]),
            )]),
        ]),
        kprobe(&[
            Needed(&[plain("syn_kretprobe", "tcp_conn_request")]),
            Needed(&[program(
                "syn_queued_kprobe",
                "inet_csk_reqsk_queue_hash_add",
                Parameters::Any,
            )]),
            WherePresent(&[plain("cookie_v4_kprobe", "cookie_v4_init_sequence")]),
            WherePresent(&[plain("cookie_v6_kprobe", "cookie_v6_init_sequence")]),
            Needed(&[program("syn_kprobe", "tcp_conn_request", SYN_PARAMETERS)]),
        ]),
        iterator(&[Needed(&[plain("dump_listeners", "bpf_map_elem")])]),
    ],
    required: false,
};

/// Before 6.6 (Debian's 6.1 has the function with seven parameters) a program is loaded and cannot be
/// attached: the kernel passes six. BTF shows this only by a function of the same release.
const fn of_seven(name: &'static str, target: &'static str) -> Program {
    Program { needs: Some("bpf_map_sum_elem_count"), ..program(name, target, MAKE_7) }
}

/// A final ACK arrives and no child can be made. The tracepoint shows every segment
/// that a listener discards, and newer kernels give these a reason of their own.
pub static FINAL_ACK: Hook = Hook {
    name: "final-ack",
    attach: &[
        fentry(&[
            Needed(&[
                program("ack_v4_fexit_6", "tcp_v4_syn_recv_sock", MAKE_6),
                of_seven("ack_v4_fexit_7", "tcp_v4_syn_recv_sock"),
            ]),
            Needed(&[
                program("ack_v6_fexit_6", "tcp_v6_syn_recv_sock", MAKE_6),
                of_seven("ack_v6_fexit_7", "tcp_v6_syn_recv_sock"),
            ]),
        ]),
        kprobe(&[
            Needed(&[plain("ack_v4_kretprobe", "tcp_v4_syn_recv_sock")]),
            Needed(&[plain("ack_v6_kretprobe", "tcp_v6_syn_recv_sock")]),
            Needed(&[program("ack_v4_kprobe", "tcp_v4_syn_recv_sock", MAKE)]),
            Needed(&[program("ack_v6_kprobe", "tcp_v6_syn_recv_sock", MAKE)]),
        ]),
        tracepoint(&[Needed(&[Program {
            needs: Some("sk_skb_reason_drop"),
            ..plain("discard_tracepoint", "kfree_skb")
        }])]),
    ],
    required: false,
};

/// A SYN-ACK is retransmitted: the client's ACK has not come or was dropped.
pub static SYNACK_RETRANS: Hook = Hook {
    name: "synack-retransmit",
    attach: &[tracepoint(&[Needed(&[plain("retransmit_tracepoint", "tcp_retransmit_synack")])])],
    required: false,
};

/// Who has listeners open: those older than the tool.
pub static FIND_LISTENERS: Hook = Hook {
    name: "find-listeners",
    attach: &[iterator(&[Needed(&[
        Program { needs: Some("bpf_sock_from_file"), ..plain("find_listeners", "task_file") },
        plain("find_listeners_by_inode", "task_file"),
    ])])],
    required: false,
};

/// Listener queues of one namespace, for kernels that forbid copying memory.
pub static LISTENER_QUEUES: Hook = Hook {
    name: "listener-queues",
    attach: &[iterator(&[Needed(&[plain("look_at_listeners", "tcp")])])],
    required: true,
};

/// All listeners with their queues.
pub static LISTENERS: Hook = Hook {
    name: "listeners",
    attach: &[iterator(&[Needed(&[plain("dump_listeners", "bpf_map_elem")])])],
    required: true,
};

/// The waits for `accept()`.
pub static WAITS: Hook = Hook {
    name: "waits",
    attach: &[iterator(&[Needed(&[plain("dump_waits", "bpf_map_elem")])])],
    required: true,
};
