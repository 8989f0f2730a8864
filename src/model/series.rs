//! History of single rows: the last intervals of processes, connections,
//! listeners and latencies.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::Ends;
use crate::latency::{Latency, LatencyKind, Role};
use crate::report::{Device, Key};

/// Intervals that are stored of each.
const POINTS: usize = 120;
/// Connections and remotes that are stored; they come and go, and must leave room for the others.
const CONNECTIONS: usize = 20_000;
/// Rows that are stored, of all kinds.
const ROOM: usize = 40_000;
/// Maximum number of latency series, whose points are larger.
const LATENCIES: usize = 128;

/// Subject of the series.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// A process; `None`: owner unknown.
    Process(Option<u32>),
    /// A connection.
    Connection(Ends),
    /// A remote address.
    Remote(IpAddr, Option<Device>),
    /// A listener: address, device, port, network namespace.
    Listener(Option<IpAddr>, Option<Device>, Option<u16>, Option<u32>),
}

/// Two values at a time: bytes per second sent and received, or queue and drops. NaN is unknown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Wall-clock ns.
    pub ts: i64,
    /// What they are depends on the row.
    pub values: [f64; 2],
}

/// Oldest first.
pub type Points = VecDeque<Point>;

/// What a latency row is about.
type LatencyName = (Option<LatencyKind>, Option<Role>, Key);

fn name(row: &Latency) -> LatencyName {
    (row.latency_kind, row.role, row.key())
}

/// All trails.
#[derive(Clone, Debug, Default)]
pub struct SeriesMap {
    rows: HashMap<Who, Points>,
    latencies: HashMap<LatencyName, VecDeque<Latency>>,
}

impl SeriesMap {
    /// Adds a point, if there is room. A point may be missing from a trail, never wrong.
    pub fn push(&mut self, who: Who, point: Point) {
        let many = matches!(who, Who::Connection(_) | Who::Remote(..));
        let room = if many { CONNECTIONS } else { ROOM };
        if self.rows.len() < room || self.rows.contains_key(&who) {
            append(self.rows.entry(who).or_default(), point);
        }
    }

    /// Adds the quantiles of an interval, if there is room. Keys that are no longer measured make
    /// it: clients that run for an instant must not hide the server that they ask.
    pub fn latency(&mut self, row: &Latency) {
        let name = name(row);
        if self.latencies.len() < LATENCIES
            || self.latencies.contains_key(&name)
            || self.make_room(row)
        {
            append(self.latencies.entry(name).or_default(), row.clone());
        }
    }

    /// Removes the least recently measured latency; `false` if all are recent.
    fn make_room(&mut self, row: &Latency) -> bool {
        let two = i64::try_from(row.interval_ns.unwrap_or(0).saturating_mul(2)).unwrap_or(i64::MAX);
        let last = |rows: &VecDeque<Latency>| rows.back().map_or(0, |last| last.ts.0);
        let oldest = self.latencies.iter().min_by_key(|(_, rows)| last(rows));
        let oldest = oldest.filter(|(_, rows)| last(rows) < row.ts.0.saturating_sub(two));
        let Some(name) = oldest.map(|(name, _)| name.clone()) else { return false };
        self.latencies.remove(&name).is_some()
    }

    /// The trail of a row.
    pub fn of(&self, who: Who) -> Option<&Points> {
        self.rows.get(&who)
    }

    /// The quantiles of a row's key over time, oldest first.
    pub fn latencies(&self, row: &Latency) -> Option<&VecDeque<Latency>> {
        self.latencies.get(&name(row))
    }

    /// All quantiles of intervals that ended after `begin`.
    pub fn latencies_since(&self, begin: i64) -> impl Iterator<Item = &Latency> {
        self.latencies.values().flatten().filter(move |row| row.ts.0 > begin)
    }

    /// All trails.
    pub fn iter(&self) -> impl Iterator<Item = (&Who, &Points)> {
        self.rows.iter()
    }

    /// Forgets the trails that ended before `oldest`.
    pub fn forget(&mut self, oldest: i64) {
        self.rows.retain(|_, trail| trail.back().is_some_and(|point| point.ts >= oldest));
        self.latencies.retain(|_, rows| rows.back().is_some_and(|row| row.ts.0 >= oldest));
    }
}

fn append<T>(trail: &mut VecDeque<T>, point: T) {
    if trail.len() == POINTS {
        trail.pop_front();
    }
    trail.push_back(point);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_bounded_in_time_and_count() {
        let mut series = SeriesMap::default();
        let who = Who::Process(Some(1));
        for ts in 0..200 {
            series.push(who, Point { ts, values: [1.0, 2.0] });
        }
        let trail = series.of(who).unwrap();
        assert_eq!((trail.len(), trail[0].ts), (POINTS, 80));
        series.forget(200);
        assert!(series.of(who).is_none());
    }

    #[test]
    fn many_connections_do_not_evict_processes() {
        let mut series = SeriesMap::default();
        let point = Point { ts: 1, values: [1.0, 2.0] };
        let address = IpAddr::from([127, 0, 0, 1]);
        for port in 0..u16::MAX {
            let (local, remote) = ((address, port), (address, 80));
            series.push(Who::Connection(Ends { local, remote, device: None, netns: None }), point);
        }
        series.push(Who::Process(Some(1)), point);
        assert!(series.of(Who::Process(Some(1))).is_some());
        assert!(series.rows.len() <= CONNECTIONS + 1);
    }

    #[test]
    fn frequently_measured_series_outlive_single_ones() {
        let row = |ts: i64, pid: u32| Latency {
            ts: crate::report::Ts(ts * 1_000),
            interval_ns: Some(1_000),
            pid: Some(pid),
            ..Latency::default()
        };
        let mut series = SeriesMap::default();
        for ts in 0..60 {
            for new in 0..30 {
                series.latency(&row(ts, 1_000 + u32::try_from(ts).unwrap() * 30 + new));
            }
            series.latency(&row(ts, 7));
        }
        assert_eq!(series.latencies(&row(0, 7)).unwrap().len(), 60);
        assert!(series.latencies.len() <= LATENCIES);
    }
}
