//! The records of tcplatency, and their tables.

use std::ops::Range;
use std::sync::Arc;

use super::{LatencyKind, LatencySums, Role};
use crate::group::{GroupBy, Grouping, RowPart, hidden, label, remote};
use crate::hist::Histogram;
use crate::report::{Cell, Ctx, Row as _, Ts, Word as _, key, record, spell, table, word};
use crate::states::known;
use crate::wire::{LatencyEvent, LatencyOutcome};

/// A number of a row.
type Counter = fn(&Latency) -> Option<u64>;

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
        /// requests that got no answer, by the following keys; not part of `count`. null for other kinds than response
        unanswered: Option<u64>,
        /// requests whose peer closed first; null for other kinds than response
        peer_closed: Option<u64>,
        /// requests whose connection was reset; null for other kinds than response
        reset: Option<u64>,
        /// connects that were refused; not part of `count`. null for other kinds
        refused: Option<u64>,
        /// connects, or requests, that timed out (`ETIMEDOUT`); not part of `count`. null for other kinds
        timed_out: Option<u64>,
        /// the same, with no route to the peer (`ENETUNREACH`, `EHOSTUNREACH`)
        unreachable: Option<u64>,
        /// `connect()`, `EADDRNOTAVAIL`; not part of `count`. null for other kinds
        no_port,
        /// connects, or requests, whose process closed first; it has waited at least 1 ms and a round trip for the answer. Not part of `count`
        given_up: Option<u64>,
        /// connects, or requests, that ended in another way; not part of `count`. null for other kinds
        failed: Option<u64>,
        /// SYNs retransmitted; null for other kinds than connect
        syn_retries: Option<u64>,
        /// segments retransmitted meanwhile; null for other kinds than response
        retrans,
        /// exchanges whose start or answer was not seen; not part of `count`. null for other kinds than response and service
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
        let connect = kind == LatencyKind::Connect;
        let response = kind == LatencyKind::Response;
        let failed = |outcome| sums.failures.of(outcome);
        let of_connect = |outcome| connect.then(|| failed(outcome));
        let of_response = |outcome| response.then(|| failed(outcome));
        let of_both = |outcome| (connect || response).then(|| failed(outcome));
        let exchange = matches!(kind, LatencyKind::Response | LatencyKind::Service);
        Self {
            latency_kind: Some(kind),
            role: (role != Role::Unknown).then_some(role),
            unanswered: response.then(|| sums.failures.total()),
            peer_closed: of_response(LatencyOutcome::Closed),
            reset: of_response(LatencyOutcome::Reset),
            refused: of_connect(LatencyOutcome::Refused),
            timed_out: of_both(LatencyOutcome::TimedOut),
            unreachable: of_both(LatencyOutcome::Unreachable),
            no_port: of_connect(LatencyOutcome::NoPort),
            given_up: of_both(LatencyOutcome::GivenUp),
            failed: of_both(LatencyOutcome::Failed),
            syn_retries: connect.then_some(sums.retrans),
            retrans: response.then_some(sums.retrans),
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

    /// Connects that failed, however.
    pub fn failed_connects(&self) -> u64 {
        let split = [self.refused, self.timed_out, self.unreachable, self.no_port];
        let ours = [self.given_up, self.failed];
        let all = split.into_iter().chain(ours);
        if self.latency_kind == Some(LatencyKind::Connect) { all.flatten().sum() } else { 0 }
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
        let none_of = |kind| rows.iter().all(|row: &Self| row.latency_kind != Some(kind));
        let connect = none_of(LatencyKind::Connect);
        if none_of(LatencyKind::Response) {
            hidden.push(key!(Latency::unanswered));
        }
        if connect {
            hidden.extend([key!(Latency::refused), key!(Latency::syn_retries)]);
        }
        let rare: [(&'static str, Counter, bool); 10] = [
            (key!(Latency::timed_out), |row| row.timed_out, connect),
            (key!(Latency::failed), |row| row.failed, connect),
            (key!(Latency::peer_closed), |row| row.peer_closed, true),
            (key!(Latency::reset), |row| row.reset, true),
            (key!(Latency::unreachable), |row| row.unreachable, true),
            (key!(Latency::no_port), |row| row.no_port, true),
            (key!(Latency::given_up), |row| row.given_up, true),
            (key!(Latency::untimed), |row| row.untimed, true),
            (key!(Latency::acks_with_data), |row| row.acks_with_data, true),
            (key!(Latency::retrans), |row| row.retrans, true),
        ];
        for (key, of, rare) in rare {
            if rare && rows.iter().all(|row| of(row).unwrap_or(0) == 0) {
                hidden.push(key);
            }
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
    yields 21 time;
    yields 20 pid;
    left comm, "COMM", 15, |r| r.label(|r| Cell::comm(r.comm.as_ref()));
    left raddr, "RADDR", 39, |r| r.label(|r| remote(r.raddr, r.device, r.remote_net));
    right lport, "PORT", 7, |r| r.label(|r| Cell::port(r.lport.or(r.rport)));
    left cgroup, "CGROUP", 32, |r| r.label(|r| Cell::text_of(r.cgroup.as_deref()));
    yields 12 right netns, "NETNS", 10, |r| r.label(|r| Cell::id(r.netns));
    yields 13 local 21;
    remote 21;
    yields 24 left latency_kind, "KIND", 9, |r| Cell::word(r.latency_kind.map(|kind| kind.marked(r.role)));
    yields 17 left role, "ROLE", 6, |r| Cell::word(r.role.and_then(Role::name));
    yields 23 right count, "COUNT", 7, |r| Cell::count(r.count);
    yields 19 right unanswered, "UNANSWERED", 10, |r| Cell::count(r.unanswered);
    yields 9 right min_ns, "MIN", 6, |r| Cell::nanos(r.min_ns);
    right p50_ns, "P50", 6, |r| Cell::nanos(r.p50_ns);
    yields 11 right p90_ns, "P90", 6, |r| Cell::nanos(r.p90_ns);
    right p99_ns, "P99", 6, |r| Cell::nanos(r.p99_ns);
    yields 10 right p999_ns, "P99.9", 6, |r| Cell::nanos(r.p999_ns);
    yields 22 right max_ns, "MAX", 6, |r| Cell::nanos(r.max_ns);
    yields 6 right peer_closed, "CLOSED", 6, |r| Cell::count(r.peer_closed);
    yields 7 right reset, "RESET", 5, |r| Cell::count(r.reset);
    yields 18 right refused, "REFUSED", 7, |r| Cell::count(r.refused);
    yields 16 right timed_out, "TIMEOUT", 7, |r| Cell::count(r.timed_out);
    yields 8 right unreachable, "UNREACHABLE", 11, |r| Cell::count(r.unreachable);
    yields 14 right no_port, "NO PORT", 7, |r| Cell::count(r.no_port);
    yields 5 right given_up, "GIVEN UP", 8, |r| Cell::count(r.given_up);
    yields 15 right failed, "FAILED", 6, |r| Cell::count(r.failed);
    yields 4 right syn_retries, "SYN RETRIES", 11, |r| Cell::count(r.syn_retries);
    yields 2 right retrans, "RETRANS", 7, |r| Cell::count(r.retrans);
    yields 3 right untimed, "UNTIMED", 7, |r| Cell::count(r.untimed);
    yields 1 right acks_with_data, "ACK+DATA", 8, |r| Cell::count(r.acks_with_data);
} }

spell! { "" LatencyOutcome {
    Done = "done",
    Refused = "refused",
    TimedOut = "timed_out",
    Unreachable = "unreachable",
    NoPort = "no_port",
    GivenUp = "given_up",
    Closed = "peer_closed",
    Reset = "reset",
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
        /// `done`; for a connect also `refused`, `timed_out`, `unreachable`, `no_port`, `given_up` (by the process) or `failed`; for a response without an answer `peer_closed`, `reset`, `timed_out`, `unreachable`, `given_up` or `failed`. `duration_ns` is then how long the process waited
        #[serde(deserialize_with = "word")]
        outcome: Option<LatencyOutcome>,
        /// that a call of the process gets; null: none, or it had closed
        #[schemars(range(min = 1, max = 4095))]
        errno,
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
            errno: (event.error != 0).then(|| event.error.into()),
            ..Self::about(event.flow.key().owned(event.pid, event.comm))
        }
    }

    /// How a connect failed, or why a request got no answer.
    fn note(&self) -> &'static str {
        let failed = self.outcome.filter(|outcome| *outcome != LatencyOutcome::Done);
        let word = LatencyOutcome::WORDS.iter().find(|(one, _)| Some(*one) == failed);
        word.map_or("", |(_, word)| *word)
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
    yields 6 left outcome, "NOTE", 11, |r| Cell::Word(r.note());
} }
