//! Selects the listeners of an interval and merges those of one address.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::holders::text;
use super::model::{ListenInterval, ListenerInterval, Numbers};
use super::{Coverage, HolderRecord, ListenerRecord};
use crate::report::Ts;
use crate::wire::{LISTENER_GONE, LISTENER_MATCHES, LISTENER_V6ONLY};

/// Which listeners are shown, and how.
#[derive(Debug, Clone, Copy)]
pub struct ListenerRowOptions {
    /// Wall-clock ns at the end of the interval, and its length in ns.
    pub time: (i64, u64),
    /// What the programs measure.
    pub coverage: Coverage,
    /// Idle ones too.
    pub all: bool,
    /// One row for all listeners of an address, as with `SO_REUSEPORT`.
    pub group: bool,
}

/// The listeners that pass the filters.
pub fn rows(
    interval: &ListenInterval,
    shape: ListenerRowOptions,
    mut name: impl FnMut(u32) -> Option<Arc<str>>,
) -> Vec<ListenerRecord> {
    let shown = interval.listeners.iter().filter(|one| {
        let passes = one.listener.flags & LISTENER_MATCHES != 0;
        passes && (shape.all || !one.numbers.is_idle())
    });
    let shown = shown.map(|one| (one.clone(), 1));
    let shown: Vec<_> = if shape.group { group(shown) } else { shown.collect() };
    shown.iter().map(|one| record(one, shape, name(one.0.listener.flow.netns))).collect()
}

/// One for all listeners of an address, with their number. Sums are added up. A connection belongs to
/// one of them, full as that may be while others are empty: so the queues shown are those of the
/// fullest.
fn group(listeners: impl Iterator<Item = (ListenerInterval, u64)>) -> Vec<(ListenerInterval, u64)> {
    let mut groups: BTreeMap<_, (ListenerInterval, u64)> = BTreeMap::new();
    for (one, _) in listeners {
        let (flow, flags) = (one.listener.flow, one.listener.flags);
        let key = (flow.netns, flow.laddr, flow.device, flow.lport, flags & LISTENER_V6ONLY);
        match groups.get_mut(&key) {
            None => drop(groups.insert(key, (one, 1))),
            Some((group, members)) => {
                *members += 1;
                join(group, one);
            }
        }
    }
    groups.into_values().collect()
}

/// Adds a listener to its group.
fn join(group: &mut ListenerInterval, other: ListenerInterval) {
    group.listener.flags &= other.listener.flags | !LISTENER_GONE;
    if group.listener.owner.pid != other.listener.owner.pid {
        group.listener.owner.pid = 0;
    }
    join_holders(&mut group.holders, other.holders);
    let sums = group.numbers.plus(&other.numbers);
    if other.numbers.fullness() > group.numbers.fullness() {
        group.numbers = other.numbers;
    }
    group.numbers = Numbers {
        accepts: sums.accepts,
        drops: sums.drops,
        synack_retrans: sums.synack_retrans,
        waits: sums.waits,
        ..group.numbers.clone()
    };
}

fn join_holders(all: &mut Option<Vec<HolderRecord>>, others: Option<Vec<HolderRecord>>) {
    let (Some(known), Some(others)) = (all.as_mut(), others) else {
        *all = None;
        return;
    };
    known.extend(others);
    known.sort_by_key(|one| one.pid);
    known.dedup_by_key(|one| one.pid);
}

fn record(
    (one, members): &(ListenerInterval, u64),
    shape: ListenerRowOptions,
    name: Option<Arc<str>>,
) -> ListenerRecord {
    let (listener, numbers, drops) = (&one.listener, &one.numbers, &one.numbers.drops);
    let family = listener.flow.family();
    let wait = |per_mille| numbers.waits.as_ref().and_then(|waits| waits.quantile(per_mille));
    ListenerRecord {
        ts: Ts(shape.time.0),
        netns_name: name,
        v6only: (family == 6).then_some(listener.flags & LISTENER_V6ONLY != 0),
        listeners: Some(*members),
        closed: listener.flags & LISTENER_GONE != 0,
        interval_ns: Some(shape.time.1),
        accept_now: Some(numbers.accept_now),
        accept_peak: Some(numbers.accept_peak),
        accept_peak_sampled: !shape.coverage.children,
        accept_limit: Some(numbers.accept_limit),
        syn_now: Some(numbers.syn_now),
        syn_peak: Some(numbers.syn_peak),
        syn_peak_sampled: !shape.coverage.syn,
        syn_limit: numbers.syn_limit,
        accepts: numbers.accepts,
        drops_accept: drops.accept,
        drops_accept_syn: drops.accept_syn,
        drops_accept_ack: drops.accept_ack,
        drops_syn: drops.syn,
        cookies: drops.cookies,
        drops_other: drops.other,
        drops_closed: drops.closed,
        drops_total: drops.total,
        discards: drops.discards,
        synack_retrans: numbers.synack_retrans,
        wait_p50_ns: wait(500),
        wait_p99_ns: wait(990),
        waits: numbers.waits.as_ref().map(crate::hist::Histogram::count),
        abort_on_overflow: one.sysctls.map(|sysctls| sysctls.abort_on_overflow),
        holders_text: one.holders.as_deref().map(text).unwrap_or_default().into(),
        holders: one.holders.clone(),
        family: Some(family),
        ..ListenerRecord::about(listener.flow.key().owned(listener.owner.pid, listener.owner.comm))
    }
}
