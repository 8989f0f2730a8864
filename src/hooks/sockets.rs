//! Life and owners of sockets.

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

/// A process sends or receives: it owns the socket from now on.
pub static USE: Hook = Hook {
    name: "use",
    attach: &[
        attach!(Fentry {
            Needed use_send_fentry: tcp_sendmsg_locked(sk, ..);
            Needed use_recv_fentry: tcp_recvmsg(sk, ..);
        }),
        attach!(Tracepoint {
            Needed use_send_tracepoint: sock_send_length;
            Needed use_recv_tracepoint: sock_recv_length;
        }),
        attach!(Kprobe {
            Needed use_send_kprobe: tcp_sendmsg_locked(sk, ..);
            Needed use_recv_kprobe: tcp_recvmsg(sk, ..);
        }),
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

/// Who has sockets open: owners of those that no process was seen to use, or whose owner has ended or
/// given them away.
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
