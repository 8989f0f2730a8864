//! Who suffers: losses by the client's address.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Drops;
use crate::flow::ip;
use crate::report::{Cell, Column, Row};
use crate::wire::{
    CAUSE_ACCEPT_ACK, CAUSE_ACCEPT_SYN, CAUSE_COOKIE, CAUSE_OTHER, CAUSE_RETRANS, CAUSE_SYN,
    ListenEvent, NR_CAUSES,
};

/// So many addresses are told apart; a flood comes from more.
const ROOM: usize = 65_536;

/// What one address lost in an interval.
#[derive(Debug, Clone)]
pub struct ClientRow {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// The address; `None`: not known, or one of more than there is room for.
    pub client: Option<IpAddr>,
    /// By `CAUSE_…`; `None`: nobody can tell.
    pub dropped: [Option<u64>; NR_CAUSES],
    /// All of them that are losses.
    pub lost: u64,
}

/// Adds up an interval.
#[derive(Debug, Default)]
pub struct Clients {
    known: HashMap<IpAddr, [u64; NR_CAUSES]>,
    other: [u64; NR_CAUSES],
}

impl Clients {
    /// Takes in a loss.
    pub fn push(&mut self, event: &ListenEvent) {
        let Some(cause) = self.other.get_mut(event.cause as usize) else { return };
        let client = ip(&event.flow.raddr);
        let full = self.known.len() >= ROOM && !self.known.contains_key(&client);
        if event.flow.rport == 0 || full {
            *cause += 1;
        } else {
            self.known.entry(client).or_default()[event.cause as usize] += 1;
        }
    }

    /// Ends the interval: those who lost most first, then what belongs to nobody. `losses` is what
    /// the listeners lost; what no event told of has no known client.
    pub fn rows(&mut self, (ts, interval_ns): (i64, u64), drops: Drops) -> Vec<ClientRow> {
        let row = |client, dropped: [u64; NR_CAUSES]| ClientRow {
            ts,
            interval_ns,
            client,
            dropped: dropped.map(Some),
            lost: lost(&dropped),
        };
        let mut told = self.other;
        let mut rows: Vec<_> = std::mem::take(&mut self.known)
            .into_iter()
            .map(|(client, dropped)| {
                told.iter_mut().zip(dropped).for_each(|(told, one)| *told += one);
                row(Some(client), dropped)
            })
            .collect();
        rows.sort_by_key(|row| {
            let retrans = row.dropped[CAUSE_RETRANS];
            (std::cmp::Reverse(row.lost), std::cmp::Reverse(retrans), row.client)
        });
        let other = std::mem::take(&mut self.other);
        let rest = drops.total.map_or(0, |total| total.saturating_sub(lost(&told))) + lost(&other);
        if rest > 0 {
            let part = |cause: usize, all: Option<u64>| {
                Some(all?.saturating_sub(told[cause]) + other[cause])
            };
            let mut dropped = [None; NR_CAUSES];
            dropped[CAUSE_OTHER] = part(CAUSE_OTHER, drops.other);
            dropped[CAUSE_ACCEPT_SYN] = part(CAUSE_ACCEPT_SYN, drops.accept_syn);
            dropped[CAUSE_ACCEPT_ACK] = part(CAUSE_ACCEPT_ACK, drops.accept_ack);
            dropped[CAUSE_SYN] = part(CAUSE_SYN, drops.syn);
            dropped[CAUSE_COOKIE] = part(CAUSE_COOKIE, drops.cookies);
            rows.push(ClientRow { ts, interval_ns, client: None, dropped, lost: rest });
        }
        rows
    }
}

/// A cookie, and a SYN-ACK that was sent again, are no losses.
fn lost(dropped: &[u64; NR_CAUSES]) -> u64 {
    [CAUSE_OTHER, CAUSE_ACCEPT_SYN, CAUSE_ACCEPT_ACK, CAUSE_SYN]
        .map(|cause| dropped[cause])
        .iter()
        .sum()
}

fn of(row: &ClientRow, cause: usize) -> Cell<'static> {
    row.dropped[cause].map_or(Cell::Missing, Cell::Id)
}

static COLUMNS: [Column<ClientRow>; 10] = [
    Column::left("time", "TIME", 12, |r: &ClientRow| Cell::Time(r.ts), "End of the interval.")
        .table_only(),
    Column::left("raddr", "RADDR", 39, |r| r.client.map_or(Cell::Missing, Cell::Addr), "Client."),
    Column::right(
        "lost",
        "LOST",
        7,
        |r| Cell::Id(r.lost),
        "SYNs and last ACKs of it that were dropped.",
    ),
    Column::right(
        "drops_accept_syn",
        "SYN:ACC-FULL",
        12,
        |r| of(r, CAUSE_ACCEPT_SYN),
        "SYNs dropped for a full accept queue.",
    ),
    Column::right(
        "drops_accept_ack",
        "ACK:ACC-FULL",
        12,
        |r| of(r, CAUSE_ACCEPT_ACK),
        "Last ACKs dropped for a full accept queue.",
    ),
    Column::right(
        "drops_syn",
        "SYN:SYN-FULL",
        12,
        |r| of(r, CAUSE_SYN),
        "SYNs dropped for a full SYN queue.",
    ),
    Column::right(
        "cookies",
        "COOKIES",
        7,
        |r| of(r, CAUSE_COOKIE),
        "Cookies sent for a full SYN queue.",
    ),
    Column::right("drops_other", "OTHER", 6, |r| of(r, CAUSE_OTHER), "Dropped for other reasons."),
    Column::right(
        "synack_retrans",
        "RETRANS",
        7,
        |r| of(r, CAUSE_RETRANS),
        "SYN-ACKs sent again to it.",
    ),
    Column::json("interval_ns", |r| Cell::Nanos(r.interval_ns), "Length of the interval."),
];

impl Row for ClientRow {
    const KIND: &'static str = "listen_client";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
