//! Rows of an interval: sockets and counts by destination.

use std::cmp::Reverse;

use foldhash::{HashMap, HashMapExt as _};

use super::destinations::{Destination, Destinations, NetnsPorts, PortUse, Use};
use super::forecast::{Fill, Forecast, TIME_WAIT_MS};
use super::small_map::Few;
use super::source::{Counted, PortCounters};
use super::{Pool, PortSettings, Ports};
use crate::flow::ip;
use crate::report::{Comm, Key, Ts, pid_inside};
use crate::wire::{COMM_LEN, Flow};

/// A process in a row: its name, sockets by [`Use`], connects and failures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Part {
    /// Process; 0: unknown.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// Sockets.
    pub uses: [u64; 3],
    /// Connects that found a port.
    pub opens: u64,
    /// Those that did not.
    pub failed: u64,
}

/// A destination with one range of ports.
#[derive(Debug)]
pub struct DestinationRow {
    /// The row.
    pub row: Ports,
    /// Its processes.
    pub parts: Vec<Part>,
    /// One of them passes the filters.
    pub matches: bool,
}

/// What is remembered of a destination from one interval to the next.
#[derive(Debug, Default)]
struct Past {
    sockets: Option<u64>,
    /// Connects came while the tool began: which sockets are theirs is unknown.
    uncertain: bool,
    /// Sockets that came between the two readings of the last interval.
    debt: i64,
    /// By range.
    forecasts: Few<Forecast>,
}

/// Which rows are made; the others would only take memory, for there may be 100,000 destinations.
pub struct Choice<'a> {
    /// So many of the worst, at least 1.
    pub most: usize,
    /// Of those that this returns `true` for.
    pub wanted: &'a mut dyn FnMut(&DestinationRow) -> bool,
}

/// Makes the rows of each interval.
#[derive(Debug, Default)]
pub struct PortModel {
    past: HashMap<Flow, Past>,
    looked: bool,
}

/// When an interval ended and how long it was, and what hooks measure.
#[derive(Debug, Clone, Copy)]
pub struct PortsShape {
    /// Wall-clock ns.
    pub ts: i64,
    /// The same on the monotonic clock.
    pub now: u64,
    /// ns; `None`: there is no interval yet.
    pub interval_ns: Option<u64>,
    /// Ports taken from `TIME_WAIT` are counted.
    pub reuse: bool,
    /// Searches are timed.
    pub cost: bool,
}

impl PortModel {
    /// Connects that came during the first look: what comes free in the first interval is unknown.
    pub fn begin_with(&mut self, counted: &Counted) {
        for (flow, _) in counted.keys() {
            self.past.entry(*flow).or_default().uncertain = true;
        }
    }

    /// Destinations with sockets or connects in the interval, the worst first.
    pub fn rows(
        &mut self,
        look: &Destinations,
        counted: &Counted,
        shape: PortsShape,
        choice: &mut Choice<'_>,
    ) -> Vec<DestinationRow> {
        let looked = self.looked;
        let mut held = HashMap::new();
        let (idle, nothing) = (Destination::default(), PortCounters::default());
        let mut counted_ranges: HashMap<Flow, Few<()>> = HashMap::new();
        for (flow, range) in counted.keys() {
            counted_ranges.entry(*flow).or_default().at(*range);
        }
        let unseen = counted_ranges.keys().filter(|flow| !look.all.contains_key(*flow));
        let mut rows = Vec::new();
        let mut past = HashMap::with_capacity(look.all.len());
        for flow in look.all.keys().chain(unseen) {
            let one = look.all.get(flow).unwrap_or(&idle);
            let mut known = self.past.remove(flow).unwrap_or_default();
            let fresh = counted_ranges.get(flow).into_iter().flat_map(Few::keys);
            for range in one.ranges.keys().chain(fresh) {
                known.forecasts.at(range);
            }
            if known.forecasts.is_empty() {
                // Timewait sockets do not keep it.
                known.forecasts.at(0);
            }
            let alone = known.forecasts.len() == 1;
            let ranges: Vec<u32> = known.forecasts.keys().collect();
            for range in ranges {
                let counts = counted.get(&(*flow, range)).unwrap_or(&nothing);
                let maker = Maker { flow, one, counts, shape, alone, looked };
                let row = maker.row(range, look.netns.get(&flow.netns), &mut known, &mut held);
                if !(choice.wanted)(&row) {
                    continue;
                }
                rows.push(row);
                if rows.len() >= choice.most.saturating_mul(2) {
                    worst_first(&mut rows, choice.most);
                }
            }
            known.sockets = Some(one.uses.len() as u64);
            past.insert(*flow, known);
        }
        self.past = past;
        self.looked = true;
        worst_first(&mut rows, choice.most);
        rows
    }
}

/// Keeps the worst rows, in order.
fn worst_first(rows: &mut Vec<DestinationRow>, most: usize) {
    rows.sort_by_key(|one| order(&one.row));
    rows.truncate(most);
}

/// Failures first, then the fullest.
pub fn order(row: &Ports) -> impl Ord + use<> {
    (Reverse((row.no_port.unwrap_or(0), row.share(), row.used)), row.netns, row.key())
}

/// Ports that `bind()` took, by namespace and pool.
type HeldPorts = HashMap<(u32, u16, u16), u64>;

struct Maker<'a> {
    flow: &'a Flow,
    one: &'a Destination,
    counts: &'a PortCounters,
    shape: PortsShape,
    /// All sockets of the destination have the same range.
    alone: bool,
    /// A destination that is not known had no sockets before.
    looked: bool,
}

impl Maker<'_> {
    fn row(
        &self,
        range: u32,
        netns: Option<&NetnsPorts>,
        past: &mut Past,
        held: &mut HeldPorts,
    ) -> DestinationRow {
        let settings = netns.and_then(|netns| netns.settings.as_ref());
        let key = Key { lport: None, ..self.flow.key() };
        let parts = self.parts();
        // The kernel keeps no owner of TIME_WAIT: a known process comes before the unknown one.
        let largest = parts.iter().max_by_key(|part| {
            let uses = part.uses.iter().sum::<u64>();
            (part.pid != 0, uses, part.opens + part.failed, part.pid)
        });
        let (pid, comm) = largest.map_or((0, [0; COMM_LEN]), |part| (part.pid, part.comm));
        let counts = self.counts;
        let mut row = Ports {
            ts: Ts(self.shape.ts),
            family: Some(if ip(&self.flow.laddr).is_ipv4() { 4 } else { 6 }),
            pid: pid_inside(pid),
            comm: Comm::of(pid, comm),
            interval_ns: Some(self.shape.interval_ns.unwrap_or(0)),
            ..Ports::about(key)
        };
        if self.shape.interval_ns.is_some() {
            let opens = counts.attempts.saturating_sub(counts.failed);
            row.opens = Some(opens);
            row.no_port = Some(counts.failed);
            row.freed = self.alone.then(|| self.freed(opens, past)).flatten();
            row.reused = self.shape.reuse.then_some(counts.reused);
            row.closed_us = Some(counts.closed_us);
            row.closed_peer = Some(counts.closed_peer);
        }
        if self.shape.cost {
            row.searches = Some(counts.searches.count());
            row.search_p50_ns = counts.searches.quantile(500);
            row.search_p99_ns = counts.searches.quantile(990);
        }
        match settings {
            Some(settings) => {
                let pool = settings.pool(range);
                let all = *held
                    .entry((self.flow.netns, pool.first, pool.last))
                    .or_insert_with(|| held_in(netns, settings, pool));
                let forecast = past.forecasts.at(range);
                self.fill(&mut row, (settings, pool, all), forecast);
            }
            None => _ = count(&mut row, self.one.uses.iter()),
        }
        let matches = self.one.matches || counts.matches;
        DestinationRow { row, parts, matches }
    }

    /// Ports that came free: those that were opened and are not there.
    fn freed(&self, opens: u64, past: &mut Past) -> Option<u64> {
        let signed = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        if std::mem::take(&mut past.uncertain) {
            return None;
        }
        let before = past.sockets.or(self.looked.then_some(0))?;
        let grown = signed(self.one.uses.len() as u64) - signed(before);
        // The counts are read a little before the sockets.
        let freed = signed(opens) - grown + past.debt;
        past.debt = freed.min(0);
        u64::try_from(freed.max(0)).ok()
    }

    fn fill(
        &self,
        row: &mut Ports,
        (settings, pool, held): (&PortSettings, Pool, u64),
        forecast: &mut Forecast,
    ) {
        let offered = |one: &&PortUse| settings.offers(pool, one.port);
        let uses = || self.one.uses.iter().filter(offered);
        let count = count(row, uses());
        let own_held = uses().filter(|one| one.held).count() as u64;
        let loopback = ip(&self.flow.laddr).is_loopback() || ip(&self.flow.raddr).is_loopback();
        let after = settings.reuse_after_ms(loopback);
        let mut waits: Vec<_> =
            uses().filter(|one| !one.held).filter_map(|one| blocked_ms(one, after)).collect();
        waits.sort_unstable();
        let reusable = waits.partition_point(|&left| left == 0);
        waits.drain(..reusable);
        let taken = count - own_held + held;
        (row.range_first, row.range_last) = (Some(pool.first), Some(pool.last));
        row.ports = Some(pool.ports);
        row.held = Some(held.saturating_sub(own_held));
        row.reusable = Some(reusable as u64);
        row.taken = Some(taken);
        let blocked = taken - reusable as u64;
        let live = blocked - waits.len() as u64;
        forecast.look(self.shape.now, Fill { taken: blocked, live, waits });
        row.empty_in_ns = forecast.empty_in_ns(pool.ports);
    }

    fn parts(&self) -> Vec<Part> {
        let mut parts: HashMap<u32, Part> = HashMap::new();
        for (pid, user) in self.one.users.iter() {
            parts.insert(pid, Part { pid, comm: user.comm, uses: user.uses, ..Part::default() });
        }
        for &(pid, comm, attempts, failed) in &self.counts.users {
            let part = parts.entry(pid).or_insert(Part { pid, comm, ..Part::default() });
            part.opens += attempts.saturating_sub(failed);
            part.failed += failed;
        }
        parts.into_values().collect()
    }
}

/// Counts ports by state.
fn count<'a>(row: &mut Ports, uses: impl Iterator<Item = &'a PortUse>) -> u64 {
    let mut sum = 0;
    for one in uses {
        sum += 1;
        *match one.usage {
            Use::Established => &mut row.established,
            Use::TimeWait => &mut row.time_wait,
            Use::Other => &mut row.others,
        } += 1;
    }
    row.used = Some(sum);
    sum
}

fn held_in(netns: Option<&NetnsPorts>, settings: &PortSettings, pool: Pool) -> u64 {
    let ports = netns.iter().flat_map(|netns| netns.held.iter());
    ports.filter(|port| settings.offers(pool, *port)).count() as u64
}

/// ms until `connect()` can take the port of a timewait socket; `None`: it is none.
fn blocked_ms(one: &PortUse, reuse_after: Option<u32>) -> Option<u32> {
    let left = one.left_ms?;
    let Some(after) = reuse_after.filter(|_| one.timestamps && one.usage == Use::TimeWait) else {
        return Some(left);
    };
    let age = TIME_WAIT_MS.saturating_sub(left);
    Some(after.saturating_sub(age).min(left))
}
