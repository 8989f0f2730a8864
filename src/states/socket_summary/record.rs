//! The records of sockets as they are, and their tables.

use super::{Age, SummaryBy, age_of};
use crate::group::Grouping;
use crate::report::{Cell, Column, Row, Ts, key, record};
use crate::tcp_state::TcpState;
use crate::wire::SockEntry;

record! {
    /// tcpstates --summary: number of sockets in one state
    "sockets" Sockets known(netns) {
        /// one of the twelve states
        state: Option<TcpState>,
        /// `process`, `remote` or `port`; null without `--by`
        #[schemars(with = "Option<SummaryBy>")]
        by: Option<Grouping>,
        /// with `--by process`; null: owner unknown
        pid,
        comm,
        /// with `--by remote`; null for sockets without a peer
        raddr,
        /// with `--by port`
        lport,
        /// the counted namespace
        netns,
        /// sockets; null for `CLOSE`, which the kernel does not list
        count: Option<u64>,
        /// longest time in the state, exact; null unless all ages in the group are exact
        oldest_ns: Option<u64>,
        /// a lower bound, if a socket entered the state before the tool started: from its last acknowledgement, or the others in the group
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
        match by {
            None => &[PID, COMM, RADDR, LPORT],
            Some(SummaryBy::Process) => &[RADDR, LPORT],
            Some(SummaryBy::Remote) => &[PID, COMM, LPORT],
            Some(SummaryBy::Port) => &[PID, COMM, RADDR],
        }
    }
}

static SOCKETS: [Column<Sockets>; 7] = [
    Column::left(key!(Sockets::state), "STATE", 12, |r| Cell::state(r.state)),
    Column::right(key!(Sockets::pid), "PID", 7, |r| Cell::id(r.pid)),
    Column::left(key!(Sockets::comm), "COMM", 15, |r| Cell::comm(r.comm.as_ref())),
    Column::left(key!(Sockets::raddr), "RADDR", 39, |r| Cell::addr(r.raddr)),
    Column::right(key!(Sockets::lport), "LPORT", 5, |r| Cell::port(r.lport)),
    Column::right(key!(Sockets::count), "COUNT", 8, |r| Cell::id(r.count)),
    Column::right("oldest", "OLDEST", 8, |r| Cell::age(r.oldest_ns, r.oldest_at_least_ns)),
];

impl Row for Sockets {
    const NAME: &'static str = "sockets";

    fn columns() -> &'static [Column<Self>] {
        &SOCKETS
    }
}

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
        family,
        netns,
        /// time in `CLOSE_WAIT`, exact
        age_ns: Option<u64>,
        /// a lower bound
        age_at_least_ns: Option<u64>,
    }
}

impl CloseWait {
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

static CLOSE_WAIT: [Column<CloseWait>; 5] = [
    Column::right(key!(CloseWait::pid), "PID", 7, |r| Cell::id(r.pid)),
    Column::left(key!(CloseWait::comm), "COMM", 15, |r| Cell::comm(r.comm.as_ref())),
    Column::left("local", "LADDR:LPORT", 21, |r| Cell::Endpoint(r.laddr, r.lport)),
    Column::left("remote", "RADDR:RPORT", 21, |r| Cell::Endpoint(r.raddr, r.rport)),
    Column::right("age", "AGE", 8, |r| Cell::age(r.age_ns, r.age_at_least_ns)),
];

impl Row for CloseWait {
    const NAME: &'static str = "close_wait";

    fn columns() -> &'static [Column<Self>] {
        &CLOSE_WAIT
    }
}

record! {
    /// one socket as it is
    "socket" Socket known(laddr family netns) {
        pid,
        comm,
        laddr,
        lport,
        raddr,
        rport,
        family,
        netns,
        /// one of the twelve states
        state: Option<TcpState>,
        /// time in the state, exact
        age_ns: Option<u64>,
        /// a lower bound
        age_at_least_ns: Option<u64>,
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
