//! How single rows came to be as they are: the last intervals of processes, connections,
//! listeners and latencies.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use super::Ends;
use crate::dash::record::{Key, Latency};

/// Intervals that are remembered of each.
const POINTS: usize = 120;
/// Rows that are remembered.
const ROOM: usize = 20_000;
/// Latencies that are remembered, whose points are larger.
const LATENCIES: usize = 128;

/// Whose trail it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// A process; `None` is what nobody is known to own.
    Process(Option<u32>),
    /// A connection.
    Connection(Ends),
    /// A listener: address, port, network namespace.
    Listener(Option<IpAddr>, Option<u16>, Option<u32>),
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
pub type Trail = VecDeque<Point>;

/// What a latency row is about.
type LatencyName = (Option<Box<str>>, Option<Box<str>>, Key);

fn name(row: &Latency) -> LatencyName {
    (row.what.clone(), row.role.clone(), row.key())
}

/// All trails.
#[derive(Clone, Debug, Default)]
pub struct Trails {
    rows: HashMap<Who, Trail>,
    latencies: HashMap<LatencyName, VecDeque<Latency>>,
}

impl Trails {
    /// Adds a point, if there is room. A point may be missing from a trail, never wrong.
    pub fn push(&mut self, who: Who, point: Point) {
        if self.rows.len() < ROOM || self.rows.contains_key(&who) {
            append(self.rows.entry(who).or_default(), point);
        }
    }

    /// Adds the quantiles of an interval, if there is room.
    pub fn latency(&mut self, row: &Latency) {
        let name = name(row);
        if self.latencies.len() < LATENCIES || self.latencies.contains_key(&name) {
            append(self.latencies.entry(name).or_default(), row.clone());
        }
    }

    /// The trail of a row.
    pub fn of(&self, who: Who) -> Option<&Trail> {
        self.rows.get(&who)
    }

    /// The quantiles of a row's key over time, oldest first.
    pub fn latencies(&self, row: &Latency) -> Option<&VecDeque<Latency>> {
        self.latencies.get(&name(row))
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
    fn a_trail_has_an_end_on_both_sides() {
        let mut trails = Trails::default();
        let who = Who::Process(Some(1));
        for ts in 0..200 {
            trails.push(who, Point { ts, values: [1.0, 2.0] });
        }
        let trail = trails.of(who).unwrap();
        assert_eq!((trail.len(), trail[0].ts), (POINTS, 80));
        trails.forget(200);
        assert!(trails.of(who).is_none());
    }
}
