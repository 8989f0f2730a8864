//! Stalls as they end: how long each was, and how it ended.

use std::collections::HashMap;

use super::judge::Why;
use super::model::{PRECISION, Stalled};
use crate::report::words;
use crate::wire::{ConnEntry, Flow, StallMark};

words! {
    /// How a stall ended.
    StallOutcome {
        /// The peer acknowledged data, or answered a probe.
        Acknowledged = "acknowledged",
        /// Our process read.
        Read = "read",
        /// The connection closed, without an error.
        Closed = "closed",
        /// The peer reset it.
        Reset = "reset",
        /// The kernel gave it up.
        TimedOut = "timed_out",
        /// It closed with another error.
        Failed = "failed",
    }
}

const EPIPE: u32 = 32;
const ECONNRESET: u32 = 104;
const ETIMEDOUT: u32 = 110;

/// A stall that is over.
#[derive(Debug, Clone, Copy)]
pub struct EndedStall {
    /// The connection as it was last seen to stall.
    pub conn: ConnEntry,
    /// Why it stalled then.
    pub why: Option<Why>,
    /// When it ended, at the latest; monotonic ns.
    pub ended: u64,
    /// How long it was, at least.
    pub least: u64,
    /// The same, if it is known to 100 ms.
    pub exact: Option<u64>,
    /// `None`: unknown.
    pub outcome: Option<StallOutcome>,
    /// errno of a connection that closed; `None`: without one, or it lives on.
    pub errno: Option<u32>,
}

/// A stall that goes on.
#[derive(Debug, Clone, Copy)]
struct Open {
    conn: ConnEntry,
    why: Option<Why>,
    /// When it began, at the latest, and whether that is exact; monotonic ns.
    began: u64,
    exact: bool,
    /// The pass that saw it last.
    pass: u64,
}

/// A socket; its address alone may be another's in the next pass.
type Id = (u64, Flow);

/// Stalls that go on, pass by pass.
#[derive(Debug, Default)]
pub struct StallEnds {
    open: HashMap<Id, Open>,
    pass: u64,
    fresh: Vec<u64>,
}

impl StallEnds {
    /// Begins a pass.
    pub fn begin(&mut self) {
        self.pass += 1;
        self.fresh.clear();
    }

    /// Takes in a connection as the pass sees it, and how it was judged; the stall that has ended.
    pub fn see(&mut self, conn: &ConnEntry, now: Option<&Stalled>) -> Option<EndedStall> {
        let id = (conn.sk, conn.flow);
        let before = self.open.get(&id).copied();
        let began = now.map(|now| conn.ktime.saturating_sub(now.age.least));
        // What waits to be read is judged anew with each look, what is sent begins with a delivery.
        let same = |open: &Open| began.is_some_and(|began| began <= open.began + PRECISION);
        let ended = before.filter(|open| !same(open)).map(|open| {
            let last = began.unwrap_or_else(|| moved(conn, open.why)).min(conn.ktime);
            open.ended(last, Some(outcome_of(open.why)), None)
        });
        let Some((now, began)) = now.zip(began) else {
            self.open.remove(&id);
            return ended;
        };
        let goes_on = before.filter(same);
        if before.is_none() {
            self.fresh.push(conn.sk);
        }
        let began = goes_on.map_or(began, |open| open.began.min(began));
        let exact = goes_on.map_or(now.age.exact, |open| open.exact || now.age.exact);
        let open = Open { conn: *conn, why: now.why, began, exact, pass: self.pass };
        self.open.insert(id, open);
        ended
    }

    /// Sockets whose stall began in this pass.
    pub fn fresh(&self) -> &[u64] {
        &self.fresh
    }

    /// Ends the pass at the monotonic time `now`: what it did not see is gone. `mark` says how a socket
    /// closed, if that was seen.
    pub fn finish(
        &mut self,
        now: u64,
        mut mark: impl FnMut(u64) -> Option<StallMark>,
    ) -> Vec<EndedStall> {
        let pass = self.pass;
        let gone = self.open.extract_if(|_, open| open.pass != pass).map(|(_, open)| open);
        let end = |open: Open| match mark(open.conn.sk).filter(|mark| mark.closed != 0) {
            Some(mark) => {
                let errno = Some(mark.error).filter(|&errno| errno != 0);
                let outcome = match errno {
                    None => StallOutcome::Closed,
                    Some(ETIMEDOUT) => StallOutcome::TimedOut,
                    Some(ECONNRESET | EPIPE) => StallOutcome::Reset,
                    Some(_) => StallOutcome::Failed,
                };
                // It was seen to the moment.
                let open = Open { conn: ConnEntry { ktime: mark.closed, ..open.conn }, ..open };
                open.ended(mark.closed, Some(outcome), errno)
            }
            None => open.ended(now, None, None),
        };
        let mut ended: Vec<_> = gone.map(end).collect();
        ended.sort_by_key(|one| one.ended);
        ended
    }
}

impl Open {
    /// It stalled as it was last seen, and no more at `last`.
    fn ended(self, last: u64, outcome: Option<StallOutcome>, errno: Option<u32>) -> EndedStall {
        let seen = self.conn.ktime.min(last);
        let exact = self.exact && last - seen <= PRECISION;
        EndedStall {
            conn: self.conn,
            why: self.why,
            ended: last,
            least: seen.saturating_sub(self.began),
            exact: exact.then(|| last.saturating_sub(self.began)),
            outcome,
            errno,
        }
    }
}

fn outcome_of(why: Option<Why>) -> StallOutcome {
    let read = why == Some(Why::Reader);
    if read { StallOutcome::Read } else { StallOutcome::Acknowledged }
}

/// When a connection last moved, in the way that it did not before.
fn moved(conn: &ConnEntry, why: Option<Why>) -> u64 {
    let ago = match why {
        Some(Why::Reader) => Some(conn.read).filter(|&read| read <= conn.ktime).unwrap_or(0),
        Some(Why::Keepalive) => conn.heard,
        _ => conn.delivered,
    };
    conn.ktime.saturating_sub(ago)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stall::{Age, Blocked};

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1000 * MS;

    fn conn(at: u64, delivered: u64) -> ConnEntry {
        ConnEntry { sk: 1, ktime: at, delivered: at - delivered, ..ConnEntry::default() }
    }

    fn stalled(why: Why, least: u64) -> Stalled {
        let age = Age { least, exact: true };
        Stalled { why: Some(why), age, deadline: None, blocked: Blocked::No }
    }

    /// A pass that sees a connection, and what has ended in it.
    #[allow(clippy::large_types_passed_by_value, reason = "so a test reads as a table")]
    fn pass(
        ends: &mut StallEnds,
        seen: Option<(ConnEntry, Option<Stalled>)>,
        mark: Option<StallMark>,
        now: u64,
    ) -> Vec<EndedStall> {
        ends.begin();
        let ended = seen.and_then(|(conn, stalled)| ends.see(&conn, stalled.as_ref()));
        ended.into_iter().chain(ends.finish(now, |_| mark)).collect()
    }

    /// A sender that has not moved since 1 s, seen at 3 s.
    fn began(ends: &mut StallEnds) {
        let seen = (conn(3 * SECOND, SECOND), Some(stalled(Why::ZeroWindow, 2 * SECOND)));
        assert!(pass(ends, Some(seen), None, 3 * SECOND).is_empty());
        assert_eq!(ends.fresh(), [1]);
    }

    #[test]
    fn a_delivery_ends_a_stall_and_its_time_is_exact_if_the_pass_before_was_near() {
        for (delivered, exact) in [(3050 * MS, Some(2050 * MS)), (3500 * MS, None)] {
            let mut ends = StallEnds::default();
            began(&mut ends);
            let moved = (conn(4 * SECOND, delivered), None);
            let ended = pass(&mut ends, Some(moved), None, 4 * SECOND);
            assert_eq!(ended.len(), 1);
            assert_eq!((ended[0].least, ended[0].exact), (2 * SECOND, exact));
            assert_eq!(ended[0].outcome, Some(StallOutcome::Acknowledged));
            assert_eq!((ended[0].ended, ended[0].why), (delivered, Some(Why::ZeroWindow)));
            assert!(pass(&mut ends, None, None, 5 * SECOND).is_empty(), "it ends once");
        }
    }

    #[test]
    fn a_stall_goes_on_with_another_reason_and_begins_anew_after_a_delivery() {
        let mut ends = StallEnds::default();
        began(&mut ends);
        let gone = (conn(4 * SECOND, SECOND), Some(stalled(Why::PeerGone, 3 * SECOND)));
        assert!(pass(&mut ends, Some(gone), None, 4 * SECOND).is_empty());
        assert!(ends.fresh().is_empty());
        let anew = (conn(6 * SECOND, 4050 * MS), Some(stalled(Why::Loss, 1950 * MS)));
        let ended = pass(&mut ends, Some(anew), None, 6 * SECOND);
        assert_eq!((ended[0].why, ended[0].exact), (Some(Why::PeerGone), Some(3050 * MS)));
        let over = pass(&mut ends, Some((conn(7 * SECOND, 6 * SECOND), None)), None, 7 * SECOND);
        assert_eq!((over[0].why, over[0].least), (Some(Why::Loss), 1950 * MS));
    }

    #[test]
    fn a_connection_that_closed_says_how() {
        let closed = |error: u32| StallMark { closed: 3700 * MS, error, reserved: 0 };
        for (error, outcome) in [
            (0, StallOutcome::Closed),
            (110, StallOutcome::TimedOut),
            (104, StallOutcome::Reset),
            (113, StallOutcome::Failed),
        ] {
            let mut ends = StallEnds::default();
            began(&mut ends);
            let ended = pass(&mut ends, None, Some(closed(error)), 4 * SECOND);
            assert_eq!((ended[0].outcome, ended[0].exact), (Some(outcome), Some(2700 * MS)));
            assert_eq!(ended[0].errno, Some(error).filter(|&error| error != 0));
        }
        let mut ends = StallEnds::default();
        began(&mut ends);
        let ended = pass(&mut ends, None, None, 4 * SECOND);
        assert_eq!((ended[0].outcome, ended[0].exact, ended[0].least), (None, None, 2 * SECOND));
    }

    #[test]
    fn a_reader_that_reads() {
        let mut ends = StallEnds::default();
        let seen = (conn(3 * SECOND, SECOND), Some(stalled(Why::Reader, 2 * SECOND)));
        pass(&mut ends, Some(seen), None, 3 * SECOND);
        let read = ConnEntry { read: 20 * MS, ..conn(3080 * MS, SECOND) };
        let ended = pass(&mut ends, Some((read, None)), None, 3080 * MS);
        assert_eq!((ended[0].outcome, ended[0].exact), (Some(StallOutcome::Read), Some(2060 * MS)));
    }
}
