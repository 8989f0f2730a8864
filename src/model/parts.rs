//! What each of several namespaces has counted in the last seconds.

use std::collections::{BTreeMap, VecDeque};

use super::history::{Metric, counted};
use crate::nstat::Mib;

/// Namespaces that are stored.
const ROOM: usize = 1024;
/// How long they are stored, ns: as long as rates are judged.
const WINDOW: i64 = 10_000_000_000;

/// Counts of an interval that ended at a wall-clock time, ns.
type Interval = (i64, Vec<(Metric, u64)>);

/// By the inode of the namespace.
#[derive(Clone, Debug, Default)]
pub struct Parts(BTreeMap<u32, VecDeque<Interval>>);

impl Parts {
    /// Takes in the counters of one namespace.
    pub fn take(&mut self, mib: &Mib) {
        let Some(netns) = mib.netns else { return };
        if self.0.len() < ROOM || self.0.contains_key(&netns) {
            let known = counted(mib).into_iter();
            let counts = known.filter_map(|(metric, count)| Some((metric, count?)));
            self.0.entry(netns).or_default().push_back((mib.ts.0, counts.collect()));
        }
    }

    /// Forgets what is long over.
    pub fn forget(&mut self, now: i64) {
        for intervals in self.0.values_mut() {
            while intervals.front().is_some_and(|(ts, _)| *ts <= now - WINDOW) {
                intervals.pop_front();
            }
        }
        self.0.retain(|_, intervals| !intervals.is_empty());
    }

    /// Namespaces in which something came.
    pub fn namespaces(&self) -> impl Iterator<Item = u32> {
        self.0.keys().copied()
    }

    /// What a namespace has counted; none where nothing came.
    pub fn sum(&self, netns: u32, metric: Metric) -> u64 {
        let intervals = self.0.get(&netns).into_iter().flatten();
        let counts = intervals.flat_map(|(_, counts)| counts);
        super::sum(counts.filter(|(one, _)| *one == metric).map(|(_, count)| *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Ts;

    #[test]
    fn namespaces_are_told_apart_and_what_is_over_is_forgotten() {
        let mut parts = Parts::default();
        for (second, netns) in [(1, 7), (2, 7), (2, 8)] {
            let (ts, netns) = (Ts(second * 1_000_000_000), Some(netns));
            parts.take(&Mib { ts, netns, part: true, out_rsts: Some(5), ..Mib::default() });
        }
        let sums = [7, 8, 9].map(|netns| parts.sum(netns, Metric::Resets));
        assert_eq!(sums, [10, 5, 0]);
        parts.forget(11_000_000_000);
        assert_eq!(parts.sum(7, Metric::Resets), 5);
        parts.forget(12_000_000_000);
        assert_eq!(parts.namespaces().count(), 0);
    }
}
