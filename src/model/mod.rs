//! The state from all records: the last interval of every kind, the connections that
//! changed their state recently, and their state changes.

mod again;
mod connections;
mod drops;
mod ended;
mod endings;
mod exchanges;
mod history;
mod interface;
mod interval;
mod listeners_by_event;
mod look;
mod parts;
mod segment_drops;
mod series;
mod words;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

use crate::count::Count;
use crate::group::Grouping;
use crate::latency::{Exchange, Latency, LatencyKind};
use crate::listen::{DropClient, Drops, Files, ListenerRecord};
use crate::nstat::Mib;
use crate::ports::Bound;
use crate::record::AnyRecord;
use crate::report::{Note, Status};
use crate::settings::Settings;

pub use connections::{Connection, Connections, Ends, Step};
pub use drops::ListenerKey;
pub use ended::Ending;
pub use endings::{Endings, ends_in_words};
pub use history::{History, Metric, peak};
pub use interval::{Groups, LastInterval};
pub use listeners_by_event::ListenersByEvent;
pub use look::LastLook;
pub use segment_drops::{DropReasons, SegmentDrops};
pub use series::{Point, Points, SeriesMap, Who};
pub use words::{listener_name, process, text};

/// Exchanges that are stored, newest last.
const EXCHANGES: usize = 500;
/// Remarks that are stored, newest last.
const NOTES: usize = 50;
/// Maximum number of tools with a stored status.
const TOOLS: usize = 32;
/// The hook of tools that look at local ports.
const PORT_SOCKETS: &str = "port-sockets";
/// The hook that connections are looked at with.
const CONNECTIONS: &str = "connections";
/// How long an interval is shown after its end, ns of the recording.
pub const STALE: i64 = 60_000_000_000;

/// The last status of a tool, and the one before it.
#[derive(Clone, Debug)]
pub struct ToolStatus {
    /// The last.
    pub status: Status,
    /// The one before.
    pub before: Option<Status>,
}

/// Everything that views are drawn from.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// The latest time of any record, wall-clock ns; 0 before the first.
    pub now: i64,
    /// What was sent and received, by grouping.
    pub counts: Groups<Grouping, Count>,
    /// The sockets as they were looked at.
    pub look: LastLook,
    /// Quantiles, by what was measured and grouping.
    pub latency: Groups<(Option<LatencyKind>, Grouping), Latency>,
    /// How connections ended, by process.
    pub endings: Endings,
    /// Listeners, by network namespace.
    pub listeners: Groups<Option<u32>, ListenerRecord>,
    /// Settings of network namespaces.
    pub settings: Groups<Option<u32>, Settings>,
    /// What each of several namespaces has counted.
    pub parts: parts::Parts,
    /// Errors and drops of interfaces.
    pub interfaces: interface::Interfaces,
    /// File descriptors of processes with a queue.
    files: Groups<(), Files>,
    /// Connections that have ended.
    pub ended: ended::Ended,
    /// Counters of network namespaces.
    pub mibs: Groups<Option<u32>, Mib>,
    /// Tools by name.
    pub tools: BTreeMap<Cow<'static, str>, ToolStatus>,
    /// Connections from their state changes.
    pub connections: Connections,
    /// The last exchanges, newest last.
    pub exchanges: VecDeque<Exchange>,
    /// Clients with drops, the most first.
    pub clients: Groups<(), DropClient>,
    /// The last remarks, newest last.
    pub notes: VecDeque<Note>,
    /// The whole machine over time.
    pub history: History,
    /// Processes, connections, listeners and latencies over time.
    pub series: SeriesMap,
    /// Number of records added.
    pub records: u64,
    /// Listeners known only from their drop events.
    pub listeners_by_event: ListenersByEvent,
    /// Segments retransmitted, by remote address.
    pub again: again::Again,
    /// Dropped segments of the last minute.
    pub segments: SegmentDrops,
    drops: drops::Minutes,
    timed: exchanges::Exchanges,
    /// Quantiles are recorded; exchanges need not be counted.
    has_quantiles: bool,
    /// The interval whose processes and remotes have been followed, wall-clock ns.
    followed: i64,
}

impl Model {
    /// Takes in one record.
    pub fn take(&mut self, record: AnyRecord) {
        self.records += 1;
        self.now = self.now.max(record.ts());
        match record {
            AnyRecord::Count(count) => self.count(*count),
            AnyRecord::Sockets(row) => self.look.summary(*row),
            AnyRecord::Socket(row) => self.look.list.take((), row.ts.0, *row),
            AnyRecord::Destination(row) => self.look.destinations.take((), row.ts.0, *row),
            AnyRecord::Ports(row) => self.look.ports.take(row.by, row.ts.0, *row),
            AnyRecord::PortPool(row) => self.look.port_pools.take((), row.ts.0, *row),
            AnyRecord::CloseWait(row) => self.look.close_wait.take((), row.ts.0, *row),
            AnyRecord::State(change) => {
                self.history.state(&change);
                self.connections.take(&change);
            }
            AnyRecord::Latency(row) => {
                self.has_quantiles = true;
                self.latency(*row);
            }
            AnyRecord::Exchange(row) => self.exchange(*row),
            AnyRecord::LifeSum(row) => self.endings.take(*row),
            AnyRecord::Listener(row) => self.listener(*row),
            AnyRecord::ListenEvent(event) => {
                self.drops.event(&event);
                self.listeners_by_event.take(*event);
            }
            AnyRecord::ListenClient(client) => self.clients.take((), client.ts.0, *client),
            AnyRecord::Mib(mib) if mib.part => self.parts.take(&mib),
            AnyRecord::Mib(mib) => {
                self.history.mib(&mib);
                let netns = mib.netns.filter(|_| mib.namespaces.is_none());
                self.mibs.take(netns, mib.ts.0, *mib);
            }
            AnyRecord::Stall(row) => self.look.stalls.take((), row.ts.0, *row),
            AnyRecord::Bound(row) => self.look.bound.take((), row.ts.0, *row),
            AnyRecord::Files(row) => self.files.take((), row.ts.0, *row),
            AnyRecord::Interface(row) => self.interfaces.take(&row),
            AnyRecord::Life(row) => self.ended.take(&row),
            AnyRecord::Settings(row) => self.settings.take(row.netns, row.ts.0, *row),
            AnyRecord::Status(status) => self.status(*status),
            AnyRecord::Note(note) => remember(&mut self.notes, NOTES, *note),
            AnyRecord::Advice(advice) => {
                let note = Note { ts: advice.ts, text: advice.text };
                remember(&mut self.notes, NOTES, note);
            }
            AnyRecord::SegmentDrop(row) => self.segments.take(*row),
            AnyRecord::DropSum(row) => self.segments.take_sum(*row),
            // No view shows them.
            AnyRecord::ClosingSocket(_)
            | AnyRecord::Facts(_)
            | AnyRecord::Hook(_)
            | AnyRecord::Tool(_)
            | AnyRecord::Retransmit(_)
            | AnyRecord::RetransSum(_)
            | AnyRecord::PortFail(_)
            | AnyRecord::PortAdvice(_)
            | AnyRecord::Conn(_)
            | AnyRecord::StallShare(_)
            | AnyRecord::StallEnd(_)
            | AnyRecord::Finding(_) => {}
        }
    }

    fn count(&mut self, row: Count) {
        if row.total {
            self.history.total(&row);
        } else if !row.other {
            let who = match row.by {
                Some(Grouping::Process) => Some(Who::Process(row.pid)),
                Some(Grouping::Connection) => Ends::of(&row.key()).map(Who::Connection),
                Some(Grouping::Remote) => row.raddr.map(|raddr| Who::Remote(raddr, row.device)),
                _ => None,
            };
            if let Some(who) = who {
                self.series.push(who, Point { ts: row.ts.0, values: rates(&row) });
            }
        }
        if let (Some(Grouping::Connection), Some(raddr)) = (row.by, row.raddr) {
            self.again.take((row.netns, raddr), row.ts.0, row.retrans_segs.unwrap_or(0));
        }
        let by = row.by.unwrap_or_default();
        if self.counts.get(&by).is_some_and(|interval| interval.ts != row.ts.0) {
            self.follow_sums();
        }
        self.counts.take(by, row.ts.0, row);
    }

    /// Where connections are counted and not processes or remotes, these are all of their connections.
    fn follow_sums(&mut self) {
        let Some(interval) = self.counts.get(&Grouping::Connection) else { return };
        if interval.ts == self.followed {
            return;
        }
        self.followed = interval.ts;
        let counts = |by| self.counts.get(&by).is_some();
        let (processes, remotes) = (!counts(Grouping::Process), !counts(Grouping::Remote));
        let mut sums: HashMap<Who, [f64; 2]> = HashMap::new();
        for row in interval.rows.iter().filter(|row| !row.total && !row.other) {
            let process = processes.then_some(Who::Process(row.pid));
            let remote = row.raddr.filter(|_| remotes).map(|raddr| Who::Remote(raddr, row.device));
            let rates = rates(row);
            for who in process.into_iter().chain(remote) {
                let sums = sums.entry(who).or_default();
                *sums = [sums[0] + rates[0], sums[1] + rates[1]];
            }
        }
        for (who, values) in sums {
            self.series.push(who, Point { ts: self.followed, values });
        }
    }

    fn latency(&mut self, row: Latency) {
        self.series.latency(&row);
        self.latency.take((row.latency_kind, row.by.unwrap_or_default()), row.ts.0, row);
    }

    fn listener(&mut self, row: ListenerRecord) {
        let who = Who::Listener(row.laddr, row.device, row.lport, row.netns);
        let drops = row.drops_total.map_or(f64::NAN, float);
        let queue = row.accept_peak.or(row.accept_now).map_or(f64::NAN, float);
        self.series.push(who, Point { ts: row.ts.0, values: [queue, drops] });
        self.drops.take(&row);
        self.history.listener(&row);
        self.listeners.take(row.netns, row.ts.0, row);
    }

    /// Single exchanges: counted if the recording has no quantiles.
    fn exchange(&mut self, row: Exchange) {
        if !self.has_quantiles {
            let over = self.timed.take(&row);
            for row in over {
                self.latency(row);
            }
        }
        remember(&mut self.exchanges, EXCHANGES, row);
    }

    /// All listeners; those known only from drop events last.
    pub fn all_listeners(&self) -> impl Iterator<Item = &ListenerRecord> {
        let reported =
            |row: &&ListenerRecord| !self.listeners.rows().any(|one| one.key() == row.key());
        self.listeners.rows().chain(self.listeners_by_event.rows().filter(reported))
    }

    /// What a listener has dropped in the last minute.
    pub fn recent_drops(&self, row: &ListenerRecord) -> Drops {
        self.drops.of(row, self.now)
    }

    fn status(&mut self, status: Status) {
        if let Some(tool) = self.tools.get_mut(&status.tool) {
            // A run that starts again counts from 0 again.
            let goes_on = status.attempted >= tool.status.attempted;
            let before = std::mem::replace(&mut tool.status, status);
            tool.before = goes_on.then_some(before);
        } else if self.tools.len() < TOOLS {
            self.tools.insert(status.tool.clone(), ToolStatus { status, before: None });
        }
    }

    /// Ends a batch of records: forgets what is over.
    pub fn settle(&mut self) {
        self.follow_sums();
        let over = self.timed.finish(self.now);
        for row in over {
            self.latency(row);
        }
        let oldest = self.now - STALE;
        self.counts.forget(oldest);
        self.look.forget(oldest);
        self.latency.forget(oldest);
        self.endings.forget(oldest);
        self.listeners.forget(oldest);
        self.mibs.forget(oldest);
        self.settings.forget(oldest);
        self.parts.forget(self.now);
        self.interfaces.forget(self.now);
        self.files.forget(oldest);
        self.ended.forget(self.now);
        self.connections.forget(self.now);
        self.clients.forget(oldest);
        self.drops.forget(oldest);
        self.segments.forget(self.now);
        self.again.forget(self.now);
        self.listeners_by_event.forget(oldest);
        self.series.forget(oldest);
    }

    /// Nothing comes any more: shows what was still being counted.
    pub fn end(&mut self) {
        let rest = self.timed.finish(i64::MAX);
        for row in rest {
            self.latency(row);
        }
    }

    /// Rows that did not fit, of all kinds.
    pub fn left_out(&self) -> u64 {
        self.counts.left_out()
            + self.look.left_out()
            + self.latency.left_out()
            + self.listeners.left_out()
            + self.connections.left_out
            + self.timed.left_out
            + self.segments.left_out
    }

    /// Everything was looked at, so what no record is about is not there.
    pub fn live(&self) -> bool {
        self.tools.values().any(|tool| tool.status.watches_all())
    }

    /// The same, and by a version that looks at local ports.
    pub fn sees_ports(&self) -> bool {
        self.live() && self.mibs.rows().any(|mib| mib.orphans.is_some())
    }

    /// A tool looks at local ports; without rows there are none.
    pub fn looks_at_ports(&self) -> bool {
        self.tools.values().any(|tool| tool.status.has_hook(PORT_SOCKETS))
    }

    /// Whether stalls are known: there are some, or a tool looks at connections.
    pub fn sees_stalls(&self) -> bool {
        let mut tools = self.tools.values();
        !self.look.stalls.is_empty() || tools.any(|tool| tool.status.has_hook(CONNECTIONS))
    }

    /// Sockets that are bound and not used, as of the last look; `None`: unknown.
    pub fn bound(&self) -> Option<impl Iterator<Item = &Bound>> {
        let looked = self.settings.rows().filter(|row| row.bound_unused.is_some());
        let last = looked.map(|row| row.ts.0).max()?;
        Some(self.look.bound.rows().filter(move |row| row.ts.0 >= last))
    }

    /// File descriptors of a process that holds a listener, if it has a queue now.
    pub fn files_of(&self, pid: u32) -> Option<&Files> {
        let last = self.listeners.iter().map(|(_, interval)| interval.ts).max()?;
        self.files.rows().find(|row| row.pid == Some(pid) && row.ts.0 >= last)
    }

    /// The settings of a namespace; without one those of the only namespace there is.
    pub fn settings_of(&self, netns: Option<u32>) -> Option<&Settings> {
        if netns.is_some() {
            return self.settings.rows().find(|row| row.netns == netns);
        }
        let mut rows = self.settings.rows();
        rows.next().filter(|_| rows.next().is_none())
    }

    /// Orphans of the machine, and how many there may be.
    pub fn orphans(&self) -> Option<(u64, u64)> {
        let last = self.mibs.rows().max_by_key(|mib| mib.ts)?;
        last.orphans.zip(last.max_orphans)
    }

    /// The last interval of everything and what graphs show, in the order of time.
    pub fn records(&self) -> Vec<AnyRecord> {
        fn add<'a, R: Clone + Into<AnyRecord> + 'a>(
            records: &mut Vec<AnyRecord>,
            rows: impl Iterator<Item = &'a R>,
        ) {
            records.extend(rows.cloned().map(Into::into));
        }
        let mut records = Vec::new();
        add(&mut records, self.tools.values().map(|tool| &tool.status));
        add(&mut records, self.counts.rows());
        add(&mut records, self.look.sockets.rows());
        add(&mut records, self.look.list.rows());
        add(&mut records, self.look.close_wait.rows());
        add(&mut records, self.look.destinations.rows());
        add(&mut records, self.look.ports.rows());
        add(&mut records, self.look.port_pools.rows());
        add(&mut records, self.latency.rows());
        add(&mut records, self.listeners.rows());
        add(&mut records, self.listeners_by_event.events());
        add(&mut records, self.clients.rows());
        add(&mut records, self.mibs.rows());
        add(&mut records, self.settings.rows());
        add(&mut records, self.look.stalls.rows());
        add(&mut records, self.look.bound.rows());
        add(&mut records, self.files.rows());
        add(&mut records, self.exchanges.iter());
        add(&mut records, self.notes.iter());
        add(&mut records, self.segments.sums());
        add(&mut records, self.segments.events());
        // The last intervals are complete already.
        let shown: HashSet<_> =
            self.counts.rows().filter(|row| row.total).map(|row| row.ts.0).collect();
        let shown_mibs: HashSet<_> = self.mibs.rows().map(|mib| mib.ts.0).collect();
        let (totals, mibs) = self.history.records();
        add(&mut records, totals.filter(|row| !shown.contains(&row.ts.0)));
        add(&mut records, mibs.filter(|mib| !shown_mibs.contains(&mib.ts.0)));
        records.sort_by_key(AnyRecord::ts);
        records
    }
}

fn remember<T>(list: &mut VecDeque<T>, most: usize, one: T) {
    if list.len() == most {
        list.pop_front();
    }
    list.push_back(one);
}

/// For drawing, where the last digits do not matter.
#[allow(clippy::cast_precision_loss, reason = "a graph has fewer steps than a float")]
pub fn float(value: u64) -> f64 {
    value as f64
}

/// The sum of numbers from a recording, which may be anything; the largest there is if they exceed it.
pub fn sum(values: impl IntoIterator<Item = u64>) -> u64 {
    values.into_iter().fold(0, u64::saturating_add)
}

/// Bytes sent and received per second.
fn rates(row: &Count) -> [f64; 2] {
    let sums = row.sums();
    [sums.tx_bytes, sums.rx_bytes].map(|bytes| per_second(bytes, row.interval_ns.unwrap_or(0)))
}

/// A rate from a count and the interval's length in ns.
pub fn per_second(value: u64, interval_ns: u64) -> f64 {
    float(value) * 1e9 / float(interval_ns.max(1))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
