//! Latencies of peers, this host and the network: histograms by interval, and events.

mod args;
mod heatmap;
mod hist_chart;
pub mod hooks;
mod interval;
mod kind;
mod peers;
mod record;
mod rows;
pub mod settle;
mod source;
mod tool;

pub use args::Args;
pub use heatmap::Heatmap;
pub use hist_chart::bars;
pub use interval::{Failures, Latencies, LatencyEntry, LatencyInterval, LatencySums};
pub use kind::{Kinds, LatencyKind, Role};
pub use peers::regroup;
pub use record::{Exchange, Latency};
pub use rows::LatencyRowOptions;
pub use source::{LatencySource, learn_listeners};
pub use tool::{TCPLATENCY, TCPLATENCY_EVENTS, TOOL, draw, print, spec_of};

use crate::group::GroupBy;
use crate::wire::{LatencyKey, LatencyValue};

/// Kernel memory that the histograms of all rows may take, in both maps.
const MAP_BYTES: usize = 64 << 20;
/// Rows kept apart, unless that takes more memory: peers and connections are many. To have room takes
/// time when the tool starts.
const MANY_ROWS: u32 = 12_288;
const ROWS: u32 = 4_096;
/// Entries that a row has room for on average: its head and the octaves of its histogram.
const ENTRIES_OF_A_ROW: u32 = 6;
/// What the kernel adds to each entry of a hash map, about.
const OVERHEAD: usize = 64;

/// Maximum number of rows of the maps on a machine with this many possible CPUs, each of which has
/// values of its own.
pub fn max_rows(by: GroupBy, cpus: usize) -> u32 {
    let entry = size_of::<LatencyKey>() + cpus * size_of::<LatencyValue>() + OVERHEAD;
    let entries = u32::try_from(MAP_BYTES / 2 / entry).unwrap_or(u32::MAX);
    let wanted = match by {
        GroupBy::Connection | GroupBy::Remote(..) => MANY_ROWS,
        // Its rows have a map of their own.
        GroupBy::Total => 1,
        _ => ROWS,
    };
    wanted.min(entries / ENTRIES_OF_A_ROW).max(1)
}

/// Entries of each of the two maps for this many rows; few rows have all octaves.
pub fn entries_for(rows: u32) -> u32 {
    rows.saturating_mul(ENTRIES_OF_A_ROW).max(1024)
}

/// The groupings that tcplatency takes.
///
/// # Errors
/// The choices there are.
pub fn grouping(text: &str) -> Result<GroupBy, String> {
    match GroupBy::parse(text) {
        Ok(GroupBy::Netns) => {
            Err("latencies are not grouped by network namespace; --netns narrows \
                              them to one"
                .into())
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_cpus_allow_fewer_rows() {
        assert_eq!(max_rows(GroupBy::Process, 2), ROWS);
        assert_eq!(max_rows(GroupBy::Connection, 2), MANY_ROWS);
        assert_eq!(max_rows(GroupBy::Total, 2), 1);
        let rows = max_rows(GroupBy::Connection, 512);
        assert!((1..200).contains(&rows), "{rows}");
        assert_eq!((entries_for(10), entries_for(1_000)), (1024, 6_000));
    }
}
