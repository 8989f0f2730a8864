//! Compares the drops of a namespace's listeners with the namespace's own counters.

use super::{Drops, ListenCounters, Sysctls};

/// The counters of a namespace right before and right after its listeners were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Before.
    pub before: ListenCounters,
    /// After.
    pub after: ListenCounters,
    /// Its settings.
    pub sysctls: Option<Sysctls>,
}

impl Reading {
    /// The counters, if they stood still while the listeners were read.
    pub fn settled(&self) -> Option<ListenCounters> {
        (self.before == self.after).then_some(self.after)
    }
}

/// Sums since the start.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    overflows: u64,
    drops: u64,
}

/// What a namespace has counted, and what its listeners explain.
///
/// The kernel counts for the namespace first, and a program sees it a moment later. So all that was
/// counted before the listeners were read is explained by what is read, except pending events,
/// and that is there the next time: only what two readings in a row do not explain is unexplained.
/// And no listeners explain more than is counted after they were read.
#[derive(Debug, Clone)]
pub struct Reconciliation {
    last: Reading,
    /// From the first reading on.
    counted: Sums,
    /// What the namespace may have counted while it was read for the first time.
    early: Sums,
    /// `None`: the counters could not be read.
    explained: Option<Sums>,
    lacking: Sums,
    unexplained: u64,
}

impl Default for Reconciliation {
    /// A namespace younger than the tool: its counters began with 0.
    fn default() -> Self {
        Self::begin(&Reading {
            before: ListenCounters::default(),
            after: ListenCounters::default(),
            sysctls: None,
        })
    }
}

impl Reconciliation {
    /// A namespace that was there before us.
    pub fn begin(reading: &Reading) -> Self {
        Self {
            last: *reading,
            counted: Sums::default(),
            early: Sums::of(reading.after.since(reading.before)),
            explained: Some(Sums::default()),
            lacking: Sums::default(),
            unexplained: 0,
        }
    }

    /// What it has counted since it was last read; `None` if that moved while listeners were read,
    /// now or then: a drop on the border would be in one interval here, and in the other there.
    pub fn grown(&self, reading: &Reading) -> Option<ListenCounters> {
        Some(reading.settled()?.since(self.last.settled()?))
    }

    /// Adds an interval. A listener with unknown drops explains the rest: its
    /// row says so.
    pub fn hold(&mut self, reading: Option<&Reading>, drops: &[Drops]) {
        let Some(reading) = reading else {
            self.explained = None;
            return;
        };
        let before = self.counted.plus(Sums::of(reading.before.since(self.last.after)));
        let grown = Sums::of(reading.after.since(self.last.after));
        self.counted = self.counted.plus(grown);
        self.last = *reading;
        let Some(explained) = &mut self.explained else { return };
        let sum = |of: fn(&Drops) -> Option<u64>| drops.iter().map(of).sum::<Option<u64>>();
        *explained = explained.plus(Sums {
            overflows: sum(|loss| loss.accept).unwrap_or(grown.overflows),
            drops: sum(|loss| loss.total).unwrap_or(grown.drops),
        });
        let lacking = before.beyond(*explained);
        let excess = explained.beyond(self.counted.plus(self.early));
        let now = lacking.least(self.lacking).most().max(excess.most());
        self.unexplained = self.unexplained.max(now);
        self.lacking = lacking;
    }

    /// Drops since the start that only one side has counted; `None` if the counters cannot be
    /// read.
    pub fn unexplained(&self) -> Option<u64> {
        self.explained.map(|_| self.unexplained)
    }
}

impl Sums {
    fn of(mib: ListenCounters) -> Self {
        Self { overflows: mib.overflows, drops: mib.drops }
    }

    fn zip(self, other: Self, op: fn(u64, u64) -> u64) -> Self {
        Self { overflows: op(self.overflows, other.overflows), drops: op(self.drops, other.drops) }
    }

    fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    fn beyond(self, other: Self) -> Self {
        self.zip(other, u64::saturating_sub)
    }

    fn least(self, other: Self) -> Self {
        self.zip(other, u64::min)
    }

    fn most(self) -> u64 {
        self.overflows.max(self.drops)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(before: u64, after: u64) -> Reading {
        let mib = |drops| ListenCounters { overflows: drops, drops, ..ListenCounters::default() };
        Reading { before: mib(before), after: mib(after), sysctls: None }
    }

    fn lost(count: u64) -> Drops {
        Drops { accept: Some(count), total: Some(count), ..Drops::default() }
    }

    #[test]
    fn pending_counts_at_interval_borders_are_explained() {
        let mut check = Reconciliation::begin(&reading(5, 5));
        // One is counted before the listeners are read, and its program comes too late for it.
        check.hold(Some(&reading(15, 16)), &[lost(9)]);
        assert_eq!(check.unexplained(), Some(0));
        check.hold(Some(&reading(16, 16)), &[lost(2)]);
        assert_eq!(check.unexplained(), Some(0));
        check.hold(Some(&reading(16, 16)), &[lost(0)]);
        assert_eq!(check.unexplained(), Some(0));
    }

    #[test]
    fn counters_that_change_at_an_interval_border_are_ambiguous() {
        let mut check = Reconciliation::begin(&reading(5, 5));
        assert_eq!(check.grown(&reading(7, 7)).map(|mib| mib.drops), Some(2));
        assert_eq!(check.grown(&reading(7, 8)), None);
        check.hold(Some(&reading(7, 8)), &[lost(2)]);
        assert_eq!(check.grown(&reading(8, 8)), None, "the third may come with this one");
        check.hold(Some(&reading(8, 8)), &[lost(1)]);
        assert_eq!(check.grown(&reading(9, 9)).map(|mib| mib.drops), Some(1));
    }

    #[test]
    fn missing_drops_are_unexplained() {
        let mut check = Reconciliation::default();
        check.hold(Some(&reading(10, 10)), &[lost(7)]);
        assert_eq!(check.unexplained(), Some(0), "it may come yet");
        check.hold(Some(&reading(10, 10)), &[lost(0)]);
        assert_eq!(check.unexplained(), Some(3));
    }

    #[test]
    fn an_excess_is_unexplained_immediately() {
        let mut check = Reconciliation::default();
        check.hold(Some(&reading(1, 2)), &[lost(2), lost(3)]);
        assert_eq!(check.unexplained(), Some(3));
    }

    #[test]
    fn without_counters_causes_are_unknown() {
        let mut check = Reconciliation::default();
        check.hold(None, &[lost(2)]);
        assert_eq!(check.unexplained(), None);
    }
}
