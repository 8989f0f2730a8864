//! Turns growing counters of listeners into intervals.

use std::collections::{BTreeMap, HashMap};

use super::HolderRecord;
use super::attribution::{Counted, add};
use super::moved::{Moved, moved};
use super::reconcile::{Reading, Reconciliation};
use super::{Coverage, Drops, ListenerId, Pace, Sysctls, split};
use crate::hist::{Histogram, SUBS};
use crate::wire::{
    LISTENER_GONE, LISTENER_KNOWS_ACK, LISTENER_UNLINKED, ListenCause as Cause, Listener,
    ListenerEntry, WaitKey, WaitSlots,
};

/// The numbers of a listener in an interval; `None`: unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbers {
    /// Connections in the accept queue at the end.
    pub accept_now: u64,
    /// Maximum in the interval, or of the samples.
    pub accept_peak: u64,
    /// One more than that fit.
    pub accept_limit: u64,
    /// Half-open connections at the end.
    pub syn_now: u64,
    /// Maximum, as above.
    pub syn_peak: u64,
    /// Most that are let in.
    pub syn_limit: Option<u64>,
    /// Connections taken out of the accept queue.
    pub accepts: Option<u64>,
    /// How fast they were taken.
    pub pace: Pace,
    /// What was lost.
    pub drops: Drops,
    /// SYN-ACKs retransmitted.
    pub synack_retrans: Option<u64>,
    /// ns from the end of a handshake to `accept()`.
    pub waits: Option<Histogram>,
}

/// A listener in an interval.
#[derive(Debug, Clone)]
pub struct ListenerInterval {
    /// Who it is.
    pub id: ListenerId,
    /// What is known of it.
    pub listener: Listener,
    /// Its numbers.
    pub numbers: Numbers,
    /// Settings of its namespace; `None`: they cannot be read.
    pub sysctls: Option<Sysctls>,
    /// Processes that have it open; `None`: unknown.
    pub holders: Option<Vec<HolderRecord>>,
}

/// An interval: all listeners, and what they do not explain.
#[derive(Debug, Default)]
pub struct ListenInterval {
    /// Every listener of the interval, also those that ended in it.
    pub listeners: Vec<ListenerInterval>,
    /// Drops since the start that only the namespaces or only the listeners counted.
    pub unexplained: Option<u64>,
    /// Inodes of the network namespaces that have any.
    pub unexplained_in: Vec<u32>,
}

/// What was last read of a listener.
#[derive(Debug)]
struct Past {
    last: Listener,
    accepts: u64,
    /// Connections taken over from closed listeners.
    moved: u64,
}

/// All listeners.
#[derive(Debug)]
pub struct Listeners {
    coverage: Coverage,
    retransmits: bool,
    past: HashMap<ListenerId, Past>,
    waits: HashMap<(ListenerId, u32), [u64; SUBS]>,
    namespaces: HashMap<u32, Reconciliation>,
}

impl Listeners {
    /// Begins with what there is: nothing of it is shown. `retransmits`: SYN-ACKs retransmitted are
    /// seen.
    pub fn new(coverage: Coverage, retransmits: bool) -> Self {
        let (past, waits, namespaces) = Default::default();
        Self { coverage, retransmits, past, waits, namespaces }
    }

    /// What was there before the first interval.
    pub fn begin(&mut self, entries: &[ListenerEntry], readings: &BTreeMap<u32, Reading>) {
        for entry in entries {
            self.past.insert(entry.id(), Past { last: entry.listener, accepts: 0, moved: 0 });
        }
        for (netns, reading) in readings {
            self.namespaces.insert(*netns, Reconciliation::begin(reading));
        }
    }

    /// The interval that ends now. `epoch` is its number in the kernel, for the peaks. `entries`
    /// holds the current readings, and the final rows of closed listeners.
    pub fn interval(
        &mut self,
        epoch: u32,
        entries: &[ListenerEntry],
        waits: &[(WaitKey, WaitSlots)],
        readings: &BTreeMap<u32, Reading>,
    ) -> ListenInterval {
        let mut histograms = self.waited(waits);
        let mut by_netns: BTreeMap<u32, Vec<(&ListenerEntry, Counted)>> = BTreeMap::new();
        for entry in entries {
            let counted = self.counted(entry);
            by_netns.entry(entry.listener.flow.netns).or_default().push((entry, counted));
        }
        let mut interval = ListenInterval {
            listeners: Vec::new(),
            unexplained: Some(0),
            unexplained_in: Vec::new(),
        };
        // What is lost where no listener is known, none explains.
        for (netns, reading) in readings.iter().filter(|(netns, _)| !by_netns.contains_key(netns)) {
            self.namespaces.entry(*netns).or_default().hold(Some(reading), &[]);
        }
        for (netns, members) in by_netns {
            let reading = readings.get(&netns);
            let check = self.namespaces.entry(netns).or_default();
            let grown = reading.and_then(|reading| check.grown(reading));
            let counts: Vec<_> = members.iter().map(|(_, counted)| *counted).collect();
            let drops = split(&counts, grown.as_ref(), self.coverage);
            check.hold(reading, &drops);
            let ones: Vec<_> = members.iter().map(|(entry, _)| *entry).collect();
            let moved = moved(&ones, grown.as_ref());
            for (((entry, counted), drops), moved) in members.into_iter().zip(drops).zip(moved) {
                let sysctls = reading.and_then(|reading| reading.sysctls);
                let waits = histograms.remove(&entry.id());
                let numbers = self.numbers(epoch, entry, (&counted, moved), drops, sysctls, waits);
                interval.listeners.push(ListenerInterval {
                    id: entry.id(),
                    listener: entry.listener,
                    numbers,
                    sysctls,
                    holders: None,
                });
            }
        }
        let unexplained: Vec<_> =
            self.namespaces.values().map(Reconciliation::unexplained).collect();
        interval.unexplained = unexplained.into_iter().sum();
        let any = |check: &Reconciliation| check.unexplained().is_some_and(|count| count > 0);
        let of = self.namespaces.iter().filter(|(_, check)| any(check));
        interval.unexplained_in = of.map(|(netns, _)| *netns).collect();
        self.remember(entries);
        interval
    }

    fn remember(&mut self, entries: &[ListenerEntry]) {
        for entry in entries {
            if entry.listener.flags & LISTENER_GONE != 0 {
                self.past.remove(&entry.id());
                self.waits.retain(|(id, _), _| *id != entry.id());
            } else if let Some(past) = self.past.get_mut(&entry.id()) {
                past.last = entry.listener;
            }
        }
    }

    /// What it grew by. One that was not there before began with nothing.
    fn counted(&mut self, entry: &ListenerEntry) -> Counted {
        let now = &entry.listener;
        let past = self.past.entry(entry.id()).or_insert_with(|| Past {
            last: Listener {
                born: now.born,
                drops: now.drops_before,
                accept_now: now.accept_before,
                ..Listener::default()
            },
            accepts: 0,
            moved: 0,
        });
        let last = &past.last;
        let mut dropped = now.dropped;
        for (now, last) in dropped.iter_mut().zip(last.dropped) {
            *now = now.saturating_sub(last);
        }
        Counted {
            dropped,
            sk_drops: u64::from(now.drops.wrapping_sub(last.drops)),
            discarded: now.discarded.saturating_sub(last.discarded),
            established: now.established.saturating_sub(last.established),
            accepted: now.accepted.saturating_sub(last.accepted),
            knows_ack: now.flags & LISTENER_KNOWS_ACK != 0,
        }
    }

    fn numbers(
        &mut self,
        epoch: u32,
        entry: &ListenerEntry,
        (counted, moved): (&Counted, Moved),
        drops: Drops,
        sysctls: Option<Sysctls>,
        waits: Option<Histogram>,
    ) -> Numbers {
        let now = &entry.listener;
        let accepts = self.accepts(entry, counted, moved);
        let gone = now.flags & LISTENER_GONE != 0;
        let last = self.past.get(&entry.id()).map(|past| &past.last);
        let peak = |peaks: [u32; 2], now: u32, last: u32| {
            let at = epoch as usize & 1;
            let in_time = if now_is(entry, epoch) { peaks[at] } else { 0 };
            u64::from(in_time.max(now).max(last))
        };
        let (accept_last, syn_last) = last.map_or((0, 0), |last| (last.accept_now, last.syn_now));
        let accept_peak = peak(now.accept_peak, now.accept_now, accept_last);
        let never_full = self.coverage.children && accept_peak < now.accept_limit.into();
        let drops = match drops.accept {
            None if never_full => drops.without_accept_queue(),
            _ => drops,
        };
        Numbers {
            // Those that waited when it closed were reset, or are another listener's.
            accept_now: if gone { 0 } else { now.accept_now.into() },
            accept_peak,
            accept_limit: now.accept_limit.into(),
            syn_now: now.syn_now.into(),
            syn_peak: peak(now.syn_peak, now.syn_now, syn_last),
            syn_limit: sysctls.map(|sysctls| sysctls.syn_limit(now.accept_limit).into()),
            accepts,
            pace: last.map_or_else(Pace::default, |last| Pace::between(last, now, self.coverage)),
            drops,
            synack_retrans: self.retransmits.then_some(counted.dropped[Cause::Retrans as usize]),
            waits: self.coverage.accepts.then(|| waits.unwrap_or_default()),
        }
    }

    /// Connections taken from the accept queue: if `accept()` is not seen, new connections minus
    /// what the queue grew by. A child is in the queue a moment before its handshake counts as
    /// done, so the sum may only grow.
    fn accepts(&mut self, entry: &ListenerEntry, counted: &Counted, moved: Moved) -> Option<u64> {
        if self.coverage.all_accepts || (self.coverage.accepts && !self.coverage.children) {
            return Some(counted.accepted);
        }
        if !self.coverage.children || entry.listener.flags & LISTENER_UNLINKED != 0 {
            return None;
        }
        let now = &entry.listener;
        let past = self.past.get_mut(&entry.id())?;
        let base = past.accepts.max(accepted(&past.last, past.moved, now.accept_before));
        if let Moved::Known(count) = moved {
            past.moved += count;
        }
        let sum = accepted(now, past.moved, now.accept_before);
        if moved == Moved::Unknown {
            past.accepts = sum;
            return None;
        }
        past.accepts = base.max(sum);
        Some(past.accepts - base)
    }

    /// Histograms of the interval.
    fn waited(&mut self, waits: &[(WaitKey, WaitSlots)]) -> HashMap<ListenerId, Histogram> {
        let mut histograms: HashMap<ListenerId, Histogram> = HashMap::new();
        for (key, slots) in waits {
            let id = ListenerId { sk: key.sk, born: key.born };
            let last = self.waits.entry((id, key.octave)).or_insert([0; SUBS]);
            for (sub, (now, last)) in slots.counts.iter().zip(last).enumerate() {
                let slot = key.octave as usize * SUBS + sub;
                histograms.entry(id).or_default().add(slot, now.saturating_sub(*last));
                *last = *now;
            }
        }
        histograms
    }
}

/// What has been taken out of its queue. The final values are from before the waiting connections
/// are reset.
fn accepted(listener: &Listener, moved: u64, accept_before: u32) -> u64 {
    let came = listener.established + moved + u64::from(accept_before);
    came.saturating_sub(listener.accept_now.into())
}

/// Whether the peaks of an interval were noted.
fn now_is(entry: &ListenerEntry, epoch: u32) -> bool {
    entry.listener.peak_epoch[epoch as usize & 1] == epoch
}

impl Numbers {
    /// How near to its limit the accept queue came.
    pub(super) fn fullness(&self) -> (u64, u64) {
        let share = self.accept_peak * 1_000_000 / (self.accept_limit + 1);
        (share, self.syn_peak)
    }

    /// Sums of two listeners; the queues of `self`.
    pub(super) fn plus(&self, other: &Self) -> Self {
        let merge = |a: &Histogram, b: &Histogram| {
            let mut both = a.clone();
            both.merge(b);
            both
        };
        Self {
            accepts: add(self.accepts, other.accepts),
            drops: self.drops.plus(other.drops),
            synack_retrans: add(self.synack_retrans, other.synack_retrans),
            waits: self.waits.as_ref().zip(other.waits.as_ref()).map(|(a, b)| merge(a, b)),
            ..self.clone()
        }
    }

    /// No activity and no waiting connections.
    pub fn is_idle(&self) -> bool {
        let Drops { accept, accept_syn, accept_ack, syn, cookies, other, total, .. } = self.drops;
        let Drops { discards, closed, .. } = self.drops;
        let lost = [accept, accept_syn, accept_ack, syn, cookies, other, total, discards, closed];
        self.accept_peak == 0
            && self.syn_peak == 0
            && self.accepts.unwrap_or(0) == 0
            && self.synack_retrans.unwrap_or(0) == 0
            && lost.iter().all(|count| count.unwrap_or(0) == 0)
    }
}

#[cfg(test)]
#[path = "model_tests.rs"]
mod tests;
