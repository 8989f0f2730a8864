//! What events and polls say of connections that may have become timewait sockets.

use std::mem;

use foldhash::{HashMap, HashMapExt as _};

use super::namespace::{NamespaceState, Outcome};
use super::pending::{began, is_older, reopened, unpolled};
use super::{Adjustments, ROOM, Shown, TimeWaitFilter};
use crate::wire::{STATE_MAY_TIMEWAIT, SockEntry, StateEvent};

/// Turns events and polls into changes.
#[derive(Debug)]
pub struct TimeWaits {
    wanted: TimeWaitFilter,
    polls: bool,
    /// Timewait sockets from before this time have no known owner; 0: they are omitted.
    started: u64,
    room: usize,
    size: usize,
    poll_number: u32,
    namespaces: HashMap<u32, NamespaceState>,
    adjustments: Adjustments,
    ready: Vec<Shown>,
}

impl TimeWaits {
    /// With `polls`, closes are held until a poll. Timewait sockets from before `started`
    /// (`CLOCK_MONOTONIC` ns; 0 = none) are shown when they end, without owner.
    pub fn new(wanted: TimeWaitFilter, polls: bool, started: u64) -> Self {
        Self {
            wanted,
            polls: polls && wanted.needs_polls(),
            started,
            room: ROOM,
            size: 0,
            poll_number: 0,
            namespaces: HashMap::new(),
            adjustments: Adjustments::default(),
            ready: Vec::new(),
        }
    }

    /// What has been counted so far.
    pub fn adjustments(&self) -> Adjustments {
        self.adjustments
    }

    /// Whether older timewait sockets are shown. Otherwise there is no reason to poll before
    /// something has happened.
    pub fn wants_older(&self) -> bool {
        self.polls && self.started > 0 && self.wanted.ends()
    }

    /// Namespaces to poll.
    pub fn namespaces(&self) -> Vec<u32> {
        self.namespaces.keys().copied().collect()
    }

    /// How much is to be shown now.
    pub fn ready(&self) -> usize {
        self.ready.len()
    }

    /// Moves what is to be shown now to the end of `out`.
    pub fn take_ready(&mut self, out: &mut Vec<Shown>) {
        if out.is_empty() {
            mem::swap(out, &mut self.ready);
        } else {
            out.append(&mut self.ready);
        }
    }

    /// Moves changes that the last poll of a namespace has found to `out`, by time; false: those were all.
    /// At most so `many` at once, fewer if they do not pass the filter.
    pub fn take_found(&mut self, netns: u32, many: usize, out: &mut Vec<Shown>) -> bool {
        for _ in 0..many {
            let Some(space) = self.namespaces.get_mut(&netns) else { return false };
            let Some(found) = space.next_found() else {
                if space.is_empty() {
                    self.namespaces.remove(&netns);
                }
                return false;
            };
            out.extend(self.judge(found));
        }
        true
    }

    /// Takes in an event of the programs.
    pub fn take(&mut self, event: &StateEvent) {
        let undecided = u32::from(event.flags) & STATE_MAY_TIMEWAIT != 0;
        if undecided && self.polls {
            return self.hold(event);
        }
        let shown = Shown { event: *event, polled: false };
        if undecided {
            return self.show((shown, true));
        }
        if let Some(moment) = reopened(event) {
            self.supersede(event, moment);
        }
        self.ready.push(shown);
    }

    /// Begins a poll of a namespace. Events may be added meanwhile; it decides
    /// about those before.
    pub fn begin_look(&mut self, netns: u32) {
        // 0 is none.
        self.poll_number = self.poll_number.wrapping_add(1).max(1);
        self.namespaces.entry(netns).or_default().begin(self.poll_number);
    }

    /// Adds one timewait socket of the current poll.
    pub fn see(&mut self, entry: &SockEntry) {
        let keep = self.wanted.ends();
        let Some(space) = self.namespaces.get_mut(&entry.flow.netns) else { return };
        let before = space.len();
        let met = space.see(entry, keep);
        self.size -= before - space.len();
        let older = !met && keep && space.is_first() && is_older(entry, self.started);
        if older && !self.is_full() {
            let space = self.namespaces.entry(entry.flow.netns).or_default();
            space.take_preexisting(entry);
            self.size += 1;
        }
    }

    /// Ends the poll of a namespace, at `CLOCK_MONOTONIC` `now`: what it has not found has ended. All that
    /// it has found is there for [`TimeWaits::take_found`], and has to be taken before the next poll.
    pub fn end_look(&mut self, netns: u32, now: u64) {
        let Some(space) = self.namespaces.get_mut(&netns) else { return };
        let before = space.len();
        space.end(now);
        self.size -= before - space.len();
    }

    /// A namespace cannot be polled. Held changes stay as the program reported them; how and when
    /// the others end is unknown.
    pub fn skip_namespace(&mut self, netns: u32) {
        let Some(mut space) = self.namespaces.remove(&netns) else { return };
        self.size -= space.len();
        space.order();
        while let Some(found) = space.next_found() {
            self.show(found);
        }
        space.take_pending(|held| {
            if held.1 {
                self.show(held);
            }
        });
    }

    /// After the last poll: what is still in `FIN_WAIT2` has not changed its state.
    pub fn give_up(&mut self) {
        for space in self.namespaces.values_mut() {
            let before = space.len();
            space.take_pending(|(_, counted)| self.adjustments.void += u64::from(counted));
            self.size -= before - space.len();
        }
    }

    fn hold(&mut self, event: &StateEvent) {
        self.supersede(event, began(event));
        if self.is_full() {
            return self.show((Shown { event: unpolled(event), polled: false }, true));
        }
        let space = self.namespaces.entry(event.flow.netns).or_default();
        let before = space.len();
        space.hold(event);
        self.size = self.size + space.len() - before;
    }

    /// The event is of a new connection, which was there at `moment`: an old one between the same
    /// ends was over by then.
    fn supersede(&mut self, event: &StateEvent, moment: u64) {
        let Some(space) = self.namespaces.get_mut(&event.flow.netns) else { return };
        let before = space.len();
        let over = space.supersede(&event.flow, event.ts, moment);
        self.size -= before - space.len();
        for over in over.into_iter().flatten() {
            self.show(over);
        }
    }

    fn is_full(&mut self) -> bool {
        let full = self.size >= self.room;
        self.adjustments.untracked += u64::from(full);
        full
    }

    fn show(&mut self, outcome: Outcome) {
        let shown = self.judge(outcome);
        self.ready.extend(shown);
    }

    /// Counts a change, and leaves it away if it does not pass the filter.
    fn judge(&mut self, (shown, counted): Outcome) -> Option<Shown> {
        self.adjustments.found += u64::from(!counted);
        let passes = self.wanted.passes(&shown.event);
        self.adjustments.filtered += u64::from(!passes);
        passes.then_some(shown)
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
