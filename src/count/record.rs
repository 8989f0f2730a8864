//! The record of tcpcount, and its table.

use ipnet::IpNet;

use super::{CountSums, GroupBy};
use crate::group::{Grouping, RowPart, hidden, label, remote};
use crate::report::{Cell, Column, Row, TableView, key, record};

record! {
    /// tcpcount: what one key, (other) or everything counted
    "count" Count known(by other total interval_ns tx_calls tx_bytes rx_calls rx_bytes segs_in errors eagain) {
        /// with `--by process` and `--by connection`
        pid,
        /// the grouping
        by: Grouping,
        /// the row `(other)`: keys that did not fit, or are hidden by `--top`
        other: bool,
        /// everything of the interval
        total: bool,
        /// with `--by process` and `--by connection`
        comm,
        /// with `--by connection`
        laddr,
        /// with `--by connection` and `--by port`
        lport,
        /// with `--by connection` and `--by remote`; of a network its first address
        raddr,
        /// with `--by connection`
        rport,
        /// with `raddr`
        family,
        /// with `--by connection` and `--by netns`
        netns,
        /// with `--by cgroup`
        cgroup,
        /// with `--cumulative` since the start
        interval_ns,
        /// sends that succeeded
        tx_calls: u64,
        /// bytes that TCP accepted from them
        tx_bytes: u64,
        /// receives that returned data
        rx_calls: u64,
        /// bytes that they delivered
        rx_bytes: u64,
        /// segments that reached established sockets, after GRO
        segs_in: u64,
        /// sends and receives that failed, `EAGAIN` included
        errors: u64,
        /// of these, `EAGAIN`
        eagain: u64,
        /// Remote network, with `--by remote:PREFIX`; not in JSON.
        #[serde(skip)]
        remote_net: Option<IpNet>,
    }
}

impl Count {
    /// The group.
    pub fn part(&self) -> RowPart {
        match (self.other, self.total) {
            (true, _) => RowPart::Other,
            (_, true) => RowPart::Total,
            _ => RowPart::Key,
        }
    }

    /// The numbers.
    pub fn sums(&self) -> CountSums {
        CountSums {
            tx_calls: self.tx_calls,
            tx_bytes: self.tx_bytes,
            rx_calls: self.rx_calls,
            rx_bytes: self.rx_bytes,
            segs_in: self.segs_in,
            errors: self.errors,
            eagain: self.eagain,
        }
    }

    /// The table of a grouping shows the columns of its key.
    pub fn view(by: GroupBy) -> TableView<'static> {
        TableView { hide: hidden(by), ..TableView::default() }
    }

    fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        label(self.part(), || cell(self))
    }
}

/// Headings of columns that the dashboard has too.
pub(crate) mod heading {
    pub const SENDS: &str = "SENDS/s";
    pub const SENT: &str = "SENT B/s";
    pub const RECVS: &str = "RECVS/s";
    pub const RECVD: &str = "RECVD B/s";
}

static COLUMNS: [Column<Count>; 17] = [
    Column::left("time", "TIME", 12, |r: &Count| r.ts.cell()),
    Column::right(key!(Count::pid), "PID", 7, |r| Cell::id(r.pid)),
    Column::left(key!(Count::comm), "COMM", 15, |r: &Count| {
        r.label(|r| Cell::comm(r.comm.as_ref()))
    }),
    Column::left(key!(Count::raddr), "RADDR", 39, |r: &Count| {
        r.label(|r| remote(r.raddr, r.remote_net))
    }),
    Column::right(key!(Count::lport), "LPORT", 7, |r: &Count| r.label(|r| Cell::port(r.lport))),
    Column::left(key!(Count::cgroup), "CGROUP", 32, |r: &Count| {
        r.label(|r| Cell::text_of(r.cgroup.as_deref()))
    }),
    Column::right(key!(Count::netns), "NETNS", 10, |r: &Count| r.label(|r| Cell::id(r.netns))),
    Column::left("part", "", 5, |r: &Count| r.label(|_| Cell::Missing)).unsorted(),
    Column::left("local", "LADDR:LPORT", 21, |r: &Count| Cell::Endpoint(r.laddr, r.lport)),
    Column::left("remote", "RADDR:RPORT", 21, |r: &Count| Cell::Endpoint(r.raddr, r.rport)),
    Column::right(key!(Count::tx_calls), heading::SENDS, 8, |r| Cell::PerSec(r.tx_calls)),
    Column::right(key!(Count::tx_bytes), heading::SENT, 8, |r| Cell::BytesPerSec(r.tx_bytes)),
    Column::right(key!(Count::rx_calls), heading::RECVS, 8, |r| Cell::PerSec(r.rx_calls)),
    Column::right(key!(Count::rx_bytes), heading::RECVD, 9, |r| Cell::BytesPerSec(r.rx_bytes)),
    Column::right(key!(Count::segs_in), "SEGS IN/s", 9, |r| Cell::PerSec(r.segs_in)),
    Column::right(key!(Count::errors), "ERRORS/s", 8, |r| Cell::PerSec(r.errors)),
    Column::hidden(key!(Count::eagain), |r| Cell::Count(r.eagain)),
];

impl Row for Count {
    const NAME: &'static str = "count";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }
}
