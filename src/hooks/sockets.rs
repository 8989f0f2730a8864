//! Life and owners of sockets.

use super::accept;
use crate::kernel::attach::{Hook, attach};

/// A socket changes its state.
pub static STATE: Hook = Hook {
    name: "state",
    attach: &[
        attach!(Tracepoint { Needed state_tracepoint: inet_sock_set_state; }),
        attach!(RawTracepoint { Needed state_raw_tracepoint: inet_sock_set_state; }),
    ],
    required: true,
};

/// `accept()` has handed a connection to a process; where functions cannot be hooked, its first
/// send or receive shows it, and without either the owner is found later.
pub static ACCEPT: Hook = Hook {
    name: "accept",
    attach: &[
        accept::OWNER,
        attach!(Tracepoint {
            Needed send_tracepoint: sock_send_length;
            Needed recv_tracepoint: sock_recv_length;
        }),
        attach!(Kprobe { Needed accept_kretprobe: inet_csk_accept; }),
    ],
    required: false,
};

/// A listener has a new child, which begins with its owner. Socket storage is copied anyway.
///
/// `inet_csk_complete_hashdance` queues most children, and compilers like to put the queueing into it;
/// `inet_csk_reqsk_queue_add` itself is called for SYN cookies and TCP Fast Open.
pub static CHILD: Hook = Hook {
    name: "child",
    attach: &[
        attach!(Fentry {
            Needed child_fentry: inet_csk_complete_hashdance(sk, child, ..);
            Needed child_queued_fentry: inet_csk_reqsk_queue_add(sk, req, child, ..);
        }),
        attach!(Kprobe {
            Needed child_kprobe: inet_csk_complete_hashdance(sk, child, ..);
            Needed child_queued_kprobe: inet_csk_reqsk_queue_add(sk, req, child, ..);
        }),
    ],
    required: false,
};

/// A socket is gone: what is stored of it elsewhere goes too.
pub static DESTROY: Hook = Hook {
    name: "destroy",
    attach: &[
        attach!(Tracepoint { Needed destroy_tracepoint: tcp_destroy_sock; }),
        attach!(RawTracepoint { Needed destroy_raw_tracepoint: tcp_destroy_sock; }),
    ],
    required: true,
};

/// Who has sockets open: those older than the tool, and those accepted but not used yet.
pub static OWNERS: Hook = Hook {
    name: "owners",
    attach: &[attach!(Iterator {
        Needed learn_owners: task_file if bpf_sock_from_file
            | learn_owners_by_inode: task_file;
    })],
    required: false,
};

/// All sockets there are.
pub static SOCKETS: Hook = Hook {
    name: "sockets",
    attach: &[attach!(Iterator { Needed dump_sockets: tcp; })],
    required: true,
};
