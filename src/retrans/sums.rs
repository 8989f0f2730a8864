//! Sums of an interval.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::RetransSum;
use crate::group::{GroupBy, Keyed, RowPart};
use crate::report::{Column, Ts, sort};
use crate::wire::{COMM_LEN, GroupKey, Record as _, RetransEvent, RetransType};

/// Keys counted one by one.
const MAX_KEYS: usize = 65_536;

/// The numbers of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetransSums {
    /// Segments by [`RetransType`].
    pub segs: [u64; RetransType::COUNT],
    /// The highest known attempt.
    pub max_attempt: Option<u32>,
}

impl RetransSums {
    fn add(&mut self, other: Self) {
        for (sum, more) in self.segs.iter_mut().zip(other.segs) {
            *sum += more;
        }
        self.max_attempt = self.max_attempt.max(other.max_attempt);
    }

    /// Segments of all types.
    pub fn total(&self) -> u64 {
        self.segs.iter().sum()
    }
}

/// One key: what its row stands for, its last owner, its numbers.
type Entry = (GroupKey, (u32, [u8; COMM_LEN]), RetransSums);

/// What was sent again since the last rows were made.
#[derive(Debug)]
pub struct Retransmits {
    by: GroupBy,
    keys: HashMap<[u8; size_of::<GroupKey>()], Entry>,
    other: RetransSums,
}

/// How the rows of an interval are made.
#[derive(Clone, Copy)]
pub struct RetransRowOptions {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// What to sort by; `None` puts the most segments first.
    pub sort: Option<&'static Column<RetransSum>>,
    /// Keys that get a row of their own; (other) adds up the rest.
    pub top: usize,
}

impl Retransmits {
    /// Nothing yet.
    pub fn new(by: GroupBy) -> Self {
        Self { by, keys: HashMap::new(), other: RetransSums::default() }
    }

    /// Adds one event.
    pub fn add(&mut self, event: &RetransEvent) {
        let mut sums = RetransSums {
            max_attempt: (event.attempt != 0).then_some(event.attempt),
            ..RetransSums::default()
        };
        let kind = RetransType::from_number(event.why).unwrap_or(RetransType::Unknown);
        sums.segs[kind as usize] = u64::from(event.segs);
        let key = self.by.key_of(&event.flow, event.pid, event.cgroup);
        let mut id = [0; size_of::<GroupKey>()];
        id.copy_from_slice(key.as_bytes());
        let full = self.keys.len() >= MAX_KEYS;
        match self.keys.get_mut(&id) {
            Some((_, owner, known)) => {
                if event.pid != 0 {
                    *owner = (event.pid, event.comm);
                }
                known.add(sums);
            }
            None if full => self.other.add(sums),
            None => {
                self.keys.insert(id, (key, (event.pid, event.comm), sums));
            }
        }
    }

    /// The rows since the last ones: keys, then (other) if there is anything in it, then the total.
    pub fn rows(
        &mut self,
        shape: &RetransRowOptions,
        mut cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<RetransSum> {
        let mut other = std::mem::take(&mut self.other);
        let mut keys: Vec<_> = self.keys.drain().collect();
        // The key settles ties, or rows would swap places between intervals.
        keys.sort_by_key(|(id, (_, _, sums))| (Reverse(sums.total()), *id));
        let mut total = other;
        let mut rows = Vec::new();
        for (_, (key, owner, sums)) in keys {
            total.add(sums);
            if self.by != GroupBy::Total {
                rows.push(self.key(shape, &key, owner, cgroup(key.cgroup)).with(sums));
            }
        }
        if let Some(column) = shape.sort {
            sort(&mut rows, column);
        }
        for hidden in rows.split_off(shape.top.min(rows.len())) {
            other.add(hidden.sums());
        }
        if other.total() > 0 && self.by != GroupBy::Total {
            rows.push(self.part(shape, RowPart::Other).with(other));
        }
        rows.push(self.part(shape, RowPart::Total).with(total));
        rows
    }

    fn key(
        &self,
        shape: &RetransRowOptions,
        key: &GroupKey,
        owner: (u32, [u8; COMM_LEN]),
        cgroup: Option<Arc<str>>,
    ) -> RetransSum {
        let process = matches!(self.by, GroupBy::Process | GroupBy::Connection);
        let owner = if process { owner } else { (0, [0; COMM_LEN]) };
        let Keyed { key, family, remote_net } = Keyed::new(self.by, key, owner, cgroup);
        let row = RetransSum { family, remote_net, ..RetransSum::about(key) };
        RetransSum {
            ts: Ts(shape.ts),
            by: Some(self.by.grouping()),
            interval_ns: Some(shape.interval_ns),
            ..row
        }
    }

    fn part(&self, shape: &RetransRowOptions, part: RowPart) -> RetransSum {
        RetransSum {
            ts: Ts(shape.ts),
            by: Some(self.by.grouping()),
            interval_ns: Some(shape.interval_ns),
            other: part == RowPart::Other,
            total: part == RowPart::Total,
            ..RetransSum::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(pid: u32, raddr: [u8; 4], kind: RetransType, segs: u32) -> RetransEvent {
        let mut event = RetransEvent::default();
        event.pid = pid;
        event.why = kind as u8;
        event.segs = segs;
        event.attempt = segs;
        event.flow.raddr[10..12].fill(0xff);
        event.flow.raddr[12..].copy_from_slice(&raddr);
        event.flow.rport = 80;
        event
    }

    fn shape(top: usize) -> RetransRowOptions {
        RetransRowOptions { ts: 1, interval_ns: 1, sort: None, top }
    }

    #[test]
    fn rows_add_up_to_the_total_and_the_next_interval_is_empty() {
        let mut sums = Retransmits::new(GroupBy::Process);
        for pid in 1..=3 {
            sums.add(&event(pid, [10, 0, 0, 1], RetransType::Rto, pid));
            sums.add(&event(pid, [10, 0, 0, 1], RetransType::Fast, 10));
        }
        let rows = sums.rows(&shape(1), |_| None);
        let seen: Vec<_> = rows.iter().map(|row| (row.pid, row.retrans_segs, row.rto)).collect();
        assert_eq!(seen, [(Some(3), Some(13), 3), (None, Some(23), 3), (None, Some(36), 6)]);
        assert_eq!((rows[1].other, rows[2].total, rows[2].max_attempt), (true, true, Some(10)));
        assert_eq!(sums.rows(&shape(9), |_| None)[0].retrans_segs, Some(0));
    }

    #[test]
    fn remotes_are_grouped_by_prefix() {
        let mut sums = Retransmits::new(GroupBy::Remote(24, 128));
        sums.add(&event(1, [10, 0, 0, 1], RetransType::Rto, 1));
        sums.add(&event(2, [10, 0, 0, 200], RetransType::Rto, 1));
        sums.add(&event(2, [10, 0, 1, 1], RetransType::Tlp, 1));
        let rows = sums.rows(&shape(9), |_| None);
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.remote_net.map(|net| net.to_string()), row.retrans_segs))
            .collect();
        let net = |text: &str| Some(text.to_owned());
        assert_eq!(
            seen,
            [(net("10.0.0.0/24"), Some(2)), (net("10.0.1.0/24"), Some(1)), (None, Some(3))]
        );
    }
}
