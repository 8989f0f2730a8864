//! Rows by process and remote address, merged by either.

use std::collections::HashMap;

use super::{LatencyEntry, LatencyInterval};
use crate::group::GroupBy;
use crate::wire::GroupKey;

/// The rows by process or, where `by` is no process, by remote address. Histograms add up
/// without loss.
pub fn regroup(interval: &LatencyInterval, by: GroupBy) -> LatencyInterval {
    let mut rows: HashMap<_, LatencyEntry> = HashMap::new();
    for record in &interval.records {
        let mut group = GroupKey::default();
        if by == GroupBy::Process {
            group.pid = record.group.pid;
        } else {
            // without ports: the address and its zone
            group.flow = record.group.flow;
        }
        let (kind, role) = (record.kind, record.role);
        let row = rows
            .entry((kind, role, group.pid, group.flow))
            .or_insert_with(|| LatencyEntry::new(kind, role, group));
        if by == GroupBy::Process && record.pid != 0 {
            (row.pid, row.comm) = (record.pid, record.comm);
        }
        row.sums.merge(&record.sums);
    }
    LatencyInterval { records: rows.into_values().collect(), other: interval.other.clone() }
}

#[cfg(test)]
mod tests {
    use super::super::{LatencyKind, Role};
    use super::*;

    fn record(pid: u32, remote: u8, ns: u64) -> LatencyEntry {
        let mut group = GroupKey::default();
        (group.pid, group.flow.raddr[15]) = (pid, remote);
        let mut record = LatencyEntry::new(LatencyKind::Response, Role::Client, group);
        record.pid = pid;
        record.sums.hist.record(ns);
        record
    }

    #[test]
    fn both_groupings_have_every_exchange() {
        let records = vec![record(1, 8, 1_000), record(1, 9, 2_000), record(2, 9, 9_000)];
        let peers = LatencyInterval { records, other: [].into() };
        let shown = |by, key: fn(&LatencyEntry) -> u32| {
            let mut rows: Vec<_> = regroup(&peers, by)
                .records
                .iter()
                .map(|row| (key(row), row.pid, row.sums.hist.count(), row.sums.hist.max()))
                .collect();
            rows.sort_unstable();
            rows
        };
        assert_eq!(
            shown(GroupBy::Process, |row| row.group.pid),
            [(1, 1, 2, Some(2_000)), (2, 2, 1, Some(9_000))]
        );
        assert_eq!(
            shown(GroupBy::Remote(32, 128), |row| row.group.flow.raddr[15].into()),
            [(8, 0, 1, Some(1_000)), (9, 0, 2, Some(9_000))]
        );
    }
}
