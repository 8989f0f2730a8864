//! History of the whole machine, per second.

use std::collections::VecDeque;

use super::{float, per_second};
use crate::count::Count;
use crate::nstat::Mib;
use crate::states::StateChange;
use crate::tcp_state::TcpState;

const SECOND: i64 = 1_000_000_000;
/// Seconds that are stored: as many as the widest screen has columns.
const SECONDS: usize = 300;

/// A line of the overview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Metric {
    /// Sends that succeeded.
    Sends,
    /// Receives that returned data.
    Receives,
    /// Connections opened.
    Opens,
    /// Connections accepted.
    Accepts,
    /// Segments retransmitted.
    Retransmits,
    /// Resets sent.
    Resets,
}

impl Metric {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::Sends, Self::Receives, Self::Opens, Self::Accepts, Self::Retransmits, Self::Resets];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sends => "sends",
            Self::Receives => "receives",
            Self::Opens => "opens",
            Self::Accepts => "accepts",
            Self::Retransmits => "retransmits",
            Self::Resets => "resets",
        }
    }
}

/// One second: rates per second, `None`: unknown.
pub type Bucket = [Option<f64>; Metric::ALL.len()];

/// The last seconds.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// The second of the newest bucket.
    last: i64,
    buckets: VecDeque<Bucket>,
    /// The first second with known state changes.
    changes_from: Option<i64>,
    /// The kernel's counters include opens and accepts.
    has_mib: bool,
}

impl History {
    /// Takes in the total of an interval.
    pub fn total(&mut self, row: &Count) {
        let interval_ns = row.interval_ns.unwrap_or(0);
        let rate = |calls| Some(per_second(calls, interval_ns));
        self.fill(row.ts.0, interval_ns, Metric::Sends, rate(row.tx_calls));
        self.fill(row.ts.0, interval_ns, Metric::Receives, rate(row.rx_calls));
    }

    /// Takes in the kernel's own counters.
    pub fn mib(&mut self, mib: &Mib) {
        self.has_mib = true;
        for (series, value) in [
            (Metric::Opens, mib.active_opens),
            (Metric::Accepts, mib.passive_opens),
            (Metric::Retransmits, mib.retrans_segs),
            (Metric::Resets, mib.out_rsts),
        ] {
            let rate = value.map(|value| per_second(value, mib.interval_ns.unwrap_or(0)));
            self.fill(mib.ts.0, mib.interval_ns.unwrap_or(0), series, rate);
        }
    }

    /// Adds a state change, for recordings without the kernel's counters.
    pub fn state(&mut self, change: &StateChange) {
        if self.has_mib {
            return;
        }
        let second = change.ts.0.div_euclid(SECOND);
        self.changes_from.get_or_insert(second);
        let series = match (change.old, change.new) {
            (Some(TcpState::SynSent), Some(TcpState::Established)) => Some(Metric::Opens),
            (Some(TcpState::SynRecv), Some(TcpState::Established)) => Some(Metric::Accepts),
            _ => None,
        };
        if let Some(bucket) = self.bucket(second) {
            // Where changes are recorded, none is 0 and not unknown.
            let sums = [Metric::Opens, Metric::Accepts];
            for sum in sums {
                let value = bucket[sum as usize].get_or_insert(0.0);
                *value += f64::from(u8::from(series == Some(sum)));
            }
        }
    }

    /// Sets the seconds that an interval covers.
    fn fill(&mut self, end: i64, length: u64, series: Metric, rate: Option<f64>) {
        let last = end.div_euclid(SECOND);
        let seconds = length.div_ceil(SECOND.unsigned_abs()).clamp(1, SECONDS as u64);
        for back in (0..seconds.cast_signed()).rev() {
            if let Some(bucket) = self.bucket(last - back) {
                bucket[series as usize] = rate;
            }
        }
    }

    /// The bucket of a second; `None` if it is too long ago.
    fn bucket(&mut self, second: i64) -> Option<&mut Bucket> {
        if self.buckets.is_empty() {
            self.last = second;
            self.buckets.push_back(Bucket::default());
        }
        let ahead = second - self.last;
        // A gap, or a recording of another day, leaves nothing to compare with.
        if ahead > SECONDS.cast_signed() as i64 {
            self.buckets.clear();
            self.buckets.push_back(Bucket::default());
            self.last = second;
        }
        while self.last < second {
            if self.buckets.len() == SECONDS {
                self.buckets.pop_front();
            }
            self.buckets.push_back(Bucket::default());
            self.last += 1;
        }
        let back = usize::try_from(self.last - second).ok()?;
        while self.buckets.len() <= back && self.buckets.len() < SECONDS {
            self.buckets.push_front(Bucket::default());
        }
        let index = self.buckets.len().checked_sub(back + 1)?;
        self.buckets.get_mut(index)
    }

    /// The last `seconds` values of a series up to the second of `now` (ns), oldest first.
    pub fn values(&self, series: Metric, now: i64, seconds: usize) -> Vec<Option<f64>> {
        let now = now.div_euclid(SECOND);
        let value = |back: usize| -> Option<f64> {
            let back = back.cast_signed() as i64 - (now - self.last);
            let back = usize::try_from(back).ok()?;
            let index = self.buckets.len().checked_sub(back + 1)?;
            self.buckets[index][series as usize]
        };
        (0..seconds).rev().map(value).collect()
    }

    /// The newest value of a series that is known of the last few seconds.
    pub fn newest(&self, series: Metric, now: i64) -> Option<f64> {
        self.values(series, now, 5).into_iter().rev().flatten().next()
    }

    /// The sum of a series over the last `seconds`, and over how many seconds it is known.
    pub fn sum(&self, series: Metric, now: i64, seconds: usize) -> (f64, usize) {
        let known: Vec<f64> = self.values(series, now, seconds).into_iter().flatten().collect();
        (known.iter().sum(), known.len())
    }
}

/// The largest of some values, at least 1.
pub fn peak(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().fold(float(1), |max, value| max.max(*value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Ts;

    fn total(second: i64, seconds: u64, calls: u64) -> Count {
        Count {
            ts: Ts(second * SECOND + 5),
            interval_ns: Some(seconds * 1_000_000_000),
            tx_calls: calls,
            ..Count::default()
        }
    }

    #[test]
    fn an_interval_is_spread_over_its_seconds_and_gaps_stay_unknown() {
        let mut history = History::default();
        history.total(&total(100, 1, 7));
        history.total(&total(104, 2, 8));
        let values = history.values(Metric::Sends, 105 * SECOND, 7);
        assert_eq!(values, [None, Some(7.0), None, None, Some(4.0), Some(4.0), None]);
        assert_eq!(history.newest(Metric::Sends, 105 * SECOND), Some(4.0));
        assert_eq!(history.newest(Metric::Resets, 105 * SECOND), None);
        history.total(&total(100, 1, 9));
        assert_eq!(history.values(Metric::Sends, 100 * SECOND, 1), [Some(9.0)], "late is not lost");
        history.total(&total(1_000_000, 1, 1));
        assert_eq!(history.sum(Metric::Sends, 1_000_000 * SECOND, 300), (1.0, 1));
    }

    #[test]
    fn opens_come_from_changes_until_kernel_counters_arrive() {
        let change = |old, new| StateChange {
            ts: Ts(7 * SECOND),
            old: Some(old),
            new: Some(new),
            ..StateChange::default()
        };
        let mut history = History::default();
        history.state(&change(TcpState::SynSent, TcpState::Established));
        history.state(&change(TcpState::Established, TcpState::FinWait1));
        assert_eq!(history.newest(Metric::Opens, 7 * SECOND), Some(1.0));
        assert_eq!(history.newest(Metric::Accepts, 7 * SECOND), Some(0.0));
        let mib = Mib { active_opens: Some(4), interval_ns: Some(1_000_000_000), ..Mib::default() };
        history.mib(&Mib { ts: Ts(8 * SECOND), ..mib });
        history.state(&change(TcpState::SynSent, TcpState::Established));
        assert_eq!(history.newest(Metric::Opens, 8 * SECOND), Some(4.0));
    }
}
