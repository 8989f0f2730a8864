//! Latencies one by one.

use std::sync::Arc;

use super::{LatencyKind, Role};
use crate::report::{Cell, Column, Row};
use crate::states::{comm, id, nanos, port};
use crate::wire::{LatencyEvent, LatencyOutcome};

/// One latency of one socket.
#[derive(Debug)]
pub struct ExchangeRow {
    /// Wall-clock ns of its end.
    pub ts: i64,
    /// The record as it came.
    pub event: LatencyEvent,
    /// Path of the owner's cgroup.
    pub cgroup: Option<Arc<str>>,
}

impl ExchangeRow {
    fn kind(&self) -> Option<LatencyKind> {
        LatencyKind::from_number(self.event.kind)
    }

    /// Bytes, which only exchanges have.
    fn bytes(&self, bytes: u32) -> Cell<'_> {
        match self.kind() {
            Some(LatencyKind::Response | LatencyKind::Service) => Cell::Bytes(bytes.into()),
            _ => Cell::Missing,
        }
    }

    /// What the peer sends again is not known.
    fn retrans(&self) -> Cell<'_> {
        match self.kind() {
            Some(LatencyKind::Response | LatencyKind::Connect) => {
                Cell::Count(self.event.retrans.into())
            }
            _ => Cell::Missing,
        }
    }

    fn outcome(&self) -> &'static str {
        match LatencyOutcome::from_number(self.event.outcome) {
            Some(LatencyOutcome::Refused) => "refused",
            Some(LatencyOutcome::TimedOut) => "timed_out",
            Some(LatencyOutcome::Failed) => "failed",
            Some(LatencyOutcome::Done) | None => "done",
        }
    }
}

static COLUMNS: [Column<ExchangeRow>; 21] = [
    Column::left("time", "TIME", 12, |r: &ExchangeRow| Cell::Time(r.ts), "When it ended.")
        .table_only(),
    Column::right("pid", "PID", 7, |r| id(r.event.pid.into()), "Process that owns the socket."),
    Column::left("comm", "COMM", 15, |r| comm(r.event.pid, &r.event.comm), "Its name."),
    Column::left(
        "local",
        "LADDR:LPORT",
        21,
        |r: &ExchangeRow| Cell::Endpoint(Some(r.event.flow.local_ip()), r.event.flow.local_port()),
        "Local address and port.",
    )
    .table_only(),
    Column::left(
        "remote",
        "RADDR:RPORT",
        20,
        |r: &ExchangeRow| Cell::Endpoint(r.event.flow.remote_ip(), r.event.flow.remote_port()),
        "Remote address and port.",
    )
    .table_only(),
    Column::json("laddr", |r| Cell::Addr(r.event.flow.local_ip()), "Local address."),
    Column::json("lport", |r| port(r.event.flow.local_port()), "Local port."),
    Column::json(
        "raddr",
        |r| r.event.flow.remote_ip().map_or(Cell::Missing, Cell::Addr),
        "Remote address.",
    ),
    Column::json("rport", |r| port(r.event.flow.remote_port()), "Remote port."),
    Column::json("family", |r| Cell::Id(r.event.flow.family()), "4 or 6."),
    Column::json("netns", |r| Cell::Id(r.event.flow.netns.into()), "Network namespace's inode."),
    Column::json(
        "cgroup",
        |r| r.cgroup.as_ref().map_or(Cell::Missing, |path| Cell::Text(path.as_bytes())),
        "Owner's cgroup, a path below the cgroup2 mount.",
    ),
    Column::left(
        "what",
        "KIND",
        8,
        |r| r.kind().map_or(Cell::Missing, |kind| Cell::Word(kind.name())),
        "What was measured.",
    ),
    Column::left(
        "role",
        "ROLE",
        6,
        |r| Role::from_number(r.event.role).and_then(Role::name).map_or(Cell::Missing, Cell::Word),
        "Which end the socket is: who opened the connection.",
    ),
    Column::right("tx_bytes", "TX", 6, |r| r.bytes(r.event.tx_bytes), "Bytes sent."),
    Column::right("rx_bytes", "RX", 6, |r| r.bytes(r.event.rx_bytes), "Bytes received."),
    Column::right("retrans", "RETRANS", 7, ExchangeRow::retrans, "Segments sent again meanwhile."),
    Column::right(
        "duration",
        "TOOK",
        6,
        |r: &ExchangeRow| nanos(r.event.duration),
        "How long it took.",
    )
    .table_only(),
    Column::json("duration_ns", |r| nanos(r.event.duration), "How long it took."),
    Column::left(
        "outcome",
        "NOTE",
        9,
        |r: &ExchangeRow| Cell::Word(if r.event.outcome == 0 { "" } else { r.outcome() }),
        "How a connect failed.",
    )
    .table_only(),
    Column::json("outcome", |r| Cell::Word(r.outcome()), "How it ended."),
];

impl Row for ExchangeRow {
    const KIND: &'static str = "exchange";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
