//! The records of sockets as they are, and their tables.

use super::{Age, SummaryBy, age_of};
use crate::report::{Cell, Ts, key, record, table};
use crate::tcp_state::TcpState;
use crate::wire::SockEntry;

record! {
    /// tcpstates --summary: number of sockets in one state
    "sockets" Sockets known(namespaces not_entered) {
        state,
        /// `process`, `remote`, `port` or `netns`; null without `--by`
        #[schemars(with = "Option<SummaryBy>")]
        by,
        /// with `--by process`; null: owner unknown
        pid,
        comm,
        /// with `--by remote`; null for sockets without a peer
        raddr,
        /// with `--by remote` the zone of a link-local address
        device,
        /// with `--by port`
        lport,
        /// the counted namespace; null if there are several, unless `--by netns`
        netns,
        netns_name,
        namespaces,
        /// their sockets are missing
        not_entered,
        /// sockets; null for `CLOSE`, which the kernel does not list
        count,
        /// longest time in the state, exact; null unless all ages in the group are exact
        oldest_ns: Option<u64>,
        /// a lower bound, if a socket entered the state before the tool started: from its last acknowledgement, how long the tool has watched, or the others in the group
        oldest_at_least_ns: Option<u64>,
    }
}

impl Sockets {
    /// Keys of columns that a table of this grouping leaves out.
    pub fn hidden(by: Option<SummaryBy>) -> &'static [&'static str] {
        const PID: &str = key!(Sockets::pid);
        const COMM: &str = key!(Sockets::comm);
        const RADDR: &str = key!(Sockets::raddr);
        const LPORT: &str = key!(Sockets::lport);
        const NETNS: &str = key!(Sockets::netns);
        match by {
            None => &[PID, COMM, RADDR, LPORT, NETNS],
            Some(SummaryBy::Process) => &[RADDR, LPORT, NETNS],
            Some(SummaryBy::Remote) => &[PID, COMM, LPORT, NETNS],
            Some(SummaryBy::Port) => &[PID, COMM, RADDR, NETNS],
            Some(SummaryBy::Netns) => &[PID, COMM, RADDR, LPORT],
        }
    }
}

table! { "sockets" Sockets {
    left state, "STATE", 12, |r| Cell::state(r.state);
    yields 1 pid;
    comm 15;
    left raddr, "RADDR", 39, |r| Cell::addr(r.raddr, r.device);
    right lport, "LPORT", 5, |r| Cell::port(r.lport);
    left netns, "NETNS", 26, |r| Cell::netns(r.netns, r.netns_name.as_deref());
    right count, "COUNT", 8, |r| Cell::id(r.count);
    right "oldest", "OLDEST", 8, |r| Cell::age(r.oldest_ns, r.oldest_at_least_ns);
} }

record! {
    /// tcpstates --summary: one of the ten oldest sockets in `CLOSE_WAIT`
    "close_wait" CloseWait known(laddr family netns) {
        /// the process that has not closed it
        pid,
        comm,
        laddr,
        lport,
        raddr,
        rport,
        device,
        family,
        netns,
        netns_name,
        /// time in `CLOSE_WAIT`, exact
        age_ns,
        age_at_least_ns,
    }
}

impl CloseWait {
    /// Keys of columns that say the same in all rows.
    pub fn hidden(rows: &[Self]) -> &'static [&'static str] {
        let one = rows.iter().all(|row| row.netns == rows[0].netns);
        if one { &[key!(CloseWait::netns)] } else { &[] }
    }

    pub(super) fn new(ts: i64, entry: &SockEntry, age: Age) -> Self {
        Self {
            ts: Ts(ts),
            family: Some(entry.flow.family()),
            age_ns: age.exact(),
            age_at_least_ns: age.at_least(),
            ..Self::about(entry.flow.key().owned(entry.pid, entry.comm))
        }
    }
}

table! { "close_wait" CloseWait {
    yields 3 pid;
    yields 4 comm 15;
    yields 2 local 21;
    remote 21;
    yields 1 left netns, "NETNS", 26, |r| Cell::netns(r.netns, r.netns_name.as_deref());
    right "age", "AGE", 8, |r| Cell::age(r.age_ns, r.age_at_least_ns);
} }

record! {
    /// tcpstates --summary: one of the ten oldest sockets that close: without a process, or with a FIN that the peer has not acknowledged
    "closing" ClosingSocket known(laddr family netns state orphan unacked_bytes unsent_bytes) {
        /// the process that has closed it
        pid,
        comm,
        laddr,
        lport,
        raddr,
        rport,
        device,
        family,
        netns,
        netns_name,
        /// mostly `FIN_WAIT1`, `LAST_ACK` or `CLOSING`; an orphan can also be in `FIN_WAIT2`
        state,
        age_ns,
        age_at_least_ns,
        /// no process has it
        orphan: bool,
        unacked_bytes,
        unsent_bytes,
        /// all orphans that the summary has counted
        orphan_count: Option<u64>,
    }
}

impl ClosingSocket {
    /// Keys of columns that say the same in all rows.
    pub fn hidden(rows: &[Self]) -> &'static [&'static str] {
        let one = rows.iter().all(|row| row.netns == rows[0].netns);
        if one { &[key!(ClosingSocket::netns)] } else { &[] }
    }

    pub(super) fn new(ts: i64, entry: &SockEntry, age: Age) -> Self {
        Self {
            ts: Ts(ts),
            family: Some(entry.flow.family()),
            state: TcpState::from_number(entry.state),
            age_ns: age.exact(),
            age_at_least_ns: age.at_least(),
            orphan: entry.orphan != 0,
            unacked_bytes: entry.unacked,
            unsent_bytes: entry.unsent,
            ..Self::about(entry.flow.key().owned(entry.pid, entry.comm))
        }
    }
}

table! { "closing" ClosingSocket {
    left state, "STATE", 12, |r| Cell::state(r.state);
    yields 4 pid;
    yields 6 comm 15;
    yields 3 local 21;
    yields 7 remote 21;
    yields 1 left netns, "NETNS", 26, |r| Cell::netns(r.netns, r.netns_name.as_deref());
    right "age", "AGE", 8, |r| Cell::age(r.age_ns, r.age_at_least_ns);
    yields 2 left orphan, "ORPHAN", 6, |r| Cell::Word(if r.orphan { "yes" } else { "no" });
    yields 5 right unacked_bytes, "QUEUED", 7, |r| Cell::bytes(Some(r.unacked_bytes.into()));
    right unsent_bytes, "UNSENT", 7, |r| Cell::bytes(Some(r.unsent_bytes.into()));
} }

record! {
    /// one socket as it is
    "socket" Socket known(laddr family netns) {
        pid,
        comm,
        laddr,
        lport,
        raddr,
        rport,
        device,
        family,
        netns,
        state,
        age_ns,
        age_at_least_ns,
    }
}

impl Socket {
    /// The socket of an entry that was read at wall-clock `ts` (ns).
    pub fn new(ts: i64, entry: &SockEntry) -> Self {
        let age = age_of(entry);
        Self {
            ts: Ts(ts),
            family: Some(entry.flow.family()),
            state: TcpState::from_number(entry.state),
            age_ns: age.exact(),
            age_at_least_ns: age.at_least(),
            ..Self::about(entry.flow.key().owned(entry.pid, entry.comm))
        }
    }
}
