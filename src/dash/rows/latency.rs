//! Quantiles by key.

use std::collections::BTreeSet;

use super::TableRow;
use crate::dash::filter::RowFilter;
use crate::dash::model::{Model, text};
use crate::group::Grouping;
use crate::latency::{Latency, LatencyKind, Role};
use crate::report::{Cell, Key, table};

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
    pub fn kind(&self) -> &'static str {
        self.row.latency_kind.map_or("-", |kind| kind.marked(self.row.role))
    }

    /// Kind and subject as text.
    pub fn name(&self) -> String {
        let pid = self.key.pid.map_or(String::new(), |pid| format!(" ({pid})"));
        let role =
            self.row.role.and_then(Role::name).map_or(String::new(), |role| format!(", {role}"));
        format!("{} of {}{pid}{role}", self.kind(), text(self.subject()))
    }

    /// The key in words.
    fn subject(&self) -> Cell<'_> {
        let key = &self.key;
        if self.row.other {
            Cell::Word("(other)")
        } else if self.row.is_total() {
            Cell::Word("total")
        } else if key.comm.is_some() {
            Cell::comm(key.comm.as_ref())
        } else if key.rport.is_some() || key.raddr.is_some() && key.lport.is_some() {
            Cell::remote(key.raddr, key.device, key.rport)
        } else if let Some(raddr) = key.raddr {
            Cell::Addr(raddr, key.device)
        } else if let Some(lport) = key.lport {
            Cell::Port(lport)
        } else {
            key.cgroup.as_ref().map_or(Cell::Missing, |path| Cell::Text(path.as_bytes()))
        }
    }
}

table! { "latency" LatencyRow.key {
    left (Latency::latency_kind), "KIND", 9, |r| Cell::Word(r.kind());
    pid;
    left "subject", "OF", 15, LatencyRow::subject;
    right (Latency::count), "COUNT", 7, |r| Cell::id(r.row.count);
    right (Latency::unanswered), "UNANSWERED", 10, |r| Cell::count(r.row.unanswered);
    right (Latency::p50_ns), "P50", 6, |r| Cell::nanos(r.row.p50_ns);
    right (Latency::p99_ns), "P99", 6, |r| Cell::nanos(r.row.p99_ns);
    right (Latency::max_ns), "MAX", 6, |r| Cell::nanos(r.row.max_ns);
    right (Latency::p90_ns), "P90", 6, |r| Cell::nanos(r.row.p90_ns);
    right (Latency::p999_ns), "P99.9", 6, |r| Cell::nanos(r.row.p999_ns);
    right (Latency::min_ns), "MIN", 6, |r| Cell::nanos(r.row.min_ns);
    left (Latency::role), "ROLE", 6, |r| Cell::word(r.row.role.and_then(Role::name));
    right (Latency::refused), "REFUSED", 7, |r| Cell::count(r.row.refused);
    right (Latency::timed_out), "TIMEOUT", 7, |r| Cell::count(r.row.timed_out);
    right (Latency::failed), "FAILED", 6, |r| Cell::count(r.row.failed);
    right (Latency::unreachable), "UNREACHABLE", 11, |r| Cell::count(r.row.unreachable);
    right (Latency::no_port), "NO PORT", 7, |r| Cell::count(r.row.no_port);
    right (Latency::given_up), "GIVEN UP", 8, |r| Cell::count(r.row.given_up);
    right (Latency::acks_with_data), "ACK+DATA", 8, |r| Cell::count(r.row.acks_with_data);
} }

impl TableRow for LatencyRow {
    type Id = (Option<LatencyKind>, Option<Role>, Option<Grouping>, Key, bool);
    const PINNED: usize = 3;
    const SORT: usize = 6;

    fn id(&self) -> Self::Id {
        (self.row.latency_kind, self.row.role, self.row.by, self.key.clone(), self.row.other)
    }

    fn key(&self) -> &Key {
        &self.key
    }
}

/// The groupings that there are rows of.
pub fn groupings(model: &Model) -> BTreeSet<Grouping> {
    model.latency.iter().map(|((_, by), _)| *by).collect()
}

/// The last interval of everything measured under a grouping; what the filter asks for.
pub fn latencies(model: &Model, by: Grouping, filter: Option<&RowFilter>) -> Vec<LatencyRow> {
    let of = model.latency.iter().filter(|((_, group), _)| *group == by);
    let rows = of
        .flat_map(|(_, interval)| &interval.rows)
        .map(|row| LatencyRow { key: row.key(), row: row.clone() });
    rows.filter(|row| filter.is_none_or(|f| f.passes(&row.key, None))).collect()
}
