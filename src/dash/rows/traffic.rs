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
    /// Segments sent again; older recordings have none.
    pub retrans: Option<u64>,
    /// Calls are unknown: TCP's own counters were read.
    pub light: bool,
}

impl Traffic {
    /// That of a line.
    pub fn of(row: &Count) -> Self {
        let interval_ns = row.interval_ns.unwrap_or(0);
        let light = row.tx_calls.is_none();
        Self { interval_ns, sums: row.sums(), retrans: row.retrans_segs, light }
    }

    /// With that of another line of the same interval.
    #[must_use]
    pub fn plus(self, row: &Count) -> Self {
        let retrans = self.retrans.zip(row.retrans_segs).map(|(a, b)| a.saturating_add(b));
        Self { sums: self.sums.plus(row.sums()), retrans, ..self }
    }

    /// With that of another connection in the same interval.
    #[must_use]
    pub fn with(self, other: &Self) -> Self {
        let retrans = self.retrans.zip(other.retrans).map(|(a, b)| a.saturating_add(b));
        Self { sums: self.sums.plus(other.sums), retrans, ..self }
    }
}

/// A rate of calls, where they are known.
pub fn calls(traffic: Option<&Traffic>, of: fn(&CountSums) -> u64) -> Cell<'static> {
    segments(traffic.filter(|traffic| !traffic.light), of)
}

/// A rate of segments, where traffic is known.
pub fn segments(traffic: Option<&Traffic>, of: fn(&CountSums) -> u64) -> Cell<'static> {
    traffic.map_or(Cell::Missing, |traffic| Cell::PerSec(of(&traffic.sums)))
}

/// A rate of bytes, where traffic is known.
pub fn bytes(traffic: Option<&Traffic>, of: fn(&CountSums) -> u64) -> Cell<'static> {
    traffic.map_or(Cell::Missing, |traffic| Cell::BytesPerSec(of(&traffic.sums)))
}

/// A rate of segments sent again, where it is known.
pub fn retrans(traffic: Option<&Traffic>) -> Cell<'static> {
    Cell::per_sec(traffic.and_then(|traffic| traffic.retrans))
}
