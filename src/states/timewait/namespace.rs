//! The connections of one network namespace, and what polls find of them.

use std::cmp::Reverse;
use std::collections::VecDeque;

use super::Shown;
use super::names::{Ends, Names, Owner};
use super::pending::{Pending, TimeWaitSocket};
use super::table::Table;
use crate::tcp_state::TcpState::{FinWait2, TimeWait};
use crate::wire::{Flow, SockEntry, StateEvent};

/// A change, and whether a program has counted it.
pub type Outcome = (Shown, bool);

/// What is known of one network namespace. There may be a hundred thousand connections and as many changes that a
/// poll finds: so an entry is small, and becomes a change only as it is shown.
#[derive(Debug, Default)]
pub struct NamespaceState {
    poll: u32,
    polled_before: bool,
    names: Names,
    /// What is held back.
    pending: Table<Pending>,
    /// What is in `TIME_WAIT`.
    known: Table<TimeWaitSocket>,
    /// What the last poll has decided, the oldest last.
    found: Vec<(Ends, Pending)>,
    /// Ends of what is in `found`, which must come after it.
    late: VecDeque<Outcome>,
    ended: Vec<(Ends, TimeWaitSocket)>,
    ended_at: u64,
}

/// Places that lists keep between polls.
const KEPT: usize = 1024;

impl NamespaceState {
    /// How many connections are held back or in `TIME_WAIT`.
    pub fn len(&self) -> usize {
        self.pending.len() + self.known.len()
    }

    /// Whether there is nothing to poll for, nor to show.
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && self.found.is_empty() && self.late.is_empty() && self.ended.is_empty()
    }

    /// Begins a poll, with a number that differs from the last one's.
    pub fn begin(&mut self, poll: u32) {
        self.polled_before = self.poll != 0;
        self.poll = poll;
    }

    /// Whether this is the first poll here.
    pub fn is_first(&self) -> bool {
        !self.polled_before
    }

    /// Holds a close back; another one between the same ends is over, see [`NamespaceState::supersede`].
    pub fn hold(&mut self, event: &StateEvent) {
        // What polls find is looked for among the known ones first.
        if let Some(ends) = self.names.find(&event.flow)
            && let Some(known) = self.known.remove(ends)
        {
            self.names.release(ends, known.owner);
        }
        let (ends, owner) = self.names.acquire(&event.flow, Owner::of(event));
        self.pending.insert(ends, Pending::of(event, owner, self.poll));
    }

    /// What was held back and in `TIME_WAIT` between the ends of a connection that was there at `moment`,
    /// and of which an event came at `now`: as far as it can be shown at once.
    pub fn supersede(&mut self, flow: &Flow, now: u64, moment: u64) -> [Option<Outcome>; 2] {
        let Some(ends) = self.names.find(flow) else { return [None, None] };
        let closed = self.pending.remove(ends).map(|mut pending| {
            pending.close(moment);
            self.outcome(ends, &pending)
        });
        let ends_now = self.known.get_mut(ends).is_some_and(|known| known.since < now);
        let known = if ends_now { self.known.remove(ends) } else { None };
        let ended = known.map(|known| {
            let waits = known.seen == self.poll && !self.found.is_empty();
            (self.end_of(ends, &known, moment), waits)
        });
        match ended {
            Some((ended, true)) => {
                self.late.push_back(ended);
                [closed, None]
            }
            ended => [closed, ended.map(|(ended, _)| ended)],
        }
    }

    /// Takes in one timewait socket of the current poll; whether a connection with its ends is known.
    /// One that has entered `TIME_WAIT` stays known if its end is to be shown.
    pub fn see(&mut self, entry: &SockEntry, keep: bool) -> bool {
        let Some(ends) = self.names.find(&entry.flow) else { return false };
        // Nearly all are.
        if let Some(known) = self.known.get_mut(ends) {
            if known.is(entry) {
                known.seen = self.poll;
            }
            return true;
        }
        let Some(pending) = self.pending.get_mut(ends) else { return false };
        if entry.state == FinWait2.number() {
            pending.seen = self.poll;
        } else if pending.ts <= entry.ktime
            && let Some(mut pending) = self.pending.remove(ends)
        {
            pending.enter(entry);
            if keep {
                self.names.share(ends, pending.owner);
                self.known.insert(ends, TimeWaitSocket::after(&pending, self.poll));
            }
            self.found.push((ends, pending));
        }
        true
    }

    /// Takes in a timewait socket from before our time, which is not known yet.
    pub fn take_preexisting(&mut self, entry: &SockEntry) {
        let (ends, owner) = self.names.acquire(&entry.flow, Owner::default());
        let pending = Pending::preexisting(entry, owner, self.poll);
        if entry.state == TimeWait.number() {
            self.known.insert(ends, TimeWaitSocket::after(&pending, self.poll));
        } else {
            self.pending.insert(ends, pending);
        }
    }

    /// Ends the poll at `now`: what it has not found has ended. All that it has found comes next from
    /// [`NamespaceState::next_found`].
    pub fn end(&mut self, now: u64) {
        let Self { poll, pending, known, found, ended, .. } = self;
        debug_assert!(ended.is_empty(), "what an earlier poll has found was not taken");
        // The timewait socket of a later one may have been added behind the iterator.
        let closed = |pending: &Pending| pending.seen != *poll && pending.after != *poll;
        pending.take(closed, |ends, mut pending| {
            pending.close(now);
            found.push((ends, pending));
        });
        known.take(|known| known.seen != *poll, |ends, known| ended.push((ends, known)));
        self.ended_at = now;
        self.order();
    }

    /// Puts what was found in order, also where a poll was broken off.
    pub fn order(&mut self) {
        self.found.sort_unstable_by_key(|(_, pending)| Reverse(pending.ts));
    }

    /// The next change that the last poll has found, by time.
    pub fn next_found(&mut self) -> Option<Outcome> {
        if let Some((ends, pending)) = self.found.pop() {
            return Some(self.outcome(ends, &pending));
        }
        if let Some(ended) = self.late.pop_front() {
            return Some(ended);
        }
        let Some((ends, known)) = self.ended.pop() else {
            self.found.shrink_to(KEPT);
            self.late.shrink_to(KEPT);
            self.ended.shrink_to(KEPT);
            return None;
        };
        Some(self.end_of(ends, &known, self.ended_at))
    }

    /// Takes out all that is held back, each as if no poll had seen it.
    pub fn take_pending(&mut self, mut each: impl FnMut(Outcome)) {
        let Self { names, pending, .. } = self;
        pending.take(
            |_| true,
            |ends, mut pending| {
                pending.seen = 0;
                pending.close(0);
                let (flow, owner) = names.release(ends, pending.owner);
                each((pending.shown(flow, owner), pending.counted));
            },
        );
    }

    fn outcome(&mut self, ends: Ends, pending: &Pending) -> Outcome {
        let (flow, owner) = self.names.release(ends, pending.owner);
        (pending.shown(flow, owner), pending.counted)
    }

    fn end_of(&mut self, ends: Ends, known: &TimeWaitSocket, now: u64) -> Outcome {
        let (flow, owner) = self.names.release(ends, known.owner);
        (known.shown(flow, owner, now), false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tcp_state::TcpState::Close;
    use crate::wire::DURATION_UNKNOWN;

    fn flow(rport: u16) -> Flow {
        Flow { lport: 80, rport, netns: 7, ..Flow::default() }
    }

    fn close(rport: u16, pid: u32) -> StateEvent {
        let (old_state, new_state) = (FinWait2.number(), Close.number());
        StateEvent { ts: 5, pid, old_state, new_state, flow: flow(rport), ..StateEvent::default() }
    }

    fn seen(rport: u16) -> SockEntry {
        let state = TimeWait.number();
        let (age, timewait) = (DURATION_UNKNOWN, 1);
        SockEntry { ktime: 9, age, flow: flow(rport), state, timewait, ..SockEntry::default() }
    }

    #[test]
    fn an_end_waits_for_its_beginning() {
        let mut space = NamespaceState::default();
        space.hold(&close(1, 10));
        space.begin(1);
        space.see(&seen(1), true);
        // Its ports are used again while the poll goes on.
        assert!(space.supersede(&flow(1), 12, 11).iter().all(Option::is_none));
        space.end(20);
        let steps: Vec<_> = std::iter::from_fn(|| space.next_found())
            .map(|(shown, _)| (shown.event.ts, shown.event.new_state))
            .collect();
        assert_eq!(steps, [(9, TimeWait.number()), (11, Close.number())]);
        assert!(space.is_empty() && space.names.is_empty());
    }

    #[test]
    fn what_is_taken_leaves_nothing_behind() {
        let mut space = NamespaceState::default();
        for (rport, pid) in [(1, 10), (2, 10), (3, 11), (4, 12)] {
            space.hold(&close(rport, pid));
        }
        space.begin(1);
        for rport in [1, 2, 3] {
            assert!(space.see(&seen(rport), rport != 3));
        }
        assert!(!space.see(&seen(5), true), "not one of these");
        space.end(20);
        // The third is not kept, the fourth has closed.
        assert_eq!(space.len(), 2);
        let found: Vec<_> = std::iter::from_fn(|| space.next_found()).collect();
        let of = |state: u8| found.iter().filter(move |(shown, _)| shown.event.new_state == state);
        assert_eq!((of(TimeWait.number()).count(), of(Close.number()).count()), (3, 1));
        let pids: Vec<_> = of(TimeWait.number()).map(|(shown, _)| shown.event.pid).collect();
        assert_eq!(pids.iter().sum::<u32>(), 31);
        // Another close between the ends of one that is known.
        assert!(space.supersede(&flow(2), 9, 9).iter().all(Option::is_none), "not older");
        space.hold(&close(2, 13));
        assert_eq!(space.len(), 2);
        space.take_pending(|(shown, counted)| assert!(shown.event.pid == 13 && counted));
        space.begin(2);
        space.end(30);
        let (last, counted) = space.next_found().expect("the first has ended");
        assert_eq!((last.event.flow.rport, last.event.ts, last.event.duration), (1, 30, 21));
        assert!(!counted && space.next_found().is_none() && space.is_empty());
        assert!(space.names.is_empty());
    }
}
