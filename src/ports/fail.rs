//! Connects and binds that failed because no port was left, one after the other.

use std::sync::Arc;

use crate::report::{Cell, Ts, Word as _, record, spell, table, word};
use crate::wire::{PortCall, PortEvent};

spell! { "" PortCall {
    Connect = "connect",
    Bind = "bind",
} }

record! {
    /// tcpports --events: a `connect()` or `bind()` found no local port
    "port_fail" PortFail known(laddr family netns errno) {
        /// the process that called
        pid,
        comm,
        /// the wildcard address if `bind()` named none
        laddr,
        /// null unless `connect()` had a port, which another connection to this remote end uses
        lport,
        /// null of `bind()`
        raddr,
        /// null of `bind()`
        rport,
        device,
        family,
        netns,
        netns_name,
        /// the process's
        cgroup,
        /// `connect` or `bind`
        #[serde(deserialize_with = "word")]
        call: Option<PortCall>,
        /// 99 (EADDRNOTAVAIL) of `connect`, 98 (EADDRINUSE) of `bind`
        errno,
    }
}

impl PortFail {
    /// A failure at wall-clock `ts` ns; `cgroup` is the path of the process's.
    pub fn new(ts: i64, event: &PortEvent, cgroup: Option<Arc<str>>) -> Self {
        Self {
            ts: Ts(ts),
            family: Some(event.flow.family()),
            cgroup,
            call: PortCall::from_number(event.call),
            errno: Some(event.error.into()),
            ..Self::about(event.flow.key().owned(event.pid, event.comm))
        }
    }
}

fn call(kind: Option<PortCall>) -> Cell<'static> {
    let found = PortCall::WORDS.iter().find(|(one, _)| Some(*one) == kind);
    Cell::word(found.map(|(_, word)| *word))
}

fn errno(number: Option<u32>) -> Cell<'static> {
    match number {
        Some(98) => Cell::Word("EADDRINUSE"),
        Some(99) => Cell::Word("EADDRNOTAVAIL"),
        number => Cell::id(number),
    }
}

table! { "port_fail" PortFail {
    yields 4 time;
    yields 5 pid;
    comm 15;
    yields 2 left call, "CALL", 7, |r| call(r.call);
    yields 3 local 21;
    remote 21;
    left errno, "ERRNO", 13, |r| errno(r.errno);
    yields 1 left netns, "NETNS", 26, |r| Cell::netns(r.netns, r.netns_name.as_deref());
} }
