//! Latencies, with the model of tcplatency.

use anyhow::Result;

use crate::group::GroupBy;
use crate::kernel::session::Session;
use crate::latency::{
    Kinds, Latencies, Latency, LatencyRowOptions, LatencySource, learn_listeners, max_rows, regroup,
};
use crate::wire::{self, LatencyOptions};

/// Rows of each grouping shown one by one.
const SHOWN: usize = 1_000;

/// Latencies of a running session.
pub struct LiveLatencies {
    source: LatencySource,
    latencies: Latencies,
    /// ns that the next interval began earlier than the last sample; `None` before the first.
    before: Option<u64>,
}

/// Asks for all kinds that cost next to nothing, by process and remote address; if `light`, for those
/// for which no data is watched.
pub fn options(cpus: usize, light: bool) -> LatencyOptions {
    LatencyOptions {
        kinds: if light { Kinds::HANDSHAKE } else { Kinds::DEFAULT }.bits(),
        by: wire::GroupBy::Peer as u32,
        max_keys: max_rows(GroupBy::Process, cpus),
        ..LatencyOptions::default()
    }
}

impl LiveLatencies {
    /// Finds listeners, which determine the roles of sockets older than the session: without them no
    /// exchange of theirs could be measured.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn begin(session: &Session, cpus: usize, light: bool) -> Result<Self> {
        let source = LatencySource::new(session, cpus)?;
        if !light {
            learn_listeners(session)?;
        }
        Ok(Self { source, latencies: Latencies::default(), before: None })
    }

    /// Ends an interval at wall-clock `ts` of this length in ns: its rows by process, then by
    /// remote address.
    ///
    /// # Errors
    /// A map cannot be read.
    pub fn interval(
        &mut self,
        session: &Session,
        (ts, interval_ns): (i64, u64),
    ) -> Result<Vec<Latency>> {
        // What was measured in the milliseconds since the start waits for the next sample: to take it takes as long.
        let Some(before) = self.before else {
            self.before = Some(interval_ns);
            return Ok(Vec::new());
        };
        self.before = Some(0);
        let interval_ns = interval_ns + before;
        self.source.take(session, &mut self.latencies)?;
        let peers = self.latencies.finish();
        let shape =
            |by| LatencyRowOptions { ts, interval_ns, by, sort: None, top: SHOWN, buckets: true };
        let both = [GroupBy::Process, GroupBy::Remote(32, 128)];
        let rows = both.map(|by| shape(by).records(regroup(&peers, by), |_| None));
        Ok(rows.into_iter().flatten().collect())
    }
}
