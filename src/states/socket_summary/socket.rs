//! One socket as it is.

use super::{Age, Hz, age_of};
use crate::report::{Cell, Column, Row};
use crate::states::{comm, id, nanos, port, state};
use crate::wire::SockEntry;

/// One socket at the moment it was read.
#[derive(Debug)]
pub struct SocketRow {
    ts: i64,
    entry: SockEntry,
    age: Age,
}

impl SocketRow {
    /// The socket of an entry that was read at wall-clock `ts` (ns); `hz` knows how long a jiffy
    /// is.
    pub fn new(ts: i64, entry: &SockEntry, hz: &Hz) -> Self {
        Self { ts, entry: *entry, age: age_of(entry, hz) }
    }
}

static COLUMNS: [Column<SocketRow>; 11] = [
    Column::json("pid", |r: &SocketRow| id(r.entry.pid.into()), "Process that holds it."),
    Column::json("comm", |r| comm(r.entry.pid, &r.entry.comm), "Its name."),
    Column::json("laddr", |r| Cell::Addr(r.entry.flow.local_ip()), "Local address."),
    Column::json("lport", |r| port(r.entry.flow.local_port()), "Local port."),
    Column::json(
        "raddr",
        |r| r.entry.flow.remote_ip().map_or(Cell::Missing, Cell::Addr),
        "Remote address.",
    ),
    Column::json("rport", |r| port(r.entry.flow.remote_port()), "Remote port."),
    Column::json("family", |r| Cell::Id(r.entry.flow.family()), "4 or 6."),
    Column::json("netns", |r| Cell::Id(r.entry.flow.netns.into()), "Network namespace's inode."),
    Column::json("state", |r| state(r.entry.state), "Its state."),
    Column::json("age_ns", |r| nanos(r.age.exact), "Time in the state, exactly."),
    Column::json("age_at_least_ns", |r| nanos(r.age.at_least), "The same, at least."),
];

impl Row for SocketRow {
    const KIND: &'static str = "socket";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
