//! The records of tcpretrans, and their tables.

use std::sync::Arc;

use super::RetransSums;
use crate::count::heading;
use crate::group::{GroupBy, RowPart, hidden, label, remote};
use crate::report::{Cell, Ts, Word as _, key, record, spell, table, word};
use crate::tcp_state::TcpState;
use crate::wire::{RetransEvent, RetransType};

spell! { "" RetransType {
    Rto = "rto",
    Fast = "fast",
    Tlp = "tlp",
    Syn = "syn",
    Synack = "synack",
    SlowStart = "slow_start",
    Probe = "probe",
    Spurious = "spurious",
} }

record! {
    /// tcpretrans: a buffer of one or more segments, or a SYN-ACK, was sent again; a zero window was probed (`probe`); or earlier retransmits turned out to be needless (`spurious`)
    "retrans" Retransmit known(laddr family netns) {
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
        /// `rto`: its timer expired; `fast`: acknowledgements showed the loss; `tlp`: tail loss probe; `syn`: connect waits; `synack`: a listener waits for the final ACK; `slow_start`: after a timeout, as acknowledgements come; `probe`: the peer's window is closed; `spurious`: see there; null: unknown
        #[serde(deserialize_with = "word")]
        r#type: Option<RetransType>,
        /// segments of the buffer; null: nothing was sent again
        segs,
        /// with the type `spurious`: of earlier lines of this connection
        spurious,
        /// how often the first of them has been sent again, or how many probes went unanswered; null: unknown
        attempt,
        /// retransmission timeout of the socket before it backs off; null for a SYN-ACK
        rto_ns,
        /// congestion window in segments; null for a SYN-ACK
        cwnd,
        /// slow start threshold in segments; null until there was a loss, and for a SYN-ACK
        ssthresh,
        /// segments in flight without this one; null for a SYN-ACK
        in_flight,
        srtt_ns,
        cookie,
    }
}

impl RetransType {
    /// Whether segments were sent again.
    pub fn is_retransmit(self) -> bool {
        !matches!(self, Self::Probe | Self::Spurious)
    }
}

/// `TCP_INFINITE_SSTHRESH` of the kernel's `tcp.h`.
pub const NO_SSTHRESH: u32 = 0x7fff_ffff;

impl Retransmit {
    /// An event at wall-clock `ts` ns; `cgroup` is the path of the owner's.
    pub fn new(ts: i64, event: &RetransEvent, cgroup: Option<Arc<str>>) -> Self {
        let kind = RetransType::from_number(event.why);
        let full = event.state != TcpState::NewSynRecv.number();
        let again = kind.is_none_or(RetransType::is_retransmit);
        Self {
            ts: Ts(ts),
            family: Some(event.flow.family()),
            cgroup,
            state: TcpState::from_number(event.state),
            r#type: kind.filter(|kind| *kind != RetransType::Unknown),
            segs: again.then_some(event.segs),
            spurious: (kind == Some(RetransType::Spurious)).then_some(event.segs.into()),
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
    yields 6 right segs, "SEGS", 4, |r| Cell::id(r.segs.map(u64::from).or(r.spurious));
    right attempt, "ATTEMPT", 7, |r| Cell::id(r.attempt);
    yields 8 right rto_ns, "RTO", 7, |r| Cell::nanos(r.rto_ns);
    yields 2 right cwnd, "CWND", 5, |r| Cell::id(r.cwnd);
    yields 1 right in_flight, "IN FLIGHT", 9, |r| Cell::id(r.in_flight);
    yields 5 right srtt_ns, "RTT", 7, |r| Cell::nanos(r.srtt_ns);
} }

record! {
    /// tcpretrans --summary: segments that one key, (other) or everything sent again
    "retrans_sum" RetransSum known(by other total interval_ns retrans_segs rto fast tlp syn synack slow_start untyped spurious) {
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
        /// of sockets; null: this kernel does not show it
        out_segs,
        retrans_segs,
        /// `retrans_segs` / (`out_segs` + `retrans_segs`); null: nothing was sent, or unknown
        share: Option<f64>,
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
        /// found out in this interval, also of earlier ones
        spurious,
        /// probes of zero windows, no retransmits; null without `--probes`
        probes: Option<u64>,
        /// in the row of everything: segments that the namespaces counted in the interval (`TcpRetransSegs`) and no program saw; null with filters other than `--netns`, or where a namespace cannot be read
        unexplained_segs: Option<u64>,
        /// the highest attempt of any of them; null if none is known
        max_attempt: Option<u32>,
        /// segments of the connection that sent most again; null if there is none, and in (other)
        worst_segs: Option<u64>,
        /// its local address
        worst_laddr: Option<std::net::IpAddr>,
        /// its local port
        worst_lport: Option<u16>,
        /// its remote address
        worst_raddr: Option<std::net::IpAddr>,
        /// its remote port
        worst_rport: Option<u16>,
        /// its device, as `device`
        worst_device: Option<crate::report::Device>,
        /// its smoothed round-trip time, at the last retransmit; null before the first sample
        worst_srtt_ns: Option<u64>,
        remote_net,
    }
}

/// Which of the numbers of sums are known.
#[derive(Debug, Clone, Copy, Default)]
pub struct KnownSums {
    /// Segments sent.
    pub out: bool,
    /// Probes.
    pub probes: bool,
    /// Some segments were counted and not seen.
    pub unexplained: bool,
}

impl RetransSum {
    fn part(&self) -> RowPart {
        RowPart::of(self.other, self.total)
    }

    /// The numbers, without the worst connection.
    pub fn sums(&self) -> RetransSums {
        let Self { untyped, rto, fast, tlp, syn, synack, slow_start, spurious, .. } = *self;
        let (probes, spurious) = (self.probes.unwrap_or(0), spurious.unwrap_or(0));
        RetransSums {
            segs: [untyped, rto, fast, tlp, syn, synack, slow_start, probes, spurious],
            max_attempt: self.max_attempt,
            out: self.out_segs.unwrap_or(0),
            worst: None,
        }
    }

    /// A row with these numbers.
    #[must_use]
    #[allow(clippy::cast_precision_loss, reason = "a share needs no more digits")]
    pub fn with(self, sums: &RetransSums, known: KnownSums) -> Self {
        let [untyped, rto, fast, tlp, syn, synack, slow_start, probes, spurious] = sums.segs;
        let (again, all) = (sums.total(), sums.out + sums.total());
        let worst = sums.worst;
        let of = worst.map(|worst| worst.flow.key()).unwrap_or_default();
        Self {
            out_segs: known.out.then_some(sums.out),
            retrans_segs: Some(again),
            share: (known.out && all > 0).then(|| again as f64 / all as f64),
            rto,
            fast,
            tlp,
            syn,
            synack,
            slow_start,
            untyped,
            spurious: known.out.then_some(spurious),
            probes: known.probes.then_some(probes),
            max_attempt: sums.max_attempt,
            worst_segs: worst.map(|worst| worst.segs),
            worst_laddr: of.laddr,
            worst_lport: of.lport,
            worst_raddr: of.raddr,
            worst_rport: of.rport,
            worst_device: of.device,
            worst_srtt_ns: worst.map(|worst| worst.srtt).filter(|srtt| *srtt != 0),
            ..self
        }
    }

    /// Columns that the table of a grouping leaves out: those of other keys, and what is not counted.
    pub fn hidden(by: GroupBy, known: KnownSums) -> Vec<&'static str> {
        let probes = (!known.probes).then_some(key!(RetransSum::probes));
        let unexplained = (!known.unexplained).then_some(key!(RetransSum::unexplained_segs));
        hidden(by).iter().copied().chain(probes).chain(unexplained).collect()
    }

    fn share_cell(&self) -> Cell<'static> {
        match (self.retrans_segs, self.out_segs) {
            (Some(again), Some(out)) if again + out > 0 => Cell::Share(again, again + out),
            _ => Cell::Missing,
        }
    }

    fn label<'a>(&'a self, cell: impl FnOnce(&'a Self) -> Cell<'a>) -> Cell<'a> {
        label(self.part(), || cell(self))
    }
}

table! { "retrans_sum" RetransSum {
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
    yields 17 right out_segs, "OUT SEGS", 8, |r| Cell::id(r.out_segs);
    right retrans_segs, heading::RETRANS, 8, |r| Cell::id(r.retrans_segs);
    yields 18 right share, "SHARE", 6, RetransSum::share_cell;
    yields 16 right rto, "BY RTO", 6, |r| Cell::Count(r.rto);
    yields 15 right fast, "FAST", 6, |r| Cell::Count(r.fast);
    yields 14 right tlp, "TLP", 6, |r| Cell::Count(r.tlp);
    yields 13 right syn, "SYN RETRIES", 11, |r| Cell::Count(r.syn);
    yields 12 right synack, "SYN-ACK", 7, |r| Cell::Count(r.synack);
    yields 4 right slow_start, "SLOW START", 10, |r| Cell::Count(r.slow_start);
    yields 11 right spurious, "SPURIOUS", 8, |r| Cell::count(r.spurious);
    yields 5 right probes, "PROBES", 6, |r| Cell::count(r.probes);
    right unexplained_segs, "UNEXPLAINED", 11, |r| Cell::id(r.unexplained_segs);
    yields 3 right max_attempt, "ATTEMPTS", 8, |r| Cell::id(r.max_attempt);
    yields 7 right worst_segs, "WORST", 6, |r| Cell::id(r.worst_segs);
    yields 6 right worst_srtt_ns, "RTT", 7, |r| Cell::nanos(r.worst_srtt_ns);
    yields 1 left "worst_local", "WORST LADDR:LPORT", 21,
        |r| Cell::Endpoint(r.worst_laddr, r.worst_device, r.worst_lport);
    yields 2 left "worst_remote", "WORST RADDR:RPORT", 21,
        |r| Cell::Endpoint(r.worst_raddr, r.worst_device, r.worst_rport);
} }
