//! The moment at which `accept()` returns, for what depends on when it was.

use crate::kernel::attach::AttachPoint::Needed;
use crate::kernel::attach::{Attach, Hook, Parameters};
use crate::kernel::builders::{fentry, kprobe, plain, program, tracepoint};

const NAME: &str = "accept-return";

/// The function, by prototype: up to 6.9, and newer.
pub(super) const FUNCTION: Attach = fentry(&[Needed(&[
    program(
        "accept_fexit_4",
        "inet_csk_accept",
        Parameters::Exactly(&["sk", "flags", "err", "kern"]),
    ),
    program("accept_fexit_2", "inet_csk_accept", Parameters::Exactly(&["sk", "arg"])),
])]);

const PROBES: Attach = kprobe(&[
    Needed(&[plain("accept_kretprobe", "inet_csk_accept")]),
    Needed(&[program("accept_kprobe", "inet_csk_accept", Parameters::Begin(&["sk"]))]),
]);

/// `accept()` returned a child of a listener.
pub static ACCEPT_RETURN: Hook = Hook { name: NAME, attach: &[FUNCTION, PROBES], required: false };

/// Likewise at any price: the tracepoint makes every system call of the machine a little slower.
pub static ACCEPT_RETURN_ASKED: Hook = Hook {
    name: NAME,
    attach: &[FUNCTION, tracepoint(&[Needed(&[plain("accept_sys_exit", "sys_exit")])]), PROBES],
    required: false,
};
