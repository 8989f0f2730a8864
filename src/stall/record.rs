//! The record of a connection that does not move, and its table.

use std::sync::Arc;

use super::Stalled;
use crate::report::{Cell, Ts, Word, record, table};
use crate::retrans::NO_SSTHRESH;
use crate::tcp_state::TcpState;
use crate::wire::ConnEntry;

record! {
    /// tcpstall: a connection does not move
    "stall" Stall known(laddr family netns stalled_at_least_ns unacked_bytes unsent_bytes unread_bytes rwnd_bytes heard_ns mss) {
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
        /// [why](tcpstall.md#why): `zero_window`, `receive_window`, `send_buffer`, `congestion`, `loss`, `peer_gone`, `reader`, `nagle`, `cork` or `keepalive`; null: unknown
        why,
        /// how long it has not moved; null: known by its lower bound only
        stalled_ns: Option<u64>,
        /// a lower bound of the same; `stalled_ns` where that is known
        stalled_at_least_ns: u64,
        unacked_bytes,
        unsent_bytes,
        unread_bytes,
        /// retransmits or probes that went unanswered; null: there is none
        attempt,
        /// after how many of them the kernel gives up; null: there is none, or unknown
        attempts: Option<u32>,
        /// when the kernel gives up; null: there is no attempt, or unknown
        dies_in_ns: Option<u64>,
        /// retransmission timeout as it is now, after it backed off
        rto_ns,
        heard_ns,
        rwnd_bytes,
        mss,
        cwnd,
        ssthresh,
        in_flight,
        srtt_ns,
        rttvar_ns,
        blocked,
        blocked_ns,
        /// a lower bound of the same; `blocked_ns` where that is known
        blocked_at_least_ns: Option<u64>,
        /// the socket's cookie as in other kinds; null: it has none yet
        cookie,
    }
}

/// us in ns, if they are known.
pub fn measured(us: u32, unknown: u32) -> Option<u64> {
    (us != unknown).then(|| u64::from(us) * 1000)
}

impl Stall {
    /// A connection of a pass at wall-clock `ts` ns; `cgroup` is the path of the owner's.
    pub fn new(ts: i64, conn: &ConnEntry, stalled: &Stalled, cgroup: Option<Arc<str>>) -> Self {
        let age = stalled.age;
        Self {
            ts: Ts(ts),
            family: Some(conn.flow.family()),
            cgroup,
            state: TcpState::from_number(conn.state),
            why: stalled.why,
            stalled_ns: age.exact.then_some(age.least),
            stalled_at_least_ns: age.least,
            unacked_bytes: conn.unacked.saturating_add(conn.unsent),
            unsent_bytes: conn.unsent,
            unread_bytes: conn.unread,
            attempt: stalled.deadline.map(|deadline| deadline.attempt),
            attempts: stalled.deadline.and_then(|deadline| deadline.attempts),
            dies_in_ns: stalled.deadline.and_then(|deadline| deadline.dies_in),
            rto_ns: Some(conn.rto),
            heard_ns: conn.heard,
            rwnd_bytes: conn.snd_wnd,
            mss: conn.mss,
            cwnd: Some(conn.cwnd),
            ssthresh: (conn.ssthresh < NO_SSTHRESH).then_some(conn.ssthresh),
            in_flight: Some(conn.in_flight),
            srtt_ns: measured(conn.srtt, 0),
            rttvar_ns: measured(conn.srtt, 0).and(measured(conn.rttvar, u32::MAX)),
            blocked: stalled.blocked.waits(),
            blocked_ns: stalled.blocked.age().filter(|age| age.exact).map(|age| age.least),
            blocked_at_least_ns: stalled.blocked.age().map(|age| age.least),
            cookie: (conn.cookie != 0).then_some(conn.cookie),
            ..Self::about(conn.flow.key().owned(conn.pid, conn.comm))
        }
    }

    /// Longest first; the key settles ties.
    pub fn order(&self) -> impl Ord + use<> {
        (std::cmp::Reverse(self.stalled_at_least_ns), self.netns, self.key())
    }
}

/// The word of a value, if it has one.
pub fn word_of<T: Word + PartialEq>(value: Option<T>) -> Cell<'static> {
    let found = value.and_then(|value| T::WORDS.iter().find(|(one, _)| *one == value));
    Cell::word(found.map(|(_, word)| *word))
}

/// Whether a thread waits, and since when.
pub fn blocked(waits: Option<bool>, exact: Option<u64>, at_least: Option<u64>) -> Cell<'static> {
    match waits {
        None => Cell::Missing,
        Some(false) => Cell::Word("no"),
        Some(true) if exact.or(at_least).is_none() => Cell::Word("yes"),
        Some(true) => Cell::age(exact, at_least),
    }
}

/// A part of the busy time.
pub fn share(part: u64, busy: u64) -> Cell<'static> {
    if busy > 0 { Cell::Share(part, busy) } else { Cell::Missing }
}

table! { "stall" Stall {
    yields 13 time;
    yields 12 pid;
    yields 15 comm 15;
    yields 7 local 21;
    remote 21;
    left why, "WHY", 14, |r| word_of(r.why);
    right stalled_at_least_ns, "SINCE", 8, |r| Cell::age(r.stalled_ns, Some(r.stalled_at_least_ns));
    yields 11 right blocked_at_least_ns, "BLOCKED", 7, |r| {
        blocked(r.blocked, r.blocked_ns, r.blocked_at_least_ns)
    };
    yields 14 right unacked_bytes, "QUEUED", 7, |r| Cell::Bytes(r.unacked_bytes.into());
    yields 9 right unsent_bytes, "UNSENT", 7, |r| Cell::Bytes(r.unsent_bytes.into());
    yields 10 right unread_bytes, "UNREAD", 7, |r| Cell::Bytes(r.unread_bytes.into());
    yields 8 right attempt, "ATTEMPT", 7, |r| Cell::id(r.attempt);
    yields 6 right attempts, "OF", 3, |r| Cell::id(r.attempts);
    yields 11 right dies_in_ns, "DIES IN", 7, |r| Cell::nanos(r.dies_in_ns);
    yields 5 right heard_ns, "HEARD", 7, |r| Cell::Nanos(r.heard_ns);
    yields 4 right rto_ns, "RTO", 7, |r| Cell::nanos(r.rto_ns);
    yields 3 right rwnd_bytes, "RWND", 7, |r| Cell::Bytes(r.rwnd_bytes.into());
    yields 1 right cwnd, "CWND", 5, |r| Cell::id(r.cwnd);
    yields 2 right srtt_ns, "RTT", 7, |r| Cell::nanos(r.srtt_ns);
} }
