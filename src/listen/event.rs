//! Drops as they happen.

use std::collections::HashMap;

use super::{Cause, DropEvent, ListenerId, ListenerInterval};
use crate::clock::WallClock;
use crate::flow::ip;
use crate::report::{Key, Ts};
use crate::wire::{Flow, LISTENER_V6ONLY, ListenCause, ListenEvent, Listener, Owner};

/// Drops of one listener and cause within this time, ns, share one line.
const BATCH_NS: u64 = 1_000_000;

/// The record value of a cause; retransmitted SYN-ACKs have none.
fn cause(number: u32) -> Option<Cause> {
    match ListenCause::from_number(number)? {
        ListenCause::Other => Some(Cause::Other),
        ListenCause::AcceptSyn => Some(Cause::AcceptQueueSyn),
        ListenCause::AcceptAck => Some(Cause::AcceptQueueAck),
        ListenCause::Syn => Some(Cause::SynQueue),
        ListenCause::Cookie => Some(Cause::Cookie),
        ListenCause::Closed => Some(Cause::ListenerClosed),
        ListenCause::Retrans => None,
    }
}

/// A drop at a listener with these flags and this owner.
fn drop_at(flow: &Flow, flags: u32, owner: Option<&Owner>) -> DropEvent {
    let listener = Key { raddr: None, rport: None, ..flow.key() };
    let listener = match owner {
        Some(owner) => listener.owned(owner.pid, owner.comm),
        None => listener,
    };
    DropEvent {
        family: Some(flow.family()),
        dual_stack: flags & LISTENER_V6ONLY == 0,
        ..DropEvent::about(listener)
    }
}

/// A listener's drops that no program reported: found by sampling.
pub fn sampled_drops(ts: i64, one: &ListenerInterval) -> Vec<DropEvent> {
    let drops = one.numbers.drops;
    let row = |cause: Option<Cause>, count: u64| {
        let (queue, limit) = match cause {
            Some(Cause::SynQueue | Cause::Cookie) => {
                (Some(one.numbers.syn_now), Some(one.numbers.accept_limit))
            }
            Some(Cause::AcceptQueueSyn | Cause::AcceptQueue) => {
                (Some(one.numbers.accept_now), Some(one.numbers.accept_limit))
            }
            _ => (None, None),
        };
        DropEvent {
            ts: Ts(ts),
            cause,
            queue,
            limit,
            count: Some(count),
            sampled: true,
            ..drop_at(&one.listener.flow, one.listener.flags, Some(&one.listener.owner))
        }
    };
    // Programs report dropped ACKs if they know them.
    let reported = drops.accept_ack.unwrap_or(0);
    let unsplit = drops.accept.filter(|_| drops.accept_syn.is_none());
    let known = [
        (Cause::AcceptQueue, unsplit.map(|count| count.saturating_sub(reported))),
        (Cause::AcceptQueueSyn, drops.accept_syn),
        (Cause::SynQueue, drops.syn),
        (Cause::Cookie, drops.cookies),
        (Cause::Other, drops.other),
    ];
    let mut rows: Vec<_> = known
        .into_iter()
        .filter_map(|(cause, count)| Some(row(Some(cause), count.filter(|&n| n > 0)?)))
        .collect();
    let dropped = rows.iter().filter(|row| row.cause != Some(Cause::Cookie));
    let causes = reported + dropped.filter_map(|row| row.count).sum::<u64>();
    let rest = drops.total.map(|total| total.saturating_sub(causes));
    rows.extend(rest.filter(|&rest| rest > 0).map(|rest| row(None, rest)));
    rows
}

/// Puts losses together.
#[derive(Debug, Default)]
pub struct Batches {
    open: HashMap<(ListenerId, u32), Batch>,
    ready: Vec<(u64, DropEvent)>,
}

#[derive(Debug)]
struct Batch {
    first: ListenEvent,
    last: ListenEvent,
    count: u64,
    clients: Vec<[u8; 16]>,
}

impl Batch {
    fn row(&self, known: &HashMap<ListenerId, Listener>) -> DropEvent {
        let listener = known.get(&ListenerId { sk: self.first.sk, born: self.first.born });
        let (flags, owner) = listener.map_or((0, None), |one| (one.flags, Some(&one.owner)));
        let flow = &self.first.flow;
        let clients = (flow.rport != 0).then_some(self.clients.len() as u64);
        let client = clients == Some(1);
        DropEvent {
            ts: Ts(WallClock::now().at(self.first.ts)),
            raddr: client.then(|| ip(&flow.raddr)),
            rport: client.then_some(flow.rport),
            cause: cause(self.first.cause),
            queue: Some(self.last.queue.into()),
            limit: Some(self.last.limit.into()),
            count: Some(self.count),
            clients,
            ..drop_at(flow, flags, owner)
        }
    }
}

impl Batches {
    /// Takes in a loss; `known` names the listener when its line is done.
    pub fn push(&mut self, event: &ListenEvent, known: &HashMap<ListenerId, Listener>) {
        if event.cause == ListenCause::Retrans as u32 {
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
    pub fn take(&mut self, now: u64, known: &HashMap<ListenerId, Listener>) -> Vec<DropEvent> {
        let done = self.open.extract_if(|_, batch| batch.first.ts + BATCH_NS <= now);
        self.ready.extend(done.map(|(_, batch)| (batch.first.ts, batch.row(known))));
        self.ready.sort_by_key(|(ts, _)| *ts);
        self.ready.drain(..).map(|(_, row)| row).collect()
    }
}
