//! Hooks of latencies.

use crate::hooks::ACCEPT_RETURN_ASKED;
use crate::kernel::attach::{Attach, Hook, LOOKUP, Program, attach};

/// Sends as they return.
const RETURN: Attach = attach!(Tracepoint { Needed send_return_tracepoint: sock_send_length; });

/// Whether a program sees sends as they return, not as they begin.
pub fn sends_return(program: &Program) -> bool {
    RETURN.programs().any(|one| one == program)
}

/// A process begins to send.
///
/// The functions are those that run under the socket's lock: it orders sends and segments. Before
/// the tracepoint `tcp_sendmsg_locked` (6.17) only the return of a send shows in tracepoints, and an
/// answer may come before that.
pub static SEND_BEGIN: Hook = Hook {
    name: "send-begin",
    attach: &[
        attach!(Fentry {
            Needed send_begin_fentry: tcp_sendmsg_locked(sk, ..);
            WherePresent sendpages_fentry: do_tcp_sendpages(sk, ..);
        }),
        attach!(Tracepoint { Needed send_begin_tracepoint: tcp_sendmsg_locked; }),
        attach!(Kprobe {
            Needed send_begin_kprobe: tcp_sendmsg_locked(sk, ..);
            WherePresent sendpages_kprobe: do_tcp_sendpages(sk, ..);
        }),
        RETURN,
    ],
    required: true,
};

/// `accept()` returns a child; used if its wait is requested.
pub static ACCEPT_WAIT: Hook =
    Hook { name: ACCEPT_RETURN_ASKED.name, attach: ACCEPT_RETURN_ASKED.attach, required: true };

/// Listening ports, which determine the roles of sockets older than the tool.
pub static LISTENING: Hook = Hook {
    name: "listening",
    attach: &[attach!(Iterator {
        Needed learn_listeners: task_file if bpf_sock_from_file
            | learn_listeners_by_inode: task_file;
    })],
    required: false,
};

/// Histograms, read in one go.
pub static LATENCIES: Hook = Hook {
    name: "latencies",
    attach: &[attach!(Iterator { Needed dump_latencies: bpf_map_elem; }), LOOKUP],
    required: true,
};
