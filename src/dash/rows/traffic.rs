//! Traffic.

use crate::count::Count;
use crate::report::Cell;

/// Sums of one interval.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Length of the interval, ns.
    pub interval_ns: u64,
    /// Sends that succeeded.
    pub tx_calls: u64,
    /// Bytes accepted.
    pub tx_bytes: u64,
    /// Receives that returned data.
    pub rx_calls: u64,
    /// Bytes delivered.
    pub rx_bytes: u64,
    /// Segments in.
    pub segs_in: u64,
    /// Failed calls.
    pub errors: u64,
}

impl Traffic {
    /// That of a line.
    pub fn of(row: &Count) -> Self {
        Self { interval_ns: row.interval_ns.unwrap_or(0), ..Self::default() }.plus(row)
    }

    /// With that of another line of the same interval.
    #[must_use]
    pub fn plus(mut self, row: &Count) -> Self {
        self.tx_calls = self.tx_calls.saturating_add(row.tx_calls);
        self.tx_bytes = self.tx_bytes.saturating_add(row.tx_bytes);
        self.rx_calls = self.rx_calls.saturating_add(row.rx_calls);
        self.rx_bytes = self.rx_bytes.saturating_add(row.rx_bytes);
        self.segs_in = self.segs_in.saturating_add(row.segs_in);
        self.errors = self.errors.saturating_add(row.errors);
        self
    }
}

/// A rate of calls, where traffic is known.
pub fn calls(traffic: Option<&Traffic>, of: fn(&Traffic) -> u64) -> Cell<'static> {
    traffic.map_or(Cell::Missing, |traffic| Cell::PerSec(of(traffic)))
}

/// A rate of bytes, where traffic is known.
pub fn bytes(traffic: Option<&Traffic>, of: fn(&Traffic) -> u64) -> Cell<'static> {
    traffic.map_or(Cell::Missing, |traffic| Cell::BytesPerSec(of(traffic)))
}
