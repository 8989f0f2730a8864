//! Explains an overflow, and what to change.

use std::fmt::Write;
use std::net::IpAddr;

use super::{Advice, Bound, Diagnosis, Drops, ListenerInterval, Sysctls};
use crate::report::{Key, Ts, human};
use crate::wire::{Flow, LISTENER_V6ONLY};

/// Time until a client retransmits its SYN, ns (RFC 6298 2.1).
const SYN_RETRY: u64 = 1_000_000_000;

/// Advice for one listener.
struct Overflow {
    sysctls: Option<Sysctls>,
    limit: u64,
    bound: Option<Bound>,
    needed: Option<u64>,
    verdict: Option<Diagnosis>,
}

/// Advice for a listener that lost something in an interval of `interval_ns`; else `None`.
pub fn advise(ts: i64, interval_ns: u64, one: &ListenerInterval) -> Option<Advice> {
    let drops = one.numbers.drops;
    let some = [drops.accept, drops.syn, drops.cookies, drops.lost()];
    if some.iter().all(|count| count.unwrap_or(0) == 0) {
        return None;
    }
    let limit = one.numbers.accept_limit;
    let bound = one.sysctls.map(|sysctls| {
        if limit >= sysctls.somaxconn.into() { Bound::Somaxconn } else { Bound::Backlog }
    });
    let overflowed = drops.accept.filter(|&full| full > 0);
    let needed = overflowed.map(|lost| one.numbers.accept_peak + lost);
    let verdict = needed.and_then(|needed| verdict(one, needed, interval_ns));
    let overflow = Overflow { sysctls: one.sysctls, limit, bound, needed, verdict };
    let owner = &one.listener.owner;
    let listener = Key { raddr: None, rport: None, ..one.listener.flow.key() };
    Some(Advice {
        ts: Ts(ts),
        accept_limit: Some(limit),
        bound_by: bound,
        needed,
        verdict,
        somaxconn: one.sysctls.map(|sysctls| sysctls.somaxconn),
        max_syn_backlog: one.sysctls.map(|sysctls| sysctls.max_syn_backlog),
        syncookies: one.sysctls.map(|sysctls| sysctls.syncookies),
        abort_on_overflow: one.sysctls.map(|sysctls| sysctls.abort_on_overflow),
        text: overflow.words(one, &drops, interval_ns).into(),
        ..Advice::about(listener.owned(owner.pid, owner.comm))
    })
}

/// Where a socket listens, as `ss` writes it: `*` takes IPv4 and IPv6.
fn listener_text(flow: &Flow, flags: u32) -> String {
    let address = flow.local_ip();
    let any = flow.laddr == [0; 16];
    match address {
        _ if any && flags & LISTENER_V6ONLY == 0 => format!("*:{}", flow.lport),
        IpAddr::V6(v6) => format!("[{v6}]:{}", flow.lport),
        IpAddr::V4(v4) => format!("{v4}:{}", flow.lport),
    }
}

/// A queue that is full most of the time is filled faster than it is emptied, however long it is: then
/// half of the connections wait about as long as a full one takes. Without waits, compare a queue that
/// holds all with SYN retransmits.
fn verdict(one: &ListenerInterval, needed: u64, interval_ns: u64) -> Option<Diagnosis> {
    let numbers = &one.numbers;
    let Some(full) = emptied(one, numbers.accept_limit + 1, interval_ns) else {
        return numbers.accepts.map(|_| Diagnosis::NoAccept);
    };
    let median = numbers.waits.as_ref().and_then(|waits| waits.quantile(500));
    let slow = match median {
        Some(median) => median >= full / 2,
        None => emptied(one, needed, interval_ns)? >= SYN_RETRY,
    };
    Some(if slow { Diagnosis::SlowAccept } else { Diagnosis::ShortQueue })
}

/// Time that `accept()` takes for this many connections, ns; `None` if it took none or unknown.
fn emptied(one: &ListenerInterval, connections: u64, interval_ns: u64) -> Option<u64> {
    let rate = one.numbers.accepts.filter(|&count| count > 0)?;
    Some(connections.saturating_mul(interval_ns) / rate)
}

fn nanos(ns: u64) -> String {
    let mut text = Vec::new();
    human::nanos(ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn number(count: Option<u64>) -> String {
    count.map_or("?".to_owned(), |count| count.to_string())
}

impl Overflow {
    fn words(&self, one: &ListenerInterval, drops: &Drops, interval_ns: u64) -> String {
        let mut text = format!(
            "{}: {} dropped in {}: accept queue full {} ({} at SYN, {} at the final ACK); SYN queue \
             full {} dropped, {} cookies\n",
            listener_text(&one.listener.flow, one.listener.flags),
            number(drops.total),
            nanos(interval_ns),
            number(drops.accept),
            number(drops.accept_syn),
            number(drops.accept_ack),
            number(drops.syn),
            number(drops.cookies),
        );
        if drops.accept.is_none() {
            text.push_str("  cause unknown: this kernel does not expose it\n");
        }
        if let Some(closed @ 1..) = drops.closed {
            let _ = writeln!(
                text,
                "  {closed} were reset because the listener closed before accept(): accept them \
                 first, or let another listener of the port take them (SO_REUSEPORT and \
                 net.ipv4.tcp_migrate_req = 1)"
            );
        }
        self.accept_queue(one, interval_ns, &mut text);
        self.syn_queue(one, drops, &mut text);
        text
    }

    // Writing to a String cannot fail.
    fn accept_queue(&self, one: &ListenerInterval, interval_ns: u64, text: &mut String) {
        let Some(needed) = self.needed else { return };
        let limit = self.limit;
        let _ = match (self.bound, self.sysctls) {
            (Some(Bound::Somaxconn), Some(sysctls)) => writeln!(
                text,
                "  limit {limit} = min(backlog, net.core.somaxconn {}): somaxconn is the lower \
                 one; raise both, then restart the program",
                sysctls.somaxconn
            ),
            (Some(Bound::Backlog), Some(sysctls)) => writeln!(
                text,
                "  limit {limit} = min(backlog, net.core.somaxconn {}): the listen() backlog is \
                 the lower one; raise it in the program",
                sysctls.somaxconn
            ),
            _ => writeln!(text, "  limit {limit} = min(backlog, net.core.somaxconn)"),
        };
        let _ = writeln!(
            text,
            "  peak {} + {} lost: a limit of {needed} would have been enough; this is an upper \
             bound: every retry counts as a connection",
            one.numbers.accept_peak,
            needed - one.numbers.accept_peak
        );
        let emptied =
            |connections| emptied(one, connections, interval_ns).map_or("?".to_owned(), nanos);
        let waits = one.numbers.waits.as_ref().and_then(|waits| {
            Some(format!(
                ", WAIT P50 {} P99 {}",
                nanos(waits.quantile(500)?),
                nanos(waits.quantile(990)?)
            ))
        });
        let waits = waits.unwrap_or_default();
        let _ = match self.verdict {
            None => writeln!(text, "  unknown whether accept() is slow; try --wait"),
            Some(Diagnosis::NoAccept) => writeln!(
                text,
                "  accept() was not called in this interval; a longer queue will not help"
            ),
            Some(Diagnosis::SlowAccept) => writeln!(
                text,
                "  accept() is slow: a full queue takes {} to empty{waits}; a longer queue only makes \
                 connections wait longer",
                emptied(limit + 1)
            ),
            Some(Diagnosis::ShortQueue) => writeln!(
                text,
                "  the queue is too short: at this accept() rate the last of {needed} would have waited \
                 {}{waits}",
                emptied(needed)
            ),
        };
        if let Some(sysctls) = self.sysctls {
            let _ = writeln!(
                text,
                "  net.ipv4.tcp_abort_on_overflow = {}: {}",
                u8::from(sysctls.abort_on_overflow),
                if sysctls.abort_on_overflow {
                    "a client whose final ACK is dropped gets an RST"
                } else {
                    "a client whose final ACK is dropped thinks it is connected"
                }
            );
        }
    }

    fn syn_queue(&self, one: &ListenerInterval, drops: &Drops, text: &mut String) {
        let Some(sysctls) = self.sysctls else { return };
        if drops.syn.unwrap_or(0) == 0 && drops.cookies.unwrap_or(0) == 0 {
            return;
        }
        let limit = sysctls.syn_limit(one.listener.accept_limit);
        let _ = writeln!(
            text,
            "  SYN queue: {} half-open, limit {limit}; net.ipv4.tcp_syncookies = {}, \
             net.ipv4.tcp_max_syn_backlog = {}",
            one.numbers.syn_peak, sysctls.syncookies, sysctls.max_syn_backlog
        );
        let _ = writeln!(
            text,
            "  {}",
            match sysctls.syncookies {
                0 =>
                    "SYNs are dropped: set tcp_syncookies = 1, or raise backlog, somaxconn and \
                      tcp_max_syn_backlog",
                1 =>
                    "SYN cookies keep accepting; clients that never complete the handshake are a \
                      flood or an asymmetric route",
                _ =>
                    "SYN cookies are always sent (tcp_syncookies = 2), even if the queue is not full",
            }
        );
    }
}

#[cfg(test)]
#[path = "advise_tests.rs"]
mod tests;
