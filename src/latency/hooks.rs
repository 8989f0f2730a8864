//! Hooks of latencies.

use crate::hooks::ACCEPT_RETURN_ASKED;
use crate::kernel::attach::AttachPoint::{Needed, WherePresent};
use crate::kernel::attach::{Hook, Parameters, Program};
use crate::kernel::builders::{fentry, iterator, kprobe, plain, program, tracepoint};

/// The program that sees sends as they return.
const SEND_RETURN: &str = "send_return_tracepoint";

/// Whether a program sees sends as they return, not as they begin.
pub fn sends_return(program: &Program) -> bool {
    program.name == SEND_RETURN
}

/// A process begins to send.
///
/// The functions are those that run under the socket's lock: it orders sends and segments. Before
/// the tracepoint `tcp_sendmsg_locked` (6.17) only the return of a send shows in tracepoints, and an
/// answer may come before that.
pub static SEND_BEGIN: Hook = Hook {
    name: "send-begin",
    attach: &[
        fentry(&[
            Needed(&[program(
                "send_begin_fentry",
                "tcp_sendmsg_locked",
                Parameters::Begin(&["sk"]),
            )]),
            WherePresent(&[program(
                "sendpages_fentry",
                "do_tcp_sendpages",
                Parameters::Begin(&["sk"]),
            )]),
        ]),
        tracepoint(&[Needed(&[plain("send_begin_tracepoint", "tcp_sendmsg_locked")])]),
        kprobe(&[
            Needed(&[program(
                "send_begin_kprobe",
                "tcp_sendmsg_locked",
                Parameters::Begin(&["sk"]),
            )]),
            WherePresent(&[program(
                "sendpages_kprobe",
                "do_tcp_sendpages",
                Parameters::Begin(&["sk"]),
            )]),
        ]),
        tracepoint(&[Needed(&[plain(SEND_RETURN, "sock_send_length")])]),
    ],
    required: true,
};

/// `accept()` returns a child; used if its wait is requested.
pub static ACCEPT_WAIT: Hook =
    Hook { name: ACCEPT_RETURN_ASKED.name, attach: ACCEPT_RETURN_ASKED.attach, required: true };

/// Listening ports, which determine the roles of sockets older than the tool.
pub static LISTENING: Hook = Hook {
    name: "listening",
    attach: &[iterator(&[Needed(&[
        Program { needs: Some("bpf_sock_from_file"), ..plain("learn_listeners", "task_file") },
        plain("learn_listeners_by_inode", "task_file"),
    ])])],
    required: false,
};

/// Histograms, read in one go.
pub static LATENCIES: Hook = Hook {
    name: "latencies",
    attach: &[iterator(&[Needed(&[plain("dump_latencies", "bpf_map_elem")])])],
    required: true,
};
