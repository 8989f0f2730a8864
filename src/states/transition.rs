//! State transitions as rows.

use std::sync::Arc;

use crate::report::{Cell, Column, Row};
use crate::tcp_state::TcpState;
use crate::wire::{DURATION_UNKNOWN, EndCause, StateEvent};

/// One transition of one socket.
#[derive(Debug)]
pub struct Transition {
    /// Wall-clock ns.
    pub ts: i64,
    /// The record as it came, or made up from what polling has found.
    pub event: StateEvent,
    /// Polling has found it, in the kernel's list of sockets.
    pub polled: bool,
    /// Path of the owner's cgroup.
    pub cgroup: Option<Arc<str>>,
}

/// A cell for a number in which 0 means unknown.
pub(crate) fn id(value: u64) -> Cell<'static> {
    if value == 0 { Cell::Missing } else { Cell::Id(value) }
}

/// A process name up to its NUL; without a process there is none.
pub(crate) fn comm(pid: u32, bytes: &[u8]) -> Cell<'_> {
    if pid == 0 {
        return Cell::Missing;
    }
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
    Cell::Text(&bytes[..end])
}

/// The name of a state; a number that no kernel we know has is unknown.
pub(crate) fn state(number: u8) -> Cell<'static> {
    TcpState::from_number(number).map_or(Cell::Missing, |state| Cell::Word(state.name()))
}

/// ns, where the largest number means unknown.
pub(crate) fn nanos(value: u64) -> Cell<'static> {
    if value == DURATION_UNKNOWN { Cell::Missing } else { Cell::Nanos(value) }
}

/// How a connection left `TIME_WAIT`, where the kernel tells.
fn ended_by(t: &Transition) -> Option<&'static str> {
    if t.event.old_state != TcpState::TimeWait.number() {
        return None;
    }
    match EndCause::from_number(t.event.end_cause)? {
        EndCause::Unknown => None,
        EndCause::Expired => Some("expired"),
        EndCause::ReusedConnect => Some("reused_connect"),
        EndCause::ReusedSyn => Some("reused_syn"),
        EndCause::Reset => Some("reset"),
    }
}

/// What a table has no column for, in a word.
fn note(t: &Transition) -> &'static str {
    match ended_by(t) {
        Some("reused_connect" | "reused_syn") => "reused",
        Some(cause) => cause,
        None if t.polled => "polled",
        None => "",
    }
}

static COLUMNS: [Column<Transition>; 21] = [
    Column::left("time", "TIME", 12, |t: &Transition| Cell::Time(t.ts), "When the state changed.")
        .table_only(),
    Column::right("pid", "PID", 7, |t| id(t.event.pid.into()), "Process that owns the socket."),
    Column::left("comm", "COMM", 15, |t| comm(t.event.pid, &t.event.comm), "Its name."),
    Column::left(
        "local",
        "LADDR:LPORT",
        21,
        |t: &Transition| Cell::Endpoint(Some(t.event.flow.local_ip()), t.event.flow.local_port()),
        "Local address and port.",
    )
    .table_only(),
    Column::left(
        "remote",
        "RADDR:RPORT",
        20,
        |t: &Transition| Cell::Endpoint(t.event.flow.remote_ip(), t.event.flow.remote_port()),
        "Remote address and port.",
    )
    .table_only(),
    Column::json("laddr", |t| Cell::Addr(t.event.flow.local_ip()), "Local address."),
    Column::json("lport", |t| port(t.event.flow.local_port()), "Local port."),
    Column::json(
        "raddr",
        |t| t.event.flow.remote_ip().map_or(Cell::Missing, Cell::Addr),
        "Remote address.",
    ),
    Column::json("rport", |t| port(t.event.flow.remote_port()), "Remote port."),
    Column::json("family", |t| Cell::Id(t.event.flow.family()), "4 or 6."),
    Column::json("netns", |t| Cell::Id(t.event.flow.netns.into()), "Network namespace's inode."),
    Column::json(
        "cgroup",
        |t| t.cgroup.as_ref().map_or(Cell::Missing, |path| Cell::Text(path.as_bytes())),
        "Owner's cgroup, a path below the cgroup2 mount.",
    ),
    Column::left("old", "OLD", 11, |t| state(t.event.old_state), "State left."),
    Column::left("arrow", "→", 1, |_: &Transition| Cell::Word("→"), "").table_only(),
    Column::left("new", "NEW", 11, |t| state(t.event.new_state), "State entered."),
    Column::right(
        "duration",
        "IN OLD",
        6,
        |t: &Transition| nanos(t.event.duration),
        "Time in the old state.",
    )
    .table_only(),
    Column::json("duration_ns", |t| nanos(t.event.duration), "Time in the old state."),
    Column::left(
        "note",
        "NOTE",
        7,
        |t: &Transition| Cell::Word(note(t)),
        "Polled, or how it ended.",
    )
    .table_only(),
    Column::json("cookie", |t| id(t.event.cookie), "Socket cookie, as ss -e shows it."),
    Column::json("polled", |t| Cell::Flag(t.polled), "Found by polling, late and less exact."),
    Column::json(
        "ended_by",
        |t| ended_by(t).map_or(Cell::Missing, Cell::Word),
        "What ended TIME_WAIT.",
    ),
];

pub(crate) fn port(port: Option<u16>) -> Cell<'static> {
    port.map_or(Cell::Missing, Cell::Port)
}

impl Row for Transition {
    const KIND: &'static str = "state";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
