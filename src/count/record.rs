//! The record of tcpcount, and its table.

use super::{CountSums, GroupBy};
use crate::group::{RowPart, hidden, label, remote};
use crate::report::{Cell, TableView, record, table};

record! {
    /// tcpcount: what one key, (other) or everything counted
    "count" Count known(by other total interval_ns tx_bytes rx_bytes segs_in retrans_segs) {
        /// with `--by process` and `--by connection`
        pid,
        by,
        other,
        total,
        /// with `--by process` and `--by connection`
        comm,
        /// with `--by connection`
        laddr,
        /// with `--by connection` and `--by port`
        lport,
        /// with `--by connection` and `--by remote`; of a network its first address
        raddr,
        /// with `--by connection`; with `--by remote` the zone of a link-local address
        device,
        /// with `--by connection`
        rport,
        /// with `raddr`
        family,
        /// with `--by connection` and `--by netns`
        netns,
        /// with `--by netns`
        netns_name,
        /// with `--by cgroup`
        cgroup,
        /// length of the interval as measured; with `--cumulative` since the start
        interval_ns,
        /// sends that succeeded; null with `--light`
        tx_calls: Option<u64>,
        /// bytes that TCP accepted from them
        tx_bytes,
        /// receives that returned data; null with `--light`
        rx_calls: Option<u64>,
        /// bytes that they delivered
        rx_bytes,
        /// segments that reached established sockets, after GRO; with `--light` all that reached sockets, before GRO
        segs_in: u64,
        /// sends and receives that failed, without `EAGAIN`; null with `--light`
        errors: Option<u64>,
        /// sends and receives that returned `EAGAIN`; null with `--light`
        eagain: Option<u64>,
        retrans_segs,
        remote_net,
    }
}

impl Count {
    /// The group.
    pub fn part(&self) -> RowPart {
        RowPart::of(self.other, self.total)
    }

    /// The numbers.
    pub fn sums(&self) -> CountSums {
        CountSums {
            tx_calls: self.tx_calls.unwrap_or(0),
            tx_bytes: self.tx_bytes.unwrap_or(0),
            rx_calls: self.rx_calls.unwrap_or(0),
            rx_bytes: self.rx_bytes.unwrap_or(0),
            segs_in: self.segs_in,
            errors: self.errors.unwrap_or(0),
            eagain: self.eagain.unwrap_or(0),
            retrans_segs: self.retrans_segs.unwrap_or(0),
            out_segs: 0,
        }
    }

    /// Whether a column is known with `--light`.
    pub fn read_light(key: &str) -> bool {
        !["tx_calls", "rx_calls", "errors", "eagain"].contains(&key)
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
    pub const RETRANS: &str = "RETRANS/s";
}

table! { "count" Count {
    yields 7 time;
    yields 6 pid;
    left comm, "COMM", 15, |r| r.label(|r| Cell::comm(r.comm.as_ref()));
    left raddr, "RADDR", 39, |r| r.label(|r| remote(r.raddr, r.device, r.remote_net));
    right lport, "LPORT", 7, |r| r.label(|r| Cell::port(r.lport));
    left cgroup, "CGROUP", 32, |r| r.label(|r| Cell::text_of(r.cgroup.as_deref()));
    left netns, "NETNS", 26, |r| r.label(|r| Cell::netns(r.netns, r.netns_name.as_deref()));
    filler "part", "", 5, |r| r.label(|_| Cell::Missing);
    yields 5 local 21;
    remote 21;
    yields 9 right tx_calls, heading::SENDS, 8, |r| Cell::per_sec(r.tx_calls);
    right tx_bytes, heading::SENT, 8, |r| Cell::bytes_per_sec(r.tx_bytes);
    yields 8 right rx_calls, heading::RECVS, 8, |r| Cell::per_sec(r.rx_calls);
    right rx_bytes, heading::RECVD, 9, |r| Cell::bytes_per_sec(r.rx_bytes);
    yields 4 right segs_in, "SEGS IN/s", 9, |r| Cell::PerSec(r.segs_in);
    yields 3 right retrans_segs, heading::RETRANS, 9, |r| Cell::per_sec(r.retrans_segs);
    yields 2 right errors, "ERRORS/s", 8, |r| Cell::per_sec(r.errors);
    yields 1 right eagain, "EAGAIN/s", 8, |r| Cell::per_sec(r.eagain);
} }
