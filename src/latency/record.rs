//! The records of tcplatency, and their tables.

use std::ops::Range;
use std::sync::Arc;

use super::{LatencyKind, LatencySums, Role};
use crate::group::{GroupBy, Grouping, RowPart, hidden, label, remote};
use crate::hist::Histogram;
use crate::report::{Cell, Ctx, Row as _, Ts, key, record, spell, table, word};
use crate::states::known;
use crate::wire::{LatencyEvent, LatencyOutcome};

record! {
    /// tcplatency: what one row, (other) or everything measured
    "latency" Latency known(by other interval_ns count) {
        /// with `--by process` and `--by connection`
        pid,
        latency_kind,
        role,
        #[schemars(extend("enum" = ["process", "connection", "remote", "port", "cgroup", "total"]))]
        by,
        other,
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
        /// with `--by connection`; with `--by remote` the zone of a link-local address
        device,
        /// with `raddr`
        family,
        /// with `--by connection`
        netns,
        /// with `--by cgroup`
        cgroup,
        interval_ns,
        /// number of measurements
        count,
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
        retrans,
        /// exchanges without a seen start; not part of `count`. null for other kinds than response and service
        untimed: Option<u64>,
        /// round trips whose acknowledgement came with data: the peer may have delayed it until then, so they can include its time. null for other kinds than rtt
        acks_with_data: Option<u64>,
        /// with `--buckets`, `--hist` or `--heatmap`: `[first ns, ns after the last, count]` of every non-empty slot; the sum is `count`
        buckets: Option<Box<[[u64; 3]]>>,
        remote_net,
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
        Self {
            latency_kind: Some(kind),
            role: (role != Role::Unknown).then_some(role),
            refused: of_connect(sums.refused),
            timed_out: of_connect(sums.timed_out),
            failed: of_connect(sums.failed),
            syn_retries: of_connect(sums.syn_retries),
            retrans: (kind == LatencyKind::Response).then_some(sums.retrans),
            untimed: exchange.then_some(sums.untimed),
            acks_with_data: (kind == LatencyKind::Rtt).then_some(sums.acks_with_data),
            ..self.distributed(hist, buckets)
        }
    }

    /// With the numbers of a histogram, and with `buckets` itself.
    #[must_use]
    pub fn distributed(self, hist: &Histogram, buckets: bool) -> Self {
        let bucket = |(ns, count): (Range<u64>, u64)| [ns.start, ns.end, count];
        Self {
            count: Some(hist.count()),
            min_ns: hist.min(),
            p50_ns: hist.quantile(500),
            p90_ns: hist.quantile(900),
            p99_ns: hist.quantile(990),
            p999_ns: hist.quantile(999),
            max_ns: hist.max(),
            buckets: buckets.then(|| hist.buckets().map(bucket).collect()),
            ..self
        }
    }

    /// Whether it is about everything together.
    pub fn is_total(&self) -> bool {
        self.by == Some(Grouping::Total)
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
        if rows.iter().all(|row| row.acks_with_data.unwrap_or(0) == 0) {
            hidden.push(key!(Latency::acks_with_data));
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
        let shown =
            Self::columns().iter().take(KEY_COLUMNS).filter(|column| !hidden.contains(&column.key));
        for column in shown {
            if !line.is_empty() {
                line.push(b' ');
            }
            (column.cell)(self).text(ctx, &mut line);
        }
        String::from_utf8_lossy(&line).into_owned()
    }
}

/// The first columns say what a row stands for.
const KEY_COLUMNS: usize = 11;

table! { "latency" Latency {
    yields 15 time;
    yields 14 pid;
    left comm, "COMM", 15, |r| r.label(|r| Cell::comm(r.comm.as_ref()));
    left raddr, "RADDR", 39, |r| r.label(|r| remote(r.raddr, r.device, r.remote_net));
    right lport, "PORT", 7, |r| r.label(|r| Cell::port(r.lport.or(r.rport)));
    left cgroup, "CGROUP", 32, |r| r.label(|r| Cell::text_of(r.cgroup.as_deref()));
    yields 8 right netns, "NETNS", 10, |r| r.label(|r| Cell::id(r.netns));
    yields 9 local 21;
    remote 21;
    yields 18 left latency_kind, "KIND", 9, |r| Cell::word(r.latency_kind.map(|kind| kind.marked(r.role)));
    yields 13 left role, "ROLE", 6, |r| Cell::word(r.role.and_then(Role::name));
    yields 17 right count, "COUNT", 7, |r| Cell::count(r.count);
    yields 5 right min_ns, "MIN", 6, |r| Cell::nanos(r.min_ns);
    right p50_ns, "P50", 6, |r| Cell::nanos(r.p50_ns);
    yields 7 right p90_ns, "P90", 6, |r| Cell::nanos(r.p90_ns);
    right p99_ns, "P99", 6, |r| Cell::nanos(r.p99_ns);
    yields 6 right p999_ns, "P99.9", 6, |r| Cell::nanos(r.p999_ns);
    yields 16 right max_ns, "MAX", 6, |r| Cell::nanos(r.max_ns);
    yields 12 right refused, "REFUSED", 7, |r| Cell::count(r.refused);
    yields 11 right timed_out, "TIMEOUT", 7, |r| Cell::count(r.timed_out);
    yields 10 right failed, "FAILED", 6, |r| Cell::count(r.failed);
    yields 4 right syn_retries, "SYN RETRIES", 11, |r| Cell::count(r.syn_retries);
    yields 2 right retrans, "RETRANS", 7, |r| Cell::count(r.retrans);
    yields 3 right untimed, "UNTIMED", 7, |r| Cell::count(r.untimed);
    yields 1 right acks_with_data, "ACK+DATA", 8, |r| Cell::count(r.acks_with_data);
} }

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
        device,
        family,
        netns,
        netns_name,
        /// the owner's
        cgroup,
        latency_kind,
        role,
        /// bytes of the request; null if not part of the measurement
        tx_bytes,
        /// bytes of the first segment of the answer; null if not part of the measurement
        rx_bytes,
        /// segments retransmitted meanwhile; for a connect, SYNs
        retrans,
        duration_ns,
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

table! { "exchange" Exchange {
    yields 8 time;
    yields 7 pid;
    comm 15;
    yields 2 local 21;
    remote 20;
    yields 9 left latency_kind, "KIND", 9, |r| Cell::word(r.latency_kind.map(|kind| kind.marked(r.role)));
    yields 5 left role, "ROLE", 6, |r| Cell::word(r.role.and_then(Role::name));
    yields 3 right tx_bytes, "TX", 6, |r| Cell::bytes(r.tx_bytes);
    yields 4 right rx_bytes, "RX", 6, |r| Cell::bytes(r.rx_bytes);
    yields 1 right retrans, "RETRANS", 7, |r| Cell::count(r.retrans);
    right duration_ns, "TOOK", 6, |r| Cell::nanos(r.duration_ns);
    yields 6 left outcome, "NOTE", 9, |r| Cell::Word(r.note());
} }
