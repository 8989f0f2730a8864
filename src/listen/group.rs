//! Which listeners of an interval are shown, and how those of one address are put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{ListenInterval, ListenerInterval, Numbers};
use super::row::listener_text;
use super::{Coverage, ListenerRow};
use crate::wire::{LISTENER_MATCHES, LISTENER_V6ONLY};

/// The listeners that pass the filters; idle ones only with `all`.
pub fn rows(
    interval: &ListenInterval,
    (ts, interval_ns): (i64, u64),
    coverage: Coverage,
    all: bool,
    mut name: impl FnMut(u32) -> Arc<str>,
) -> Vec<ListenerRow> {
    let shown = interval.listeners.iter().filter(|one| {
        let passes = one.listener.flags & LISTENER_MATCHES != 0;
        passes && (all || !one.numbers.is_idle())
    });
    let row = |one: &ListenerInterval| ListenerRow {
        ts,
        interval_ns,
        flow: one.listener.flow,
        flags: one.listener.flags,
        members: 1,
        pid: one.listener.owner.pid,
        comm: one.listener.owner.comm,
        netns_name: name(one.listener.flow.netns),
        listener: listener_text(&one.listener.flow, one.listener.flags),
        numbers: one.numbers.clone(),
        accept_sampled: !coverage.children,
        syn_sampled: !coverage.syn,
        aborts: one.sysctls.map(|sysctls| sysctls.abort_on_overflow),
    };
    shown.map(row).collect()
}

/// One row for all listeners of an address, as with `SO_REUSEPORT`. Sums are added up. A connection
/// belongs to one of them, full as that may be while others are empty: so the queues shown are those
/// of the fullest.
pub fn group(rows: Vec<ListenerRow>) -> Vec<ListenerRow> {
    let mut groups: BTreeMap<_, ListenerRow> = BTreeMap::new();
    for row in rows {
        let key = (row.flow.netns, row.flow.laddr, row.flow.lport, row.flags & LISTENER_V6ONLY);
        match groups.get_mut(&key) {
            None => drop(groups.insert(key, row)),
            Some(group) => join(group, row),
        }
    }
    groups.into_values().collect()
}

/// Adds a listener to its group.
fn join(group: &mut ListenerRow, other: ListenerRow) {
    group.members += other.members;
    group.flags &= other.flags | !crate::wire::LISTENER_GONE;
    if group.pid != other.pid {
        group.pid = 0;
    }
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
