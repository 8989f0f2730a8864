//! How connections ended, by process: what the programs have counted, as tcplife sums it up.

use std::collections::{BTreeMap, HashMap};

use anyhow::Result;

use crate::clock::WallClock;
use crate::group::Grouping;
use crate::hooks::maps;
use crate::kernel::map::Map;
use crate::kernel::ring::Ring;
use crate::kernel::session::Session;
use crate::life::{Life, LifeSum, LifeTotals};
use crate::report::{Comm, Ts, pid_inside};
use crate::wire::{COMM_LEN, EndCounts, EndKey, LifeEnd, LifeEvent, Record as _};

/// Intervals without growth after which an entry of the map is removed.
const IDLE: u32 = 5;

/// Process, and end.
type Id = (u32, u32);

/// What was read last, and how often it was the same since.
type Seen = (EndCounts, u32);

/// The counts of a running session.
pub struct LiveEndings {
    map: Map,
    cuts: Ring<LifeEvent>,
    last: HashMap<Id, Seen>,
}

impl LiveEndings {
    /// Begins to count.
    ///
    /// # Errors
    /// The object lacks a map, or a map cannot be read.
    pub fn begin(session: &Session) -> Result<Self> {
        let cuts = Ring::new(&session.map(maps::CUTS)?, LifeEvent::read)?;
        Ok(Self { map: session.map(maps::ENDINGS)?, cuts, last: HashMap::new() })
    }

    /// Connections that others have ended since the last time, while they were idle or waited for an
    /// answer: a sample.
    ///
    /// # Errors
    /// The ring buffer cannot be read.
    pub fn cuts(&mut self) -> Result<Vec<Life>> {
        let clock = WallClock::now();
        let mut rows = Vec::new();
        self.cuts.drain(|batch| {
            rows.extend(batch.iter().map(|event| Life::new(clock.at(event.ts), event, None)));
            Ok(true)
        })?;
        Ok(rows)
    }

    /// Ends an interval at wall-clock `ts` of this length in ns: its rows by process, and the total.
    ///
    /// # Errors
    /// The map cannot be read.
    pub fn interval(&mut self, (ts, interval_ns): (i64, u64)) -> Result<Vec<LifeSum>> {
        let mut sums: BTreeMap<u32, ([u8; COMM_LEN], LifeTotals)> = BTreeMap::new();
        let mut total = LifeTotals::default();
        let keys: Vec<_> = self.map.keys().collect();
        for bytes in keys {
            let Some(key) = EndKey::read(&bytes) else { continue };
            let Some(counts) = self.map.lookup(&bytes)? else { continue };
            let Some(counts) = EndCounts::read(&counts) else { continue };
            let (before, idle) = self.last.get(&(key.pid, key.end)).copied().unwrap_or_default();
            let same = before.as_bytes() == counts.as_bytes();
            let idle = if same { idle + 1 } else { 0 };
            self.last.insert((key.pid, key.end), (counts, idle));
            if same {
                if idle > IDLE {
                    self.forget(key, &counts)?;
                }
                continue;
            }
            let (comm, process) = sums.entry(key.pid).or_default();
            *comm = counts.comm;
            for sum in [process, &mut total] {
                grow(sum, key, &counts, &before);
            }
        }
        let row = |row: LifeSum, totals: &LifeTotals| LifeSum {
            ts: Ts(ts),
            by: Some(Grouping::Process),
            interval_ns: Some(interval_ns),
            ..row.with(totals)
        };
        let mut rows: Vec<_> = sums
            .iter()
            .map(|(&pid, (comm, totals))| {
                let owner = (pid != 0).then(|| (pid_inside(pid), Comm::of(pid, *comm)));
                let (pid, comm) = owner.unwrap_or_default();
                row(LifeSum { pid, comm, ..LifeSum::default() }, totals)
            })
            .collect();
        rows.push(row(LifeSum { total: true, ..LifeSum::default() }, &total));
        Ok(rows)
    }

    /// Takes out an entry, unless it has grown since.
    fn forget(&mut self, key: EndKey, counts: &EndCounts) -> Result<()> {
        let now = self.map.lookup(key.as_bytes())?;
        if now.as_deref() == Some(counts.as_bytes()) {
            self.map.delete(key.as_bytes())?;
            self.last.remove(&(key.pid, key.end));
        }
        Ok(())
    }
}

/// Adds what has grown since `before`. A count goes down where a reset shows another end.
fn grow(sums: &mut LifeTotals, key: EndKey, now: &EndCounts, before: &EndCounts) {
    let grown = |of: fn(&EndCounts) -> u64| of(now).saturating_sub(of(before));
    let count = grown(|counts| counts.connections);
    let end = u8::try_from(key.end).ok().and_then(LifeEnd::from_number);
    match end.unwrap_or(LifeEnd::Unknown) {
        LifeEnd::Open => sums.opened += count,
        end => sums.ends.count_all(end, count),
    }
    sums.failed += grown(|counts| counts.failed);
    sums.tx_bytes += grown(|counts| counts.tx_bytes);
    sums.rx_bytes += grown(|counts| counts.rx_bytes);
    sums.retrans += grown(|counts| counts.retrans);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_has_what_has_grown() {
        let key = |end: LifeEnd| EndKey { pid: 7, end: end as u32 };
        let counts =
            |connections, tx_bytes| EndCounts { connections, tx_bytes, ..EndCounts::default() };
        let mut sums = LifeTotals::default();
        grow(&mut sums, key(LifeEnd::Open), &counts(9, 0), &counts(2, 0));
        grow(&mut sums, key(LifeEnd::Unread), &counts(5, 700), &counts(1, 300));
        // A reset shows another end.
        grow(&mut sums, key(LifeEnd::ClosedUs), &counts(3, 10), &counts(4, 10));
        assert_eq!((sums.opened, sums.ends.total(), sums.tx_bytes), (7, 4, 400));
        assert_eq!(sums.ends.of(LifeEnd::Unread), 4);
    }
}
