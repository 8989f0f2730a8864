//! The arithmetic behind an overflow, and what to do about it.

use std::fmt::Write;

use super::row::listener_text;
use super::{Knobs, Losses, One};
use crate::report::{Cell, Column, Row, human};
use crate::states::{comm, id};
use crate::wire::{COMM_LEN, Flow};

/// What bounds the accept queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bound {
    Backlog,
    Somaxconn,
}

/// Why the accept queue was full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    NobodyAccepts,
    SlowAccept,
    ShortQueue,
}

impl Verdict {
    fn name(self) -> &'static str {
        match self {
            Self::NobodyAccepts => "nobody_accepts",
            Self::SlowAccept => "slow_accept",
            Self::ShortQueue => "short_queue",
        }
    }
}

/// Advice for one listener.
#[derive(Debug, Clone)]
pub struct AdviceRow {
    ts: i64,
    flow: Flow,
    pid: u32,
    comm: [u8; COMM_LEN],
    knobs: Option<Knobs>,
    limit: u64,
    bound: Option<Bound>,
    needed: Option<u64>,
    verdict: Option<Verdict>,
    /// For people, one sentence a line.
    pub text: String,
}

/// Advice for a listener that lost something in an interval of `interval_ns`; else `None`.
pub fn advise(ts: i64, interval_ns: u64, one: &One) -> Option<AdviceRow> {
    let losses = one.numbers.losses;
    let some = [losses.accept, losses.syn, losses.cookies, losses.total];
    if some.iter().all(|count| count.unwrap_or(0) == 0) {
        return None;
    }
    let limit = one.numbers.accept_limit;
    let bound = one.knobs.map(|knobs| {
        if limit >= knobs.somaxconn.into() { Bound::Somaxconn } else { Bound::Backlog }
    });
    let overflowed = losses.accept.filter(|&full| full > 0);
    let needed = overflowed.map(|lost| one.numbers.accept_peak + lost);
    let verdict = overflowed.and_then(|_| verdict(one));
    let mut row = AdviceRow {
        ts,
        flow: one.listener.flow,
        pid: one.listener.owner.pid,
        comm: one.listener.owner.comm,
        knobs: one.knobs,
        limit,
        bound,
        needed,
        verdict,
        text: String::new(),
    };
    row.text = row.words(one, &losses, interval_ns);
    Some(row)
}

/// A queue that is empty again at the end was too short for a burst; one that stays full is filled
/// faster than it is emptied, however long it is.
fn verdict(one: &One) -> Option<Verdict> {
    let numbers = &one.numbers;
    Some(match numbers.accepts? {
        0 => Verdict::NobodyAccepts,
        _ if numbers.accept_now * 2 > numbers.accept_limit => Verdict::SlowAccept,
        _ => Verdict::ShortQueue,
    })
}

fn nanos(ns: u64) -> String {
    let mut text = Vec::new();
    human::nanos(ns, &mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn number(count: Option<u64>) -> String {
    count.map_or("?".to_owned(), |count| count.to_string())
}

impl AdviceRow {
    fn words(&self, one: &One, losses: &Losses, interval_ns: u64) -> String {
        let mut text = format!(
            "{}: {} dropped in {}: accept queue full {} ({} at SYN, {} at the last ACK); SYN queue \
             full {} dropped, {} cookies\n",
            listener_text(&self.flow, one.listener.flags),
            number(losses.total),
            nanos(interval_ns),
            number(losses.accept),
            number(losses.accept_syn),
            number(losses.accept_ack),
            number(losses.syn),
            number(losses.cookies),
        );
        if losses.accept.is_none() {
            text.push_str("  the cause is not known: nobody can tell them apart here\n");
        }
        self.accept_queue(one, interval_ns, &mut text);
        self.syn_queue(one, losses, &mut text);
        text
    }

    // Writing to a String cannot fail.
    fn accept_queue(&self, one: &One, interval_ns: u64, text: &mut String) {
        let Some(needed) = self.needed else { return };
        let limit = self.limit;
        let _ = match (self.bound, self.knobs) {
            (Some(Bound::Somaxconn), Some(knobs)) => writeln!(
                text,
                "  limit {limit} = min(backlog, net.core.somaxconn {}): somaxconn bounds it; raise \
                 both, and have the program listen again",
                knobs.somaxconn
            ),
            (Some(Bound::Backlog), Some(knobs)) => writeln!(
                text,
                "  limit {limit} = min(backlog, net.core.somaxconn {}): the backlog of listen() \
                 bounds it; raise it in the program",
                knobs.somaxconn
            ),
            _ => writeln!(text, "  limit {limit} = min(backlog, net.core.somaxconn)"),
        };
        let _ = writeln!(
            text,
            "  peak {} + {} lost: a limit of {needed} would have held them all; it is an upper \
             bound, for every retry counts",
            one.numbers.accept_peak,
            needed - one.numbers.accept_peak
        );
        let rate = one.numbers.accepts.filter(|&count| count > 0);
        let drain = rate.map(|count| nanos((limit + 1).saturating_mul(interval_ns) / count));
        let waits = one.numbers.waits.as_ref().and_then(|waits| {
            Some(format!(
                ", WAIT P50 {} P99 {}",
                nanos(waits.quantile(500)?),
                nanos(waits.quantile(990)?)
            ))
        });
        let waits = waits.unwrap_or_default();
        let _ = match self.verdict {
            None => writeln!(text, "  whether accept() is slow is not known here: try --wait"),
            Some(Verdict::NobodyAccepts) => writeln!(
                text,
                "  nobody called accept(): no queue is long enough; look at the program"
            ),
            Some(Verdict::SlowAccept) => writeln!(
                text,
                "  accept() is slow: {} still waited at the end, a full queue takes {} to \
                 empty{waits}; a longer one only makes them wait longer",
                one.numbers.accept_now,
                drain.unwrap_or_default()
            ),
            Some(Verdict::ShortQueue) => writeln!(
                text,
                "  the queue was short: accept() kept up afterwards, {} waited at the end{waits}",
                one.numbers.accept_now
            ),
        };
        if let Some(knobs) = self.knobs {
            let _ = writeln!(
                text,
                "  net.ipv4.tcp_abort_on_overflow = {}: {}",
                u8::from(knobs.abort_on_overflow),
                if knobs.abort_on_overflow {
                    "a client whose last ACK finds no room gets an RST"
                } else {
                    "a client whose last ACK finds no room believes to be connected"
                }
            );
        }
    }

    fn syn_queue(&self, one: &One, losses: &Losses, text: &mut String) {
        let Some(knobs) = self.knobs else { return };
        if losses.syn.unwrap_or(0) == 0 && losses.cookies.unwrap_or(0) == 0 {
            return;
        }
        let limit = knobs.syn_limit(one.listener.accept_limit);
        let _ = writeln!(
            text,
            "  SYN queue: {} under way, limit {limit}; net.ipv4.tcp_syncookies = {}, \
             net.ipv4.tcp_max_syn_backlog = {}",
            one.numbers.syn_peak, knobs.syncookies, knobs.max_syn_backlog
        );
        let _ = writeln!(
            text,
            "  {}",
            match knobs.syncookies {
                0 =>
                    "SYNs are dropped: set tcp_syncookies = 1, or raise backlog, somaxconn and \
                      tcp_max_syn_backlog",
                1 =>
                    "cookies hold the listener open; clients that never answer are a flood or an \
                      asymmetric route",
                _ => "cookies are sent always (tcp_syncookies = 2), be the queue full or not",
            }
        );
    }
}

static COLUMNS: [Column<AdviceRow>; 14] = [
    Column::json("laddr", |r| Cell::Addr(r.flow.local_ip()), "Local address."),
    Column::json("lport", |r| crate::states::port(r.flow.local_port()), "Local port."),
    Column::json("netns", |r| Cell::Id(r.flow.netns.into()), "Network namespace's inode."),
    Column::json("pid", |r| id(r.pid.into()), "Process."),
    Column::json("comm", |r| comm(r.pid, &r.comm), "Its name."),
    Column::json("accept_limit", |r| Cell::Id(r.limit), "Limit of the accept queue."),
    Column::json(
        "bound_by",
        |r| match r.bound {
            None => Cell::Missing,
            Some(Bound::Backlog) => Cell::Word("backlog"),
            Some(Bound::Somaxconn) => Cell::Word("somaxconn"),
        },
        "What bounds it.",
    ),
    Column::json(
        "needed",
        |r| r.needed.map_or(Cell::Missing, Cell::Id),
        "A limit that would have held all.",
    ),
    Column::json(
        "verdict",
        |r| r.verdict.map_or(Cell::Missing, |v| Cell::Word(v.name())),
        "Why it was full.",
    ),
    Column::json("somaxconn", |r| knob(r, |k| k.somaxconn), "net.core.somaxconn."),
    Column::json(
        "max_syn_backlog",
        |r| knob(r, |k| k.max_syn_backlog),
        "net.ipv4.tcp_max_syn_backlog.",
    ),
    Column::json("syncookies", |r| knob(r, |k| k.syncookies), "net.ipv4.tcp_syncookies."),
    Column::json(
        "abort_on_overflow",
        |r| r.knobs.map_or(Cell::Missing, |k| Cell::Flag(k.abort_on_overflow)),
        "net.ipv4.tcp_abort_on_overflow.",
    ),
    Column::json("text", |r| Cell::Word(&r.text), "The advice in words."),
];

fn knob(row: &AdviceRow, of: fn(Knobs) -> u32) -> Cell<'static> {
    row.knobs.map_or(Cell::Missing, |knobs| Cell::Id(of(knobs).into()))
}

impl Row for AdviceRow {
    const KIND: &'static str = "advice";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
