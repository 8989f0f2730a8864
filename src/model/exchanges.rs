//! Exchanges recorded one by one: their quantiles, second by second.

use std::collections::HashMap;

use crate::group::Grouping;
use crate::hist::Histogram;
use crate::latency::{Exchange, Latency, LatencyKind, Role};
use crate::report::Ts;
use crate::wire::LatencyOutcome;

const SECOND: i64 = 1_000_000_000;
/// Maximum number of keys per second.
const ROOM: usize = 2_000;

/// Kind, role and process of a measurement.
type Name = (Option<LatencyKind>, Option<Role>, Option<u32>);

/// Those of the running second.
#[derive(Clone, Debug, Default)]
pub struct Exchanges {
    second: i64,
    groups: HashMap<Name, (Latency, Histogram)>,
    /// Exchanges of keys that did not fit.
    pub left_out: u64,
}

impl Exchanges {
    /// Takes one in; returns the rows of the second before, if this one begins another.
    pub fn take(&mut self, one: &Exchange) -> Vec<Latency> {
        let second = one.ts.0.div_euclid(SECOND);
        let over = if second == self.second { Vec::new() } else { self.finish(one.ts.0) };
        self.second = second;
        let name = (one.latency_kind, one.role, one.pid);
        if self.groups.len() >= ROOM && !self.groups.contains_key(&name) {
            self.left_out += 1;
            return over;
        }
        let (row, hist) = self.groups.entry(name).or_insert_with(|| (fresh(one), <_>::default()));
        if let Some(failures) = failures(row, one.outcome) {
            *failures = Some(failures.unwrap_or(0) + 1);
            if one.latency_kind == Some(LatencyKind::Response) {
                row.unanswered = Some(row.unanswered.unwrap_or(0) + 1);
            }
        } else if let Some(ns) = one.duration_ns {
            hist.record(ns);
        }
        over
    }

    /// The rows of the running second if it is over at `now`.
    pub fn finish(&mut self, now: i64) -> Vec<Latency> {
        let end = (self.second + 1) * SECOND;
        if now < end {
            return Vec::new();
        }
        self.groups
            .drain()
            .map(|(_, (row, hist))| Latency { ts: Ts(end), ..row.distributed(&hist, true) })
            .collect()
    }
}

/// Where an outcome is counted; `None`: it is a good one.
fn failures(row: &mut Latency, outcome: Option<LatencyOutcome>) -> Option<&mut Option<u64>> {
    Some(match outcome? {
        LatencyOutcome::Done => return None,
        LatencyOutcome::Refused => &mut row.refused,
        LatencyOutcome::TimedOut => &mut row.timed_out,
        LatencyOutcome::Unreachable => &mut row.unreachable,
        LatencyOutcome::NoPort => &mut row.no_port,
        LatencyOutcome::GivenUp => &mut row.given_up,
        LatencyOutcome::Closed => &mut row.peer_closed,
        LatencyOutcome::Reset => &mut row.reset,
        LatencyOutcome::Failed => &mut row.failed,
    })
}

fn fresh(one: &Exchange) -> Latency {
    Latency {
        latency_kind: one.latency_kind,
        role: one.role,
        by: Some(Grouping::Process),
        pid: one.pid,
        comm: one.comm.clone(),
        interval_ns: Some(SECOND.unsigned_abs()),
        ..Latency::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exchange(ms: i64, pid: u32, duration_ms: u64, outcome: LatencyOutcome) -> Exchange {
        Exchange {
            ts: Ts(ms * 1_000_000),
            latency_kind: Some(LatencyKind::Response),
            pid: Some(pid),
            duration_ns: Some(duration_ms * 1_000_000),
            outcome: Some(outcome),
            ..Exchange::default()
        }
    }

    #[test]
    fn a_second_is_reported_when_it_is_over() {
        let mut exchanges = Exchanges::default();
        let mut reported = Vec::new();
        for ms in 5000..5100 {
            reported.extend(exchanges.take(&exchange(ms, 7, 10, LatencyOutcome::Done)));
        }
        reported.extend(exchanges.take(&exchange(5100, 7, 900, LatencyOutcome::TimedOut)));
        assert!(reported.is_empty() && exchanges.finish(5_999_999_999).is_empty());
        let rows = exchanges.take(&exchange(6000, 8, 10, LatencyOutcome::Done));
        let row = &rows[0];
        assert_eq!((rows.len(), row.ts.0, row.pid, row.count), (1, 6 * SECOND, Some(7), Some(100)));
        assert_eq!((row.max_ns, row.timed_out), (Some(10_000_000), Some(1)));
        assert_eq!(row.unanswered, Some(1));
        assert_eq!(exchanges.finish(7 * SECOND).len(), 1);
        assert!(exchanges.finish(9 * SECOND).is_empty(), "once");
    }
}
