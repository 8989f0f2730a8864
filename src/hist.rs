//! Log-linear histograms of durations, as `bpf/lib/hist.h` fills them.
//!
//! A slot is as wide as 1/16 of its octave's beginning, and represents the value in its middle: any
//! quantile from 512 ns to 275 s is off by at most 1/32 (3.2 %). Shorter and longer durations are
//! counted in the first and the last slot; [`Histogram::min`] and [`Histogram::max`] are exact.

use std::ops::Range;

pub use crate::wire::{HIST_OCTAVES as OCTAVES, HIST_SLOTS as SLOTS, HIST_SUBS as SUBS};
use crate::wire::{HIST_SHORTEST as SHORTEST, HIST_SUB_BITS as SUB_BITS};

/// The slot of a duration in ns.
pub fn slot_of(ns: u64) -> usize {
    let longest = (1 << (SHORTEST + OCTAVES)) - 1;
    let ns = ns.clamp(1 << SHORTEST, longest);
    let log = ns.ilog2() as usize;
    let sub = (ns >> (log - SUB_BITS)) % SUBS as u64;
    (log - SHORTEST) * SUBS + usize::try_from(sub).unwrap_or_default()
}

/// The durations in ns that a slot is for.
pub fn bounds(slot: usize) -> Range<u64> {
    let slot = slot.min(SLOTS - 1);
    let log = SHORTEST + slot / SUBS;
    let width = 1 << (log - SUB_BITS);
    let start = (1 << log) + (slot % SUBS) as u64 * width;
    start..start + width
}

/// Durations of one kind. Allocates only octaves with values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// By octave, in order.
    octaves: Vec<(u8, [u64; SUBS])>,
    count: u64,
    min: u64,
    max: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { octaves: Vec::new(), count: 0, min: u64::MAX, max: 0 }
    }
}

impl Histogram {
    /// Counts one duration of `ns`.
    pub fn record(&mut self, ns: u64) {
        self.add(slot_of(ns), 1);
        self.spans(ns, ns);
    }

    /// Counts `count` durations of a slot. [`Histogram::spans`] gives the slot's range.
    pub fn add(&mut self, slot: usize, count: u64) {
        if count == 0 {
            return;
        }
        let slot = slot.min(SLOTS - 1);
        let octave = u8::try_from(slot / SUBS).unwrap_or(u8::MAX);
        let at = self.octaves.binary_search_by_key(&octave, |(octave, _)| *octave);
        let at = at.unwrap_or_else(|at| {
            // Most have one or two of them, and there may be many histograms.
            self.octaves.reserve_exact(1);
            self.octaves.insert(at, (octave, [0; SUBS]));
            at
        });
        self.octaves[at].1[slot % SUBS] += count;
        self.count += count;
    }

    /// The shortest and the longest of what was added, in ns.
    pub fn spans(&mut self, min: u64, max: u64) {
        self.min = self.min.min(min);
        self.max = self.max.max(max);
    }

    /// Adds everything that `other` has counted.
    pub fn merge(&mut self, other: &Self) {
        for (octave, subs) in &other.octaves {
            for (sub, &count) in subs.iter().enumerate() {
                self.add(usize::from(*octave) * SUBS + sub, count);
            }
        }
        self.spans(other.min, other.max);
    }

    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest, in ns.
    pub fn min(&self) -> Option<u64> {
        (self.count > 0 && self.min <= self.max).then_some(self.min)
    }

    /// The longest, in ns.
    pub fn max(&self) -> Option<u64> {
        (self.count > 0 && self.min <= self.max).then_some(self.max)
    }

    /// The quantile in ns, in thousandths: 500 is the median.
    pub fn quantile(&self, per_mille: u64) -> Option<u64> {
        // The nearest rank: of 10 durations the median is the 5th.
        let rank = (u128::from(self.count) * u128::from(per_mille.min(1000))).div_ceil(1000).max(1);
        let mut seen = 0;
        let slot = self.buckets().find(|(_, count)| {
            seen += u128::from(*count);
            seen >= rank
        });
        let (Range { start, end }, _) = slot?;
        let middle = start + (end - start) / 2;
        match (self.min(), self.max()) {
            (Some(min), Some(max)) => Some(middle.clamp(min, max)),
            _ => Some(middle),
        }
    }

    /// The slots that have any, from short to long: what they are for in ns, and how many there are.
    pub fn buckets(&self) -> impl Iterator<Item = (Range<u64>, u64)> {
        self.octaves.iter().flat_map(|(octave, subs)| {
            let first = usize::from(*octave) * SUBS;
            let some = subs.iter().enumerate().filter(|(_, count)| **count > 0);
            some.map(move |(sub, &count)| (bounds(first + sub), count))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_join_without_gap_or_overlap() {
        assert_eq!(bounds(0).start, 512);
        for slot in 0..SLOTS {
            let Range { start, end } = bounds(slot);
            assert_eq!((slot_of(start), slot_of(end - 1)), (slot, slot));
            assert_eq!(slot_of(end), (slot + 1).min(SLOTS - 1), "{end}");
        }
        assert!(bounds(SLOTS - 1).end > 100_000_000_000);
        assert_eq!((slot_of(0), slot_of(u64::MAX)), (0, SLOTS - 1));
    }

    #[test]
    fn a_quantile_is_off_by_a_32nd_at_most() {
        let mut ns = 1_000;
        while ns <= 100_000_000_000 {
            for other in [1, u64::MAX] {
                let mut one = Histogram::default();
                (0..3).for_each(|_| one.record(ns));
                // Another duration on either side, so that min and max do not give it away.
                one.spans(ns.min(other), ns.max(other));
                let found = one.quantile(500).unwrap();
                assert!(found.abs_diff(ns) * 32 <= ns, "{ns}: {found}");
            }
            ns += ns / 97;
        }
    }

    #[test]
    fn ranks_are_exact() {
        let mut all = Histogram::default();
        (1..=1000).for_each(|ms| all.record(ms * 1_000_000));
        for (per_mille, ms) in
            [(1, 1), (500, 500), (900, 900), (990, 990), (999, 999), (1000, 1000)]
        {
            let (found, exact) = (all.quantile(per_mille).unwrap(), ms * 1_000_000);
            assert_eq!(slot_of(found), slot_of(exact), "{per_mille}");
        }
        assert_eq!(
            (all.min(), all.max(), all.count()),
            (Some(1_000_000), Some(1_000_000_000), 1000)
        );
        assert_eq!(Histogram::default().quantile(500), None);
        assert_eq!(Histogram::default().max(), None);
    }

    #[test]
    fn merged_histograms_equal_one_histogram() {
        let (mut odd, mut even, mut all) = Default::default();
        for ns in (0..5_000).map(|n| n * n * n) {
            let part: &mut Histogram = if ns % 2 == 1 { &mut odd } else { &mut even };
            part.record(ns);
            Histogram::record(&mut all, ns);
        }
        odd.merge(&even);
        odd.merge(&Histogram::default());
        assert_eq!(odd, all);
        assert_eq!(odd.buckets().map(|(_, count)| count).sum::<u64>(), 5_000);
    }
}
