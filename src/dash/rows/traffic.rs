//! Traffic.

use crate::count::{Count, CountSums};
use crate::report::Cell;

/// Sums of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Length of the interval, ns.
    pub interval_ns: u64,
    /// What was counted in it.
    pub sums: CountSums,
}

impl Traffic {
    /// That of a line.
    pub fn of(row: &Count) -> Self {
        Self { interval_ns: row.interval_ns.unwrap_or(0), sums: row.sums() }
    }

    /// With that of another line of the same interval.
    #[must_use]
    pub fn plus(self, row: &Count) -> Self {
        Self { sums: self.sums.plus(row.sums()), ..self }
    }
}

/// A rate of calls, where traffic is known.
pub fn calls(traffic: Option<&Traffic>, of: fn(&CountSums) -> u64) -> Cell<'static> {
    traffic.map_or(Cell::Missing, |traffic| Cell::PerSec(of(&traffic.sums)))
}

/// A rate of bytes, where traffic is known.
pub fn bytes(traffic: Option<&Traffic>, of: fn(&CountSums) -> u64) -> Cell<'static> {
    traffic.map_or(Cell::Missing, |traffic| Cell::BytesPerSec(of(&traffic.sums)))
}
