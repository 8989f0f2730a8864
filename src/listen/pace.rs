//! How fast `accept()` takes connections while some wait: idle time says nothing of it.

use super::Coverage;
use crate::wire::Listener;

/// The pace of `accept()` in an interval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pace {
    /// Mean time of an `accept()` while the queue was never empty, ns.
    mean: Option<u64>,
    /// The same, at most: with times in which it ran empty, and without the accept that a reading may have
    /// cut in two.
    most: Option<u64>,
    /// Time that it was never empty, ns.
    waiting_ns: u64,
    /// `accept()` itself was seen.
    exact: bool,
}

impl Pace {
    /// A pace measured by `accept()` itself: so many in `waiting_ns`.
    pub fn exactly(waiting_ns: u64, accepts: u64) -> Self {
        let most = waiting_ns.checked_div(accepts.saturating_sub(1));
        Self { mean: waiting_ns.checked_div(accepts), most, waiting_ns, exact: true }
    }

    /// What a listener counted between two readings.
    pub fn between(last: &Listener, now: &Listener, coverage: Coverage) -> Self {
        // Without the arrivals it is not known when it was empty.
        if !coverage.children {
            return Self::default();
        }
        let grown = |of: fn(&Listener) -> u64| of(now).wrapping_sub(of(last));
        let (waiting_ns, accepts) = (grown(|l| l.waiting_ns), grown(|l| l.waiting_accepts));
        let exact = Self::exactly(waiting_ns, accepts);
        // io_uring returns from no call that is seen.
        if coverage.all_accepts || (coverage.accepts && grown(|l| l.accepted) > 0) {
            return exact;
        }
        let time = waiting_ns.saturating_add(grown(|l| l.emptied_ns));
        let all = accepts.wrapping_add(grown(|l| l.emptied_accepts));
        Self { most: time.checked_div(all.saturating_sub(1)), exact: false, ..exact }
    }

    /// Whether `accept()` itself was seen.
    pub fn is_exact(&self) -> bool {
        self.exact
    }

    /// Mean time of an `accept()` in an interval of this length, ns. Where only arrivals are seen it is
    /// known if connections waited most of the time: a moment says little.
    pub fn mean(&self, interval_ns: u64) -> Option<u64> {
        self.mean.filter(|_| self.exact || self.waiting_ns >= interval_ns / 2)
    }

    /// The same, at most.
    pub fn most(&self) -> Option<u64> {
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARRIVALS: Coverage = Coverage {
        syn: false,
        ack: false,
        discards: true,
        accepts: false,
        all_accepts: false,
        children: true,
    };

    fn pace(coverage: Coverage, waiting: (u64, u64), emptied: (u64, u64)) -> Pace {
        let mut now = Listener::default();
        (now.waiting_ns, now.waiting_accepts) = waiting;
        (now.emptied_ns, now.emptied_accepts) = emptied;
        Pace::between(&Listener::default(), &now, coverage)
    }

    #[test]
    fn idle_time_is_left_out() {
        let seen = Coverage { accepts: true, all_accepts: true, ..ARRIVALS };
        assert_eq!(pace(seen, (300, 3), (0, 0)).mean(1_000), Some(100));
        let none = pace(seen, (300, 0), (0, 0));
        assert_eq!((none.mean(1_000), none.most()), (None, None));
    }

    /// It began before the interval.
    #[test]
    fn one_accept_gives_no_upper_bound() {
        let seen = Coverage { accepts: true, all_accepts: true, ..ARRIVALS };
        assert_eq!(pace(seen, (300, 1), (0, 0)).most(), None);
        assert_eq!(pace(seen, (300, 4), (0, 0)).most(), Some(100));
    }

    #[test]
    fn arrivals_give_bounds() {
        // Most of the time none waited.
        let bursts = pace(ARRIVALS, (30, 1), (970, 10));
        assert_eq!((bursts.mean(1_000), bursts.most()), (None, Some(100)));
        let busy = pace(ARRIVALS, (900, 3), (0, 0));
        assert_eq!((busy.mean(1_000), busy.most()), (Some(300), Some(450)));
        let unseen = Coverage { children: false, ..ARRIVALS };
        assert_eq!(pace(unseen, (900, 3), (0, 0)), Pace::default());
    }
}
