//! The rows of tcplatency.

use serde_json::Value;

use super::{LatencyKind, LatencySums, Role};
use crate::group::{RowGroup, RowPart};
use crate::report::{Cell, Column, Row, TableView};

/// One row of an interval.
#[derive(Debug, Clone)]
pub struct LatencyRow {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// What it stands for.
    pub subject: RowGroup,
    /// What was measured.
    pub kind: LatencyKind,
    /// At which end.
    pub role: Role,
    /// The numbers.
    pub sums: LatencySums,
    /// First ns, ns after the last, and count of every slot that has any; with `--buckets`.
    pub buckets: Option<Value>,
}

impl LatencyRow {
    fn quantile(&self, per_mille: u64) -> Cell<'_> {
        self.sums.hist.quantile(per_mille).map_or(Cell::Missing, Cell::Nanos)
    }

    /// A number that only connects have.
    fn of_connect(&self, count: u64) -> Cell<'_> {
        if self.kind == LatencyKind::Connect { Cell::Count(count) } else { Cell::Missing }
    }

    fn untimed(&self) -> Cell<'_> {
        match self.kind {
            LatencyKind::Response | LatencyKind::Service => Cell::Count(self.sums.untimed),
            _ => Cell::Missing,
        }
    }

    fn retrans(&self) -> Cell<'_> {
        match self.kind {
            LatencyKind::Response => Cell::Count(self.sums.retrans),
            _ => Cell::Missing,
        }
    }

    /// The columns that a table of these rows has nothing for: those of other groupings, and numbers
    /// that are 0 in all of them and mostly are.
    pub fn hidden(rows: &[Self]) -> Vec<&'static str> {
        let by = rows.first().map(|row| row.subject.by).unwrap_or_default();
        let mut hidden = RowGroup::hidden(by).to_vec();
        if rows.iter().all(|row| row.kind != LatencyKind::Connect) {
            hidden.extend(["refused", "timed_out", "failed", "syn_retries"]);
        }
        if rows.iter().all(|row| row.sums.untimed == 0) {
            hidden.push("untimed");
        }
        if rows.iter().all(|row| row.sums.retrans == 0) {
            hidden.push("retrans");
        }
        hidden
    }

    /// The heading of a drawing.
    pub fn title(&self, ctx: &mut crate::report::Ctx) -> String {
        let mut line = Vec::new();
        let view_hides = Self::hidden(std::slice::from_ref(self));
        let mut cell = |cell: Cell<'_>| {
            if !line.is_empty() {
                line.push(b' ');
            }
            cell.text(ctx, &mut line);
        };
        cell(Cell::Time(self.ts));
        for column in COLUMNS.iter().skip(1).take(KEY_COLUMNS) {
            if !view_hides.contains(&column.key) {
                cell((column.cell)(self));
            }
        }
        String::from_utf8_lossy(&line).into_owned()
    }

    /// How rows are put into a table, without the columns `hidden`.
    pub fn view<'a>(hidden: &'a [&'static str]) -> TableView<'a> {
        TableView { hide: hidden, ..TableView::default() }
    }
}

/// Columns behind the time that say what a row stands for.
const KEY_COLUMNS: usize = 10;

static COLUMNS: [Column<LatencyRow>; 36] = [
    Column::left("time", "TIME", 12, |r: &LatencyRow| Cell::Time(r.ts), "End of the interval.")
        .table_only(),
    Column::right("pid", "PID", 7, |r| r.subject.pid(), "Process that owns the sockets."),
    Column::left("comm", "COMM", 15, |r: &LatencyRow| r.subject.label(RowGroup::comm), "Its name.")
        .table_only(),
    Column::left(
        "raddr",
        "RADDR",
        39,
        |r: &LatencyRow| r.subject.label(RowGroup::remote),
        "Remote address or network.",
    )
    .table_only(),
    Column::right(
        "lport",
        "PORT",
        7,
        |r: &LatencyRow| r.subject.label(RowGroup::service_port),
        "Port of the service.",
    )
    .table_only(),
    Column::left(
        "cgroup",
        "CGROUP",
        32,
        |r: &LatencyRow| r.subject.label(RowGroup::cgroup),
        "Path of the cgroup.",
    )
    .table_only(),
    Column::right(
        "netns",
        "NETNS",
        10,
        |r: &LatencyRow| r.subject.label(RowGroup::netns),
        "Network namespace's inode.",
    )
    .table_only(),
    Column::left(
        "local",
        "LADDR:LPORT",
        21,
        |r: &LatencyRow| r.subject.local_end(),
        "Local address and port.",
    )
    .table_only(),
    Column::left(
        "remote",
        "RADDR:RPORT",
        21,
        |r: &LatencyRow| r.subject.remote_end(),
        "Remote address and port.",
    )
    .table_only(),
    Column::left("what", "KIND", 8, |r| Cell::Word(r.kind.name()), "What was measured."),
    Column::left(
        "role",
        "ROLE",
        6,
        |r| r.role.name().map_or(Cell::Missing, Cell::Word),
        "Which end the sockets are: who opened the connection.",
    ),
    Column::json("by", |r| Cell::Word(r.subject.by.name()), "The grouping."),
    Column::json(
        "other",
        |r| Cell::Flag(r.subject.part == RowPart::Other),
        "All rows that found no room.",
    ),
    Column::json("comm", |r| r.subject.comm(), "Name of the process."),
    Column::json("laddr", |r| r.subject.laddr(), "Local address."),
    Column::json("lport", |r| r.subject.lport(), "Local port."),
    Column::json("raddr", |r| r.subject.raddr(), "Remote address, or the first of its network."),
    Column::json("rport", |r| r.subject.rport(), "Remote port."),
    Column::json("family", |r| r.subject.family(), "4 or 6."),
    Column::json("netns", |r| r.subject.netns(), "Network namespace's inode."),
    Column::json("cgroup", |r| r.subject.cgroup(), "Path below the cgroup2 mount."),
    Column::json("interval_ns", |r| Cell::Nanos(r.interval_ns), "Length of the interval."),
    Column::right(
        "count",
        "COUNT",
        7,
        |r| Cell::Count(r.sums.hist.count()),
        "How many were measured.",
    ),
    Column::right(
        "min_ns",
        "MIN",
        6,
        |r| r.sums.hist.min().map_or(Cell::Missing, Cell::Nanos),
        "The shortest.",
    ),
    Column::right("p50_ns", "P50", 6, |r| r.quantile(500), "Half of them took no longer."),
    Column::right("p90_ns", "P90", 6, |r| r.quantile(900), "9 of 10 took no longer."),
    Column::right("p99_ns", "P99", 6, |r| r.quantile(990), "99 of 100 took no longer."),
    Column::right("p999_ns", "P99.9", 6, |r| r.quantile(999), "999 of 1,000 took no longer."),
    Column::right(
        "max_ns",
        "MAX",
        6,
        |r| r.sums.hist.max().map_or(Cell::Missing, Cell::Nanos),
        "The longest.",
    ),
    Column::right(
        "refused",
        "REFUSED",
        7,
        |r| r.of_connect(r.sums.refused),
        "Connects that were refused.",
    ),
    Column::right(
        "timed_out",
        "TIMEOUT",
        7,
        |r| r.of_connect(r.sums.timed_out),
        "Connects that nobody answered.",
    ),
    Column::right(
        "failed",
        "FAILED",
        6,
        |r| r.of_connect(r.sums.failed),
        "Connects that failed or were given up.",
    ),
    Column::right(
        "syn_retries",
        "SYN RETRIES",
        11,
        |r| r.of_connect(r.sums.syn_retries),
        "SYNs sent again.",
    ),
    Column::right("retrans", "RETRANS", 7, LatencyRow::retrans, "Segments of requests sent again."),
    Column::right(
        "untimed",
        "UNTIMED",
        7,
        LatencyRow::untimed,
        "Exchanges whose beginning was not seen.",
    ),
    Column::json(
        "buckets",
        |r| r.buckets.as_ref().map_or(Cell::Missing, Cell::Json),
        "The histogram, with --buckets.",
    ),
];

impl Row for LatencyRow {
    const KIND: &'static str = "latency";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}
