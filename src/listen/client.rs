//! Who suffers: losses by the client's address.

use std::collections::HashMap;
use std::net::IpAddr;

use super::Drops;
use crate::flow::ip;
use crate::report::{Cell, Column, Row};
use crate::wire::{ListenCause as Cause, ListenEvent};

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
    /// By [`Cause`]; `None`: nobody can tell.
    pub dropped: [Option<u64>; Cause::COUNT],
    /// All of them that are losses.
    pub lost: u64,
}

/// Adds up an interval.
#[derive(Debug, Default)]
pub struct Clients {
    known: HashMap<IpAddr, [u64; Cause::COUNT]>,
    other: [u64; Cause::COUNT],
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
        let row = |client, dropped: [u64; Cause::COUNT]| ClientRow {
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
            let retrans = row.dropped[Cause::Retrans as usize];
            (std::cmp::Reverse(row.lost), std::cmp::Reverse(retrans), row.client)
        });
        let other = std::mem::take(&mut self.other);
        let rest = drops.total.map_or(0, |total| total.saturating_sub(lost(&told))) + lost(&other);
        if rest > 0 {
            let mut dropped = [None; Cause::COUNT];
            let known = [
                (Cause::Other, drops.other),
                (Cause::AcceptSyn, drops.accept_syn),
                (Cause::AcceptAck, drops.accept_ack),
                (Cause::Syn, drops.syn),
                (Cause::Cookie, drops.cookies),
            ];
            for (cause, all) in known {
                let (told, other) = (told[cause as usize], other[cause as usize]);
                dropped[cause as usize] = all.map(|all| all.saturating_sub(told) + other);
            }
            rows.push(ClientRow { ts, interval_ns, client: None, dropped, lost: rest });
        }
        rows
    }
}

/// A cookie, and a SYN-ACK that was sent again, are no losses.
fn lost(dropped: &[u64; Cause::COUNT]) -> u64 {
    [Cause::Other, Cause::AcceptSyn, Cause::AcceptAck, Cause::Syn]
        .map(|cause| dropped[cause as usize])
        .iter()
        .sum()
}

fn of(row: &ClientRow, cause: Cause) -> Cell<'static> {
    row.dropped[cause as usize].map_or(Cell::Missing, Cell::Id)
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
        |r| of(r, Cause::AcceptSyn),
        "SYNs dropped for a full accept queue.",
    ),
    Column::right(
        "drops_accept_ack",
        "ACK:ACC-FULL",
        12,
        |r| of(r, Cause::AcceptAck),
        "Last ACKs dropped for a full accept queue.",
    ),
    Column::right(
        "drops_syn",
        "SYN:SYN-FULL",
        12,
        |r| of(r, Cause::Syn),
        "SYNs dropped for a full SYN queue.",
    ),
    Column::right(
        "cookies",
        "COOKIES",
        7,
        |r| of(r, Cause::Cookie),
        "Cookies sent for a full SYN queue.",
    ),
    Column::right("drops_other", "OTHER", 6, |r| of(r, Cause::Other), "Dropped for other reasons."),
    Column::right(
        "synack_retrans",
        "RETRANS",
        7,
        |r| of(r, Cause::Retrans),
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
