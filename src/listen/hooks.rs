//! Hooks for SYNs, final ACKs and SYN-ACK retransmits of listeners.

use crate::kernel::attach::{Hook, LOOKUP, attach};

/// The kernel decides about a SYN: queue it, answer it with a cookie, or drop it. Where no function
/// sees it, `sk_drops` of each listener and the counters of its namespace are used.
pub static SYN: Hook = Hook {
    name: "syn",
    attach: &[
        attach!(Fentry {
            Needed syn_fexit: tcp_conn_request(rsk_ops, af_ops, sk, skb);
            Needed syn_queued_fentry: inet_csk_reqsk_queue_hash_add;
            WherePresent cookie_v4_fentry: cookie_v4_init_sequence;
            WherePresent cookie_v6_fentry: cookie_v6_init_sequence;
            Needed syn_fentry: tcp_conn_request(rsk_ops, af_ops, sk, skb, ..);
        }),
        attach!(Kprobe {
            Needed syn_kretprobe: tcp_conn_request;
            Needed syn_queued_kprobe: inet_csk_reqsk_queue_hash_add;
            WherePresent cookie_v4_kprobe: cookie_v4_init_sequence;
            WherePresent cookie_v6_kprobe: cookie_v6_init_sequence;
            Needed syn_kprobe: tcp_conn_request(rsk_ops, af_ops, sk, skb, ..);
        }),
        attach!(Iterator { Needed dump_listeners: bpf_map_elem; }),
        attach!(Lookup { Needed look_at_listener: listeners; }),
    ],
    required: false,
};

/// A final ACK arrives and no child can be made. The tracepoint shows every segment
/// that a listener discards, and newer kernels give these a reason of their own.
///
/// Before 6.6 (Debian's 6.1 has the function with seven parameters) a program of seven is loaded and
/// cannot be attached: the kernel passes six. BTF shows this only by a function of the same release.
pub static FINAL_ACK: Hook = Hook {
    name: "final-ack",
    attach: &[
        attach!(Fentry {
            Needed ack_v4_fexit_6: tcp_v4_syn_recv_sock(sk, skb, req, dst, req_unhash, own_req)
                | ack_v4_fexit_7: tcp_v4_syn_recv_sock(
                    sk, skb, req, dst, req_unhash, own_req, opt_child_init
                ) if bpf_map_sum_elem_count;
            Needed ack_v6_fexit_6: tcp_v6_syn_recv_sock(sk, skb, req, dst, req_unhash, own_req)
                | ack_v6_fexit_7: tcp_v6_syn_recv_sock(
                    sk, skb, req, dst, req_unhash, own_req, opt_child_init
                ) if bpf_map_sum_elem_count;
            Entry ack_v4_fentry: tcp_v4_syn_recv_sock(sk, skb, req, ..);
            Entry ack_v6_fentry: tcp_v6_syn_recv_sock(sk, skb, req, ..);
        }),
        attach!(Kprobe {
            Needed ack_v4_kretprobe: tcp_v4_syn_recv_sock;
            Needed ack_v6_kretprobe: tcp_v6_syn_recv_sock;
            Needed ack_v4_kprobe: tcp_v4_syn_recv_sock(sk, skb, req, ..);
            Needed ack_v6_kprobe: tcp_v6_syn_recv_sock(sk, skb, req, ..);
        }),
        attach!(Tracepoint { Needed discard_tracepoint: kfree_skb if sk_skb_reason_drop; }),
    ],
    required: false,
};

/// A SYN-ACK is retransmitted: the client's ACK has not come or was dropped.
pub static SYNACK_RETRANS: Hook = Hook {
    name: "synack-retransmit",
    attach: &[attach!(Tracepoint { Needed retransmit_tracepoint: tcp_retransmit_synack; })],
    required: false,
};

/// Who has listeners open: those older than the tool.
pub static FIND_LISTENERS: Hook = Hook {
    name: "find-listeners",
    attach: &[attach!(Iterator {
        Needed find_listeners: task_file if bpf_sock_from_file
            | find_listeners_by_inode: task_file;
    })],
    required: false,
};

/// Listener queues of one namespace, for kernels that forbid copying memory.
pub static LISTENER_QUEUES: Hook = Hook {
    name: "listener-queues",
    attach: &[attach!(Iterator { Needed look_at_listeners: tcp; })],
    required: true,
};

/// All listeners with their queues.
pub static LISTENERS: Hook = Hook {
    name: "listeners",
    attach: &[
        attach!(Iterator { Needed dump_listeners: bpf_map_elem; }),
        attach!(Lookup { Needed look_at_listener: listeners; }),
    ],
    required: true,
};

/// The waits for `accept()`.
pub static WAITS: Hook = Hook {
    name: "waits",
    attach: &[attach!(Iterator { Needed dump_waits: bpf_map_elem; }), LOOKUP],
    required: true,
};
