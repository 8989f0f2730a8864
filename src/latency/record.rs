//! The records of tcplatency, and their tables.

use std::ops::Range;
use std::sync::Arc;

use ipnet::IpNet;

use super::{LatencyKind, LatencySums, Role};
use crate::group::{GroupBy, Grouping, RowPart, hidden, label, remote};
use crate::report::{Cell, Column, Ctx, Row, TableView, Ts, key, record, spell, word};
use crate::states::known;
use crate::wire::{LatencyEvent, LatencyOutcome};

record! {
    /// tcplatency: what one row, (other) or everything measured
    "latency" Latency known(by other interval_ns count) {
        /// with `--by process` and `--by connection`
        pid,
        /// `response`, `service`, `rtt`, `connect` or `accept`: [the kinds](tcplatency.md#kinds)
        #[serde(deserialize_with = "word")]
        latency_kind: Option<LatencyKind>,
        /// `client` or `server`: who opened the connection; null: unknown, for sockets older than the tool
        #[serde(deserialize_with = "word")]
        role: Option<Role>,
        /// the grouping
        #[schemars(extend("enum" = ["process", "connection", "remote", "port", "cgroup", "total"]))]
        by: Grouping,
        /// a row `(other)`: rows that did not fit, or are hidden by `--top`
        other: bool,
        /// with `--by process` and `--by connection`
        comm,
        /// with `--by connection`
        laddr,
        /// with `--by connection`; with `--by port` the service's port, of servers
        lport,
        /// with `--by connection` and `--by remote`; of a network its first address
        raddr,
        /// with `--by connection`; with `--by port` the service's port, of clients
        rport,
        /// with `raddr`
        family,
        /// with `--by connection`
        netns,
        /// with `--by cgroup`
        cgroup,
        interval_ns,
        /// number of measurements
        count: Option<u64>,
        /// minimum, exact; null without any
        min_ns: Option<u64>,
        /// median by nearest rank, off by at most 1/32
        p50_ns: Option<u64>,
        /// 90th percentile, as exact as `p50_ns`
        p90_ns: Option<u64>,
        /// 99th percentile, as exact as `p50_ns`
        p99_ns: Option<u64>,
        /// 99.9th percentile, as exact as `p50_ns`
        p999_ns: Option<u64>,
        /// maximum, exact; null without any
        max_ns: Option<u64>,
        /// connects that were refused; not part of `count`. null for other kinds
        refused: Option<u64>,
        /// connects that timed out; not part of `count`. null for other kinds
        timed_out: Option<u64>,
        /// connects that failed in another way; not part of `count`. null for other kinds
        failed: Option<u64>,
        /// SYNs retransmitted; null for other kinds than connect
        syn_retries: Option<u64>,
        /// segments retransmitted meanwhile; null for other kinds than response
        retrans: Option<u64>,
        /// exchanges without a seen start; not part of `count`. null for other kinds than response and service
        untimed: Option<u64>,
        /// with `--buckets`, `--hist` or `--heatmap`: `[first ns, ns after the last, count]` of every non-empty slot; the sum is `count`
        buckets: Option<Box<[[u64; 3]]>>,
        /// Remote network, with `--by remote:PREFIX`; not in JSON.
        #[serde(skip)]
        remote_net: Option<IpNet>,
    }
}

impl Latency {
    /// With what was measured.
    #[must_use]
    pub fn measured(
        self,
        (kind, role): (LatencyKind, Role),
        sums: &LatencySums,
        buckets: bool,
    ) -> Self {
        let hist = &sums.hist;
        let of_connect = |count| (kind == LatencyKind::Connect).then_some(count);
        let exchange = matches!(kind, LatencyKind::Response | LatencyKind::Service);
        let bucket = |(ns, count): (Range<u64>, u64)| [ns.start, ns.end, count];
        Self {
            latency_kind: Some(kind),
            role: (role != Role::Unknown).then_some(role),
            count: Some(hist.count()),
            min_ns: hist.min(),
            p50_ns: hist.quantile(500),
            p90_ns: hist.quantile(900),
            p99_ns: hist.quantile(990),
            p999_ns: hist.quantile(999),
            max_ns: hist.max(),
            refused: of_connect(sums.refused),
            timed_out: of_connect(sums.timed_out),
            failed: of_connect(sums.failed),
            syn_retries: of_connect(sums.syn_retries),
            retrans: (kind == LatencyKind::Response).then_some(sums.retrans),
            untimed: exchange.then_some(sums.untimed),
            buckets: buckets.then(|| hist.buckets().map(bucket).collect()),
            ..self
        }
    }

    /// Whether it is about everything together.
    pub fn is_total(&self) -> bool {
        self.by == Grouping::Total
    }

    /// The group.
    pub fn part(&self) -> RowPart {
        match self.other {
            true => RowPart::Other,
            _ if self.is_total() => RowPart::Total,
            _ => RowPart::Key,
        }
    }

    fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        label(self.part(), || cell(self))
    }

    /// The columns that a table of these rows has nothing for: those of other groupings, and numbers
    /// that are usually 0 and are 0 in all of them.
    pub fn hidden(by: GroupBy, rows: &[Self]) -> Vec<&'static str> {
        let mut hidden = hidden(by).to_vec();
        if rows.iter().all(|row| row.latency_kind != Some(LatencyKind::Connect)) {
            hidden.extend([
                key!(Latency::refused),
                key!(Latency::timed_out),
                key!(Latency::failed),
                key!(Latency::syn_retries),
            ]);
        }
        if rows.iter().all(|row| row.untimed.unwrap_or(0) == 0) {
            hidden.push(key!(Latency::untimed));
        }
        if rows.iter().all(|row| row.retrans.unwrap_or(0) == 0) {
            hidden.push(key!(Latency::retrans));
        }
        hidden
    }

    /// The heading of a drawing.
    pub fn title(&self, by: GroupBy, ctx: &mut Ctx) -> String {
        let mut line = Vec::new();
        let hidden = hidden(by);
        let shown = COLUMNS.iter().take(KEY_COLUMNS).filter(|column| !hidden.contains(&column.key));
        for column in shown {
            if !line.is_empty() {
                line.push(b' ');
            }
            (column.cell)(self).text(ctx, &mut line);
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    /// How rows are put into a table, without the columns `hidden`.
    pub fn view<'a>(hidden: &'a [&'static str]) -> TableView<'a> {
        TableView { hide: hidden, ..TableView::default() }
    }
}

/// The first columns say what a row stands for.
const KEY_COLUMNS: usize = 11;

static COLUMNS: [Column<Latency>; 24] = [
    Column::left("time", "TIME", 12, |r| r.ts.cell()),
    Column::right(key!(Latency::pid), "PID", 7, |r| Cell::id(r.pid)),
    Column::left(key!(Latency::comm), "COMM", 15, |r| r.label(|r| Cell::comm(r.comm.as_ref()))),
    Column::left(key!(Latency::raddr), "RADDR", 39, |r| r.label(|r| remote(r.raddr, r.remote_net))),
    Column::right(key!(Latency::lport), "PORT", 7, |r| {
        r.label(|r| Cell::port(r.lport.or(r.rport)))
    }),
    Column::left(key!(Latency::cgroup), "CGROUP", 32, |r| {
        r.label(|r| Cell::text_of(r.cgroup.as_deref()))
    }),
    Column::right(key!(Latency::netns), "NETNS", 10, |r| r.label(|r| Cell::id(r.netns))),
    Column::left("local", "LADDR:LPORT", 21, |r| Cell::Endpoint(r.laddr, r.lport)),
    Column::left("remote", "RADDR:RPORT", 21, |r| Cell::Endpoint(r.raddr, r.rport)),
    Column::left(key!(Latency::latency_kind), "KIND", 8, |r| {
        Cell::word(r.latency_kind.map(LatencyKind::name))
    }),
    Column::left(key!(Latency::role), "ROLE", 6, |r| Cell::word(r.role.and_then(Role::name))),
    Column::right(key!(Latency::count), "COUNT", 7, |r| Cell::count(r.count)),
    Column::right(key!(Latency::min_ns), "MIN", 6, |r| Cell::nanos(r.min_ns)),
    Column::right(key!(Latency::p50_ns), "P50", 6, |r| Cell::nanos(r.p50_ns)),
    Column::right(key!(Latency::p90_ns), "P90", 6, |r| Cell::nanos(r.p90_ns)),
    Column::right(key!(Latency::p99_ns), "P99", 6, |r| Cell::nanos(r.p99_ns)),
    Column::right(key!(Latency::p999_ns), "P99.9", 6, |r| Cell::nanos(r.p999_ns)),
    Column::right(key!(Latency::max_ns), "MAX", 6, |r| Cell::nanos(r.max_ns)),
    Column::right(key!(Latency::refused), "REFUSED", 7, |r| Cell::count(r.refused)),
    Column::right(key!(Latency::timed_out), "TIMEOUT", 7, |r| Cell::count(r.timed_out)),
    Column::right(key!(Latency::failed), "FAILED", 6, |r| Cell::count(r.failed)),
    Column::right(key!(Latency::syn_retries), "SYN RETRIES", 11, |r| Cell::count(r.syn_retries)),
    Column::right(key!(Latency::retrans), "RETRANS", 7, |r| Cell::count(r.retrans)),
    Column::right(key!(Latency::untimed), "UNTIMED", 7, |r| Cell::count(r.untimed)),
];

impl Row for Latency {
    const NAME: &'static str = "latency";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }
}

spell! { "" LatencyOutcome {
    Done = "done",
    Refused = "refused",
    TimedOut = "timed_out",
    Failed = "failed",
} }

record! {
    /// tcplatency --events: one latency of one socket
    "exchange" Exchange known(laddr family netns outcome) {
        pid,
        comm,
        laddr,
        lport,
        raddr,
        rport,
        family,
        netns,
        /// the owner's
        cgroup,
        /// as in [latency](#latency)
        #[serde(deserialize_with = "word")]
        latency_kind: Option<LatencyKind>,
        /// as in [latency](#latency)
        #[serde(deserialize_with = "word")]
        role: Option<Role>,
        /// bytes of the request; null if not part of the measurement
        tx_bytes: Option<u64>,
        /// bytes of the first segment of the answer; null if not part of the measurement
        rx_bytes: Option<u64>,
        /// segments retransmitted meanwhile; for a connect, SYNs
        retrans: Option<u64>,
        /// duration; null if its start was not seen
        duration_ns: Option<u64>,
        /// `done`; for a connect also `refused`, `timed_out`, `failed`
        #[serde(deserialize_with = "word")]
        outcome: Option<LatencyOutcome>,
    }
}

impl Exchange {
    /// An event that ended at wall-clock `ts` ns. `cgroup` is the path of the owner's.
    pub fn new(ts: i64, event: &LatencyEvent, cgroup: Option<Arc<str>>) -> Self {
        let kind = LatencyKind::from_number(event.kind);
        let role = Role::from_number(event.role).filter(|role| *role != Role::Unknown);
        let exchange = matches!(kind, Some(LatencyKind::Response | LatencyKind::Service));
        // What the peer sends again is not known.
        let own = matches!(kind, Some(LatencyKind::Response | LatencyKind::Connect));
        Self {
            ts: Ts(ts),
            family: Some(event.flow.family()),
            cgroup,
            latency_kind: kind,
            role,
            tx_bytes: exchange.then_some(event.tx_bytes.into()),
            rx_bytes: exchange.then_some(event.rx_bytes.into()),
            retrans: own.then_some(event.retrans.into()),
            duration_ns: known(event.duration),
            outcome: Some(
                LatencyOutcome::from_number(event.outcome).unwrap_or(LatencyOutcome::Done),
            ),
            ..Self::about(event.flow.key().owned(event.pid, event.comm))
        }
    }

    /// How a connect failed.
    fn note(&self) -> &'static str {
        match self.outcome {
            None | Some(LatencyOutcome::Done) => "",
            Some(LatencyOutcome::Refused) => "refused",
            Some(LatencyOutcome::TimedOut) => "timed_out",
            Some(LatencyOutcome::Failed) => "failed",
        }
    }
}

static EXCHANGES: [Column<Exchange>; 12] = [
    Column::left("time", "TIME", 12, |r| r.ts.cell()),
    Column::right(key!(Exchange::pid), "PID", 7, |r| Cell::id(r.pid)),
    Column::left(key!(Exchange::comm), "COMM", 15, |r| Cell::comm(r.comm.as_ref())),
    Column::left("local", "LADDR:LPORT", 21, |r| Cell::Endpoint(r.laddr, r.lport)),
    Column::left("remote", "RADDR:RPORT", 20, |r| Cell::Endpoint(r.raddr, r.rport)),
    Column::left(key!(Exchange::latency_kind), "KIND", 8, |r| {
        Cell::word(r.latency_kind.map(LatencyKind::name))
    }),
    Column::left(key!(Exchange::role), "ROLE", 6, |r| Cell::word(r.role.and_then(Role::name))),
    Column::right(key!(Exchange::tx_bytes), "TX", 6, |r| Cell::bytes(r.tx_bytes)),
    Column::right(key!(Exchange::rx_bytes), "RX", 6, |r| Cell::bytes(r.rx_bytes)),
    Column::right(key!(Exchange::retrans), "RETRANS", 7, |r| Cell::count(r.retrans)),
    Column::right(key!(Exchange::duration_ns), "TOOK", 6, |r| Cell::nanos(r.duration_ns)),
    Column::left(key!(Exchange::outcome), "NOTE", 9, |r| Cell::Word(r.note())),
];

impl Row for Exchange {
    const NAME: &'static str = "exchange";

    fn columns() -> &'static [Column<Self>] {
        &EXCHANGES
    }
}
