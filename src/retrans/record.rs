//! The records of tcpretrans, and their tables.

use std::sync::Arc;

use super::RetransSums;
use crate::group::{GroupBy, RowPart, hidden, label, remote};
use crate::report::{Cell, TableView, Ts, Word as _, record, spell, table, word};
use crate::tcp_state::TcpState;
use crate::wire::{RetransEvent, RetransType};

spell! { "" RetransType {
    Rto = "rto",
    Fast = "fast",
    Tlp = "tlp",
    Syn = "syn",
    Synack = "synack",
    SlowStart = "slow_start",
} }

record! {
    /// tcpretrans: a buffer of one or more segments, or a SYN-ACK, was sent again
    "retrans" Retransmit known(laddr family netns segs) {
        /// null if the owner is unknown; of a half-open connection it is the listener's
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
        /// `NEW_SYN_RECV` with `synack`
        state,
        /// `rto`: its timer expired; `fast`: acknowledgements showed the loss; `tlp`: tail loss probe; `syn`: connect waits; `synack`: a listener waits for the final ACK; `slow_start`: after a timeout, as acknowledgements come; null: unknown
        #[serde(deserialize_with = "word")]
        r#type: Option<RetransType>,
        /// segments of the buffer
        segs: u32,
        /// how often the first of them has been sent again; null: unknown
        attempt: Option<u32>,
        /// retransmission timeout of the socket before it backs off; null for a SYN-ACK
        rto_ns: Option<u64>,
        /// congestion window in segments; null for a SYN-ACK
        cwnd: Option<u32>,
        /// slow start threshold in segments; null until there was a loss, and for a SYN-ACK
        ssthresh: Option<u32>,
        /// segments in flight without this one; null for a SYN-ACK
        in_flight: Option<u32>,
        /// smoothed round-trip time; null before the first sample
        srtt_ns: Option<u64>,
        cookie,
    }
}

/// `TCP_INFINITE_SSTHRESH` of the kernel's `tcp.h`.
const NO_SSTHRESH: u32 = 0x7fff_ffff;

impl Retransmit {
    /// An event at wall-clock `ts` ns; `cgroup` is the path of the owner's.
    pub fn new(ts: i64, event: &RetransEvent, cgroup: Option<Arc<str>>) -> Self {
        let kind = RetransType::from_number(event.why);
        let full = event.state != TcpState::NewSynRecv.number();
        Self {
            ts: Ts(ts),
            family: Some(event.flow.family()),
            cgroup,
            state: TcpState::from_number(event.state),
            r#type: kind.filter(|kind| *kind != RetransType::Unknown),
            segs: event.segs,
            attempt: (event.attempt != 0).then_some(event.attempt),
            rto_ns: full.then_some(event.rto),
            cwnd: full.then_some(event.cwnd),
            ssthresh: (full && event.ssthresh < NO_SSTHRESH).then_some(event.ssthresh),
            in_flight: full.then_some(event.in_flight),
            srtt_ns: (event.srtt != 0).then_some(event.srtt),
            cookie: (event.cookie != 0).then_some(event.cookie),
            ..Self::about(event.flow.key().owned(event.pid, event.comm))
        }
    }
}

fn type_cell(kind: Option<RetransType>) -> Cell<'static> {
    kind.map_or(Cell::Missing, |kind| {
        let word = RetransType::WORDS.iter().find(|(one, _)| *one == kind);
        word.map_or(Cell::Missing, |(_, word)| Cell::Word(word))
    })
}

table! { "retrans" Retransmit {
    yields 9 time;
    yields 7 pid;
    yields 10 comm 15;
    yields 3 local 21;
    remote 20;
    yields 4 left state, "STATE", 12, |r| Cell::state(r.state);
    left "type", "TYPE", 10, |r| type_cell(r.r#type);
    yields 6 right segs, "SEGS", 4, |r| Cell::id(Some(r.segs));
    right attempt, "ATTEMPT", 7, |r| Cell::id(r.attempt);
    yields 8 right rto_ns, "RTO", 7, |r| Cell::nanos(r.rto_ns);
    yields 2 right cwnd, "CWND", 5, |r| Cell::id(r.cwnd);
    yields 1 right in_flight, "IN FLIGHT", 9, |r| Cell::id(r.in_flight);
    yields 5 right srtt_ns, "RTT", 7, |r| Cell::nanos(r.srtt_ns);
} }

record! {
    /// tcpretrans --summary: segments that one key, (other) or everything sent again
    "retrans_sum" RetransSum known(by other total interval_ns retrans_segs rto fast tlp syn synack slow_start untyped) {
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
        retrans_segs,
        /// segments of this type
        rto: u64,
        /// segments of this type
        fast: u64,
        /// segments of this type
        tlp: u64,
        /// segments of this type
        syn: u64,
        /// segments of this type
        synack: u64,
        /// segments of this type
        slow_start: u64,
        /// segments of unknown type
        untyped: u64,
        /// the highest attempt of any of them; null if none is known
        max_attempt: Option<u32>,
        remote_net,
    }
}

impl RetransSum {
    fn part(&self) -> RowPart {
        RowPart::of(self.other, self.total)
    }

    /// The numbers.
    pub fn sums(&self) -> RetransSums {
        let Self { untyped, rto, fast, tlp, syn, synack, slow_start, max_attempt, .. } = *self;
        RetransSums { segs: [untyped, rto, fast, tlp, syn, synack, slow_start], max_attempt }
    }

    /// A row with these numbers.
    #[must_use]
    pub fn with(self, sums: RetransSums) -> Self {
        let [untyped, rto, fast, tlp, syn, synack, slow_start] = sums.segs;
        let (retrans_segs, max_attempt) = (Some(sums.total()), sums.max_attempt);
        Self { retrans_segs, rto, fast, tlp, syn, synack, slow_start, untyped, max_attempt, ..self }
    }

    /// The table of a grouping shows the columns of its key.
    pub fn view(by: GroupBy) -> TableView<'static> {
        TableView { hide: hidden(by), ..TableView::default() }
    }

    fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        label(self.part(), || cell(self))
    }
}

table! { "retrans_sum" RetransSum {
    yields 5 time;
    yields 4 pid;
    left comm, "COMM", 15, |r| r.label(|r| Cell::comm(r.comm.as_ref()));
    left raddr, "RADDR", 39, |r| r.label(|r| remote(r.raddr, r.device, r.remote_net));
    right lport, "LPORT", 7, |r| r.label(|r| Cell::port(r.lport));
    left cgroup, "CGROUP", 32, |r| r.label(|r| Cell::text_of(r.cgroup.as_deref()));
    left netns, "NETNS", 26, |r| r.label(|r| Cell::netns(r.netns, r.netns_name.as_deref()));
    filler "part", "", 5, |r| r.label(|_| Cell::Missing);
    yields 3 local 21;
    remote 21;
    right retrans_segs, "RETRANS", 8, |r| Cell::id(r.retrans_segs);
    yields 10 right rto, "BY RTO", 6, |r| Cell::Count(r.rto);
    yields 9 right fast, "FAST", 6, |r| Cell::Count(r.fast);
    yields 8 right tlp, "TLP", 6, |r| Cell::Count(r.tlp);
    yields 7 right syn, "SYN", 6, |r| Cell::Count(r.syn);
    yields 6 right synack, "SYN-ACK", 7, |r| Cell::Count(r.synack);
    yields 2 right slow_start, "SLOW START", 10, |r| Cell::Count(r.slow_start);
    yields 1 right max_attempt, "ATTEMPTS", 8, |r| Cell::id(r.max_attempt);
} }
