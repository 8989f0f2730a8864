//! The rows of tcpcount.

use super::{CountSums, GroupBy};
use crate::group::{RowGroup, RowPart};
use crate::report::{Cell, Column, Row, TableView};

/// One row of an interval.
#[derive(Debug, Clone)]
pub struct CountRow {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// What it stands for.
    pub subject: RowGroup,
    /// The numbers.
    pub sums: CountSums,
}

impl CountRow {
    /// The table of a grouping shows the columns of its key.
    pub fn view(by: GroupBy) -> TableView<'static> {
        TableView { hide: RowGroup::hidden(by), ..TableView::default() }
    }
}

static COLUMNS: [Column<CountRow>; 29] = [
    Column::left("time", "TIME", 12, |r: &CountRow| Cell::Time(r.ts), "End of the interval.")
        .table_only(),
    Column::right("pid", "PID", 7, |r| r.subject.pid(), "Process."),
    Column::left("comm", "COMM", 15, |r: &CountRow| r.subject.label(RowGroup::comm), "Its name.")
        .table_only(),
    Column::left(
        "raddr",
        "RADDR",
        39,
        |r: &CountRow| r.subject.label(RowGroup::remote),
        "Remote address or network.",
    )
    .table_only(),
    Column::right(
        "lport",
        "LPORT",
        7,
        |r: &CountRow| r.subject.label(RowGroup::lport),
        "Local port.",
    )
    .table_only(),
    Column::left(
        "cgroup",
        "CGROUP",
        32,
        |r: &CountRow| r.subject.label(RowGroup::cgroup),
        "Path of the cgroup.",
    )
    .table_only(),
    Column::right(
        "netns",
        "NETNS",
        10,
        |r: &CountRow| r.subject.label(RowGroup::netns),
        "Network namespace's inode.",
    )
    .table_only(),
    Column::left("part", "", 5, |r: &CountRow| r.subject.label(|_| Cell::Missing), "").table_only(),
    Column::left(
        "local",
        "LADDR:LPORT",
        21,
        |r: &CountRow| r.subject.local_end(),
        "Local address and port.",
    )
    .table_only(),
    Column::left(
        "remote",
        "RADDR:RPORT",
        21,
        |r: &CountRow| r.subject.remote_end(),
        "Remote address and port.",
    )
    .table_only(),
    Column::json("by", |r| Cell::Word(r.subject.by.name()), "The grouping."),
    Column::json(
        "other",
        |r| Cell::Flag(r.subject.part == RowPart::Other),
        "All keys that found no room.",
    ),
    Column::json(
        "total",
        |r| Cell::Flag(r.subject.part == RowPart::Total),
        "Everything of the interval.",
    ),
    Column::json("comm", |r| r.subject.comm(), "Name of the process."),
    Column::json("laddr", |r| r.subject.laddr(), "Local address."),
    Column::json("lport", |r| r.subject.lport(), "Local port."),
    Column::json(
        "raddr",
        |r| r.subject.raddr(),
        "Remote address, or the first one of its network.",
    ),
    Column::json("rport", |r| r.subject.rport(), "Remote port."),
    Column::json("family", |r| r.subject.family(), "4 or 6."),
    Column::json("netns", |r| r.subject.netns(), "Network namespace's inode."),
    Column::json("cgroup", |r| r.subject.cgroup(), "Path below the cgroup2 mount."),
    Column::json("interval_ns", |r| Cell::Nanos(r.interval_ns), "Length of the interval."),
    Column::right(
        "tx_calls",
        "TX/s",
        8,
        |r| Cell::PerSec(r.sums.tx_calls),
        "Sends that succeeded.",
    ),
    Column::right(
        "tx_bytes",
        "TXB/s",
        8,
        |r| Cell::BytesPerSec(r.sums.tx_bytes),
        "Bytes that TCP accepted.",
    ),
    Column::right(
        "rx_calls",
        "RX/s",
        8,
        |r| Cell::PerSec(r.sums.rx_calls),
        "Receives that returned data.",
    ),
    Column::right(
        "rx_bytes",
        "RXB/s",
        8,
        |r| Cell::BytesPerSec(r.sums.rx_bytes),
        "Bytes delivered.",
    ),
    Column::right(
        "segs_in",
        "SEGS IN/s",
        9,
        |r| Cell::PerSec(r.sums.segs_in),
        "Segments that reached established sockets.",
    ),
    Column::right(
        "errors",
        "ERRORS/s",
        8,
        |r| Cell::PerSec(r.sums.errors),
        "Failed calls, EAGAIN included.",
    ),
    Column::json("eagain", |r| Cell::Count(r.sums.eagain), "Of the errors, EAGAIN."),
];

impl Row for CountRow {
    const KIND: &'static str = "count";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
