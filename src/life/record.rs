//! The record of a connection that ended, and its table.

use std::sync::Arc;

use super::words::{Errno, end_of, errno_of, note};
use crate::report::{Cell, Ts, record, table, word};
use crate::tcp_state::TcpState;
use crate::wire::{
    DURATION_UNKNOWN, ENDING_TIME_WAIT, ENDING_TW_FULL, LIFE_WAITING, LifeEnd, LifeEvent,
    SocketRole,
};

record! {
    /// tcplife: a connection ended, or never opened; with `--open` also those that are open at the end
    "life" Life known(laddr family netns tx_bytes rx_bytes segs_sent segs_received retrans unacked_bytes unread_bytes waiting) {
        /// null if the owner is unknown
        pid,
        comm,
        laddr,
        /// null if `connect()` found none
        lport,
        raddr,
        rport,
        device,
        family,
        netns,
        netns_name,
        /// the owner's
        cgroup,
        role,
        /// client: time of `connect()`; server: wait for `accept()`; null: it did not open, or unknown
        opened_ns: Option<u64>,
        /// since `connect()`, on a server since the end of the handshake; null: older than the tool, or no SYN was made
        life_ns: Option<u64>,
        /// bytes that the process handed to TCP, whether or not they were sent
        tx_bytes,
        /// bytes that TCP took from the peer, whether or not the process has read them
        rx_bytes,
        /// segments sent until it ended, retransmits included
        segs_sent: u32,
        /// segments received
        segs_received: u32,
        retrans,
        rtt_min_ns,
        srtt_ns,
        /// [how it ended](tcplife.md#ends); null: unknown
        #[serde(deserialize_with = "word")]
        end: Option<LifeEnd>,
        /// that a call of the process gets for it, e.g. 104 for `ECONNRESET`; null: none, or it had closed
        #[schemars(range(min = 1, max = 4095))]
        errno,
        /// the state that it left; with `open` the present one
        state,
        /// a timewait socket took over; null: unknown, for there are `tcp_max_tw_buckets` of them
        into_time_wait: Option<bool>,
        unacked_bytes,
        unread_bytes,
        /// nothing has come since data was sent
        waiting: bool,
        /// since data was sent or received, to a timer tick; null: neither
        idle_ns: Option<u64>,
        /// with `reset_sent_killed`: the signal that ended the process
        signal: Option<u8>,
        cookie,
        /// what the table says beside the end; not in JSON
        #[serde(skip)]
        note: Box<str>,
    }
}

/// `rtt_min` of a socket without a sample.
pub const NO_RTT: u32 = u32::MAX;

fn known(ns: u64) -> Option<u64> {
    (ns != DURATION_UNKNOWN).then_some(ns)
}

impl Life {
    /// An event at wall-clock `ts` ns; `cgroup` is the path of the owner's.
    pub fn new(ts: i64, event: &LifeEvent, cgroup: Option<Arc<str>>) -> Self {
        let end = end_of(&event.ending);
        let flag = |flag| u32::from(event.ending.flags) & flag != 0;
        let undecided = end == Some(LifeEnd::Open) || flag(ENDING_TW_FULL);
        let time_wait = (!undecided).then_some(flag(ENDING_TIME_WAIT));
        let used = event.tx_bytes + event.rx_bytes > 0;
        let role = SocketRole::from_number(event.role);
        Self {
            ts: Ts(ts),
            family: Some(event.flow.family()),
            cgroup,
            role: role.filter(|role| *role != SocketRole::Unknown),
            opened_ns: known(event.opened),
            life_ns: known(event.life),
            tx_bytes: Some(event.tx_bytes),
            rx_bytes: Some(event.rx_bytes),
            segs_sent: event.segs_out,
            segs_received: event.segs_in,
            retrans: Some(event.retrans.into()),
            rtt_min_ns: (event.rtt_min != NO_RTT).then(|| u64::from(event.rtt_min) * 1000),
            srtt_ns: (event.srtt != 0).then(|| u64::from(event.srtt) * 1000),
            end,
            errno: errno_of(&event.ending),
            state: TcpState::from_number(event.state),
            into_time_wait: time_wait,
            unacked_bytes: event.unacked,
            unread_bytes: event.unread,
            waiting: u32::from(event.flags) & LIFE_WAITING != 0,
            idle_ns: used.then_some(event.idle),
            signal: (event.ending.signal != 0).then_some(event.ending.signal),
            cookie: (event.cookie != 0).then_some(event.cookie),
            note: note(end, event, time_wait),
            ..Self::about(event.flow.key().owned(event.pid, event.comm))
        }
    }
}

/// The word of a value, if it has one.
fn word_of<T: crate::report::Word + PartialEq>(value: Option<T>) -> Cell<'static> {
    let found = value.and_then(|value| T::WORDS.iter().find(|(one, _)| *one == value));
    Cell::word(found.map(|(_, word)| *word))
}

fn errno_cell(errno: Option<u32>) -> Cell<'static> {
    errno.map_or(Cell::Missing, |number| {
        Errno(number).name().map_or(Cell::Id(number.into()), Cell::Word)
    })
}

table! { "life" Life {
    yields 16 time;
    yields 10 pid;
    yields 14 comm 15;
    yields 8 local 21;
    remote 21;
    yields 5 left role, "ROLE", 6, |r| word_of(r.role);
    yields 7 right opened_ns, "OPENED", 7, |r| Cell::nanos(r.opened_ns);
    yields 15 right life_ns, "LIFE", 7, |r| Cell::nanos(r.life_ns);
    yields 13 right tx_bytes, "TX", 7, |r| Cell::bytes(r.tx_bytes);
    yields 12 right rx_bytes, "RX", 7, |r| Cell::bytes(r.rx_bytes);
    yields 2 right segs_sent, "SEGS OUT", 8, |r| Cell::Count(r.segs_sent.into());
    yields 1 right segs_received, "SEGS IN", 7, |r| Cell::Count(r.segs_received.into());
    yields 6 right retrans, "RETRANS", 7, |r| Cell::id(r.retrans);
    yields 4 right rtt_min_ns, "RTT MIN", 7, |r| Cell::nanos(r.rtt_min_ns);
    yields 3 right srtt_ns, "RTT", 7, |r| Cell::nanos(r.srtt_ns);
    left end, "END", 22, |r| word_of(r.end);
    yields 11 left errno, "ERRNO", 12, |r| errno_cell(r.errno);
    yields 9 left "note", "NOTE", 20, |r| Cell::word((!r.note.is_empty()).then_some(&*r.note));
} }
