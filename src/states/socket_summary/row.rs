//! The rows of the summary.

use super::{Age, SummaryBy, SummaryKey};
use crate::report::{Cell, Column, Row};
use crate::states::{comm, id, nanos, port, state};
use crate::wire::{COMM_LEN, Flow};

/// So many sockets in one state.
#[derive(Debug)]
pub struct SocketsRow {
    pub(super) ts: i64,
    pub(super) netns: u32,
    pub(super) by: Option<SummaryBy>,
    pub(super) key: SummaryKey,
    pub(super) state: u8,
    pub(super) count: Option<u64>,
    pub(super) oldest: Age,
}

impl SocketsRow {
    /// Kernel number of the state.
    pub fn state(&self) -> u8 {
        self.state
    }

    /// Sockets in it; `None` where this kernel does not show them.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    pub(super) fn pid(&self) -> u32 {
        if let SummaryKey::Process(pid, _) = self.key { pid } else { 0 }
    }

    fn comm(&self) -> Cell<'_> {
        if let SummaryKey::Process(pid, name) = &self.key {
            comm(*pid, name)
        } else {
            Cell::Missing
        }
    }

    fn raddr(&self) -> Cell<'_> {
        if let SummaryKey::Remote(Some(addr)) = self.key { Cell::Addr(addr) } else { Cell::Missing }
    }

    fn lport(&self) -> Cell<'_> {
        if let SummaryKey::Port(lport) = self.key { port(lport) } else { Cell::Missing }
    }

    /// Keys of columns that a table of this grouping leaves out.
    pub fn hidden(by: Option<SummaryBy>) -> &'static [&'static str] {
        match by {
            None => &["pid", "comm", "raddr", "lport"],
            Some(SummaryBy::Process) => &["raddr", "lport"],
            Some(SummaryBy::Remote) => &["pid", "comm", "lport"],
            Some(SummaryBy::Port) => &["pid", "comm", "raddr"],
        }
    }
}

static SOCKETS: [Column<SocketsRow>; 11] = [
    Column::left("state", "STATE", 12, |r| state(r.state), "State of the sockets."),
    Column::json("by", |r| r.by.map_or(Cell::Missing, |by| Cell::Word(by.name())), "The grouping."),
    Column::right("pid", "PID", 7, |r| id(r.pid().into()), "Process that holds them."),
    Column::left("comm", "COMM", 15, SocketsRow::comm, "Its name."),
    Column::left("raddr", "RADDR", 39, SocketsRow::raddr, "Remote address."),
    Column::right("lport", "LPORT", 5, SocketsRow::lport, "Local port."),
    Column::json("netns", |r| Cell::Id(r.netns.into()), "Network namespace's inode."),
    Column::right(
        "count",
        "COUNT",
        8,
        |r| r.count.map_or(Cell::Missing, Cell::Id),
        "How many sockets.",
    ),
    Column::right(
        "oldest",
        "OLDEST",
        8,
        |r: &SocketsRow| r.oldest.cell(),
        "Longest time in the state.",
    )
    .table_only(),
    Column::json("oldest_ns", |r| nanos(r.oldest.exact), "Longest time in the state, exactly."),
    Column::json("oldest_at_least_ns", |r| nanos(r.oldest.at_least), "The same, at least."),
];

impl Row for SocketsRow {
    const KIND: &'static str = "sockets";

    fn columns() -> &'static [Column<Self>] {
        &SOCKETS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}

/// One of the oldest `CLOSE_WAIT` sockets: the peer has closed, the process has not.
#[derive(Debug)]
pub struct CloseWaitRow {
    pub(super) ts: i64,
    pub(super) pid: u32,
    pub(super) comm: [u8; COMM_LEN],
    pub(super) flow: Flow,
    pub(super) age: Age,
}

static CLOSE_WAIT: [Column<CloseWaitRow>; 13] = [
    Column::right("pid", "PID", 7, |r| id(r.pid.into()), "Process that has not closed it."),
    Column::left("comm", "COMM", 15, |r| comm(r.pid, &r.comm), "Its name."),
    Column::left(
        "local",
        "LADDR:LPORT",
        21,
        |r: &CloseWaitRow| Cell::Endpoint(Some(r.flow.local_ip()), r.flow.local_port()),
        "Local address and port.",
    )
    .table_only(),
    Column::left(
        "remote",
        "RADDR:RPORT",
        21,
        |r: &CloseWaitRow| Cell::Endpoint(r.flow.remote_ip(), r.flow.remote_port()),
        "Remote address and port.",
    )
    .table_only(),
    Column::json("laddr", |r| Cell::Addr(r.flow.local_ip()), "Local address."),
    Column::json("lport", |r| port(r.flow.local_port()), "Local port."),
    Column::json("raddr", |r| r.flow.remote_ip().map_or(Cell::Missing, Cell::Addr), "Remote."),
    Column::json("rport", |r| port(r.flow.remote_port()), "Remote port."),
    Column::json("family", |r| Cell::Id(r.flow.family()), "4 or 6."),
    Column::json("netns", |r| Cell::Id(r.flow.netns.into()), "Network namespace's inode."),
    Column::right("age", "AGE", 8, |r: &CloseWaitRow| r.age.cell(), "Time in CLOSE_WAIT.")
        .table_only(),
    Column::json("age_ns", |r| nanos(r.age.exact), "Time in CLOSE_WAIT, exactly."),
    Column::json("age_at_least_ns", |r| nanos(r.age.at_least), "The same, at least."),
];

impl Row for CloseWaitRow {
    const KIND: &'static str = "close_wait";

    fn columns() -> &'static [Column<Self>] {
        &CLOSE_WAIT
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
