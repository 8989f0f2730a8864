//! Sends, receives and segments.

use crate::kernel::attach::AttachPoint::{Needed, WherePresent};
use crate::kernel::attach::{Hook, Parameters};
use crate::kernel::builders::{fentry, iterator, kprobe, plain, program, tracepoint};

/// A process has sent.
///
/// fexit runs only for TCP, the tracepoint for every protocol; kretprobes come last, because the
/// kernel has few kretprobe instances and skips other calls.
pub static SEND: Hook = Hook {
    name: "send",
    attach: &[
        fentry(&[
            Needed(&[program(
                "send_fexit",
                "tcp_sendmsg",
                Parameters::Exactly(&["sk", "msg", "size"]),
            )]),
            WherePresent(&[program(
                "sendpage_fexit",
                "tcp_sendpage",
                Parameters::Exactly(&["sk", "page", "offset", "size", "flags"]),
            )]),
        ]),
        tracepoint(&[Needed(&[plain("send_tracepoint", "sock_send_length")])]),
        kprobe(&[
            Needed(&[plain("send_kretprobe", "tcp_sendmsg")]),
            Needed(&[program("send_kprobe", "tcp_sendmsg", Parameters::Begin(&["sk"]))]),
            WherePresent(&[plain("sendpage_kretprobe", "tcp_sendpage")]),
            WherePresent(&[program("sendpage_kprobe", "tcp_sendpage", Parameters::Begin(&["sk"]))]),
        ]),
    ],
    required: true,
};

/// A process has received.
pub static RECV: Hook = Hook {
    name: "recv",
    attach: &[
        fentry(&[
            Needed(&[
                program(
                    "recv_fexit_6",
                    "tcp_recvmsg",
                    Parameters::Exactly(&["sk", "msg", "len", "nonblock", "flags", "addr_len"]),
                ),
                program(
                    "recv_fexit_5",
                    "tcp_recvmsg",
                    Parameters::Exactly(&["sk", "msg", "len", "flags", "addr_len"]),
                ),
                program(
                    "recv_fexit_4",
                    "tcp_recvmsg",
                    Parameters::Exactly(&["sk", "msg", "len", "flags"]),
                ),
            ]),
            WherePresent(&[program(
                "splice_fexit",
                "tcp_splice_read",
                Parameters::Exactly(&["sock", "ppos", "pipe", "len", "flags"]),
            )]),
        ]),
        tracepoint(&[Needed(&[plain("recv_tracepoint", "sock_recv_length")])]),
        kprobe(&[
            Needed(&[plain("recv_kretprobe", "tcp_recvmsg")]),
            Needed(&[
                program(
                    "recv_kprobe_5",
                    "tcp_recvmsg",
                    Parameters::Begin(&["sk", "msg", "len", "nonblock", "flags"]),
                ),
                program(
                    "recv_kprobe_4",
                    "tcp_recvmsg",
                    Parameters::Begin(&["sk", "msg", "len", "flags"]),
                ),
            ]),
            WherePresent(&[plain("splice_kretprobe", "tcp_splice_read")]),
            WherePresent(&[program(
                "splice_kprobe",
                "tcp_splice_read",
                Parameters::Begin(&["sock"]),
            )]),
        ]),
    ],
    required: true,
};

/// A segment has reached its socket. If IPv6 is a module, `tcp_v6_do_rcv` is not in the kernel's own
/// BTF: then the tracepoint serves both families.
pub static SEGMENT: Hook = Hook {
    name: "segment",
    attach: &[
        fentry(&[
            Needed(&[program(
                "segment_v4_fentry",
                "tcp_v4_do_rcv",
                Parameters::Begin(&["sk", "skb"]),
            )]),
            Needed(&[program(
                "segment_v6_fentry",
                "tcp_v6_do_rcv",
                Parameters::Begin(&["sk", "skb"]),
            )]),
        ]),
        tracepoint(&[Needed(&[plain("segment_tracepoint", "tcp_probe")])]),
        kprobe(&[
            Needed(&[program(
                "segment_v4_kprobe",
                "tcp_v4_do_rcv",
                Parameters::Begin(&["sk", "skb"]),
            )]),
            Needed(&[program(
                "segment_v6_kprobe",
                "tcp_v6_do_rcv",
                Parameters::Begin(&["sk", "skb"]),
            )]),
        ]),
    ],
    required: true,
};

/// Counters, read in one go.
pub static COUNTS: Hook = Hook {
    name: "counts",
    attach: &[iterator(&[Needed(&[plain("dump_counts", "bpf_map_elem")])])],
    required: true,
};
