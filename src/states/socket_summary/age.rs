//! Ages of sockets in their states.

use std::time::Duration;

use crate::states::known;
use crate::wire::{DURATION_UNKNOWN, SockEntry};

/// How long a socket has been in its state, in ns; [`DURATION_UNKNOWN`] where not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Exactly: the tool saw the state begin, or the kernel keeps it.
    pub exact: u64,
    /// Lower bound: age of a segment that cannot be older than the state, or of the tool.
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

/// Shorter than this, it says nothing that the tool was there.
const WATCHED_LONG: Duration = Duration::from_secs(1);

/// No transition of the socket was seen while programs watched for `watched`: its state is as old.
pub fn bound_by_watch(entry: &mut SockEntry, watched: Duration) {
    if entry.unchanged == 0 || watched < WATCHED_LONG {
        return;
    }
    let watched = u64::try_from(watched.as_nanos()).unwrap_or(u64::MAX);
    let known = known(entry.at_least).unwrap_or(0);
    entry.at_least = known.max(watched);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_that_has_not_changed_is_as_old_as_the_tool() {
        const MS: u64 = 1_000_000;
        let bound = |unchanged, at_least, seconds| {
            let mut entry = SockEntry { unchanged, at_least, ..SockEntry::default() };
            bound_by_watch(&mut entry, Duration::from_secs(seconds));
            entry.at_least
        };
        assert_eq!(bound(1, 4 * MS, 40), 40_000 * MS);
        assert_eq!(bound(1, DURATION_UNKNOWN, 40), 40_000 * MS);
        // A segment that is older says more.
        assert_eq!(bound(1, 90_000 * MS, 40), 90_000 * MS);
        // Its transition was seen, or the tool has just started.
        assert_eq!(bound(0, 4 * MS, 40), 4 * MS);
        assert_eq!(bound(1, DURATION_UNKNOWN, 0), DURATION_UNKNOWN);
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
