//! Stored connections, and their times from events and poll entries.

use super::Shown;
use super::names::Owner;
use crate::tcp_state::TcpState::{
    Close, Established, FinWait2, Listen, SynRecv, SynSent, TimeWait,
};
use crate::wire::{DURATION_UNKNOWN, Ending, Flow, SockEntry, StateEvent};

/// Timewait sockets are stamped with milliseconds.
const STAMP: u64 = 1_000_000;

/// A closing that is held back.
#[derive(Debug)]
pub struct Pending {
    /// As a program has sent it, until the outcome is known: then of that.
    pub ts: u64,
    duration: u64,
    cookie: u64,
    ending: Ending,
    /// Number of the owner.
    pub owner: u32,
    /// The last or current poll when it was added.
    pub after: u32,
    /// The last poll that found it in `FIN_WAIT2`; 0 = none.
    pub seen: u32,
    old_state: u8,
    new_state: u8,
    /// A program has sent it indeed; otherwise the tool found the socket when it started.
    pub counted: bool,
}

/// A connection in `TIME_WAIT`.
#[derive(Debug)]
pub struct TimeWaitSocket {
    /// `CLOCK_MONOTONIC` ns.
    pub since: u64,
    /// The full socket's.
    cookie: u64,
    /// Number of the owner.
    pub owner: u32,
    /// The last poll that found it.
    pub seen: u32,
}

impl Pending {
    /// A close that a program has sent, after the poll `after` began.
    pub fn of(event: &StateEvent, owner: u32, after: u32) -> Self {
        let StateEvent { ts, duration, cookie, ending, old_state, new_state, .. } = *event;
        Self {
            ts,
            duration,
            cookie,
            ending,
            owner,
            after,
            seen: 0,
            old_state,
            new_state,
            counted: true,
        }
    }

    /// What a timewait socket from before our time, still in `FIN_WAIT2`, would have closed with.
    pub fn preexisting(entry: &SockEntry, owner: u32, poll: u32) -> Self {
        let close = StateEvent {
            ts: stamp(entry).unwrap_or(entry.ktime),
            duration: DURATION_UNKNOWN,
            old_state: FinWait2.number(),
            new_state: Close.number(),
            ..StateEvent::default()
        };
        Self { seen: poll, counted: false, ..Self::of(&close, owner, poll) }
    }

    /// A poll has found it in `TIME_WAIT`. Without a timestamp, only an upper bound of its time
    /// is known.
    pub fn enter(&mut self, entry: &SockEntry) {
        self.new_state = TimeWait.number();
        self.last_until(stamp(entry).unwrap_or(entry.ktime));
    }

    /// It has ended in `CLOSE`. What a poll saw in `FIN_WAIT2` stayed there until `now`.
    pub fn close(&mut self, now: u64) {
        if self.seen != 0 {
            self.last_until(now);
        } else if self.old_state == FinWait2.number() {
            self.duration = DURATION_UNKNOWN;
        }
    }

    /// The old state lasted longer than the full socket.
    fn last_until(&mut self, moment: u64) {
        let longer = moment.saturating_sub(self.ts);
        self.ts += longer;
        if self.duration != DURATION_UNKNOWN {
            self.duration += longer;
        }
    }

    /// The outcome, for all to see.
    pub fn shown(&self, flow: Flow, owner: Owner) -> Shown {
        let Self { ts, duration, cookie, ending, old_state, new_state, .. } = *self;
        let polled = new_state == TimeWait.number() || self.seen != 0;
        let event = owner.event(flow);
        Shown {
            event: StateEvent { ts, duration, cookie, ending, old_state, new_state, ..event },
            polled,
        }
    }
}

impl TimeWaitSocket {
    /// The connection that has just entered.
    pub fn after(pending: &Pending, poll: u32) -> Self {
        let Pending { ts: since, cookie, owner, .. } = *pending;
        Self { since, cookie, owner, seen: poll }
    }

    /// Whether a poll entry is the socket with the same ends that began at `since`. A later one may be
    /// there, if the event that led to it was lost or kept out by a filter.
    pub fn is(&self, entry: &SockEntry) -> bool {
        let same = stamp(entry).is_none_or(|stamp| stamp <= self.since + STAMP);
        same && entry.state == TimeWait.number()
    }

    /// Its end, at `now` at the latest.
    pub fn shown(&self, flow: Flow, owner: Owner, now: u64) -> Shown {
        let event = StateEvent {
            ts: now,
            duration: now.saturating_sub(self.since),
            cookie: self.cookie,
            old_state: TimeWait.number(),
            new_state: Close.number(),
            ..owner.event(flow)
        };
        Shown { event, polled: true }
    }
}

/// When a timewait socket entered its state, if the kernel keeps it: `CLOCK_MONOTONIC` ns, rounded
/// down to a millisecond.
pub fn stamp(entry: &SockEntry) -> Option<u64> {
    let known = entry.age != DURATION_UNKNOWN;
    known.then(|| (entry.ktime - entry.ktime % STAMP).saturating_sub(entry.age))
}

/// A close of which no poll knows more. An orphan may have stayed in `FIN_WAIT2` as a timewait socket
/// between two polls: how long is unknown.
pub fn unpolled(event: &StateEvent) -> StateEvent {
    if event.old_state == FinWait2.number() {
        return StateEvent { duration: DURATION_UNKNOWN, ..*event };
    }
    *event
}

/// When the old state began, or at the latest.
pub fn began(event: &StateEvent) -> u64 {
    match event.duration {
        DURATION_UNKNOWN => event.ts,
        duration => event.ts.saturating_sub(duration),
    }
}

/// When a new connection existed, for events that prove one: its first packet had
/// come, or its connect was in progress. A starting connect proves nothing: it may still be
/// refused the ports.
pub fn reopened(event: &StateEvent) -> Option<u64> {
    let step = (event.old_state, event.new_state);
    let is = |old, new| step == (old as u8, new as u8);
    if is(Listen, SynRecv) {
        return Some(event.ts);
    }
    (is(SynSent, Established) || is(SynSent, SynRecv)).then(|| began(event))
}

/// Whether a timewait socket has surely entered its state before `moment`: its time is rounded down.
pub fn is_older(entry: &SockEntry, moment: u64) -> bool {
    stamp(entry).is_some_and(|stamp| stamp + STAMP <= moment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::states::timewait::names::Ends;

    #[test]
    fn entries_are_small() {
        assert_eq!(size_of::<(Ends, TimeWaitSocket)>(), 32);
        assert_eq!(size_of::<(Ends, Pending)>(), 64);
    }
}
