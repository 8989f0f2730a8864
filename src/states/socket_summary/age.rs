//! Ages of sockets in their states.

use crate::states::known;
use crate::wire::DURATION_UNKNOWN;

/// How long a socket has been in its state, in ns; [`DURATION_UNKNOWN`] where not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Exactly: the tool saw the state begin, or the kernel keeps it.
    pub exact: u64,
    /// Lower bound: age of a segment that cannot be older than the state.
    pub at_least: u64,
}

impl Age {
    pub(super) const UNKNOWN: Self = Self { exact: DURATION_UNKNOWN, at_least: DURATION_UNKNOWN };

    /// What is known for certain, for comparing.
    pub(super) fn bound(self) -> u64 {
        self.exact().max(self.at_least()).unwrap_or(0)
    }

    /// The older of two: exact only if both are, because the other may be any age above its
    /// bound.
    pub(super) fn older(self, other: Self) -> Self {
        if self.exact != DURATION_UNKNOWN && other.exact != DURATION_UNKNOWN {
            return Self { exact: self.exact.max(other.exact), ..Self::UNKNOWN };
        }
        match self.bound().max(other.bound()) {
            0 => Self::UNKNOWN,
            at_least => Self { at_least, ..Self::UNKNOWN },
        }
    }

    pub(super) fn exact(self) -> Option<u64> {
        known(self.exact)
    }

    pub(super) fn at_least(self) -> Option<u64> {
        known(self.at_least)
    }
}

/// Jiffies per second. The kernel does not expose `CONFIG_HZ`; its two
/// clocks, read twice, do.
#[derive(Debug, Default)]
pub struct Hz {
    first: Option<(u64, u64)>,
    hz: Option<u64>,
}

/// What kernels are built with (kernel/Kconfig.hz, and 1024 of alpha and mips left out).
const HZ_CHOICES: [u64; 4] = [100, 250, 300, 1000];
/// Closer clock readings cannot distinguish 250 from 300.
const HZ_SPAN_NS: u64 = 50_000_000;

impl Hz {
    /// Takes in one reading of both clocks: `CLOCK_MONOTONIC` ns and jiffies.
    pub fn observe(&mut self, ktime: u64, jiffies: u64) {
        let (first_ktime, first_jiffies) = *self.first.get_or_insert((ktime, jiffies));
        let span = ktime.saturating_sub(first_ktime);
        if self.hz.is_some() || span < HZ_SPAN_NS {
            return;
        }
        let ticks = u128::from(jiffies.saturating_sub(first_jiffies)) * 1_000_000_000;
        let measured = u64::try_from(ticks / u128::from(span)).unwrap_or(u64::MAX);
        self.hz = HZ_CHOICES.into_iter().min_by_key(|hz| hz.abs_diff(measured));
    }

    /// Jiffies as ns; `None` until the clocks have been seen far enough apart.
    pub(super) fn nanos(&self, jiffies: u64) -> Option<u64> {
        Some(jiffies.saturating_mul(1_000_000_000) / self.hz?)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Clocks of a kernel with this HZ.
    pub fn hz_of(hz: u64) -> Hz {
        let mut clocks = Hz::default();
        clocks.observe(1_000_000_000, 7);
        clocks.observe(2_000_000_000, 7 + hz);
        clocks
    }

    #[test]
    fn both_clocks_tell_the_ticks_of_a_second() {
        for hz in HZ_CHOICES {
            assert_eq!(hz_of(hz).nanos(hz), Some(1_000_000_000));
            assert_eq!(hz_of(hz + 1).nanos(hz), Some(1_000_000_000), "one tick off");
        }
        let mut early = Hz::default();
        early.observe(0, 0);
        early.observe(HZ_SPAN_NS - 1, 50);
        assert_eq!(early.nanos(1), None);
    }

    #[test]
    fn the_oldest_is_exact_only_where_all_are() {
        let exact = |ns| Age { exact: ns, ..Age::UNKNOWN };
        let at_least = |ns| Age { at_least: ns, ..Age::UNKNOWN };
        for (a, b, oldest) in [
            (exact(5), exact(7), exact(7)),
            (exact(0), exact(0), exact(0)),
            (exact(5), at_least(7), at_least(7)),
            (exact(9), at_least(7), at_least(9)),
            // It is older than the tool, so it may well be older than the one that is known.
            (exact(5), Age::UNKNOWN, at_least(5)),
            (at_least(5), Age::UNKNOWN, at_least(5)),
            (Age::UNKNOWN, Age::UNKNOWN, Age::UNKNOWN),
        ] {
            assert_eq!(a.older(b), oldest, "{a:?} {b:?}");
            assert_eq!(b.older(a), oldest, "{b:?} {a:?}");
        }
    }
}
