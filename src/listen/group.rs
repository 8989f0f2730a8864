//! Which listeners of an interval are shown, and how those of one address are put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::model::{Interval, Numbers, One};
use super::row::listener_text;
use super::{ListenerRow, Losses, Ways};
use crate::hist::Histogram;
use crate::wire::{LISTENER_MATCHES, LISTENER_V6ONLY};

/// The listeners that pass the filters; idle ones only with `all`.
pub fn rows(
    interval: &Interval,
    (ts, interval_ns): (i64, u64),
    ways: Ways,
    all: bool,
    mut name: impl FnMut(u32) -> Arc<str>,
) -> Vec<ListenerRow> {
    let shown = interval.ones.iter().filter(|one| {
        let passes = one.listener.flags & LISTENER_MATCHES != 0;
        passes && (all || !one.numbers.is_idle())
    });
    let row = |one: &One| ListenerRow {
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
        accept_sampled: !ways.children,
        syn_sampled: !ways.syn,
        aborts: one.knobs.map(|knobs| knobs.abort_on_overflow),
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
            Some(group) => group.join(row),
        }
    }
    groups.into_values().collect()
}

impl ListenerRow {
    fn join(&mut self, other: Self) {
        self.members += other.members;
        self.flags &= other.flags | !crate::wire::LISTENER_GONE;
        if self.pid != other.pid {
            self.pid = 0;
        }
        let sums = self.numbers.plus(&other.numbers);
        if other.numbers.fullness() > self.numbers.fullness() {
            self.numbers = other.numbers;
        }
        self.numbers = Numbers {
            accepts: sums.accepts,
            losses: sums.losses,
            synack_retrans: sums.synack_retrans,
            waits: sums.waits,
            ..self.numbers.clone()
        };
    }
}

impl Numbers {
    /// How near to its limit the accept queue came.
    fn fullness(&self) -> (u64, u64) {
        let share = self.accept_peak * 1_000_000 / (self.accept_limit + 1);
        (share, self.syn_peak)
    }

    fn plus(&self, other: &Self) -> Self {
        let merge = |a: &Histogram, b: &Histogram| {
            let mut both = a.clone();
            both.merge(b);
            both
        };
        Self {
            accepts: add(self.accepts, other.accepts),
            losses: self.losses.plus(other.losses),
            synack_retrans: add(self.synack_retrans, other.synack_retrans),
            waits: self.waits.as_ref().zip(other.waits.as_ref()).map(|(a, b)| merge(a, b)),
            ..self.clone()
        }
    }
}

/// What is not known of one is not known of both.
fn add(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    Some(a? + b?)
}

impl Losses {
    /// Of two listeners together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            accept: add(self.accept, other.accept),
            accept_syn: add(self.accept_syn, other.accept_syn),
            accept_ack: add(self.accept_ack, other.accept_ack),
            syn: add(self.syn, other.syn),
            cookies: add(self.cookies, other.cookies),
            other: add(self.other, other.other),
            total: add(self.total, other.total),
            discards: add(self.discards, other.discards),
        }
    }
}
