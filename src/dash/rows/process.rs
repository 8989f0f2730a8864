//! Processes: what they send, which sockets they hold, how long their peers wait.

use std::collections::{BTreeMap, HashSet};

use super::traffic::{Traffic, bytes, calls};
use super::{TableRow, id, nanos};
use crate::dash::model::{Model, sum};
use crate::dash::record::{By, Key};
use crate::filter::Filter;
use crate::report::{Column, Row};
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

static COLUMNS: [Column<ProcessRow>; 14] = [
    Column::right("pid", "PID", 7, |r: &ProcessRow| r.key.pid_cell(), "Process."),
    Column::left("comm", "COMM", 15, |r| r.key.comm_cell(), "Its name."),
    Column::right(
        "tx_bytes",
        "TXB/s",
        6,
        |r| bytes(r.traffic.as_ref(), |t| t.tx_bytes),
        "Bytes sent.",
    ),
    Column::right(
        "rx_bytes",
        "RXB/s",
        6,
        |r| bytes(r.traffic.as_ref(), |t| t.rx_bytes),
        "Bytes received.",
    ),
    Column::right("sockets", "SOCKS", 6, |r| id(r.sockets.map(sum)), "Sockets."),
    Column::right(
        "time_wait",
        "TIME_WAIT",
        9,
        |r| id(r.in_state(TcpState::TimeWait)),
        "In TIME_WAIT.",
    ),
    Column::right(
        "close_wait",
        "CLOSE_WAIT",
        10,
        |r| id(r.in_state(TcpState::CloseWait)),
        "In CLOSE_WAIT.",
    ),
    Column::right(
        "established",
        "ESTAB",
        6,
        |r| id(r.in_state(TcpState::Established)),
        "Established.",
    ),
    Column::right("tx_calls", "TX/s", 6, |r| calls(r.traffic.as_ref(), |t| t.tx_calls), "Sends."),
    Column::right(
        "rx_calls",
        "RX/s",
        6,
        |r| calls(r.traffic.as_ref(), |t| t.rx_calls),
        "Receives.",
    ),
    Column::right("response_p99_ns", "RESP P99", 8, |r| nanos(r.response_p99), "Responses to it."),
    Column::right("service_p99_ns", "SERV P99", 8, |r| nanos(r.service_p99), "Answers by it."),
    Column::right(
        "segs_in",
        "SEGS IN/s",
        9,
        |r| calls(r.traffic.as_ref(), |t| t.segs_in),
        "Segments in.",
    ),
    Column::right(
        "errors",
        "ERRORS/s",
        8,
        |r| calls(r.traffic.as_ref(), |t| t.errors),
        "Failed calls.",
    ),
];

impl Row for ProcessRow {
    const KIND: &'static str = "process";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}

impl TableRow for ProcessRow {
    type Id = Option<u32>;
    const PINNED: usize = 2;
    const SORT: usize = 2;

    fn id(&self) -> Self::Id {
        self.key.pid
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn interval_ns(&self) -> u64 {
        self.traffic.map_or(0, |traffic| traffic.interval_ns)
    }
}

/// All processes of which anything is known, by pid; those that the filter asks for.
pub fn processes(model: &Model, filter: Option<&Filter>) -> Vec<ProcessRow> {
    let mut rows = BTreeMap::new();
    add_sockets(model, &mut rows);
    add_latency(model, &mut rows);
    add_traffic(model, &mut rows);
    let mut rows: Vec<_> = rows.into_values().collect();
    if let Some(filter) = filter {
        let owners = filter.by_ends().then(|| owners(model, filter));
        rows.retain(|row: &ProcessRow| {
            filter.passes_owner(&row.key.subject())
                && owners.as_ref().is_none_or(|owners| owners.contains(&row.key.pid))
        });
    }
    rows
}

/// Who has connections or listeners that the filter asks for.
fn owners(model: &Model, filter: &Filter) -> HashSet<Option<u32>> {
    let keys = super::connections(model, Some(filter)).into_iter().map(|row| row.key);
    let listeners = model.listeners.rows().map(crate::dash::record::Listener::key);
    keys.chain(listeners.filter(|key| filter.passes(&key.subject()))).map(|key| key.pid).collect()
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
    for ((by, _), interval) in model.sockets.iter() {
        for one in interval.rows.iter().filter(|_| *by == Some(By::Process)) {
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
        for one in of_keys.filter(|_| *by == By::Process) {
            let row = row(rows, model, &one.key());
            match &**what {
                "response" => row.response_p99 = one.p99_ns,
                "service" => row.service_p99 = one.p99_ns,
                _ => {}
            }
        }
    }
}

/// By process as counted, else connections added up.
fn add_traffic(model: &Model, rows: &mut Rows) {
    let counts = model.counts.get(&By::Process).or_else(|| model.counts.get(&By::Connection));
    let Some(interval) = counts else { return };
    // Who is not in a complete list of those that were busy was idle; else nobody knows.
    let complete = !interval.rows.iter().any(|one| one.other);
    let interval_ns = interval.rows.first().map_or(0, |one| one.interval_ns);
    for row in rows.values_mut().filter(|_| complete) {
        row.traffic = Some(Traffic { interval_ns, ..Traffic::default() });
    }
    for one in interval.rows.iter().filter(|one| !one.other && !one.total) {
        let row = row(rows, model, &one.key());
        row.traffic = Some(row.traffic.map_or_else(|| Traffic::of(one), |t| t.plus(one)));
    }
}
