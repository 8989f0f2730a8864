//! Drops by client address.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use super::{DropClient, Drops};
use crate::flow::ip;
use crate::report::{Device, Ts};
use crate::wire::{ListenCause as Cause, ListenEvent};

/// Maximum number of separate addresses; a flood comes from more.
const ROOM: usize = 65_536;

/// Sums an interval.
#[derive(Debug, Default)]
pub struct Clients {
    known: HashMap<(IpAddr, Option<Device>), [u64; Cause::COUNT]>,
    other: [u64; Cause::COUNT],
}

impl Clients {
    /// Adds a drop.
    pub fn push(&mut self, event: &ListenEvent) {
        let Some(cause) = self.other.get_mut(event.cause as usize) else { return };
        let client = (ip(&event.flow.raddr), event.flow.remote_zone());
        let full = self.known.len() >= ROOM && !self.known.contains_key(&client);
        if event.flow.rport == 0 || full {
            *cause += 1;
        } else {
            self.known.entry(client).or_default()[event.cause as usize] += 1;
        }
    }

    /// Ends the interval: clients with the most drops first, then the unknown ones. `drops` are the
    /// drops of the listeners; drops without an event have no known client.
    pub fn rows(&mut self, (ts, interval_ns): (i64, u64), drops: Drops) -> Vec<DropClient> {
        let row = |raddr, device, dropped: [Option<u64>; Cause::COUNT], total| DropClient {
            ts: Ts(ts),
            raddr,
            device,
            drops_total: Some(total),
            drops_accept_syn: dropped[Cause::AcceptSyn as usize],
            drops_accept_ack: dropped[Cause::AcceptAck as usize],
            drops_syn: dropped[Cause::Syn as usize],
            cookies: dropped[Cause::Cookie as usize],
            drops_other: dropped[Cause::Other as usize],
            drops_closed: dropped[Cause::Closed as usize],
            synack_retrans: dropped[Cause::Retrans as usize],
            interval_ns: Some(interval_ns),
        };
        let mut reported = self.other;
        let mut rows: Vec<_> = std::mem::take(&mut self.known)
            .into_iter()
            .map(|((client, zone), dropped)| {
                reported.iter_mut().zip(dropped).for_each(|(reported, one)| *reported += one);
                row(Some(client), zone, dropped.map(Some), sum(&dropped))
            })
            .collect();
        rows.sort_by_key(|row| {
            (
                Reverse(row.drops_total),
                Reverse(row.drops_closed),
                Reverse(row.synack_retrans),
                row.raddr,
                row.device,
            )
        });
        let other = std::mem::take(&mut self.other);
        let rest =
            drops.total.map_or(0, |total| total.saturating_sub(sum(&reported))) + sum(&other);
        let closed = other[Cause::Closed as usize];
        if rest > 0 || closed > 0 {
            let mut dropped = [None; Cause::COUNT];
            let known = [
                (Cause::Other, drops.other),
                (Cause::AcceptSyn, drops.accept_syn),
                (Cause::AcceptAck, drops.accept_ack),
                (Cause::Syn, drops.syn),
                (Cause::Cookie, drops.cookies),
                (Cause::Closed, drops.closed),
            ];
            for (cause, all) in known {
                let (reported, other) = (reported[cause as usize], other[cause as usize]);
                dropped[cause as usize] = all.map(|all| all.saturating_sub(reported) + other);
            }
            rows.push(row(None, None, dropped, rest));
        }
        rows
    }
}

/// Cookies and retransmitted SYN-ACKs are not drops, and what a close resets the kernel does not count.
fn sum(dropped: &[u64; Cause::COUNT]) -> u64 {
    [Cause::Other, Cause::AcceptSyn, Cause::AcceptAck, Cause::Syn]
        .map(|cause| dropped[cause as usize])
        .iter()
        .sum()
}
