//! Turns growing counters into counts of an interval.

use std::cmp::Reverse;

use foldhash::{HashMap, HashMapExt as _};

use super::{CountSums, Counter};
use crate::wire::{COUNT_ENDED, COUNT_GONE, GroupKey, Record as _};

/// How long a key must have been idle before it may lose its place in a crowded map, in ns.
const IDLE_NS: u64 = 10_000_000_000;
/// The same for one whose connection has ended: its process may call on the socket, and get errors.
const ENDED_IDLE_NS: u64 = 1_000_000_000;
/// Keys that a cumulative count keeps after they leave the map.
const MAX_REMEMBERED: usize = 65_536;

/// What is known of a key from earlier intervals.
#[derive(Debug)]
struct Past {
    /// Sums from earlier lives of the key in the map (cumulative counts only).
    before: CountSums,
    /// The kernel's sums when last read.
    last: CountSums,
    /// When they last grew, monotonic ns.
    active: u64,
    /// The last counter read, for rows of removed keys.
    counter: Counter,
}

/// Turns the kernel's ever-growing sums into intervals.
#[derive(Debug)]
pub struct Counts {
    cumulative: bool,
    past: HashMap<[u8; size_of::<GroupKey>()], Past>,
    other: CountSums,
    /// Sums of keys that a cumulative count had to forget.
    forgotten: CountSums,
}

/// The sums of one interval.
#[derive(Debug)]
pub struct CountInterval {
    /// Keys that were not idle, those that sent and received most among them; the sums are of the interval.
    pub keys: Vec<Counter>,
    /// All keys that did not fit, or are not among these.
    pub other: CountSums,
    /// Everything: keys and other, to the unit.
    pub total: CountSums,
    /// So many keys are wanted, of those that sent and received most.
    most: usize,
}

impl CountInterval {
    /// Nothing yet. As many as `most` keys are wanted by themselves: on a busy machine they are most of
    /// the memory.
    pub fn new(most: usize) -> Self {
        let none = CountSums::default();
        Self { keys: Vec::new(), other: none, total: none, most }
    }

    /// Adds a key. One that the kernel's iterator shows twice, and that grew meanwhile, has two rows.
    pub fn add(&mut self, counter: Counter) {
        // Twice as many are let in before the rest is shed: that costs a few comparisons a key.
        if self.keys.len() >= self.most.saturating_mul(2).max(1) {
            self.shed();
        }
        self.total = self.total.plus(counter.sums);
        self.keys.push(counter);
    }

    /// Adds what belongs to none of the keys.
    pub fn add_other(&mut self, sums: CountSums) {
        self.total = self.total.plus(sums);
        self.other = self.other.plus(sums);
    }

    /// Keeps the keys that are wanted.
    fn shed(&mut self) {
        let most = self.most.min(self.keys.len() - 1);
        self.keys.select_nth_unstable_by(most, |a, b| place(a).cmp(&place(b)));
        let fewer = self.keys.drain(most..);
        self.other = fewer.fold(self.other, |other, counter| other.plus(counter.sums));
    }

    /// All keys: the `first` that sent and received most, in this order, before the others.
    pub fn most_first(&self, first: usize) -> Vec<&Counter> {
        let mut keys: Vec<_> = self.keys.iter().collect();
        let first = first.min(keys.len());
        if first < keys.len() {
            keys.select_nth_unstable_by(first, |a, b| place(a).cmp(&place(b)));
        }
        keys[..first].sort_unstable_by(|a, b| place(a).cmp(&place(b)));
        keys
    }
}

/// The key settles ties, or rows would swap places between intervals.
fn place(counter: &Counter) -> (Reverse<u64>, u32, &[u8]) {
    (Reverse(counter.sums.bytes()), counter.pid, counter.key.as_bytes())
}

impl Counts {
    /// Starts with nothing counted; `cumulative` shows sums since the start.
    pub fn new(cumulative: bool) -> Self {
        Self {
            cumulative,
            past: HashMap::new(),
            other: CountSums::default(),
            forgotten: CountSums::default(),
        }
    }

    /// Whether nothing more is to be expected of a key at the monotonic time `now` (ns): its socket is gone, or its
    /// connection has ended and its process calls no more.
    pub fn is_over(&self, counter: &Counter, now: u64) -> bool {
        let idle = || {
            self.past.get(&id_of(&counter.key)).is_some_and(|past| {
                past.last == counter.sums && now.saturating_sub(past.active) >= ENDED_IDLE_NS
            })
        };
        let is = |flag| counter.flags & flag != 0;
        is(COUNT_GONE) || (is(COUNT_ENDED) && idle())
    }

    /// Keys that have been idle for so long that they may lose their place in a crowded map.
    pub fn idle(&self, now: u64) -> impl Iterator<Item = GroupKey> {
        let idle =
            move |past: &&Past| !past.counter.gone && now.saturating_sub(past.active) >= IDLE_NS;
        self.past.values().filter(idle).map(|past| past.counter.key)
    }

    /// Adds what a counter has grown by until the monotonic time `now` (ns) to an interval, and returns it.
    pub fn take_in(
        &mut self,
        interval: &mut CountInterval,
        counter: Counter,
        now: u64,
    ) -> CountSums {
        let sums = self.account(counter, now);
        if !self.cumulative && !sums.is_idle() {
            interval.add(Counter { sums, ..counter });
        }
        sums
    }

    /// Ends an interval that has taken in everything that the map holds, with what did not fit.
    pub fn end(&mut self, interval: &mut CountInterval, other: CountSums) {
        let before = std::mem::replace(&mut self.other, other);
        if !self.cumulative {
            return interval.add_other(other.since(before));
        }
        interval.add_other(other.plus(self.forgotten));
        let sums = |past: &Past| past.before.plus(past.last);
        let alive = self.past.values().map(|past| Counter { sums: sums(past), ..past.counter });
        alive.filter(|counter| !counter.sums.is_idle()).for_each(|counter| interval.add(counter));
    }

    /// Remembers a counter and returns what it grew by.
    fn account(&mut self, counter: Counter, now: u64) -> CountSums {
        let id = id_of(&counter.key);
        if counter.gone && !self.cumulative {
            // Most connections begin and end within one interval: nothing is remembered of them.
            let last = self.past.remove(&id).map_or_else(CountSums::default, |past| past.last);
            return counter.sums.since(last);
        }
        let past = self.past.entry(id).or_insert(Past {
            before: CountSums::default(),
            last: CountSums::default(),
            active: now,
            counter,
        });
        let grown = counter.sums.since(past.last);
        if !grown.is_idle() {
            past.active = now;
        }
        past.last = counter.sums;
        past.counter = counter;
        if counter.gone {
            past.before = past.before.plus(past.last);
            past.last = CountSums::default();
            let before = past.before;
            if self.past.len() > MAX_REMEMBERED {
                self.past.remove(&id);
                self.forgotten = self.forgotten.plus(before);
            }
        }
        grown
    }
}

fn id_of(key: &GroupKey) -> [u8; size_of::<GroupKey>()] {
    let mut id = [0; size_of::<GroupKey>()];
    id.copy_from_slice(key.as_bytes());
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counter(pid: u32, tx_bytes: u64) -> Counter {
        let mut key = GroupKey::default();
        key.pid = pid;
        Counter {
            key,
            sums: CountSums { tx_bytes, ..CountSums::default() },
            pid,
            comm: *b"test\0\0\0\0\0\0\0\0\0\0\0\0",
            flags: 0,
            gone: false,
        }
    }

    fn other(tx_bytes: u64) -> CountSums {
        CountSums { tx_bytes, ..CountSums::default() }
    }

    fn interval(counts: &mut Counts, keys: Vec<Counter>, rest: u64, now: u64) -> CountInterval {
        let mut interval = CountInterval::new(usize::MAX);
        for counter in keys {
            counts.take_in(&mut interval, counter, now);
        }
        counts.end(&mut interval, other(rest));
        interval
    }

    fn bytes(interval: &CountInterval) -> Vec<(u32, u64)> {
        let mut rows: Vec<_> = interval.keys.iter().map(|c| (c.pid, c.sums.tx_bytes)).collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn an_interval_is_what_came_since_the_last_one() {
        let mut counts = Counts::new(false);
        let first = interval(&mut counts, vec![counter(1, 100), counter(2, 5)], 7, 1);
        assert_eq!(bytes(&first), [(1, 100), (2, 5)]);
        assert_eq!(first.total.tx_bytes, 112);
        let second = interval(&mut counts, vec![counter(1, 130), counter(2, 5)], 7, 2);
        assert_eq!(bytes(&second), [(1, 30)], "idle keys vanish");
        assert_eq!((second.other.tx_bytes, second.total.tx_bytes), (0, 30));
    }

    #[test]
    fn keys_and_other_add_up_to_the_total() {
        let mut counts = Counts::new(true);
        interval(&mut counts, vec![counter(1, 100), counter(2, 5)], 7, 1);
        let second = interval(&mut counts, vec![counter(1, 130), counter(2, 5)], 9, 2);
        assert_eq!(bytes(&second), [(1, 130), (2, 5)], "cumulative rows stay");
        assert_eq!(second.total.tx_bytes, 130 + 5 + 9);
    }

    #[test]
    fn keys_that_are_not_wanted_are_in_other() {
        let mut interval = CountInterval::new(2);
        for pid in [5, 1, 9, 3, 8, 2, 7] {
            interval.add(counter(pid, u64::from(pid)));
            let sums = interval.keys.iter().map(|key| key.sums.tx_bytes).sum::<u64>();
            assert_eq!(sums + interval.other.tx_bytes, interval.total.tx_bytes);
            assert!(interval.keys.len() <= 4);
        }
        let first: Vec<_> = interval.most_first(2).iter().take(2).map(|key| key.pid).collect();
        assert_eq!((first, interval.total.tx_bytes), (vec![9, 8], 35));
        let mut none = CountInterval::new(0);
        none.add(counter(1, 1));
        none.add(counter(2, 2));
        assert_eq!((none.keys.len(), none.other.tx_bytes, none.total.tx_bytes), (1, 1, 3));
    }

    #[test]
    fn a_returning_key_starts_at_zero() {
        for (cumulative, expected) in [(false, 3), (true, 103)] {
            let mut counts = Counts::new(cumulative);
            let gone = Counter { flags: COUNT_GONE, gone: true, ..counter(1, 100) };
            assert!(counts.is_over(&gone, 0));
            assert_eq!(bytes(&interval(&mut counts, vec![gone], 0, 1)), [(1, 100)]);
            let back = interval(&mut counts, vec![counter(1, 3)], 0, 2);
            assert_eq!(bytes(&back), [(1, expected)]);
        }
    }

    #[test]
    fn only_idle_keys_lose_their_places() {
        let mut counts = Counts::new(false);
        interval(&mut counts, vec![counter(1, 100), counter(2, 5)], 0, 0);
        assert!(!counts.is_over(&counter(1, 100), IDLE_NS));
        assert_eq!(counts.idle(IDLE_NS - 1).count(), 0);
        interval(&mut counts, vec![counter(1, 100), counter(2, 6)], 0, 5);
        let idle: Vec<_> = counts.idle(IDLE_NS).map(|key| key.pid).collect();
        assert_eq!(idle, [1], "the other has grown");
        let gone = Counter { gone: true, ..counter(1, 100) };
        interval(&mut counts, vec![gone], 0, IDLE_NS);
        assert_eq!(counts.idle(2 * IDLE_NS).map(|key| key.pid).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn an_ended_connection_is_removed_when_its_process_calls_no_more() {
        let mut counts = Counts::new(false);
        let ended = |tx_bytes| Counter { flags: COUNT_ENDED, ..counter(1, tx_bytes) };
        assert!(!counts.is_over(&ended(100), ENDED_IDLE_NS), "not read before");
        interval(&mut counts, vec![ended(100)], 0, 0);
        assert!(!counts.is_over(&ended(100), ENDED_IDLE_NS - 1));
        assert!(counts.is_over(&ended(100), ENDED_IDLE_NS));
        assert!(!counts.is_over(&ended(101), ENDED_IDLE_NS), "its process has called");
    }
}
