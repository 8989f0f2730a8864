//! Hooks of local ports.

use crate::kernel::attach::{Hook, LOOKUP, attach};

/// Connections, listeners and timewait sockets of a namespace.
pub static PORT_SOCKETS: Hook = Hook {
    name: "port-sockets",
    attach: &[attach!(Iterator { Needed dump_ports: tcp; })],
    required: true,
};

/// Sockets that are bound, and neither connected nor listening: only open files lead to them.
pub static BOUND: Hook = Hook {
    name: "bound",
    attach: &[attach!(Iterator {
        Needed dump_bound: task_file if bpf_sock_from_file
            | dump_bound_by_inode: task_file;
    })],
    required: false,
};

/// Connects and failures, as programs count them.
pub static PORT_COUNTS: Hook = Hook {
    name: "port-counts",
    attach: &[attach!(Iterator { Needed dump_port_counts: bpf_map_elem; }), LOOKUP],
    required: true,
};

/// `bind()` with port 0 has found none: no state changes.
pub static BIND: Hook = Hook {
    name: "bind",
    attach: &[
        attach!(Fentry { Needed get_port_fexit: inet_csk_get_port(sk, snum); }),
        attach!(Kprobe {
            Needed get_port_kretprobe: inet_csk_get_port;
            Needed get_port_kprobe: inet_csk_get_port(sk, snum);
        }),
    ],
    required: false,
};

/// `connect()` takes the port of a timewait socket (`tcp_tw_reuse`).
pub static PORT_REUSE: Hook = Hook {
    name: "port-reuse",
    attach: &[attach!(Fentry { Needed port_reuse_fexit: tcp_twsk_unique(sk, sktw, twp); })],
    required: false,
};

/// `connect()` has found a port. Where no function can be hooked, the socket says when, once it is open.
pub static PORT_FOUND: Hook = Hook {
    name: "port-found",
    attach: &[
        attach!(Fentry { Needed port_found_fentry: tcp_connect(sk); }),
        attach!(Kprobe { Needed port_found_kprobe: tcp_connect(sk); }),
    ],
    required: false,
};

/// Times of searches.
pub static PORT_SEARCHES: Hook = Hook {
    name: "port-searches",
    attach: &[attach!(Iterator { Needed dump_port_searches: bpf_map_elem; }), LOOKUP],
    required: true,
};
