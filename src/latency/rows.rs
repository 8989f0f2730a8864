//! The rows of an interval.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Latency, LatencyEntry, LatencyInterval, LatencyKind, LatencySums, Role};
use crate::group::{GroupBy, Keyed};
use crate::report::{Column, Ts, sort_by};
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
    pub sort: Option<&'static Column<Latency>>,
    /// Rows that are shown; (other) adds up the rest.
    pub top: usize,
    /// JSON has the histograms.
    pub buckets: bool,
}

impl LatencyRowOptions {
    /// The rows as records.
    pub fn records(
        &self,
        interval: LatencyInterval,
        cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<Latency> {
        self.rows(interval, cgroup).into_iter().map(|(row, _)| row).collect()
    }

    /// The rows with their numbers; after them (other) if there is anything in it. `cgroup` names a
    /// cgroup2 id.
    pub fn rows(
        &self,
        interval: LatencyInterval,
        mut cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<(Latency, LatencySums)> {
        let LatencyInterval { mut records, mut other } = interval;
        records.sort_by(|a, b| {
            // The key settles ties, or rows would swap places between intervals.
            let key =
                |record: &LatencyEntry| (record.kind, Reverse(record.sums.events()), record.role);
            key(a).cmp(&key(b)).then_with(|| a.group.as_bytes().cmp(b.group.as_bytes()))
        });
        // As in rows of counts: a row is made of what is shown, or compared by a column.
        let made = if self.sort.is_some() { records.len() } else { self.top.min(records.len()) };
        for LatencyEntry { kind, role, sums, .. } in records.split_off(made) {
            other.entry((kind, role)).or_default().merge(&sums);
        }
        let mut rows: Vec<_> = records
            .into_iter()
            .map(|record| {
                let cgroup = cgroup(record.group.cgroup);
                self.key(record, cgroup)
            })
            .collect();
        if let Some(column) = self.sort {
            sort_by(&mut rows, column, |(row, ..)| row);
        }
        for (_, what, sums) in rows.drain(self.top.min(rows.len())..) {
            other.entry(what).or_default().merge(&sums);
        }
        let mut rest: Vec<_> = other.into_iter().filter(|(_, sums)| sums.events() > 0).collect();
        rest.sort_by_key(|(what, _)| *what);
        rows.extend(rest.into_iter().map(|(what, sums)| {
            let row = Latency { other: self.by != GroupBy::Total, ..Latency::default() };
            self.row(row, what, sums)
        }));
        rows.into_iter().map(|(row, _, sums)| (row, sums)).collect()
    }

    fn key(
        &self,
        record: LatencyEntry,
        cgroup: Option<Arc<str>>,
    ) -> (Latency, (LatencyKind, Role), LatencySums) {
        let LatencyEntry { kind, role, group, pid, comm, sums, .. } = record;
        let Keyed { key, family, remote_net } = Keyed::new(self.by, &group, (pid, comm), cgroup);
        let row = Latency { family, remote_net, ..Latency::about(key) };
        self.row(row, (kind, role), sums)
    }

    fn row(
        &self,
        row: Latency,
        what: (LatencyKind, Role),
        sums: LatencySums,
    ) -> (Latency, (LatencyKind, Role), LatencySums) {
        let (ts, by, interval_ns) = (Ts(self.ts), Some(self.by.grouping()), Some(self.interval_ns));
        let row = Latency { ts, by, interval_ns, ..row }.measured(what, &sums, self.buckets);
        (row, what, sums)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::RowPart;
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

    fn shown(rows: &[Latency]) -> Vec<(LatencyKind, u32, u64)> {
        let shown =
            |row: &Latency| (row.latency_kind.unwrap(), row.pid.unwrap_or(0), row.count.unwrap());
        rows.iter().map(shown).collect()
    }

    #[test]
    fn kinds_stand_together_and_the_most_comes_first() {
        let records = vec![
            record(LatencyKind::Rtt, 1, 9),
            record(LatencyKind::Response, 1, 2),
            record(LatencyKind::Response, 2, 5),
        ];
        let interval = LatencyInterval { records, other: [].into() };
        let rows = shape(9).records(interval, |_| None);
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
    fn rows_beyond_top_are_in_other_by_kind() {
        let records = vec![
            record(LatencyKind::Rtt, 1, 9),
            record(LatencyKind::Response, 1, 2),
            record(LatencyKind::Response, 2, 5),
        ];
        let mut sums = LatencySums::default();
        sums.hist.record(77);
        let other = [((LatencyKind::Response, Role::Client), sums)].into();
        let rows = shape(1).records(LatencyInterval { records, other }, |_| None);
        assert_eq!(
            shown(&rows),
            [
                (LatencyKind::Response, 2, 5),
                (LatencyKind::Response, 0, 3),
                (LatencyKind::Rtt, 0, 9)
            ]
        );
        assert!(rows[1].other);
    }

    #[test]
    fn by_total_has_only_totals() {
        let mut sums = LatencySums::default();
        sums.hist.record(77);
        let other = [((LatencyKind::Connect, Role::Client), sums)].into();
        let total = LatencyRowOptions { by: GroupBy::Total, buckets: true, ..shape(9) };
        let rows = total.records(LatencyInterval { records: vec![], other }, |_| None);
        assert_eq!(rows[0].part(), RowPart::Total);
        assert_eq!(rows[0].buckets.as_deref(), Some(&[[512, 544, 1]][..]));
    }
}
