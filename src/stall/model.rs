//! What is remembered of each connection from one pass to the next, and since when it has not moved.

use std::collections::HashMap;

use super::deadline::{Deadline, deadline};
use super::judge::{Why, is_probed, judge_sender};
use crate::tcp_state::TcpState;
use crate::wire::{CONN_BLOCKED, CONN_MPTCP, ConnEntry, DURATION_UNKNOWN, Flow, SendLimit};

/// The two ends of the time in which a stall began may be so far apart, ns; then it is exact.
pub const PRECISION: u64 = 100_000_000;

/// Time since a connection last moved, ns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Age {
    /// At least.
    pub least: u64,
    /// It is exact.
    pub exact: bool,
}

/// Whether a thread waits in `send()` for room in the send buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Blocked {
    /// Threads wait elsewhere.
    #[default]
    Unknown,
    /// None waits.
    No,
    /// One waits, since when.
    For(Age),
}

impl Blocked {
    /// That of a connection; `first`: when its thread was first seen in the same wait, monotonic ns.
    pub fn of(conn: &ConnEntry, first: Option<u64>) -> Self {
        let has = |flag: u32| u32::from(conn.flags) & flag != 0;
        let seen = conn.ktime.saturating_sub(first.unwrap_or(conn.ktime));
        match (has(CONN_MPTCP), has(CONN_BLOCKED), conn.blocked) {
            (true, ..) => Self::Unknown,
            (_, false, _) => Self::No,
            (.., DURATION_UNKNOWN) => Self::For(Age { least: seen, exact: false }),
            (.., least) => Self::For(Age { least, exact: true }),
        }
    }

    /// Whether one does; `None`: unknown.
    pub fn waits(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::No => Some(false),
            Self::For(_) => Some(true),
        }
    }

    /// Since when.
    pub fn age(self) -> Option<Age> {
        if let Self::For(age) = self { Some(age) } else { None }
    }
}

/// A connection that does not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stalled {
    /// Why, if that is known.
    pub why: Option<Why>,
    /// Since when.
    pub age: Age,
    /// Attempts to reach the peer.
    pub deadline: Option<Deadline>,
    /// Whether a thread waits for it.
    pub blocked: Blocked,
}

/// When what waits to be read began to wait: not before, and not after; monotonic ns.
#[derive(Debug, Clone, Copy)]
struct Unread {
    copied: u32,
    earliest: u64,
    latest: u64,
}

#[derive(Debug, Clone, Copy)]
struct Past {
    unread: Option<Unread>,
    /// When keepalive probes were first seen.
    probed: Option<u64>,
    /// When a thread was first seen to wait in `send()`, and what was written then.
    waits: Option<(u32, u64)>,
}

/// A socket; its address alone may be another's in the next pass.
type Id = (u64, Flow);

/// Judges connections as they are read, pass by pass.
#[derive(Debug)]
pub struct StallModel {
    tick_ns: u64,
    longer: u64,
    past: HashMap<Id, Past>,
    next: HashMap<Id, Past>,
    /// When the last pass began; idle connections were left out of it.
    last_pass: Option<u64>,
    began: u64,
}

impl StallModel {
    /// Stalls of at least `longer` ns; a jiffy has `tick_ns`.
    pub fn new(longer: u64, tick_ns: u32) -> Self {
        let (past, next) = (HashMap::new(), HashMap::new());
        Self { tick_ns: tick_ns.into(), longer, past, next, last_pass: None, began: 0 }
    }

    /// Begins a pass at the monotonic time `now`.
    pub fn begin(&mut self, now: u64) {
        self.began = now;
    }

    /// Ends it: what was not seen in it is forgotten.
    pub fn end(&mut self) {
        self.past = std::mem::take(&mut self.next);
        self.last_pass = Some(self.began);
    }

    /// Judges one connection of the pass.
    pub fn see(&mut self, conn: &ConnEntry) -> Option<Stalled> {
        // Not open yet: nothing can move.
        if let Some(TcpState::SynSent | TcpState::SynRecv) = TcpState::from_number(conn.state) {
            return None;
        }
        let id = (conn.sk, conn.flow);
        let before = self.past.get(&id).copied();
        let unread = (conn.unread > 0).then(|| self.unread(conn, before));
        let probed =
            is_probed(conn).then(|| before.and_then(|before| before.probed).unwrap_or(conn.ktime));
        let first = before.and_then(|before| before.waits);
        let first = first.filter(|(written, _)| *written == conn.written).map(|(_, first)| first);
        let blocked = Blocked::of(conn, first);
        let waits = blocked.waits().unwrap_or(false);
        let waits = waits.then(|| (conn.written, first.unwrap_or(conn.ktime)));
        if unread.is_some() || probed.is_some() || waits.is_some() {
            self.next.insert(id, Past { unread, probed, waits });
        }
        let (why, age) = [
            probed.and_then(|since| keepalive(conn, since)),
            self.sender(conn),
            unread.map(|unread| (Some(Why::Reader), reader(conn, unread))),
        ]
        .into_iter()
        .flatten()
        .find(|(_, age)| age.least >= self.longer)?;
        let ours = why == Some(Why::Reader);
        let deadline = if ours { None } else { deadline(conn, self.tick_ns) };
        Some(Stalled { why, age, deadline, blocked })
    }

    fn sender(&self, conn: &ConnEntry) -> Option<(Option<Why>, Age)> {
        let why = judge_sender(conn, self.tick_ns)?;
        let queued = if SendLimit::from_number(conn.limit) == Some(SendLimit::None) {
            0
        } else {
            conn.limited
        };
        // The kernel notes each delivery, and the first segment that is sent after a pause.
        let least = if conn.packets_out > 0 { conn.delivered } else { conn.delivered.min(queued) };
        Some((why, Age { least, exact: true }))
    }

    /// The kernel keeps the arrival of the newest data, and of reads some: between these it began.
    fn unread(&self, conn: &ConnEntry, before: Option<Past>) -> Unread {
        let ago = |age: u64| conn.ktime.saturating_sub(age);
        let known = before.and_then(|before| before.unread);
        if let Some(known) = known.filter(|known| known.copied == conn.copied) {
            return known;
        }
        let (earliest, latest) = match conn.read {
            DURATION_UNKNOWN => (0, conn.ktime),
            read => (ago(read), ago(read).max(ago(conn.received))),
        };
        let earliest = earliest.max(self.last_pass.unwrap_or(0)).min(latest);
        Unread { copied: conn.copied, earliest, latest }
    }
}

fn keepalive(conn: &ConnEntry, since: u64) -> Option<(Option<Why>, Age)> {
    // The first probe may be answered yet.
    if conn.probes < 2 && conn.ktime.saturating_sub(since) < conn.rto {
        return None;
    }
    let least = conn.heard.min(conn.received);
    Some((Some(Why::Keepalive), Age { least, exact: true }))
}

fn reader(conn: &ConnEntry, unread: Unread) -> Age {
    let least = conn.ktime.saturating_sub(unread.latest);
    Age { least, exact: unread.latest - unread.earliest <= PRECISION }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;
    const SECOND: u64 = 1_000_000_000;

    fn unread(at: u64, copied: u32, arrived: u64, read: Option<u64>) -> ConnEntry {
        ConnEntry {
            sk: 1,
            ktime: at,
            unread: 100,
            copied,
            received: at - arrived,
            read: read.map_or(DURATION_UNKNOWN, |read| at - read),
            ..ConnEntry::default()
        }
    }

    fn pass(model: &mut StallModel, now: u64, conn: Option<&ConnEntry>) -> Option<Stalled> {
        model.begin(now);
        let seen = conn.and_then(|conn| model.see(conn));
        model.end();
        seen
    }

    fn age(stalled: Option<Stalled>) -> (u64, bool) {
        let stalled = stalled.expect("it does not move");
        assert_eq!(stalled.why, Some(Why::Reader));
        (stalled.age.least / MS, stalled.age.exact)
    }

    #[test]
    fn a_reader_stalls_from_the_arrival_of_what_it_does_not_read() {
        let mut model = StallModel::new(0, 1);
        // It has read at 2 s, the only data came at 2.05 s.
        let known = unread(5 * SECOND, 7, 2050 * MS, Some(2 * SECOND));
        assert_eq!(age(pass(&mut model, 5 * SECOND, Some(&known))), (2950, true));
        // More has come meanwhile: that does not make it younger.
        let later = unread(9 * SECOND, 7, 8 * SECOND, Some(2 * SECOND));
        assert_eq!(age(pass(&mut model, 9 * SECOND, Some(&later))), (6950, true));
    }

    #[test]
    fn a_reader_that_was_not_watched_has_a_lower_bound() {
        let mut model = StallModel::new(0, 1);
        // Data came from 2 s to 4 s.
        let old = unread(5 * SECOND, 7, 4 * SECOND, Some(2 * SECOND));
        assert_eq!(age(pass(&mut model, 5 * SECOND, Some(&old))), (1000, false));
        // Of the last read nothing is known.
        let mut model = StallModel::new(0, 1);
        let unknown = unread(5 * SECOND, 7, 4 * SECOND, None);
        assert_eq!(age(pass(&mut model, 5 * SECOND, Some(&unknown))), (0, false));
        let unknown = unread(6 * SECOND, 7, 4 * SECOND, None);
        assert_eq!(age(pass(&mut model, 6 * SECOND, Some(&unknown))), (1000, false));
    }

    #[test]
    fn a_pass_in_which_it_was_idle_narrows_the_time() {
        let mut model = StallModel::new(0, 1);
        pass(&mut model, 4 * SECOND, None);
        let read = unread(5 * SECOND, 7, 4090 * MS, Some(SECOND));
        assert_eq!(age(pass(&mut model, 5 * SECOND, Some(&read))), (910, true));
        // A process that reads a little begins anew.
        let less = unread(6 * SECOND, 8, 4090 * MS, Some(5990 * MS));
        assert_eq!(age(pass(&mut model, 6 * SECOND, Some(&less))), (10, true));
    }

    #[test]
    fn a_wait_without_a_known_beginning_has_a_lower_bound_as_long_as_nothing_is_written() {
        let mut model = StallModel::new(0, 1);
        let flags = u8::try_from(CONN_BLOCKED).unwrap();
        let waits = |at: u64, written: u32, blocked: u64| ConnEntry {
            flags,
            written,
            blocked,
            ..closed(at, SECOND, SECOND)
        };
        let mut blocked = |at: u64, conn: &ConnEntry| {
            let blocked = pass(&mut model, at, Some(conn)).unwrap().blocked;
            blocked.age().map(|age| (age.least / SECOND, age.exact))
        };
        for (at, written, expected) in [(5, 1, 0), (6, 1, 1), (7, 1, 2), (8, 2, 0), (9, 2, 1)] {
            let conn = waits(at * SECOND, written, DURATION_UNKNOWN);
            assert_eq!(blocked(at * SECOND, &conn), Some((expected, false)), "{at}");
        }
        let known = waits(10 * SECOND, 2, 3 * SECOND);
        assert_eq!(blocked(10 * SECOND, &known), Some((3, true)));
        assert_eq!(blocked(11 * SECOND, &closed(11 * SECOND, SECOND, SECOND)), None);
        let elsewhere = ConnEntry { flags: u8::try_from(CONN_MPTCP).unwrap(), ..known };
        assert_eq!(Blocked::of(&elsewhere, None).waits(), None);
    }

    fn closed(at: u64, delivered: u64, queued: u64) -> ConnEntry {
        ConnEntry {
            sk: 2,
            ktime: at,
            unsent: 5000,
            mss: 1000,
            limit: SendLimit::Rwnd as u8,
            delivered: at - delivered,
            limited: at - queued,
            resent: DURATION_UNKNOWN,
            ..ConnEntry::default()
        }
    }

    #[test]
    fn a_closed_window_stalls_from_the_last_delivery_or_from_the_data_that_came_later() {
        let mut model = StallModel::new(SECOND, 1);
        for (delivered, queued, expected) in [(4, 1, 6), (2, 7, 3)] {
            let conn = closed(10 * SECOND, delivered * SECOND, queued * SECOND);
            let stalled = pass(&mut model, 10 * SECOND, Some(&conn)).unwrap();
            assert_eq!(stalled.why, Some(Why::ZeroWindow));
            assert_eq!(stalled.age, Age { least: expected * SECOND, exact: true });
        }
        let young = closed(10 * SECOND, 9500 * MS, SECOND);
        assert_eq!(pass(&mut model, 10 * SECOND, Some(&young)), None);
    }

    #[test]
    fn what_is_in_flight_stalls_from_the_last_delivery() {
        let mut model = StallModel::new(SECOND, 1);
        // The send buffer was full later.
        let conn = ConnEntry {
            packets_out: 3,
            retransmits: 4,
            unacked: 3000,
            resent: 6 * SECOND,
            heard: 7 * SECOND,
            retries: 15,
            rto_max: 120 * SECOND,
            snd_wnd: 65_536,
            ..closed(10 * SECOND, 3 * SECOND, 8 * SECOND)
        };
        let stalled = pass(&mut model, 10 * SECOND, Some(&conn)).unwrap();
        assert_eq!((stalled.why, stalled.age.least), (Some(Why::PeerGone), 7 * SECOND));
        assert_eq!(stalled.deadline.map(|deadline| deadline.attempt), Some(4));
    }

    #[test]
    fn an_idle_connection_stalls_once_a_probe_goes_unanswered() {
        let mut model = StallModel::new(SECOND, 1);
        let probe = |at: u64, probes: u8| ConnEntry {
            sk: 3,
            ktime: at,
            probes,
            keepalive_probes: 9,
            rto: 200 * MS,
            heard: at - SECOND,
            received: at - SECOND,
            ..ConnEntry::default()
        };
        assert_eq!(pass(&mut model, 8 * SECOND, Some(&probe(8 * SECOND, 1))), None);
        let late = pass(&mut model, 9 * SECOND, Some(&probe(9 * SECOND, 1))).unwrap();
        assert_eq!((late.why, late.age.least), (Some(Why::Keepalive), 8 * SECOND));
        assert_eq!(late.deadline.unwrap().attempts, Some(9));
    }
}
