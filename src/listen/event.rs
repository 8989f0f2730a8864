//! Losses as they happen.

use std::collections::HashMap;
use std::net::IpAddr;

use super::row::listener_text;
use super::{ListenerId, ListenerInterval};
use crate::clock::WallClock;
use crate::flow::ip;
use crate::report::{Cell, Column, Row};
use crate::states::{comm, id};
use crate::wire::{COMM_LEN, Flow, ListenCause as Cause, ListenEvent, Listener};

/// Losses of one listener and one cause within this time, in ns, make one line.
const BATCH_NS: u64 = 1_000_000;

/// Why a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// A program has told of it, or it is known from counters.
    Cause(Cause),
    /// The accept queue was full, at a SYN or at a last ACK.
    AcceptQueue,
}

impl Reason {
    /// What JSON calls it.
    fn name(self) -> &'static str {
        match self {
            Self::AcceptQueue => "accept_queue",
            Self::Cause(Cause::Other) => "other",
            Self::Cause(Cause::AcceptSyn) => "accept_queue_syn",
            Self::Cause(Cause::AcceptAck) => "accept_queue_ack",
            Self::Cause(Cause::Syn) => "syn_queue",
            Self::Cause(Cause::Cookie) => "cookie",
            Self::Cause(Cause::Retrans) => "retransmit",
        }
    }
}

/// One loss, or several within a millisecond.
#[derive(Debug, Clone)]
pub struct EventRow {
    /// Wall-clock ns of the first.
    pub ts: i64,
    /// The listener; the client is its remote end, port 0 = not known.
    pub flow: Flow,
    /// `LISTENER_…`.
    pub flags: u32,
    /// In words.
    pub listener: String,
    /// Process, 0 = not known.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// `None`: nobody can tell.
    pub cause: Option<Reason>,
    /// Length of the queue that decided, at the last of them, and its limit.
    pub queue: Option<(u64, u64)>,
    /// How many.
    pub count: u64,
    /// Of how many addresses; `None`: not known.
    pub clients: Option<u64>,
    /// Found by looking now and then, up to 50 ms later.
    pub sampled: bool,
}

impl EventRow {
    fn client(&self) -> Option<(IpAddr, u16)> {
        let one = self.clients == Some(1) && self.flow.rport != 0;
        one.then(|| (ip(&self.flow.raddr), self.flow.rport))
    }

    /// A listener's losses of which no program has told: found by looking at it.
    pub fn looked_at(ts: i64, one: &ListenerInterval) -> Vec<Self> {
        let drops = one.numbers.drops;
        let row = |cause: Option<Reason>, count: u64| Self {
            ts,
            flow: one.listener.flow,
            flags: one.listener.flags,
            listener: listener_text(&one.listener.flow, one.listener.flags),
            pid: one.listener.owner.pid,
            comm: one.listener.owner.comm,
            cause,
            queue: match cause {
                Some(Reason::Cause(Cause::Syn | Cause::Cookie)) => {
                    Some((one.numbers.syn_now, one.numbers.accept_limit))
                }
                Some(Reason::Cause(Cause::AcceptSyn) | Reason::AcceptQueue) => {
                    Some((one.numbers.accept_now, one.numbers.accept_limit))
                }
                _ => None,
            },
            count,
            clients: None,
            sampled: true,
        };
        // Programs tell of lost ACKs, if they know them.
        let told = drops.accept_ack.unwrap_or(0);
        let unsplit = drops.accept.filter(|_| drops.accept_syn.is_none());
        let known = [
            (Reason::AcceptQueue, unsplit.map(|count| count.saturating_sub(told))),
            (Reason::Cause(Cause::AcceptSyn), drops.accept_syn),
            (Reason::Cause(Cause::Syn), drops.syn),
            (Reason::Cause(Cause::Cookie), drops.cookies),
            (Reason::Cause(Cause::Other), drops.other),
        ];
        let mut rows: Vec<_> = known
            .into_iter()
            .filter_map(|(cause, count)| Some(row(Some(cause), count.filter(|&n| n > 0)?)))
            .collect();
        let causes = rows.iter().filter(|row| row.cause != Some(Reason::Cause(Cause::Cookie)));
        let causes = told + causes.map(|row| row.count).sum::<u64>();
        let rest = drops.total.map(|total| total.saturating_sub(causes));
        rows.extend(rest.filter(|&rest| rest > 0).map(|rest| row(None, rest)));
        rows
    }
}

/// Puts losses together.
#[derive(Debug, Default)]
pub struct Batches {
    open: HashMap<(ListenerId, u32), Batch>,
    ready: Vec<(u64, EventRow)>,
}

#[derive(Debug)]
struct Batch {
    first: ListenEvent,
    last: ListenEvent,
    count: u64,
    clients: Vec<[u8; 16]>,
}

impl Batch {
    fn row(&self, known: &HashMap<ListenerId, Listener>) -> EventRow {
        let listener = known.get(&ListenerId { sk: self.first.sk, born: self.first.born });
        let (flags, owner) = listener.map_or((0, None), |one| (one.flags, Some(one.owner)));
        EventRow {
            ts: WallClock::now().at(self.first.ts),
            flow: self.first.flow,
            flags,
            listener: listener_text(&self.first.flow, flags),
            pid: owner.map_or(0, |owner| owner.pid),
            comm: owner.map_or([0; COMM_LEN], |owner| owner.comm),
            cause: Cause::from_number(self.first.cause).map(Reason::Cause),
            queue: Some((self.last.queue.into(), self.last.limit.into())),
            count: self.count,
            clients: (self.first.flow.rport != 0).then_some(self.clients.len() as u64),
            sampled: false,
        }
    }
}

impl Batches {
    /// Takes in a loss; `known` names the listener when its line is done.
    pub fn push(&mut self, event: &ListenEvent, known: &HashMap<ListenerId, Listener>) {
        if event.cause == Cause::Retrans as u32 {
            return;
        }
        let key = (ListenerId { sk: event.sk, born: event.born }, event.cause);
        if let Some(batch) = self.open.get_mut(&key) {
            if event.ts < batch.first.ts + BATCH_NS {
                batch.count += 1;
                batch.last = *event;
                if !batch.clients.contains(&event.flow.raddr) {
                    batch.clients.push(event.flow.raddr);
                }
                return;
            }
            self.ready.push((batch.first.ts, batch.row(known)));
        }
        let clients = vec![event.flow.raddr];
        self.open.insert(key, Batch { first: *event, last: *event, count: 1, clients });
    }

    /// Lines that are done at `CLOCK_MONOTONIC` `now`, in order.
    pub fn take(&mut self, now: u64, known: &HashMap<ListenerId, Listener>) -> Vec<EventRow> {
        let done = self.open.extract_if(|_, batch| batch.first.ts + BATCH_NS <= now);
        self.ready.extend(done.map(|(_, batch)| (batch.first.ts, batch.row(known))));
        self.ready.sort_by_key(|(ts, _)| *ts);
        self.ready.drain(..).map(|(_, row)| row).collect()
    }
}

static COLUMNS: [Column<EventRow>; 17] = [
    Column::left("time", "TIME", 12, |r: &EventRow| Cell::Time(r.ts), "When the first was lost.")
        .table_only(),
    Column::left(
        "listener",
        "LISTENER",
        21,
        |r: &EventRow| Cell::Word(&r.listener),
        "Where it listens.",
    )
    .table_only(),
    Column::right("pid", "PID", 7, |r| id(r.pid.into()), "Process."),
    Column::left("comm", "COMM", 15, |r| comm(r.pid, &r.comm), "Its name."),
    Column::left(
        "cause",
        "CAUSE",
        16,
        |r| r.cause.map_or(Cell::Missing, |reason| Cell::Word(reason.name())),
        "Why.",
    ),
    Column::left(
        "client",
        "CLIENT",
        21,
        |r: &EventRow| {
            r.client().map_or(Cell::Missing, |(ip, port)| Cell::Endpoint(Some(ip), Some(port)))
        },
        "Address and port of the client, if it is one.",
    )
    .table_only(),
    Column::right(
        "queue",
        "QUEUE",
        6,
        |r| r.queue.map_or(Cell::Missing, |(queue, _)| Cell::Id(queue)),
        "Length of the queue that decided.",
    ),
    Column::right(
        "limit",
        "LIMIT",
        6,
        |r| r.queue.map_or(Cell::Missing, |(_, limit)| Cell::Id(limit)),
        "Its limit.",
    ),
    Column::right("count", "COUNT", 6, |r| Cell::Id(r.count), "How many within a millisecond."),
    Column::json(
        "clients",
        |r| r.clients.map_or(Cell::Missing, Cell::Id),
        "Of how many addresses.",
    ),
    Column::json("laddr", |r| Cell::Addr(r.flow.local_ip()), "Local address of the listener."),
    Column::json("lport", |r| crate::states::port(r.flow.local_port()), "Its port."),
    Column::json(
        "raddr",
        |r| r.client().map_or(Cell::Missing, |(ip, _)| Cell::Addr(ip)),
        "Client.",
    ),
    Column::json(
        "rport",
        |r| r.client().map_or(Cell::Missing, |(_, port)| Cell::Port(port)),
        "Its port.",
    ),
    Column::json("family", |r| Cell::Id(r.flow.family()), "4 or 6."),
    Column::json("netns", |r| Cell::Id(r.flow.netns.into()), "Network namespace's inode."),
    Column::json("sampled", |r| Cell::Flag(r.sampled), "Found by looking, up to 50 ms later."),
];

impl Row for EventRow {
    const KIND: &'static str = "listen_event";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
