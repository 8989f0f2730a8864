//! What events and polls say of connections that may have become timewait sockets.

use std::mem;

use foldhash::{HashMap, HashMapExt as _};

use super::pending::{
    NamespaceState, Pending, TimeWaitSocket, began, is_older, reopened, unpolled,
};
use super::{Adjustments, ROOM, Shown, TimeWaitFilter};
use crate::tcp_state::TcpState::{FinWait2, TimeWait};
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
    poll_number: u64,
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

    /// Moves what is to be shown now to the end of `out`.
    pub fn take_ready(&mut self, out: &mut Vec<Shown>) {
        if out.is_empty() {
            mem::swap(out, &mut self.ready);
        } else {
            out.append(&mut self.ready);
        }
    }

    /// Takes in an event of the programs.
    pub fn take(&mut self, event: &StateEvent) {
        let undecided = u32::from(event.flags) & STATE_MAY_TIMEWAIT != 0;
        if undecided && self.polls {
            return self.hold(event);
        }
        if undecided {
            return self.show(*event, false, true);
        }
        if let Some(moment) = reopened(event) {
            self.supersede(event, moment);
        }
        self.ready.push(Shown { event: *event, polled: false });
    }

    /// Begins a poll of a namespace. Events may be added meanwhile; it decides
    /// about those before.
    pub fn begin_look(&mut self, netns: u32) {
        self.poll_number += 1;
        let space = self.namespaces.entry(netns).or_default();
        space.first = space.poll == 0;
        space.poll = self.poll_number;
    }

    /// Adds one timewait socket of the current poll.
    pub fn see(&mut self, entry: &SockEntry) {
        let Some(space) = self.namespaces.get_mut(&entry.flow.netns) else { return };
        // Nearly all are.
        if space.known.see(entry, space.poll) {
            return;
        }
        if let Some(pending) = space.pending.get_mut(&entry.flow) {
            if entry.state == FinWait2.number() {
                pending.seen = space.poll;
            } else if pending.event.ts <= entry.ktime {
                self.enter(entry);
            }
        } else if space.first && is_older(entry, self.started) {
            self.take_preexisting(entry);
        }
    }

    /// Ends the poll of a namespace, at `CLOCK_MONOTONIC` `now`: what it has not found has ended.
    pub fn end_look(&mut self, netns: u32, now: u64) {
        let Some(space) = self.namespaces.get_mut(&netns) else { return };
        let poll = space.poll;
        // The timewait socket of a later one may have been added behind the iterator.
        let closed = |pending: &Pending| pending.seen != poll && pending.after != poll;
        let closed: Vec<_> = space.pending.extract_if(|_, pending| closed(pending)).collect();
        let ended = space.known.take_unseen(poll);
        if space.pending.is_empty() && space.known.is_empty() {
            self.namespaces.remove(&netns);
        }
        self.size -= closed.len() + ended.len();
        for (_, pending) in closed {
            self.close(&pending, now);
        }
        for (flow, known) in ended {
            self.show(known.ends(flow, now), true, false);
        }
        self.ready.sort_by_key(|shown| shown.event.ts);
    }

    /// A namespace cannot be polled. Held changes stay as the program reported them; how and when
    /// the others end is unknown.
    pub fn skip_namespace(&mut self, netns: u32) {
        let Some(space) = self.namespaces.remove(&netns) else { return };
        self.size -= space.pending.len() + space.known.len();
        for pending in space.pending.into_values().filter(|pending| pending.counted) {
            self.show(unpolled(&pending.event), false, true);
        }
    }

    /// After the last poll: what is still in `FIN_WAIT2` has not changed its state.
    pub fn give_up(&mut self) {
        for space in self.namespaces.values_mut() {
            self.size -= space.pending.len();
            self.adjustments.void +=
                space.pending.drain().filter(|(_, pending)| pending.counted).count() as u64;
        }
    }

    fn hold(&mut self, event: &StateEvent) {
        self.supersede(event, began(event));
        if self.is_full() {
            return self.show(unpolled(event), false, true);
        }
        let space = self.namespaces.entry(event.flow.netns).or_default();
        // What polls find is looked for among the known ones first.
        self.size -= usize::from(space.known.remove(&event.flow).is_some());
        let pending = Pending { event: *event, counted: true, after: space.poll, seen: 0 };
        space.pending.insert(event.flow, pending);
        self.size += 1;
    }

    /// The event is of a new connection, which was there at `moment`: an old one between the same
    /// ends was over by then.
    fn supersede(&mut self, event: &StateEvent, moment: u64) {
        let Some(space) = self.namespaces.get_mut(&event.flow.netns) else { return };
        let (now, flow) = (event.ts, event.flow);
        let closed = space.pending.remove(&flow);
        let ended = space.known.take_older(&flow, now);
        self.size -= usize::from(closed.is_some()) + usize::from(ended.is_some());
        if let Some(pending) = closed {
            self.close(&pending, moment);
        }
        if let Some(known) = ended {
            self.show(known.ends(flow, moment), true, false);
        }
    }

    /// A poll has found a held connection in `TIME_WAIT`.
    fn enter(&mut self, entry: &SockEntry) {
        let Some(space) = self.namespaces.get_mut(&entry.flow.netns) else { return };
        let Some(pending) = space.pending.remove(&entry.flow) else { return };
        let event = pending.enters(entry);
        self.size -= 1;
        if self.wanted.ends() {
            let known = TimeWaitSocket::since(&event);
            self.size += usize::from(space.known.insert(entry.flow, &known, space.poll));
        }
        self.show(event, true, pending.counted);
    }

    /// A held connection is over.
    fn close(&mut self, pending: &Pending, now: u64) {
        self.show(pending.closes(now), pending.seen != 0, pending.counted);
    }

    /// A timewait socket from before our time.
    fn take_preexisting(&mut self, entry: &SockEntry) {
        if !self.wanted.ends() || self.is_full() {
            return;
        }
        let Some(space) = self.namespaces.get_mut(&entry.flow.netns) else { return };
        let pending = Pending::preexisting(entry, space.poll);
        if entry.state == TimeWait.number() {
            let known = TimeWaitSocket::since(&pending.event);
            space.known.insert(entry.flow, &known, space.poll);
        } else {
            space.pending.insert(entry.flow, pending);
        }
        self.size += 1;
    }

    fn is_full(&mut self) -> bool {
        let full = self.size >= self.room;
        self.adjustments.untracked += u64::from(full);
        full
    }

    fn show(&mut self, event: StateEvent, polled: bool, counted: bool) {
        self.adjustments.found += u64::from(!counted);
        if self.wanted.passes(&event) {
            self.ready.push(Shown { event, polled });
        } else {
            self.adjustments.filtered += 1;
        }
    }
}

#[cfg(test)]
#[path = "judge_tests.rs"]
mod tests;
