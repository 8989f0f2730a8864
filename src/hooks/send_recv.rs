//! Sends, receives and segments.

use crate::kernel::attach::{Hook, LOOKUP, attach};

/// A process has sent.
///
/// The tracepoint runs for every protocol, but sees each return; most kernels skip fexit programs of
/// calls in progress now and then. kretprobes come last, because the kernel has few kretprobe instances.
pub static SEND: Hook = Hook {
    name: "send",
    attach: &[
        attach!(Tracepoint { Needed send_tracepoint: sock_send_length; }),
        attach!(Fentry {
            Needed send_fexit: tcp_sendmsg(sk, msg, size);
            WherePresent mptcp_send_fexit: mptcp_sendmsg(sk, msg, len);
            Entry send_fentry: tcp_sendmsg(sk, ..);
            Entry mptcp_send_fentry: mptcp_sendmsg(sk, ..);
        }),
        attach!(Kprobe {
            Needed send_kretprobe: tcp_sendmsg;
            Needed send_kprobe: tcp_sendmsg(sk, ..);
            WherePresent mptcp_send_kretprobe: mptcp_sendmsg;
            WherePresent mptcp_send_kprobe: mptcp_sendmsg(sk, ..);
        }),
    ],
    required: true,
};

/// A process has received.
pub static RECV: Hook = Hook {
    name: "recv",
    attach: &[
        attach!(Tracepoint { Needed recv_tracepoint: sock_recv_length; }),
        attach!(Fentry {
            Needed recv_fexit_6: tcp_recvmsg(sk, msg, len, nonblock, flags, addr_len)
                | recv_fexit_5: tcp_recvmsg(sk, msg, len, flags, addr_len)
                | recv_fexit_4: tcp_recvmsg(sk, msg, len, flags);
            WherePresent mptcp_recv_fexit_5: mptcp_recvmsg(sk, msg, len, flags, addr_len)
                | mptcp_recv_fexit_4: mptcp_recvmsg(sk, msg, len, flags);
            Entry recv_fentry: tcp_recvmsg(sk, ..);
            Entry mptcp_recv_fentry: mptcp_recvmsg(sk, ..);
        }),
        attach!(Kprobe {
            Needed recv_kretprobe: tcp_recvmsg;
            Needed recv_kprobe_5: tcp_recvmsg(sk, msg, len, nonblock, flags, ..)
                | recv_kprobe_4: tcp_recvmsg(sk, msg, len, flags, ..);
            WherePresent mptcp_recv_kretprobe: mptcp_recvmsg;
            WherePresent mptcp_recv_kprobe: mptcp_recvmsg(sk, msg, len, flags, ..);
        }),
    ],
    required: true,
};

/// Data has moved between a socket and a pipe or file (`splice`, `sendfile`) by functions that the
/// tracepoints of sends and receives do not see: from a socket, and to one up to 6.4.
pub static SPLICE: Hook = Hook {
    name: "splice",
    attach: &[
        attach!(Fentry {
            Needed splice_fexit: tcp_splice_read(sock, ppos, pipe, len, flags);
            WherePresent sendpage_fexit: tcp_sendpage(sk, page, offset, size, flags);
            Entry splice_fentry: tcp_splice_read(sock, ..);
            Entry sendpage_fentry: tcp_sendpage(sk, ..);
        }),
        attach!(Kprobe {
            Needed splice_kretprobe: tcp_splice_read;
            Needed splice_kprobe: tcp_splice_read(sock, ..);
            WherePresent sendpage_kretprobe: tcp_sendpage;
            WherePresent sendpage_kprobe: tcp_sendpage(sk, ..);
        }),
    ],
    required: false,
};

/// A segment has reached its socket. If IPv6 is a module, `tcp_v6_do_rcv` is not in the kernel's own
/// BTF: then the tracepoint serves both families.
pub static SEGMENT: Hook = Hook {
    name: "segment",
    attach: &[
        attach!(Fentry {
            Needed segment_v4_fentry: tcp_v4_do_rcv(sk, skb, ..);
            Needed segment_v6_fentry: tcp_v6_do_rcv(sk, skb, ..);
        }),
        attach!(Tracepoint { Needed segment_tracepoint: tcp_probe; }),
        attach!(Kprobe {
            Needed segment_v4_kprobe: tcp_v4_do_rcv(sk, skb, ..);
            Needed segment_v6_kprobe: tcp_v6_do_rcv(sk, skb, ..);
        }),
    ],
    required: true,
};

/// Counters, read in one go.
pub static COUNTS: Hook = Hook {
    name: "counts",
    attach: &[attach!(Iterator { Needed dump_counts: bpf_map_elem; }), LOOKUP],
    required: true,
};
