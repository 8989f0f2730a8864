//! Whether all was seen that the counters of network namespaces say was sent again.

use anyhow::Result;

use crate::clock::monotonic_now;
use crate::nstat::NetnsTotals;
use crate::wire::{RetransEvent, RetransType};

/// A counter of the kernel against events of the same.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Balance {
    /// Counted since the last interval and not seen; below 0 what was seen and will be counted in the next.
    ahead: i64,
    /// Counted and never seen.
    missing: u64,
}

impl Balance {
    /// Ends an interval. The counter was read first, so events can be ahead of it, but only those of this
    /// interval: what was seen earlier is counted, or its namespace is gone.
    fn end(&mut self, counted: u64, seen: u64) -> u64 {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let balance = self.ahead.saturating_add(number(counted)).saturating_sub(number(seen));
        let new = u64::try_from(balance).unwrap_or(0);
        self.missing = self.missing.saturating_add(new);
        self.ahead = balance.clamp(-number(seen), 0);
        new
    }
}

/// What was counted in an interval; `None`: not all namespaces can be read.
#[derive(Debug, Default, Clone, Copy)]
struct Counted {
    segs: Option<u64>,
    syns: Option<u64>,
}

/// The comparison, from one interval to the next.
#[derive(Debug)]
pub struct Unexplained {
    totals: NetnsTotals,
    /// Monotonic ns: earlier events may be counted or not.
    began: u64,
    counted: Counted,
    seen: (u64, u64),
    segs: Balance,
    syns: Balance,
    said: bool,
}

impl Unexplained {
    /// Begins with the counters as they are: of all namespaces, or of the one that is `asked` for, if it
    /// is there.
    #[allow(clippy::option_option, reason = "asked for, and there")]
    pub fn begin(asked: Option<Option<u32>>) -> Self {
        let mut totals = NetnsTotals::default();
        let began = monotonic_now();
        totals.grown(asked.map(Option::unwrap_or_default));
        let (counted, balance) = (Counted::default(), Balance::default());
        Self { totals, began, counted, seen: (0, 0), segs: balance, syns: balance, said: false }
    }

    /// An event was seen.
    pub fn take(&mut self, event: &RetransEvent) {
        let kind = RetransType::from_number(event.why).unwrap_or(RetransType::Unknown);
        if event.ts < self.began || !kind.is_retransmit() {
            return;
        }
        self.seen.0 += u64::from(event.segs);
        if matches!(kind, RetransType::Syn | RetransType::Synack) {
            self.seen.1 += u64::from(event.segs);
        }
    }

    /// Reads the counters. After that, and before [`end`](Self::end), the events until now must be taken.
    ///
    /// # Errors
    /// /proc cannot be read.
    #[allow(clippy::option_option, reason = "asked for, and there")]
    pub fn count(&mut self, asked: Option<Option<u32>>) -> Result<()> {
        let (grown, extent) = self.totals.grown(asked.map(Option::unwrap_or_default));
        let mib = grown.record((0, 0), &extent);
        let open = extent.closed == 0;
        self.counted = Counted {
            segs: mib.retrans_segs.filter(|_| open),
            syns: mib.tcp_syn_retrans.filter(|_| open),
        };
        Ok(())
    }

    /// Ends an interval: segments that were counted in it and not seen; `None`: unknown.
    pub fn end(&mut self) -> Option<u64> {
        let (segs, syns) = std::mem::take(&mut self.seen);
        let counted = std::mem::take(&mut self.counted);
        if let Some(counted) = counted.syns {
            self.syns.end(counted, syns);
        }
        counted.segs.map(|counted| self.segs.end(counted, segs))
    }

    /// All of them since the start.
    pub fn total(&self) -> u64 {
        self.segs.missing
    }

    /// Once, that SYNs and SYN-ACKs are among them.
    pub fn remark(&mut self) -> Option<String> {
        let syns = self.syns.missing;
        let new = syns > 0 && !std::mem::replace(&mut self.said, syns > 0);
        new.then(|| format!("TCPSynRetrans counts {syns} SYNs and SYN-ACKs more than were seen"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(intervals: &[(u64, u64)]) -> (Vec<u64>, u64) {
        let mut balance = Balance::default();
        let each = intervals.iter().map(|(counted, seen)| balance.end(*counted, *seen)).collect();
        (each, balance.missing)
    }

    #[test]
    fn what_is_counted_and_not_seen_is_missing() {
        assert_eq!(ends(&[(5, 5), (7, 3), (0, 0), (2, 2)]), (vec![0, 4, 0, 0], 4));
    }

    #[test]
    fn events_between_the_reading_of_counters_and_of_events_are_counted_next() {
        assert_eq!(ends(&[(5, 8), (3, 0)]), (vec![0, 0], 0));
        assert_eq!(ends(&[(5, 8), (4, 0)]), (vec![0, 1], 1));
    }

    #[test]
    fn a_namespace_that_is_gone_hides_nothing_for_long() {
        // Its counters were not read again.
        assert_eq!(ends(&[(0, 50), (0, 0), (9, 0)]), (vec![0, 0, 9], 9));
        assert_eq!(ends(&[(0, 50), (0, 2), (9, 0)]), (vec![0, 0, 7], 7));
    }
}
