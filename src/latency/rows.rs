//! The rows that an interval is shown as.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::json;

use super::{LatencyEntry, LatencyInterval, LatencyRow, LatencySums, bars};
use crate::group::{GroupBy, RowGroup, RowPart};
use crate::report::{Column, Ctx, Printer, SinkError, sort};
use crate::wire::Record as _;

/// How the rows of an interval are made.
#[derive(Clone, Copy)]
pub struct LatencyRowOptions {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// The grouping.
    pub by: GroupBy,
    /// What to sort by; `None` puts kinds in their order, and in each the most first.
    pub sort: Option<&'static Column<LatencyRow>>,
    /// Rows that are shown; (other) adds up the rest.
    pub top: usize,
    /// JSON has the histograms.
    pub buckets: bool,
}

impl LatencyInterval {
    /// Prints the rows as one table.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn print(
        self,
        printer: &mut Printer,
        shape: &LatencyRowOptions,
        cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Result<(), SinkError> {
        let rows = self.rows(shape, cgroup);
        let mut hidden = LatencyRow::hidden(&rows);
        if rows.is_empty() {
            hidden = RowGroup::hidden(shape.by).to_vec();
            hidden.extend(["refused", "timed_out", "failed", "syn_retries", "retrans", "untimed"]);
        }
        printer.rows(&LatencyRow::view(&hidden), &rows)
    }

    /// Draws each row's histogram; JSON has the rows with their buckets.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn draw(
        self,
        printer: &mut Printer,
        ctx: &mut Ctx,
        shape: &LatencyRowOptions,
        cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Result<(), SinkError> {
        let rows = self.rows(shape, cgroup);
        if printer.is_json() {
            return printer.rows(&LatencyRow::view(&[]), &rows);
        }
        rows.iter().filter(|row| row.sums.hist.count() > 0).try_for_each(|row| {
            printer.text(&format!("{}\n{}\n", row.title(ctx), bars(&row.sums.hist)))
        })
    }

    /// The rows; after them (other) if there is anything in it. `cgroup` names a cgroup2 id.
    pub fn rows(
        self,
        shape: &LatencyRowOptions,
        mut cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<LatencyRow> {
        let Self { records, mut other } = self;
        let mut rows: Vec<_> = records
            .into_iter()
            .map(|record| {
                let cgroup = cgroup(record.group.cgroup);
                shape.key(record, cgroup)
            })
            .collect();
        rows.sort_by(|a, b| {
            // The key settles ties, or rows would swap places between intervals.
            let key = |row: &LatencyRow| (row.kind, Reverse(row.sums.events()), row.role);
            key(a).cmp(&key(b)).then_with(|| a.subject.key.as_bytes().cmp(b.subject.key.as_bytes()))
        });
        if let Some(column) = shape.sort {
            sort(&mut rows, column);
        }
        for hidden in rows.drain(shape.top.min(rows.len())..) {
            other.entry((hidden.kind, hidden.role)).or_default().merge(&hidden.sums);
        }
        let mut rest: Vec<_> = other.into_iter().filter(|(_, sums)| sums.events() > 0).collect();
        rest.sort_by_key(|(what, _)| *what);
        let part = if shape.by == GroupBy::Total { RowPart::Total } else { RowPart::Other };
        rows.extend(rest.into_iter().map(|((kind, role), sums)| {
            let subject = RowGroup::without_key(shape.by, part);
            shape.row(subject, (kind, role), sums)
        }));
        rows
    }
}

impl LatencyRowOptions {
    fn key(&self, record: LatencyEntry, cgroup: Option<Arc<str>>) -> LatencyRow {
        let LatencyEntry { kind, role, group, pid, comm, sums, .. } = record;
        self.row(RowGroup::key(self.by, group, (pid, comm), cgroup), (kind, role), sums)
    }

    fn row(
        &self,
        subject: RowGroup,
        (kind, role): (super::LatencyKind, super::Role),
        sums: LatencySums,
    ) -> LatencyRow {
        let bucket = |(ns, count): (std::ops::Range<u64>, u64)| json!([ns.start, ns.end, count]);
        let buckets = self.buckets.then(|| sums.hist.buckets().map(bucket).collect());
        let (ts, interval_ns) = (self.ts, self.interval_ns);
        LatencyRow { ts, interval_ns, subject, kind, role, sums, buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LatencyKind, Role};
    use super::*;
    use crate::wire::GroupKey;

    fn record(kind: LatencyKind, pid: u32, count: u64) -> LatencyEntry {
        let mut group = GroupKey::default();
        group.pid = pid;
        let mut record = LatencyEntry::new(kind, Role::Client, group);
        (0..count).for_each(|_| record.sums.hist.record(1_000 * u64::from(pid)));
        record.pid = pid;
        record
    }

    fn shape(top: usize) -> LatencyRowOptions {
        let by = GroupBy::Process;
        LatencyRowOptions { ts: 7, interval_ns: 1_000_000_000, by, sort: None, top, buckets: false }
    }

    fn shown(rows: &[LatencyRow]) -> Vec<(LatencyKind, u32, u64)> {
        rows.iter().map(|row| (row.kind, row.subject.pid, row.sums.hist.count())).collect()
    }

    #[test]
    fn kinds_stand_together_and_the_most_comes_first() {
        let records = vec![
            record(LatencyKind::Rtt, 1, 9),
            record(LatencyKind::Response, 1, 2),
            record(LatencyKind::Response, 2, 5),
        ];
        let interval = LatencyInterval { records, other: [].into() };
        let rows = interval.rows(&shape(9), |_| None);
        assert_eq!(
            shown(&rows),
            [
                (LatencyKind::Response, 2, 5),
                (LatencyKind::Response, 1, 2),
                (LatencyKind::Rtt, 1, 9)
            ]
        );
    }

    #[test]
    fn what_top_hides_is_in_other_by_kind() {
        let records = vec![
            record(LatencyKind::Rtt, 1, 9),
            record(LatencyKind::Response, 1, 2),
            record(LatencyKind::Response, 2, 5),
        ];
        let mut sums = LatencySums::default();
        sums.hist.record(77);
        let other = [((LatencyKind::Response, Role::Client), sums)].into();
        let rows = LatencyInterval { records, other }.rows(&shape(1), |_| None);
        assert_eq!(
            shown(&rows),
            [
                (LatencyKind::Response, 2, 5),
                (LatencyKind::Response, 0, 3),
                (LatencyKind::Rtt, 0, 9)
            ]
        );
        assert_eq!(rows[1].subject.part, RowPart::Other);
    }

    #[test]
    fn by_total_has_totals_alone() {
        let mut sums = LatencySums::default();
        sums.hist.record(77);
        let other = [((LatencyKind::Connect, Role::Client), sums)].into();
        let total = LatencyRowOptions { by: GroupBy::Total, buckets: true, ..shape(9) };
        let rows = LatencyInterval { records: vec![], other }.rows(&total, |_| None);
        assert_eq!(rows[0].subject.part, RowPart::Total);
        assert_eq!(rows[0].buckets, Some(json!([[512, 544, 1]])));
    }
}
