//! The record of sums, and its table.

use super::{Ends, LifeTotals};
use crate::group::{GroupBy, RowPart, hidden, label, remote};
use crate::report::{Cell, TableView, record, table};
use crate::wire::LifeEnd;

record! {
    /// tcplife --summary: connections of one key, (other) or everything, that opened or ended in the interval
    "life_sum" LifeSum known(by other total interval_ns opened ended failed_opens tx_bytes rx_bytes retrans ends) {
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
        interval_ns,
        /// connections that opened
        opened: Option<u64>,
        /// connections that ended, `failed_opens` included
        ended: Option<u64>,
        /// those that never opened
        failed_opens: Option<u64>,
        /// of those that ended
        tx_bytes,
        /// of those that ended
        rx_bytes,
        /// of those that ended
        retrans,
        /// median length of those that opened and ended; older ones are missing. At most 1/32 off
        life_p50_ns: Option<u64>,
        /// 90th percentile, as exact as `life_p50_ns`
        life_p90_ns: Option<u64>,
        /// 99th percentile, as exact as `life_p50_ns`
        life_p99_ns: Option<u64>,
        /// the longest, exact
        life_max_ns: Option<u64>,
        /// median of the bytes, sent and received, of those that opened and ended. At most 1/32 off from 8 bytes to 4 GiB
        bytes_p50: Option<u64>,
        /// 90th percentile, as exact as `bytes_p50`
        bytes_p90: Option<u64>,
        /// 99th percentile, as exact as `bytes_p50`
        bytes_p99: Option<u64>,
        /// how many ended so, by [end](tcplife.md#ends)
        ends: Ends,
        remote_net,
    }
}

impl LifeSum {
    fn part(&self) -> RowPart {
        RowPart::of(self.other, self.total)
    }

    /// A row with these numbers.
    #[must_use]
    pub fn with(self, totals: &LifeTotals) -> Self {
        Self {
            opened: Some(totals.opened),
            ended: Some(totals.ends.total()),
            failed_opens: Some(totals.failed),
            tx_bytes: Some(totals.tx_bytes),
            rx_bytes: Some(totals.rx_bytes),
            retrans: Some(totals.retrans),
            life_p50_ns: totals.life.quantile(500),
            life_p90_ns: totals.life.quantile(900),
            life_p99_ns: totals.life.quantile(990),
            life_max_ns: totals.life.max(),
            bytes_p50: totals.bytes(500),
            bytes_p90: totals.bytes(900),
            bytes_p99: totals.bytes(990),
            ends: totals.ends,
            ..self
        }
    }

    /// The table of a grouping shows the columns of its key.
    pub fn view(by: GroupBy) -> TableView<'static> {
        TableView { hide: hidden(by), ..TableView::default() }
    }

    fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        label(self.part(), || cell(self))
    }

    /// Those that no column of its own has.
    fn remaining(&self) -> u64 {
        let shown = ["closed_", "reset_", "timeout_", "unreachable_"];
        let shown = shown.iter().map(|prefix| self.ends.starting(prefix)).sum::<u64>();
        let alone = [LifeEnd::Refused, LifeEnd::NoPort].map(|end| self.ends.of(end));
        self.ends.total() - shown - alone.iter().sum::<u64>()
    }
}

table! { "life_sum" LifeSum {
    yields 10 time;
    yields 9 pid;
    left comm, "COMM", 15, |r| r.label(|r| Cell::comm(r.comm.as_ref()));
    left raddr, "RADDR", 39, |r| r.label(|r| remote(r.raddr, r.device, r.remote_net));
    right lport, "LPORT", 7, |r| r.label(|r| Cell::port(r.lport));
    left cgroup, "CGROUP", 32, |r| r.label(|r| Cell::text_of(r.cgroup.as_deref()));
    left netns, "NETNS", 26, |r| r.label(|r| Cell::netns(r.netns, r.netns_name.as_deref()));
    filler "part", "", 5, |r| r.label(|_| Cell::Missing);
    yields 8 local 21;
    remote 21;
    right opened, "OPENED/s", 8, |r| Cell::per_sec(r.opened);
    right ended, "ENDED", 6, |r| Cell::count(r.ended);
    yields 14 right failed_opens, "FAILED", 6, |r| Cell::count(r.failed_opens);
    yields 16 right "closed", "CLOSED", 6, |r| Cell::Count(r.ends.starting("closed_"));
    yields 13 right "reset_sent", "RST SENT", 8, |r| Cell::Count(r.ends.starting("reset_sent"));
    yields 12 right "reset_received", "RST RECEIVED", 12, |r| Cell::Count(r.ends.of(LifeEnd::Reset));
    yields 11 right "refused", "REFUSED", 7, |r| Cell::Count(r.ends.of(LifeEnd::Refused));
    yields 7 right "timeout", "TIMEOUT", 7, |r| Cell::Count(r.ends.starting("timeout_"));
    yields 4 right "unreachable", "UNREACHABLE", 11, |r| Cell::Count(r.ends.starting("unreachable_"));
    yields 5 right "no_local_port", "NO PORT", 7, |r| Cell::Count(r.ends.of(LifeEnd::NoPort));
    yields 3 right "remaining", "REST", 5, |r| Cell::Count(r.remaining());
    yields 15 right life_p50_ns, "LIFE P50", 8, |r| Cell::nanos(r.life_p50_ns);
    yields 6 right life_p99_ns, "LIFE P99", 8, |r| Cell::nanos(r.life_p99_ns);
    yields 2 right bytes_p50, "BYTES P50", 9, |r| Cell::bytes(r.bytes_p50);
    yields 1 right bytes_p99, "BYTES P99", 9, |r| Cell::bytes(r.bytes_p99);
} }
