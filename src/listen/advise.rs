//! Explains an overflow: one verdict, one remedy, then the numbers behind them.

use std::fmt::Write;

use super::record::listener_cell;
use super::{Advice, Bound, Diagnosis, Drops, ListenerInterval, Numbers, Sysctls};
use crate::report::{Ctx, Key, Ts, human};
use crate::wire::{Flow, LISTENER_V6ONLY};

/// Time until a client retransmits its SYN, ns (RFC 6298 2.1).
const SYN_RETRY: u64 = 1_000_000_000;

/// A listener that dropped connections, or sent cookies, in an interval.
struct Overflow<'a> {
    one: &'a ListenerInterval,
    drops: Drops,
    interval_ns: u64,
    bound: Option<Bound>,
    /// A limit that would have been enough; `None`: the accept queue was not full.
    needed: Option<u64>,
    verdict: Option<Diagnosis>,
}

/// Advice for a listener that lost something in an interval of `interval_ns`; else `None`.
pub fn advise(ts: i64, interval_ns: u64, one: &ListenerInterval) -> Option<Advice> {
    let overflow = Overflow::of(one, interval_ns)?;
    let owner = &one.listener.owner;
    let listener = Key { raddr: None, rport: None, ..one.listener.flow.key() };
    Some(Advice {
        ts: Ts(ts),
        accept_limit: Some(one.numbers.accept_limit),
        bound_by: overflow.bound,
        needed: overflow.needed,
        accept_ns: one.numbers.pace.mean(interval_ns),
        verdict: overflow.verdict,
        somaxconn: one.sysctls.map(|sysctls| sysctls.somaxconn),
        max_syn_backlog: one.sysctls.map(|sysctls| sysctls.max_syn_backlog),
        syncookies: one.sysctls.map(|sysctls| sysctls.syncookies),
        abort_on_overflow: one.sysctls.map(|sysctls| sysctls.abort_on_overflow),
        text: overflow.text().into(),
        ..Advice::about(listener.owned(owner.pid, owner.comm))
    })
}

/// Where a socket listens, as `ss` writes it: `*` takes IPv4 and IPv6.
fn listener_text(flow: &Flow, flags: u32) -> String {
    let mut text = Vec::new();
    let dual_stack = flags & LISTENER_V6ONLY == 0;
    listener_cell(Some(flow.local_ip()), flow.device(), Some(flow.lport), dual_stack)
        .text(&mut Ctx::new(0, true), &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn nanos(ns: u64) -> String {
    let mut text = Vec::new();
    human::nanos(ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn number(count: Option<u64>) -> String {
    count.map_or("?".to_owned(), |count| count.to_string())
}

/// Whether some are known.
fn any(count: Option<u64>) -> bool {
    count.is_some_and(|count| count > 0)
}

impl<'a> Overflow<'a> {
    fn of(one: &'a ListenerInterval, interval_ns: u64) -> Option<Self> {
        let (numbers, drops) = (&one.numbers, one.numbers.drops);
        if ![drops.accept, drops.syn, drops.cookies, drops.lost()].into_iter().any(any) {
            return None;
        }
        let limit = numbers.accept_limit;
        let bound = one.sysctls.map(|sysctls| {
            if limit >= sysctls.somaxconn.into() { Bound::Somaxconn } else { Bound::Backlog }
        });
        // Handshakes that cannot end because the queue is full fill the SYN queue too.
        let full = any(drops.accept) || drops.accept == Some(0) && numbers.accept_peak > limit;
        let needed = full.then(|| numbers.accept_peak + drops.accept.unwrap_or(0));
        let mut overflow = Self { one, drops, interval_ns, bound, needed, verdict: None };
        overflow.verdict = overflow.judge();
        Some(overflow)
    }

    fn judge(&self) -> Option<Diagnosis> {
        let Numbers { accepts, pace, .. } = &self.one.numbers;
        let waits = |accept_ns: Option<u64>| accept_ns.map(|ns| self.last_wait(ns));
        if self.needed.is_some() {
            return match (waits(pace.most()), waits(pace.mean(self.interval_ns))) {
                _ if *accepts == Some(0) && self.waits_long() => Some(Diagnosis::NoAccept),
                (Some(most), _) if most < SYN_RETRY => Some(Diagnosis::ShortQueue),
                (_, Some(mean)) if mean >= SYN_RETRY => Some(Diagnosis::SlowAccept),
                _ => None,
            };
        }
        if any(self.drops.syn) || any(self.drops.cookies) {
            return Some(Diagnosis::SynQueue);
        }
        if self.drops.total == Some(0) {
            return Some(Diagnosis::ListenerClosed);
        }
        (self.drops.accept == Some(0) && self.drops.syn == Some(0)).then_some(Diagnosis::OtherCause)
    }

    /// Whether an interval without `accept()` says more than that one takes longer.
    fn waits_long(&self) -> bool {
        let one = &self.one.listener;
        let queued = u64::from(one.accept_before) + one.established;
        let taken = one.accepted > 0 || queued > one.accept_now.into();
        !taken || self.interval_ns >= SYN_RETRY
    }

    /// What the last connection would wait in a queue that holds those lost in a second, ns. Over more
    /// seconds most of the lost are retries.
    fn last_wait(&self, accept_ns: u64) -> u64 {
        let lost = u128::from(self.drops.accept.unwrap_or(0));
        let a_second = lost * u128::from(SYN_RETRY) / u128::from(self.interval_ns.max(SYN_RETRY));
        let waiting = a_second + u128::from(self.one.numbers.accept_peak);
        u64::try_from(waiting * u128::from(accept_ns)).unwrap_or(u64::MAX)
    }

    fn text(&self) -> String {
        let verdict = match self.verdict {
            Some(Diagnosis::NoAccept) => "the program did not call accept()",
            Some(Diagnosis::SlowAccept) => "accept() is slow",
            Some(Diagnosis::ShortQueue) => "the accept queue is too short",
            Some(Diagnosis::SynQueue) if self.always_cookies() => "SYN cookies are always sent",
            Some(Diagnosis::SynQueue) => "the SYN queue was full",
            Some(Diagnosis::OtherCause) => "no queue was full",
            Some(Diagnosis::ListenerClosed) => "the listener closed before accept()",
            None if self.needed.is_some() => "the accept queue was full",
            None => "cause unknown: this kernel does not expose it",
        };
        let mut text = format!(
            "{}: {verdict}; {} dropped in {}\n  remedy: {}\n",
            listener_text(&self.one.listener.flow, self.one.listener.flags),
            number(self.drops.lost()),
            nanos(self.interval_ns),
            self.remedy(),
        );
        self.numbers(&mut text);
        text
    }

    fn always_cookies(&self) -> bool {
        !any(self.drops.syn) && self.one.sysctls.is_some_and(|sysctls| sysctls.syncookies > 1)
    }

    fn remedy(&self) -> String {
        match self.verdict {
            Some(Diagnosis::NoAccept) => {
                "find out what the program waits for; a longer queue does not help".to_owned()
            }
            Some(Diagnosis::SlowAccept) => {
                "accept faster, or in more threads; in a longer queue connections only wait longer"
                    .to_owned()
            }
            Some(Diagnosis::ShortQueue) => self.longer(),
            Some(Diagnosis::SynQueue) => match self.one.sysctls.map(|sysctls| sysctls.syncookies) {
                Some(0) => "set net.ipv4.tcp_syncookies = 1".to_owned(),
                Some(1) | None => {
                    "find the clients with --clients: a flood, or clients that do not \
                                   get the SYN-ACK"
                        .to_owned()
                }
                Some(_) => {
                    "none is needed; net.ipv4.tcp_syncookies = 1 sends them only if the SYN \
                            queue is full"
                        .to_owned()
                }
            },
            Some(Diagnosis::ListenerClosed) => {
                "accept what waits before closing, or let another listener of the port take it \
                 (SO_REUSEPORT and net.ipv4.tcp_migrate_req = 1)"
                    .to_owned()
            }
            Some(Diagnosis::OtherCause) => {
                "look for lack of memory, missing routes and security policies".to_owned()
            }
            None if self.needed.is_some() && self.one.numbers.pace.is_exact() => {
                "use a longer interval (-i): too few were accepted to know the pace".to_owned()
            }
            None if self.needed.is_some() => {
                "run with --wait to see whether accept() is slow or the queue is short".to_owned()
            }
            None => {
                "compare ListenOverflows and TCPReqQFullDrop of its namespace (nstat)".to_owned()
            }
        }
    }

    /// How to get a longer accept queue.
    fn longer(&self) -> String {
        let needed = self.needed.unwrap_or(0);
        match (self.bound, self.one.sysctls) {
            (Some(Bound::Backlog), Some(Sysctls { somaxconn, .. }))
                if needed <= somaxconn.into() =>
            {
                format!("raise the backlog of listen() in the program to {needed}")
            }
            _ => format!(
                "raise net.core.somaxconn and the backlog of listen() to {needed}, then restart the \
                 program"
            ),
        }
    }

    // Writing to a String cannot fail.
    fn numbers(&self, text: &mut String) {
        let (numbers, drops) = (&self.one.numbers, &self.drops);
        let _ = writeln!(
            text,
            "  accept queue full {} ({} at the SYN, {} at the final ACK), SYN queue full {}, \
             listener closed {}, other causes {}; {} cookies",
            number(drops.accept),
            number(drops.accept_syn),
            number(drops.accept_ack),
            number(drops.syn),
            number(drops.closed),
            number(drops.other),
            number(drops.cookies),
        );
        let Some(needed) = self.needed else {
            self.syn_queue(text);
            return;
        };
        let somaxconn = self.one.sysctls.map(|sysctls| u64::from(sysctls.somaxconn));
        let _ = writeln!(
            text,
            "  accept queue: peak {} + {} dropped = {needed} at most (retries count too); limit {} = \
             min(backlog, net.core.somaxconn {})",
            numbers.accept_peak,
            drops.accept.unwrap_or(0),
            numbers.accept_limit,
            number(somaxconn),
        );
        self.accept_rate(text);
        if any(drops.cookies) {
            text.push_str(
                "  cookies: handshakes that find no room in the accept queue fill the SYN queue\n",
            );
        }
        if let Some(sysctls) = self.one.sysctls.filter(|_| drops.accept_ack != Some(0)) {
            let abort = sysctls.abort_on_overflow;
            let _ = writeln!(
                text,
                "  net.ipv4.tcp_abort_on_overflow = {}: a client whose final ACK is dropped {}",
                u8::from(abort),
                if abort { "gets an RST" } else { "thinks it is connected" }
            );
        }
    }

    fn accept_rate(&self, text: &mut String) {
        let Numbers { accept_limit, pace, waits, .. } = &self.one.numbers;
        let (bound, accept_ns) = match (self.verdict, pace.mean(self.interval_ns), pace.most()) {
            (Some(Diagnosis::ShortQueue | Diagnosis::SlowAccept), Some(mean), _) => ("", mean),
            (Some(Diagnosis::ShortQueue), None, Some(most)) => ("at most ", most),
            _ => return,
        };
        let _ = write!(
            text,
            "  accept() takes {bound}{} while connections wait: a full queue empties in {}, one that holds \
             all of a second in {}",
            nanos(accept_ns),
            nanos((accept_limit + 1).saturating_mul(accept_ns)),
            nanos(self.last_wait(accept_ns)),
        );
        let quantile = |per_mille| waits.as_ref()?.quantile(per_mille);
        if let Some((half, most)) = quantile(500).zip(quantile(990)) {
            let _ = write!(text, "; WAIT P50 {} P99 {}", nanos(half), nanos(most));
        }
        text.push('\n');
    }

    fn syn_queue(&self, text: &mut String) {
        let Some(sysctls) = self.one.sysctls else { return };
        if self.verdict != Some(Diagnosis::SynQueue) {
            return;
        }
        let _ = writeln!(
            text,
            "  SYN queue: peak {}, limit {}; net.ipv4.tcp_syncookies = {}, \
             net.ipv4.tcp_max_syn_backlog = {}",
            self.one.numbers.syn_peak,
            sysctls.syn_limit(self.one.listener.accept_limit),
            sysctls.syncookies,
            sysctls.max_syn_backlog
        );
    }
}

#[cfg(test)]
#[path = "advise_tests.rs"]
mod tests;
