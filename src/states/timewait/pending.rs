//! Stored connections, and their times from events and poll entries.

use foldhash::HashMap;

use super::known::KnownSockets;
use crate::tcp_state::TcpState::{
    Close, Established, FinWait2, Listen, SynRecv, SynSent, TimeWait,
};
use crate::wire::{COMM_LEN, DURATION_UNKNOWN, Flow, SockEntry, StateEvent};

/// Timewait sockets are stamped with milliseconds.
const STAMP: u64 = 1_000_000;

/// A closing that is held back.
#[derive(Debug)]
pub struct Pending {
    /// As a program has sent it.
    pub event: StateEvent,
    /// A program has sent it indeed; otherwise the tool found the socket when it started.
    pub counted: bool,
    /// The last or current poll when it was added.
    pub after: u64,
    /// The last poll that found it in `FIN_WAIT2`; 0 = none.
    pub seen: u64,
}

/// A connection in `TIME_WAIT`.
#[derive(Debug)]
pub struct TimeWaitSocket {
    /// `CLOCK_MONOTONIC` ns.
    pub since: u64,
    /// The full socket's.
    pub cookie: u64,
    /// The owner's, as are the next two.
    pub cgroup: u64,
    pub pid: u32,
    pub comm: [u8; COMM_LEN],
    /// `STATE_MPTCP`.
    pub flags: u8,
}

/// What is known of one network namespace.
#[derive(Debug, Default)]
pub struct NamespaceState {
    /// Number of the last or current poll; 0 = none.
    pub poll: u64,
    /// It is the first.
    pub first: bool,
    /// What is held back.
    pub pending: HashMap<Flow, Pending>,
    /// What is in `TIME_WAIT`.
    pub known: KnownSockets,
}

impl Pending {
    /// What a timewait socket from before our time, still in `FIN_WAIT2`, would have closed with.
    pub fn preexisting(entry: &SockEntry, poll: u64) -> Self {
        let mut event = StateEvent::default();
        (event.ts, event.duration) = (stamp(entry).unwrap_or(entry.ktime), DURATION_UNKNOWN);
        (event.old_state, event.new_state) = (FinWait2.number(), Close.number());
        event.flow = entry.flow;
        Self { event, counted: false, after: poll, seen: poll }
    }

    /// The change to `TIME_WAIT` that a poll has found. Without a timestamp, only an upper bound
    /// of its time is known.
    pub fn enters(&self, entry: &SockEntry) -> StateEvent {
        let moment = stamp(entry).unwrap_or(entry.ktime);
        StateEvent { new_state: TimeWait.number(), ..self.until(moment) }
    }

    /// The change to `CLOSE`. What a poll saw in `FIN_WAIT2` stayed there until `now`.
    pub fn closes(&self, now: u64) -> StateEvent {
        if self.seen == 0 { unpolled(&self.event) } else { self.until(now) }
    }

    /// The old state lasted longer than the full socket.
    fn until(&self, moment: u64) -> StateEvent {
        let mut event = self.event;
        let longer = moment.saturating_sub(event.ts);
        event.ts += longer;
        if event.duration != DURATION_UNKNOWN {
            event.duration += longer;
        }
        event
    }
}

impl TimeWaitSocket {
    /// The connection that `event` has put into `TIME_WAIT`.
    pub fn since(event: &StateEvent) -> Self {
        let StateEvent { ts, cookie, cgroup, pid, comm, flags, .. } = *event;
        Self { since: ts, cookie, cgroup, pid, comm, flags }
    }

    /// Whether a poll entry is the socket with the same ends that began at `since`. A later one may be
    /// there, if the event that led to it was lost or kept out by a filter.
    pub fn was_there(since: u64, entry: &SockEntry) -> bool {
        let same = stamp(entry).is_none_or(|stamp| stamp <= since + STAMP);
        same && entry.state == TimeWait.number()
    }

    /// Its end, at `now` at the latest.
    pub fn ends(&self, flow: Flow, now: u64) -> StateEvent {
        StateEvent {
            ts: now,
            duration: now.saturating_sub(self.since),
            cookie: self.cookie,
            cgroup: self.cgroup,
            flow,
            pid: self.pid,
            comm: self.comm,
            flags: self.flags,
            old_state: TimeWait.number(),
            new_state: Close.number(),
            ..StateEvent::default()
        }
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
