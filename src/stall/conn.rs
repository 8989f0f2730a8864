//! The record of a connection with what its socket knows, and its table.

use std::sync::Arc;

use super::Blocked;
use super::record::{blocked, measured, share, word_of};
use crate::life::NO_RTT;
use crate::report::{Cell, Ts, Word as _, record, spell, table, word};
use crate::retrans::NO_SSTHRESH;
use crate::tcp_state::TcpState;
use crate::wire::{COMM_LEN, ConnEntry, DURATION_UNKNOWN, SendLimit, SockTimer};

spell! { "" SendLimit {
    Busy = "busy",
    Rwnd = "receive_window",
    Sndbuf = "send_buffer",
} }

spell! { "" SockTimer {
    Retrans = "retransmit",
    Keepalive = "keepalive",
    Probe = "zero_window_probe",
    LossProbe = "tail_loss_probe",
    Reorder = "reorder",
} }

record! {
    /// tcpstall --all: a connection with what its socket knows
    "conn" Conn known(laddr family netns unacked_bytes unsent_bytes unread_bytes rwnd_bytes heard_ns receive_window_bytes mss send_buffer_limit_bytes send_buffer_used_bytes receive_buffer_limit_bytes busy_ns rwnd_limited_ns sndbuf_limited_ns retrans) {
        /// null if the owner is unknown
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
        state,
        unacked_bytes,
        unsent_bytes,
        unread_bytes,
        /// what keeps the kernel from sending (its chrono): `receive_window`, `send_buffer`, or `busy` if neither; null: nothing is queued
        #[serde(deserialize_with = "word")]
        limited_by: Option<SendLimit>,
        busy_ns,
        rwnd_limited_ns,
        sndbuf_limited_ns,
        heard_ns,
        rwnd_bytes,
        /// our own receive window, as last announced
        receive_window_bytes: u32,
        cwnd,
        ssthresh,
        in_flight,
        mss,
        srtt_ns,
        rttvar_ns,
        rtt_min_ns,
        rto_ns,
        /// `retransmit`, `zero_window_probe`, `tail_loss_probe`, `reorder` or `keepalive`; null: none runs
        #[serde(deserialize_with = "word")]
        timer: Option<SockTimer>,
        /// until it expires
        timer_in_ns: Option<u64>,
        retrans,
        /// name of the congestion control algorithm; null: it has none yet
        algorithm: Option<Arc<str>>,
        /// its state: `open`, `disorder`, `cwr`, `recovery` or `loss`
        #[serde(deserialize_with = "word")]
        congestion_state: Option<CongestionState>,
        /// bytes a second; null: no limit
        pacing_rate: Option<u64>,
        /// bytes a second, as last measured; null: not yet
        delivery_rate: Option<u64>,
        /// `SO_SNDBUF`, with the kernel's overhead
        send_buffer_limit_bytes: u32,
        /// of it used
        send_buffer_used_bytes: u32,
        /// `SO_RCVBUF`, with the kernel's overhead
        receive_buffer_limit_bytes: u32,
        blocked,
        blocked_ns,
        /// the socket's cookie as in other kinds; null: it has none yet
        cookie,
    }
}

crate::report::words! {
    /// State of congestion control, in the order of the kernel's numbers.
    CongestionState {
        /// Nothing unusual.
        Open = "open",
        /// Duplicate acknowledgements.
        Disorder = "disorder",
        /// The window is reduced: ECN, or a full local queue.
        Cwr = "cwr",
        /// A fast retransmit is under way.
        Recovery = "recovery",
        /// A timeout.
        Loss = "loss",
    }
}

fn known(ns: u64) -> Option<u64> {
    (ns != DURATION_UNKNOWN).then_some(ns)
}

/// A name of the kernel: up to its NUL.
fn name(bytes: &[u8; COMM_LEN]) -> Option<Arc<str>> {
    let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(COMM_LEN);
    (end > 0).then(|| String::from_utf8_lossy(&bytes[..end]).into())
}

impl Conn {
    /// A connection of a pass at wall-clock `ts` ns; `cgroup` is the path of the owner's.
    pub fn new(ts: i64, conn: &ConnEntry, cgroup: Option<Arc<str>>) -> Self {
        let limit = SendLimit::from_number(conn.limit).filter(|limit| *limit != SendLimit::None);
        let timer = SockTimer::from_number(conn.pending).filter(|timer| *timer != SockTimer::None);
        let waits = Blocked::of(conn, None).waits();
        let congestion = CongestionState::WORDS.get(usize::from(conn.ca_state));
        Self {
            ts: Ts(ts),
            family: Some(conn.flow.family()),
            cgroup,
            state: TcpState::from_number(conn.state),
            unacked_bytes: conn.unacked.saturating_add(conn.unsent),
            unsent_bytes: conn.unsent,
            unread_bytes: conn.unread,
            limited_by: limit,
            busy_ns: conn.busy,
            rwnd_limited_ns: conn.rwnd_limited,
            sndbuf_limited_ns: conn.sndbuf_limited,
            heard_ns: conn.heard,
            rwnd_bytes: conn.snd_wnd,
            receive_window_bytes: conn.rcv_wnd,
            cwnd: Some(conn.cwnd),
            ssthresh: (conn.ssthresh < NO_SSTHRESH).then_some(conn.ssthresh),
            in_flight: Some(conn.in_flight),
            mss: conn.mss,
            srtt_ns: measured(conn.srtt, 0),
            rttvar_ns: measured(conn.srtt, 0).and(measured(conn.rttvar, u32::MAX)),
            rtt_min_ns: measured(conn.rtt_min, NO_RTT),
            rto_ns: Some(conn.rto),
            timer,
            timer_in_ns: known(conn.timer),
            retrans: Some(conn.total_retrans.into()),
            algorithm: name(&conn.algorithm),
            congestion_state: congestion.map(|(state, _)| *state),
            pacing_rate: (conn.pacing_rate != u64::MAX).then_some(conn.pacing_rate),
            delivery_rate: (conn.delivery_rate != 0).then_some(conn.delivery_rate),
            send_buffer_limit_bytes: conn.sndbuf,
            send_buffer_used_bytes: conn.wmem,
            receive_buffer_limit_bytes: conn.rcvbuf,
            blocked: waits,
            blocked_ns: known(conn.blocked).filter(|_| waits == Some(true)),
            cookie: (conn.cookie != 0).then_some(conn.cookie),
            ..Self::about(conn.flow.key().owned(conn.pid, conn.comm))
        }
    }

    /// Most queued first; the key settles ties.
    pub fn order(&self) -> impl Ord + use<> {
        let bytes = u64::from(self.unacked_bytes) + u64::from(self.unread_bytes);
        (std::cmp::Reverse(bytes), self.netns, self.key())
    }
}

table! { "conn" Conn {
    yields 15 time;
    yields 20 pid;
    yields 21 comm 15;
    yields 17 local 21;
    remote 21;
    yields 16 left state, "STATE", 12, |r| Cell::state(r.state);
    right unacked_bytes, "QUEUED", 7, |r| Cell::Bytes(r.unacked_bytes.into());
    yields 13 right unsent_bytes, "UNSENT", 7, |r| Cell::Bytes(r.unsent_bytes.into());
    right unread_bytes, "UNREAD", 7, |r| Cell::Bytes(r.unread_bytes.into());
    yields 14 left limited_by, "LIMITED BY", 14, |r| word_of(r.limited_by);
    yields 12 right rwnd_limited_ns, "BY RWND", 7, |r| share(r.rwnd_limited_ns, r.busy_ns);
    yields 11 right sndbuf_limited_ns, "BY SNDBUF", 9, |r| share(r.sndbuf_limited_ns, r.busy_ns);
    yields 12 right blocked_ns, "BLOCKED", 7, |r| blocked(r.blocked, r.blocked_ns, None);
    yields 4 right heard_ns, "HEARD", 7, |r| Cell::Nanos(r.heard_ns);
    yields 10 right rwnd_bytes, "RWND", 7, |r| Cell::Bytes(r.rwnd_bytes.into());
    yields 18 right cwnd, "CWND", 5, |r| Cell::id(r.cwnd);
    yields 7 right ssthresh, "SSTHRESH", 8, |r| Cell::id(r.ssthresh);
    yields 19 right srtt_ns, "RTT", 7, |r| Cell::nanos(r.srtt_ns);
    yields 9 right rttvar_ns, "RTTVAR", 7, |r| Cell::nanos(r.rttvar_ns);
    yields 6 right rto_ns, "RTO", 7, |r| Cell::nanos(r.rto_ns);
    yields 8 right retrans, "RETRANS", 7, |r| Cell::id(r.retrans);
    yields 2 right pacing_rate, "PACING/s", 8, |r| Cell::bytes(r.pacing_rate);
    yields 3 right delivery_rate, "DELIVERED/s", 11, |r| Cell::bytes(r.delivery_rate);
    yields 5 left algorithm, "ALGORITHM", 9, |r| Cell::text_of(r.algorithm.as_deref());
    yields 1 left congestion_state, "CA STATE", 8, |r| word_of(r.congestion_state);
} }
