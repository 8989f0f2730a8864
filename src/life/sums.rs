//! Sums of an interval.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Ends, LifeSum};
use crate::group::{GroupBy, Keyed, RowPart};
use crate::hist::Histogram;
use crate::report::{Column, Ts};
use crate::tcp_state::TcpState;
use crate::wire::{
    COMM_LEN, DURATION_UNKNOWN, GroupKey, LifeEnd, LifeEvent, LifeKind, Record as _,
};

/// Keys counted one by one.
const MAX_KEYS: usize = 65_536;

/// Histograms resolve values from 512 on: bytes are counted in 64ths, so that 8 is the least, and
/// 4 GiB the most.
const BYTE_SHIFT: u32 = 6;

/// The numbers of one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LifeTotals {
    /// Connections that opened.
    pub opened: u64,
    /// Those that ended without having opened.
    pub failed: u64,
    /// Those that ended, by how.
    pub ends: Ends,
    /// How long they were, in ns; those older than the tool are missing.
    pub life: Histogram,
    /// Bytes of each, sent and received.
    bytes: Histogram,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Bytes received.
    pub rx_bytes: u64,
    /// Segments sent again.
    pub retrans: u64,
}

impl LifeTotals {
    fn of(event: &LifeEvent) -> Self {
        let mut totals = Self::default();
        if LifeKind::from_number(event.kind) == Some(LifeKind::Opened) {
            totals.opened = 1;
            return totals;
        }
        totals.ends.count(LifeEnd::from_number(event.ending.end).unwrap_or(LifeEnd::Unknown));
        let opening = [TcpState::SynSent, TcpState::SynRecv].map(TcpState::number);
        totals.failed = opening.contains(&event.state).into();
        if totals.failed == 0 && event.life != DURATION_UNKNOWN {
            totals.life.record(event.life);
        }
        if totals.failed == 0 {
            totals.bytes.record((event.tx_bytes + event.rx_bytes) << BYTE_SHIFT);
        }
        totals.tx_bytes = event.tx_bytes;
        totals.rx_bytes = event.rx_bytes;
        totals.retrans = event.retrans.into();
        totals
    }

    fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.failed += other.failed;
        self.ends.add(&other.ends);
        self.life.merge(&other.life);
        self.bytes.merge(&other.bytes);
        self.tx_bytes += other.tx_bytes;
        self.rx_bytes += other.rx_bytes;
        self.retrans += other.retrans;
    }

    /// Connections that opened or ended.
    pub fn events(&self) -> u64 {
        self.opened + self.ends.total()
    }

    /// A quantile of the bytes of each connection, in thousandths.
    pub fn bytes(&self, per_mille: u64) -> Option<u64> {
        self.bytes.quantile(per_mille).map(|value| value >> BYTE_SHIFT)
    }
}

/// One key: what its row stands for, its last owner, its numbers.
type Entry = (GroupKey, (u32, [u8; COMM_LEN]), LifeTotals);

/// What opened and ended since the last rows were made.
#[derive(Debug)]
pub struct LifeSums {
    by: GroupBy,
    keys: HashMap<[u8; size_of::<GroupKey>()], Entry>,
    other: LifeTotals,
}

/// How the rows of an interval are made.
#[derive(Clone, Copy)]
pub struct LifeRowOptions {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// What to sort by; `None` puts the most connections first.
    pub sort: Option<&'static Column<LifeSum>>,
    /// Keys that get a row of their own; (other) adds up the rest.
    pub top: usize,
}

impl LifeSums {
    /// Nothing yet.
    pub fn new(by: GroupBy) -> Self {
        Self { by, keys: HashMap::new(), other: LifeTotals::default() }
    }

    /// Adds one event.
    pub fn add(&mut self, event: &LifeEvent) {
        let totals = LifeTotals::of(event);
        let key = self.by.key_of(&event.flow, event.pid, event.cgroup);
        let mut id = [0; size_of::<GroupKey>()];
        id.copy_from_slice(key.as_bytes());
        let full = self.keys.len() >= MAX_KEYS;
        match self.keys.get_mut(&id) {
            Some((_, owner, known)) => {
                if event.pid != 0 {
                    *owner = (event.pid, event.comm);
                }
                known.add(&totals);
            }
            None if full => self.other.add(&totals),
            None => {
                self.keys.insert(id, (key, (event.pid, event.comm), totals));
            }
        }
    }

    /// The rows since the last ones: keys, then (other) if there is anything in it, then the total.
    pub fn rows(
        &mut self,
        shape: &LifeRowOptions,
        mut cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<LifeSum> {
        let mut other = std::mem::take(&mut self.other);
        let mut total = other.clone();
        let mut keys: Vec<_> = self.keys.drain().collect();
        // The key settles ties, or rows would swap places between intervals.
        keys.sort_by_key(|(id, (_, _, totals))| (Reverse(totals.events()), *id));
        let mut rows = Vec::new();
        for (_, (key, owner, totals)) in keys {
            total.add(&totals);
            if self.by != GroupBy::Total {
                rows.push((self.key(shape, &key, owner, cgroup(key.cgroup)).with(&totals), totals));
            }
        }
        if let Some(column) = shape.sort {
            rows.sort_by(|(a, _), (b, _)| (column.cell)(a).order(&(column.cell)(b)));
        }
        for (_, hidden) in rows.split_off(shape.top.min(rows.len())) {
            other.add(&hidden);
        }
        let mut rows: Vec<_> = rows.into_iter().map(|(row, _)| row).collect();
        if other.events() > 0 && self.by != GroupBy::Total {
            rows.push(self.part(shape, RowPart::Other).with(&other));
        }
        rows.push(self.part(shape, RowPart::Total).with(&total));
        rows
    }

    fn key(
        &self,
        shape: &LifeRowOptions,
        key: &GroupKey,
        owner: (u32, [u8; COMM_LEN]),
        cgroup: Option<Arc<str>>,
    ) -> LifeSum {
        let process = matches!(self.by, GroupBy::Process | GroupBy::Connection);
        let owner = if process { owner } else { (0, [0; COMM_LEN]) };
        let Keyed { key, family, remote_net } = Keyed::new(self.by, key, owner, cgroup);
        let row = LifeSum { family, remote_net, ..LifeSum::about(key) };
        LifeSum {
            ts: Ts(shape.ts),
            by: Some(self.by.grouping()),
            interval_ns: Some(shape.interval_ns),
            ..row
        }
    }

    fn part(&self, shape: &LifeRowOptions, part: RowPart) -> LifeSum {
        LifeSum {
            ts: Ts(shape.ts),
            by: Some(self.by.grouping()),
            interval_ns: Some(shape.interval_ns),
            other: part == RowPart::Other,
            total: part == RowPart::Total,
            ..LifeSum::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Ending;

    fn event(pid: u32, end: LifeEnd, state: TcpState, bytes: u64) -> LifeEvent {
        let (end, state) = (end as u8, state.number());
        let ending = Ending { end, ..Ending::default() };
        LifeEvent { pid, ending, state, rx_bytes: bytes, life: 1_000_000, ..LifeEvent::default() }
    }

    #[test]
    fn rows_add_up_to_the_total_and_the_next_interval_is_empty() {
        let mut sums = LifeSums::new(GroupBy::Process);
        for pid in 1..=3 {
            for _ in 0..pid {
                sums.add(&event(pid, LifeEnd::ClosedUs, TcpState::FinWait2, 1000));
            }
            sums.add(&event(pid, LifeEnd::Refused, TcpState::SynSent, 0));
            sums.add(&LifeEvent { pid, kind: LifeKind::Opened as u8, ..LifeEvent::default() });
        }
        let shape = LifeRowOptions { ts: 1, interval_ns: 1, sort: None, top: 1 };
        let rows = sums.rows(&shape, |_| None);
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.pid, row.opened, row.ended, row.failed_opens, row.rx_bytes))
            .collect();
        let row = |pid, opened, ended, failed, bytes| {
            (pid, Some(opened), Some(ended), Some(failed), Some(bytes))
        };
        assert_eq!(
            seen,
            [row(Some(3), 1, 4, 1, 3000), row(None, 2, 5, 2, 3000), row(None, 3, 9, 3, 6000)]
        );
        assert_eq!(rows[2].ends.of(LifeEnd::Refused), 3);
        // A connect() that failed has no length.
        assert_eq!(rows[2].life_p50_ns, Some(1_000_000));
        assert_eq!(rows[2].bytes_p50, Some(1000));
        assert_eq!(sums.rows(&shape, |_| None)[0].ended, Some(0));
    }
}
