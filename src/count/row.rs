//! The rows of tcpcount.

use std::sync::Arc;

use super::{By, Sums};
use crate::flow::ip;
use crate::report::{Cell, Column, Row, View};
use crate::states::{comm, id, port};
use crate::wire::{COMM_LEN, CountKey};

/// What a row stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// One key.
    Key,
    /// All keys that did not fit into the map.
    Other,
    /// Everything.
    Total,
}

/// One row of an interval.
#[derive(Debug, Clone)]
pub struct CountRow {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// The grouping.
    pub by: By,
    /// What it stands for.
    pub part: Part,
    /// The key; meaningful for [`Part::Key`].
    pub key: CountKey,
    /// Process, 0 = none or not known.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// Path of the cgroup.
    pub cgroup: Option<Arc<str>>,
    /// Remote network in words, with `--by remote:PREFIX`.
    pub remote_net: Option<String>,
    /// The numbers.
    pub sums: Sums,
}

impl CountRow {
    /// The cell of a part of the key; `None` where the grouping does not have it.
    fn keyed<'a>(&'a self, groupings: &[By], cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        let grouped = groupings.iter().any(|by| by.number() == self.by.number());
        if self.part == Part::Key && grouped { cell(self) } else { Cell::Missing }
    }

    /// The first column of a table says it when a row is no key.
    fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        match self.part {
            Part::Key => cell(self),
            Part::Other => Cell::Word("(other)"),
            Part::Total => Cell::Word("total"),
        }
    }

    fn comm(&self) -> Cell<'_> {
        comm(self.pid, &self.comm)
    }

    fn lport(&self) -> Cell<'_> {
        self.keyed(PORTS, |r| port(r.key.flow.local_port()))
    }

    fn raddr(&self) -> Cell<'_> {
        self.keyed(REMOTES, |r| Cell::Addr(ip(&r.key.flow.raddr)))
    }

    /// With a prefix, the network in words.
    fn remote(&self) -> Cell<'_> {
        self.remote_net.as_ref().map_or_else(|| self.raddr(), |net| Cell::Word(net))
    }

    fn netns(&self) -> Cell<'_> {
        self.keyed(NETNS, |r| Cell::Id(r.key.flow.netns.into()))
    }

    fn cgroup(&self) -> Cell<'_> {
        self.cgroup.as_ref().map_or(Cell::Missing, |path| Cell::Text(path.as_bytes()))
    }

    /// The table of a grouping shows the columns of its key.
    pub fn view(by: By) -> View<'static> {
        let hide: &[&str] = match by {
            By::Process => &["raddr", "lport", "cgroup", "netns", "local", "remote", "part"],
            By::Connection => &["raddr", "lport", "cgroup", "netns", "part"],
            By::Remote(..) => {
                &["pid", "comm", "lport", "cgroup", "netns", "local", "remote", "part"]
            }
            By::Port => &["pid", "comm", "raddr", "cgroup", "netns", "local", "remote", "part"],
            By::Cgroup => &["pid", "comm", "raddr", "lport", "netns", "local", "remote", "part"],
            By::Netns => &["pid", "comm", "raddr", "lport", "cgroup", "local", "remote", "part"],
            By::Total => &["pid", "comm", "raddr", "lport", "cgroup", "netns", "local", "remote"],
        };
        View { hide, ..View::default() }
    }
}

const CONNECTION: &[By] = &[By::Connection];
const REMOTES: &[By] = &[By::Connection, By::Remote(0, 0)];
const PORTS: &[By] = &[By::Connection, By::Port];
const NETNS: &[By] = &[By::Connection, By::Netns];

static COLUMNS: [Column<CountRow>; 29] = [
    Column::left("time", "TIME", 12, |r: &CountRow| Cell::Time(r.ts), "End of the interval.")
        .table_only(),
    Column::right("pid", "PID", 7, |r| id(r.pid.into()), "Process."),
    Column::left("comm", "COMM", 15, |r: &CountRow| r.label(CountRow::comm), "Its name.")
        .table_only(),
    Column::left(
        "raddr",
        "RADDR",
        39,
        |r: &CountRow| r.label(CountRow::remote),
        "Remote address or network.",
    )
    .table_only(),
    Column::right("lport", "LPORT", 7, |r: &CountRow| r.label(CountRow::lport), "Local port.")
        .table_only(),
    Column::left(
        "cgroup",
        "CGROUP",
        32,
        |r: &CountRow| r.label(CountRow::cgroup),
        "Path of the cgroup.",
    )
    .table_only(),
    Column::right(
        "netns",
        "NETNS",
        10,
        |r: &CountRow| r.label(CountRow::netns),
        "Network namespace's inode.",
    )
    .table_only(),
    Column::left("part", "", 5, |r: &CountRow| r.label(|_| Cell::Missing), "").table_only(),
    Column::left(
        "local",
        "LADDR:LPORT",
        21,
        |r: &CountRow| {
            r.keyed(CONNECTION, |r| {
                Cell::Endpoint(Some(r.key.flow.local_ip()), r.key.flow.local_port())
            })
        },
        "Local address and port.",
    )
    .table_only(),
    Column::left(
        "remote",
        "RADDR:RPORT",
        21,
        |r: &CountRow| {
            r.keyed(CONNECTION, |r| {
                Cell::Endpoint(r.key.flow.remote_ip(), r.key.flow.remote_port())
            })
        },
        "Remote address and port.",
    )
    .table_only(),
    Column::json("by", |r| Cell::Word(r.by.name()), "The grouping."),
    Column::json("other", |r| Cell::Flag(r.part == Part::Other), "All keys that found no room."),
    Column::json("total", |r| Cell::Flag(r.part == Part::Total), "Everything of the interval."),
    Column::json("comm", CountRow::comm, "Name of the process."),
    Column::json(
        "laddr",
        |r| r.keyed(CONNECTION, |r| Cell::Addr(r.key.flow.local_ip())),
        "Local address.",
    ),
    Column::json("lport", CountRow::lport, "Local port."),
    Column::json("raddr", CountRow::raddr, "Remote address, or the first one of its network."),
    Column::json(
        "rport",
        |r| r.keyed(CONNECTION, |r| port(r.key.flow.remote_port())),
        "Remote port.",
    ),
    Column::json(
        "family",
        |r| r.keyed(REMOTES, |r| Cell::Id(if ip(&r.key.flow.raddr).is_ipv4() { 4 } else { 6 })),
        "4 or 6.",
    ),
    Column::json("netns", CountRow::netns, "Network namespace's inode."),
    Column::json("cgroup", CountRow::cgroup, "Path below the cgroup2 mount."),
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
