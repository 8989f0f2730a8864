//! The return of `accept()`, for measurements that need its time.

use crate::hooks::maps;
use crate::kernel::attach::{Attach, Hook, attach};
use crate::kernel::plan::Plan;
use crate::kernel::session::Setup;

const NAME: &str = "accept-return";

/// The function, by prototype: up to 6.9, and newer.
const FUNCTION: Attach = attach!(Fentry {
    Needed accept_fexit_4: inet_csk_accept(sk, flags, err, kern)
        | accept_fexit_2: inet_csk_accept(sk, arg);
    Entry accept_fentry: inet_csk_accept(sk, ..);
});

const PROBES: Attach = attach!(Kprobe {
    Needed accept_kretprobe: inet_csk_accept;
    Needed accept_kprobe: inet_csk_accept(sk, ..);
});

/// `accept()` returned a child of a listener.
pub static ACCEPT_RETURN: Hook = Hook { name: NAME, attach: &[FUNCTION, PROBES], required: false };

/// The same with `--wait` or `--kind accept`: the tracepoint slows every system call of the machine.
pub static ACCEPT_RETURN_ASKED: Hook = Hook {
    name: NAME,
    attach: &[FUNCTION, attach!(Tracepoint { Needed accept_sys_exit: sys_exit; }), PROBES],
    required: false,
};

/// Connections that wait for `accept()` at a time, on all listeners together.
const UNACCEPTED: u32 = 65_536;

/// Where `accept()` is seen to return, programs remember since when each connection waits.
pub fn keep_accept_waits(setup: &mut Setup, plan: &Plan) {
    let seen = plan.method_of(&ACCEPT_RETURN).is_some();
    setup.size_if(seen, maps::UNACCEPTED, UNACCEPTED);
}
