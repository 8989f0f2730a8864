//! Processes: traffic, sockets and response times.

use std::collections::{BTreeMap, HashSet};

use super::TableRow;
use super::traffic::{Traffic, bytes, calls, retrans, segments};
use crate::count::{Count, heading};
use crate::dash::filter::RowFilter;
use crate::dash::model::{LastInterval, Model, Who, sum};
use crate::group::Grouping;
use crate::latency::{Latency, LatencyKind};
use crate::listen::ListenerRecord;
use crate::report::{Cell, Key, table};
use crate::tcp_state::TcpState;

/// One process.
#[derive(Clone, Debug, Default)]
pub struct ProcessRow {
    /// Wall-clock ns.
    pub ts: i64,
    /// `pid` and `comm`.
    pub key: Key,
    /// `None` where nothing counts it.
    pub traffic: Option<Traffic>,
    /// Sockets by number of the state; `None` where no summary counts them.
    pub sockets: Option<[u64; 13]>,
    /// Buffers that the kernel dropped in the last minute; `None` where nothing watches drops.
    pub drops: Option<u64>,
    /// Connects that ended in the interval: made and failed; `None` where nothing measures them.
    pub opens: Option<u64>,
    /// Those that were refused, not answered, or failed in another way.
    pub failed: Option<u64>,
    /// The interval in which connects were measured, ns.
    pub connects_ns: u64,
    /// 99 % of responses came within, ns.
    pub response_p99: Option<u64>,
    /// 99 % of answers were given within, ns.
    pub service_p99: Option<u64>,
}

impl ProcessRow {
    /// Sockets in one state.
    pub fn in_state(&self, state: TcpState) -> Option<u64> {
        self.sockets.map(|sockets| sockets[usize::from(state.number())])
    }
}

table! { "process" ProcessRow.key {
    pid;
    comm 15;
    right (Count::tx_bytes), heading::SENT, 8, |r| bytes(r.traffic.as_ref(), |t| t.tx_bytes);
    right (Count::rx_bytes), heading::RECVD, 9, |r| bytes(r.traffic.as_ref(), |t| t.rx_bytes);
    right "sockets", "SOCKS", 6, |r| Cell::id(r.sockets.map(sum));
    right "time_wait", "TIME_WAIT", 9, |r| Cell::id(r.in_state(TcpState::TimeWait));
    right "close_wait", "CLOSE_WAIT", 10, |r| Cell::id(r.in_state(TcpState::CloseWait));
    right "established", "ESTAB", 6, |r| Cell::id(r.in_state(TcpState::Established));
    right "opens", "OPENS/s", 7, |r| Cell::per_sec(r.opens);
    right "failed", "FAILED/s", 8, |r| Cell::per_sec(r.failed);
    right (Count::retrans_segs), heading::RETRANS, 9, |r| retrans(r.traffic.as_ref());
    right (Count::tx_calls), heading::SENDS, 7, |r| calls(r.traffic.as_ref(), |t| t.tx_calls);
    right (Count::rx_calls), heading::RECVS, 7, |r| calls(r.traffic.as_ref(), |t| t.rx_calls);
    right "response_p99_ns", "RESP P99", 8, |r| Cell::nanos(r.response_p99);
    right "service_p99_ns", "SERV P99", 8, |r| Cell::nanos(r.service_p99);
    right (Count::segs_in), "SEGS IN/s", 9, |r| segments(r.traffic.as_ref(), |t| t.segs_in);
    right "dropped_lately", "DROPS/MIN", 9, |r| Cell::id(r.drops);
    right (Count::errors), "ERRORS/s", 8, |r| calls(r.traffic.as_ref(), |t| t.errors);
    right (Count::eagain), "EAGAIN/s", 8, |r| calls(r.traffic.as_ref(), |t| t.eagain);
} }

impl TableRow for ProcessRow {
    type Id = Option<u32>;
    const PINNED: usize = 2;
    const SORT: usize = 2;
    const SUM: &'static [usize] = &[2, 3];
    const TREND: bool = true;

    fn id(&self) -> Self::Id {
        self.key.pid
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn interval_ns(&self) -> u64 {
        self.traffic.map_or(self.connects_ns, |traffic| traffic.interval_ns)
    }

    fn who(&self) -> Option<Who> {
        Some(Who::Process(self.key.pid))
    }

    fn busy(&self) -> Option<u64> {
        self.traffic.map(|traffic| traffic.sums.bytes())
    }
}

/// All known processes that match the filter, by pid.
pub fn processes(model: &Model, filter: Option<&RowFilter>) -> Vec<ProcessRow> {
    let mut rows = BTreeMap::new();
    add_sockets(model, &mut rows);
    add_latency(model, &mut rows);
    add_traffic(model, &mut rows);
    add_drops(model, &mut rows);
    add_connects(model, &mut rows);
    let mut rows: Vec<_> = rows.into_values().collect();
    if let Some(filter) = filter {
        let owners = filter.by_ends().then(|| owners(model, filter));
        rows.retain(|row: &ProcessRow| {
            filter.passes_owner(&row.key)
                && owners.as_ref().is_none_or(|owners| owners.contains(&row.key.pid))
        });
    }
    rows
}

/// Who has connections or listeners that the filter asks for.
fn owners(model: &Model, filter: &RowFilter) -> HashSet<Option<u32>> {
    let keys = super::connections(model, Some(filter)).into_iter().map(|row| row.key);
    let passes =
        |row: &&ListenerRecord| filter.passes_listener(&row.key(), row.v6only == Some(true));
    let listeners = model.listeners.rows().filter(passes).map(ListenerRecord::key);
    keys.chain(listeners).map(|key| key.pid).collect()
}

type Rows = BTreeMap<Option<u32>, ProcessRow>;

fn row<'a>(rows: &'a mut Rows, model: &Model, key: &Key) -> &'a mut ProcessRow {
    let row = rows.entry(key.pid).or_default();
    row.ts = model.now;
    row.key.pid = key.pid;
    if key.comm.is_some() {
        row.key.comm.clone_from(&key.comm);
    }
    row
}

fn add_sockets(model: &Model, rows: &mut Rows) {
    for ((by, _), interval) in model.look.sockets.iter() {
        for one in interval.rows.iter().filter(|_| *by == Some(Grouping::Process)) {
            let sockets = row(rows, model, &one.key()).sockets.get_or_insert([0; 13]);
            if let Some(state) = one.state {
                let sum = &mut sockets[usize::from(state.number())];
                *sum = sum.saturating_add(one.count.unwrap_or(0));
            }
        }
    }
}

fn add_latency(model: &Model, rows: &mut Rows) {
    for ((what, by), interval) in model.latency.iter() {
        let of_keys = interval.rows.iter().filter(|one| !one.other && !one.is_total());
        for one in of_keys.filter(|_| *by == Grouping::Process) {
            let row = row(rows, model, &one.key());
            match what {
                Some(LatencyKind::Response) => row.response_p99 = one.p99_ns,
                Some(LatencyKind::Service) => row.service_p99 = one.p99_ns,
                _ => {}
            }
        }
    }
}

/// Those that are known otherwise: a process that only listens may have drops alone.
fn add_drops(model: &Model, rows: &mut Rows) {
    if !model.segments.watched() {
        return;
    }
    for (pid, (comm, drops)) in model.segments.by_process() {
        row(rows, model, &Key { pid, comm: comm.cloned(), ..Key::default() }).drops = Some(drops);
    }
    for row in rows.values_mut() {
        row.drops.get_or_insert(0);
    }
}

/// Connects of the last interval. Where everything is measured, a process without any has made none.
fn add_connects(model: &Model, rows: &mut Rows) {
    let measured = model.latency.get(&(Some(LatencyKind::Connect), Grouping::Process));
    let counted = model.counts.iter().map(|(_, interval)| interval.ts).max();
    // An interval without connects has no rows: those that are there may be older.
    let is_last = |interval: &&LastInterval<Latency>| {
        let length = interval.rows.first().and_then(|row| row.interval_ns).unwrap_or(0);
        let half = i64::try_from(length / 2).unwrap_or(0);
        counted.is_none_or(|counted| interval.ts.saturating_add(half) >= counted)
    };
    let last = measured.filter(is_last);
    let all = model.live() && !last.iter().any(|last| last.rows.iter().any(|one| one.other));
    for one in last.iter().flat_map(|last| &last.rows).filter(|one| !one.other && !one.is_total()) {
        let row = row(rows, model, &one.key());
        let failed = one.failed_connects();
        let ended = failed.saturating_add(one.count.unwrap_or(0));
        row.failed = Some(row.failed.unwrap_or(0).saturating_add(failed));
        row.opens = Some(row.opens.unwrap_or(0).saturating_add(ended));
        row.connects_ns = one.interval_ns.unwrap_or(0);
    }
    for row in rows.values_mut().filter(|_| all) {
        row.opens.get_or_insert(0);
        row.failed.get_or_insert(0);
    }
}

/// By process as counted, else connections added up.
fn add_traffic(model: &Model, rows: &mut Rows) {
    let counts =
        model.counts.get(&Grouping::Process).or_else(|| model.counts.get(&Grouping::Connection));
    let Some(interval) = counts else { return };
    // A process missing from a complete list of busy ones was idle; else unknown.
    let complete = !interval.rows.iter().any(|one| one.other);
    let interval_ns = interval.rows.first().map_or(0, |one| one.interval_ns.unwrap_or(0));
    let retrans = interval.rows.first().and_then(|one| one.retrans_segs).map(|_| 0);
    let light = interval.rows.first().is_some_and(|one| one.tx_calls.is_none());
    for row in rows.values_mut().filter(|_| complete) {
        row.traffic = Some(Traffic { interval_ns, retrans, light, ..Traffic::default() });
    }
    for one in interval.rows.iter().filter(|one| !one.other && !one.total) {
        let row = row(rows, model, &one.key());
        row.traffic = Some(row.traffic.map_or_else(|| Traffic::of(one), |t| t.plus(one)));
    }
}
