//! The records of listenoverflow, and their tables.

use crate::report::{Cell, Device, key, record, table, word, words};
use std::cmp::Reverse;
use std::net::IpAddr;

use super::HolderRecord;

record! {
    /// listenoverflow: one listening socket, or with --group those of one address
    "listener" ListenerRecord known(
        netns laddr listeners closed interval_ns accept_now accept_peak accept_peak_sampled
        accept_limit syn_now syn_peak syn_peak_sampled family
    ) {
        netns,
        netns_name,
        laddr,
        lport,
        device,
        /// an IPv6 listener without IPv4; null for IPv4
        v6only: Option<bool>,
        pid,
        comm,
        /// listeners of the group, else 1
        listeners: Option<u64>,
        /// the socket was closed; this is its final row
        closed: bool,
        interval_ns,
        /// connections waiting for `accept()`, at the end of the interval
        accept_now: Option<u64>,
        /// their maximum in the interval
        accept_peak: Option<u64>,
        /// the peak is a sampled maximum: it may have been higher
        accept_peak_sampled: bool,
        accept_limit,
        /// half-open connections, at the end of the interval
        syn_now: Option<u64>,
        /// their maximum in the interval
        syn_peak: Option<u64>,
        /// the peak is a sampled maximum: it may have been higher
        syn_peak_sampled: bool,
        /// limit of the SYN queue
        syn_limit: Option<u64>,
        /// connections taken from the accept queue
        accepts: Option<u64>,
        /// dropped because the accept queue was full; if both are known, the sum of `drops_accept_syn` and `drops_accept_ack`
        drops_accept: Option<u64>,
        drops_accept_syn,
        drops_accept_ack,
        drops_syn,
        cookies,
        drops_other,
        drops_closed,
        drops_total,
        /// segments in `sk_drops` that are not in `drops_total`; no connection is lost
        discards: Option<u64>,
        synack_retrans,
        /// from the end of the handshake to the return of `accept()`: median, off by at most 1/32
        wait_p50_ns: Option<u64>,
        /// the same: 99th percentile
        wait_p99_ns: Option<u64>,
        /// number of waits; null if not measured
        waits: Option<u64>,
        abort_on_overflow,
        /// processes that have it open, by PID; `pid` is one of them; null: unknown
        holders: Option<Vec<HolderRecord>>,
        family,
        /// The same as text; not in JSON.
        #[serde(skip)]
        holders_text: Box<str>,
    }
}

impl ListenerRecord {
    /// Most drops first, then the fullest queues; the rest by address.
    pub fn order(&self) -> impl Ord + use<> {
        let peaks = self.accept_peak.unwrap_or(0).saturating_add(self.syn_peak.unwrap_or(0));
        let address = (self.netns, self.lport, self.laddr, self.device);
        let lost = self.drops_total.zip(self.drops_closed).map(|(a, b)| a.saturating_add(b));
        (Reverse(lost.unwrap_or(u64::MAX)), Reverse(peaks), address, self.pid)
    }

    /// How often the accept queue was full is known, but not when.
    fn is_sum_alone(&self) -> bool {
        self.drops_accept.is_some_and(|count| count > 0)
            && (self.drops_accept_syn.is_none() || self.drops_accept_ack.is_none())
    }
}

/// Headings of columns that the dashboard has too.
pub(crate) mod heading {
    pub const ACCEPT_Q: &str = "ACCEPT-Q now/peak/limit";
    pub const SYN_Q: &str = "SYN-Q now/peak/limit";
    pub const ACC_FULL: &str = "ACC FULL";
    pub const FULL_AT_SYN: &str = "FULL@SYN";
    pub const FULL_AT_ACK: &str = "FULL@ACK";
    pub const SYN_FULL: &str = "SYN FULL";
    pub const CLOSED: &str = "CLOSED";
    pub const SYNACK_RE: &str = "SYNACK RE";
}

/// Where a socket listens, as `ss` writes it: `*` takes IPv4 and IPv6.
pub(super) fn listener_cell(
    laddr: Option<IpAddr>,
    device: Option<Device>,
    lport: Option<u16>,
    dual_stack: bool,
) -> Cell<'static> {
    match (laddr, lport) {
        (Some(IpAddr::V6(any)), Some(port)) if dual_stack && any.is_unspecified() => {
            Cell::AnyAddr(device, port)
        }
        _ => Cell::Endpoint(laddr, device, lport),
    }
}

/// Columns without information in a table of these rows, or not asked for; `waits`: waits are
/// measured.
pub fn silent(rows: &[ListenerRecord], waits: bool, holders: bool) -> Vec<&'static str> {
    let mut silent = Vec::new();
    if !holders {
        silent.push(key!(ListenerRecord::holders));
    }
    if rows.iter().all(|row| row.netns == rows[0].netns) {
        silent.push(key!(ListenerRecord::netns));
    }
    // The sum is shown if its parts are unknown.
    if !rows.iter().any(ListenerRecord::is_sum_alone) {
        silent.push(key!(ListenerRecord::drops_accept));
    }
    if rows.iter().all(|row| row.drops_closed == Some(0)) {
        silent.push(key!(ListenerRecord::drops_closed));
    }
    if !waits {
        silent.extend([key!(ListenerRecord::wait_p50_ns), key!(ListenerRecord::wait_p99_ns)]);
    }
    silent
}

table! { "listener" ListenerRecord {
    yields 10 time;
    left "listener", "LISTENER", 21, |r| listener_cell(r.laddr, r.device, r.lport, r.v6only != Some(true));
    yields 9 left netns, "NETNS", 26, |r| Cell::netns(r.netns, r.netns_name.as_deref());
    yields 8 pid;
    yields 12 comm 15;
    left "accept", heading::ACCEPT_Q, 23,
        |r| Cell::Queue(r.accept_now, (r.accept_peak, r.accept_peak_sampled), r.accept_limit);
    yields 7 left "syn", heading::SYN_Q, 20,
        |r| Cell::Queue(r.syn_now, (r.syn_peak, r.syn_peak_sampled), r.syn_limit);
    yields 6 right accepts, "ACCEPTS/s", 9, |r| Cell::per_sec(r.accepts);
    yields 15 right drops_accept, heading::ACC_FULL, 8, |r| Cell::id(r.drops_accept);
    yields 13 right drops_accept_syn, heading::FULL_AT_SYN, 8, |r| Cell::id(r.drops_accept_syn);
    yields 14 right drops_accept_ack, heading::FULL_AT_ACK, 8, |r| Cell::id(r.drops_accept_ack);
    yields 11 right drops_syn, heading::SYN_FULL, 8, |r| Cell::id(r.drops_syn);
    yields 5 right cookies, "COOKIES", 7, |r| Cell::id(r.cookies);
    yields 3 right drops_other, "OTHER", 6, |r| Cell::id(r.drops_other);
    yields 4 right drops_closed, heading::CLOSED, 6, |r| Cell::id(r.drops_closed);
    right drops_total, "DROPS", 6, |r| Cell::id(r.drops_total);
    yields 1 right synack_retrans, heading::SYNACK_RE, 9, |r| Cell::id(r.synack_retrans);
    yields 2 right wait_p50_ns, "WAIT P50", 8, |r| Cell::nanos(r.wait_p50_ns);
    yields 4 right wait_p99_ns, "WAIT P99", 8, |r| Cell::nanos(r.wait_p99_ns);
    yields 8 left holders, "HOLDERS", 20, |r| match &r.holders {
        Some(_) => Cell::Text(r.holders_text.as_bytes()),
        None => Cell::Missing,
    };
    hidden accept_now, |r| Cell::id(r.accept_now);
    hidden accept_peak, |r| Cell::id(r.accept_peak);
    hidden accept_limit, |r| Cell::id(r.accept_limit);
    hidden syn_now, |r| Cell::id(r.syn_now);
    hidden syn_peak, |r| Cell::id(r.syn_peak);
    hidden syn_limit, |r| Cell::id(r.syn_limit);
    hidden lport, |r| Cell::port(r.lport);
    hidden listeners, |r| Cell::id(r.listeners);
    hidden discards, |r| Cell::id(r.discards);
    hidden waits, |r| Cell::id(r.waits);
} }

words! {
    /// Why a connection was dropped, or a cookie sent.
    Cause {
        /// For another reason.
        Other = "other",
        /// The accept queue was full, at a SYN or at a final ACK.
        AcceptQueue = "accept_queue",
        /// The accept queue was full at a SYN.
        AcceptQueueSyn = "accept_queue_syn",
        /// The accept queue was full at a final ACK.
        AcceptQueueAck = "accept_queue_ack",
        /// The SYN queue was full.
        SynQueue = "syn_queue",
        /// The SYN queue was full, and a cookie was sent.
        Cookie = "cookie",
        /// The listener closed before `accept()`.
        ListenerClosed = "listener_closed",
    }
}

impl Cause {
    /// It is the accept queue that was full.
    pub fn is_accept_queue(self) -> bool {
        matches!(self, Self::AcceptQueue | Self::AcceptQueueSyn | Self::AcceptQueueAck)
    }
}

record! {
    /// listenoverflow --events: losses of one listener within a millisecond
    "listen_event" DropEvent known(count laddr family netns sampled) {
        /// of the listener
        pid,
        comm,
        /// `accept_queue_syn`, `accept_queue_ack`, `accept_queue` (either of them), `syn_queue`, `cookie`, `listener_closed` or `other`; null: unknown
        #[serde(deserialize_with = "word")]
        cause: Option<Cause>,
        /// length of the full queue, at the last drop
        queue: Option<u64>,
        /// limit of that queue
        limit: Option<u64>,
        /// number of drops
        count,
        /// number of client addresses
        clients: Option<u64>,
        /// of the listener
        laddr,
        /// of the listener
        lport,
        /// the client, if only one and known
        raddr,
        /// the client, if only one and known
        rport,
        device,
        family,
        netns,
        netns_name,
        /// found by sampling, up to 50 ms later
        sampled: bool,
        /// It takes IPv4 and IPv6; not in JSON.
        #[serde(skip)]
        dual_stack: bool,
    }
}

table! { "listen_event" DropEvent {
    yields 5 time;
    left "listener", "LISTENER", 21, |r| listener_cell(r.laddr, r.device, r.lport, r.dual_stack);
    yields 3 pid;
    yields 4 comm 15;
    left cause, "CAUSE", 16, |r| Cell::word(r.cause.map(Cause::name));
    yields 7 left "client", "CLIENT", 21, |r| Cell::remote(r.raddr, r.device, r.rport);
    yields 2 right queue, "QUEUE", 6, |r| Cell::id(r.queue);
    yields 1 right limit, "LIMIT", 6, |r| Cell::id(r.limit);
    yields 6 right count, "COUNT", 6, |r| Cell::id(r.count);
} }

record! {
    /// listenoverflow --clients: drops of one client address
    "listen_client" DropClient known(drops_total interval_ns) {
        /// the client; null: all that are unknown
        raddr,
        /// the zone of a link-local address
        device,
        drops_total,
        drops_accept_syn,
        drops_accept_ack,
        drops_syn,
        cookies,
        drops_other,
        drops_closed,
        synack_retrans,
        interval_ns,
    }
}

table! { "listen_client" DropClient {
    yields 8 time;
    left raddr, "RADDR", 39, |r| Cell::addr(r.raddr, r.device);
    right drops_total, "DROPS", 7, |r| Cell::id(r.drops_total);
    yields 6 right drops_accept_syn, heading::FULL_AT_SYN, 8, |r| Cell::id(r.drops_accept_syn);
    yields 7 right drops_accept_ack, heading::FULL_AT_ACK, 8, |r| Cell::id(r.drops_accept_ack);
    yields 5 right drops_syn, heading::SYN_FULL, 8, |r| Cell::id(r.drops_syn);
    yields 2 right cookies, "COOKIES", 7, |r| Cell::id(r.cookies);
    yields 3 right drops_other, "OTHER", 6, |r| Cell::id(r.drops_other);
    yields 4 right drops_closed, heading::CLOSED, 6, |r| Cell::id(r.drops_closed);
    yields 1 right synack_retrans, heading::SYNACK_RE, 9, |r| Cell::id(r.synack_retrans);
} }

words! {
    /// What bounds the accept queue.
    Bound {
        /// The argument of `listen()`.
        Backlog = "backlog",
        /// `net.core.somaxconn`.
        Somaxconn = "somaxconn",
    }
}

words! {
    /// Why connections were dropped.
    Diagnosis {
        /// `accept()` was not called.
        NoAccept = "no_accept",
        /// Even in a queue that holds all of them, connections would wait for a second.
        SlowAccept = "slow_accept",
        /// A longer queue would have held all.
        ShortQueue = "short_queue",
        /// The SYN queue was full, and not because the accept queue was.
        SynQueue = "syn_queue",
        /// No queue was full.
        OtherCause = "other_cause",
        /// Connections that waited were reset because the listener closed.
        ListenerClosed = "listener_closed",
    }
}

record! {
    /// listenoverflow --advise: the arithmetic of an overflow
    "advice" Advice known(laddr netns accept_limit text) {
        laddr,
        lport,
        netns,
        pid,
        comm,
        accept_limit,
        /// `backlog` or `somaxconn`: the lower one, which is the limit
        #[serde(deserialize_with = "word")]
        bound_by: Option<Bound>,
        /// a limit that would have been enough; an upper bound
        needed: Option<u64>,
        /// mean time of an `accept()` while connections waited for it
        accept_ns: Option<u64>,
        /// `no_accept`, `slow_accept`, `short_queue`, `syn_queue` (full, and not because the accept queue was), `listener_closed` (before `accept()`) or `other_cause` (no queue was full); null: unknown
        #[serde(deserialize_with = "word")]
        verdict: Option<Diagnosis>,
        /// (of the namespace; null if unreadable, as the following)
        somaxconn,
        max_syn_backlog,
        syncookies,
        abort_on_overflow,
        /// the advice as text, lines separated by `\u000a`
        text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_full_accept_queues_shows_where_a_part_is_unknown() {
        let row = |ack| ListenerRecord {
            drops_accept: Some(10),
            drops_accept_syn: Some(4),
            drops_accept_ack: ack,
            ..ListenerRecord::default()
        };
        let shows = |rows: &[ListenerRecord]| !silent(rows, true, false).contains(&"drops_accept");
        assert!(shows(&[row(Some(6)), row(None)]));
        assert!(!shows(&[row(Some(6))]));
        assert!(!shows(&[ListenerRecord { drops_accept: Some(0), ..row(None) }]));
    }
}
