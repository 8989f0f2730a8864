//! Quantiles of what was measured, by key.

use super::{TableRow, id, nanos};
use crate::dash::model::{Model, text};
use crate::dash::record::{By, Key, Latency};
use crate::filter::Filter;
use crate::report::{Cell, Column, Row};

/// What was measured of one key.
#[derive(Clone, Debug, Default)]
pub struct LatencyRow {
    /// Whom it is about.
    pub key: Key,
    /// The line.
    pub row: Latency,
}

impl LatencyRow {
    /// response, service, rtt, connect, accept …
    pub fn what(&self) -> &str {
        self.row.what.as_deref().unwrap_or("-")
    }

    /// What was measured and of whom, in words.
    pub fn name(&self) -> String {
        let pid = self.key.pid.map_or(String::new(), |pid| format!(" ({pid})"));
        let role = self.row.role.as_deref().map_or(String::new(), |role| format!(", {role}"));
        format!("{} of {}{pid}{role}", self.what(), text(self.subject()))
    }

    /// The key in words.
    fn subject(&self) -> Cell<'_> {
        let key = &self.key;
        if self.row.other {
            Cell::Word("(other)")
        } else if self.row.is_total() {
            Cell::Word("total")
        } else if key.comm.is_some() {
            key.comm_cell()
        } else if key.rport.is_some() || key.raddr.is_some() && key.lport.is_some() {
            key.remote_cell()
        } else if let Some(raddr) = key.raddr {
            Cell::Addr(raddr)
        } else if let Some(lport) = key.lport {
            Cell::Port(lport)
        } else {
            key.cgroup.as_ref().map_or(Cell::Missing, |path| Cell::Text(path.as_bytes()))
        }
    }
}

static COLUMNS: [Column<LatencyRow>; 11] = [
    Column::left("what", "WHAT", 8, |r: &LatencyRow| Cell::Word(r.what()), "What was measured."),
    Column::right("pid", "PID", 7, |r| r.key.pid_cell(), "Process."),
    Column::left("subject", "OF", 15, LatencyRow::subject, "Process, remote, port …"),
    Column::right("count", "COUNT", 7, |r| id(r.row.count), "How many."),
    Column::right("p50_ns", "P50", 6, |r| nanos(r.row.p50_ns), "Half of them within."),
    Column::right("p99_ns", "P99", 6, |r| nanos(r.row.p99_ns), "99 % of them within."),
    Column::right("max_ns", "MAX", 6, |r| nanos(r.row.max_ns), "All of them within."),
    Column::right("p90_ns", "P90", 6, |r| nanos(r.row.p90_ns), "90 % of them within."),
    Column::right("p999_ns", "P99.9", 6, |r| nanos(r.row.p999_ns), "99.9 % of them within."),
    Column::right("min_ns", "MIN", 6, |r| nanos(r.row.min_ns), "The fastest."),
    Column::left(
        "role",
        "ROLE",
        6,
        |r: &LatencyRow| r.row.role.as_deref().map_or(Cell::Missing, Cell::Word),
        "At which end of the connection.",
    ),
];

impl Row for LatencyRow {
    const KIND: &'static str = "latency";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.row.ts.0
    }
}

impl TableRow for LatencyRow {
    type Id = (Box<str>, Option<Box<str>>, By, Key, bool);
    const PINNED: usize = 3;
    const SORT: usize = 5;

    fn id(&self) -> Self::Id {
        (self.what().into(), self.row.role.clone(), self.row.by, self.key.clone(), self.row.other)
    }

    fn key(&self) -> &Key {
        &self.key
    }
}

/// The last interval of everything measured; what the filter asks for.
pub fn latencies(model: &Model, filter: Option<&Filter>) -> Vec<LatencyRow> {
    let rows = model.latency.rows().map(|row| LatencyRow { key: row.key(), row: row.clone() });
    rows.filter(|row| filter.is_none_or(|f| f.passes(&row.key.subject()))).collect()
}
