//! Sums of an interval.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::{KnownSums, RetransSum};
use crate::count::{CountInterval, CountSums};
use crate::group::{GroupBy, Keyed, RowPart};
use crate::report::{Column, Ts, sort};
use crate::wire::{COMM_LEN, Flow, GroupKey, Record as _, RetransEvent, RetransType};

/// Keys counted one by one, and connections of which the worst is found.
const MAX_KEYS: usize = 65_536;

/// The connection that sent most again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Worst {
    /// Which.
    pub flow: Flow,
    /// Segments that it sent again.
    pub segs: u64,
    /// Its smoothed round-trip time at the last of them, in ns; 0: unknown.
    pub srtt: u64,
}

/// The numbers of one row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RetransSums {
    /// Segments by [`RetransType`].
    pub segs: [u64; RetransType::COUNT],
    /// The highest known attempt.
    pub max_attempt: Option<u32>,
    /// Segments sent for the first time.
    pub out: u64,
    /// The worst connection.
    pub worst: Option<Worst>,
}

impl RetransSums {
    fn of(event: &RetransEvent) -> Self {
        let kind = RetransType::from_number(event.why).unwrap_or(RetransType::Unknown);
        let mut sums = Self::default();
        sums.segs[kind as usize] = u64::from(event.segs);
        if kind.is_retransmit() {
            sums.max_attempt = (event.attempt != 0).then_some(event.attempt);
        }
        sums
    }

    fn add(&mut self, other: &Self) {
        for (sum, more) in self.segs.iter_mut().zip(other.segs) {
            *sum += more;
        }
        self.max_attempt = self.max_attempt.max(other.max_attempt);
        self.out += other.out;
        let segs = |worst: &Option<Worst>| worst.map_or(0, |worst| worst.segs);
        if segs(&other.worst) > segs(&self.worst) {
            self.worst = other.worst;
        }
    }

    /// Segments of all types, sent again.
    pub fn total(&self) -> u64 {
        let all: u64 = self.segs.iter().sum();
        all - self.segs[RetransType::Probe as usize] - self.segs[RetransType::Spurious as usize]
    }

    /// Whether there is more to say than what was sent.
    fn is_eventful(&self) -> bool {
        self.segs.iter().any(|segs| *segs > 0)
    }
}

/// The bytes of a key.
type Id = [u8; size_of::<GroupKey>()];

fn id_of(key: &GroupKey) -> Id {
    let mut id = [0; size_of::<GroupKey>()];
    id.copy_from_slice(key.as_bytes());
    id
}

/// One key: what its row stands for, its last owner, its numbers.
#[derive(Debug, Default)]
struct Entry {
    key: GroupKey,
    owner: (u32, [u8; COMM_LEN]),
    sums: RetransSums,
}

/// What was sent again since the last rows were made.
#[derive(Debug)]
pub struct Retransmits {
    by: GroupBy,
    keys: HashMap<Id, Entry>,
    connections: HashMap<(Id, Flow), Worst>,
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
    /// Rows without a retransmit, too.
    pub all: bool,
    /// What was counted.
    pub known: KnownSums,
}

impl Retransmits {
    /// Nothing yet.
    pub fn new(by: GroupBy) -> Self {
        let (keys, connections) = Default::default();
        Self { by, keys, connections, other: RetransSums::default() }
    }

    /// The numbers of a key, or of (other) if there is no room for it.
    fn entry(&mut self, key: GroupKey, owner: (u32, [u8; COMM_LEN])) -> &mut RetransSums {
        let id = id_of(&key);
        if self.keys.len() >= MAX_KEYS && !self.keys.contains_key(&id) {
            return &mut self.other;
        }
        let entry = self.keys.entry(id).or_insert_with(|| Entry { key, ..Entry::default() });
        if owner.0 != 0 {
            entry.owner = owner;
        }
        &mut entry.sums
    }

    /// Adds one event.
    pub fn add(&mut self, event: &RetransEvent) {
        let key = self.by.key_of(&event.flow, event.pid, event.cgroup);
        let mut sums = RetransSums::of(event);
        let full = self.connections.len() >= MAX_KEYS;
        let name = (id_of(&key), event.flow);
        if sums.total() > 0 && (!full || self.connections.contains_key(&name)) {
            let fresh = Worst { flow: event.flow, segs: 0, srtt: 0 };
            let one = self.connections.entry(name).or_insert(fresh);
            (one.segs, one.srtt) = (one.segs + sums.total(), event.srtt);
            sums.worst = Some(*one);
        }
        self.entry(key, (event.pid, event.comm)).add(&sums);
    }

    /// Adds what sockets sent, by key.
    pub fn add_sent(&mut self, interval: &CountInterval) {
        let sent = |sums: &CountSums| RetransSums { out: sums.out_segs, ..RetransSums::default() };
        for counter in &interval.keys {
            self.entry(counter.key, (counter.pid, counter.comm)).add(&sent(&counter.sums));
        }
        self.other.add(&sent(&interval.other));
    }

    /// The rows since the last ones: keys, then (other) if there is anything in it, then the total, in
    /// which are also the keys without a retransmit.
    pub fn rows(
        &mut self,
        shape: &RetransRowOptions,
        mut cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<RetransSum> {
        self.connections.clear();
        let mut other = std::mem::take(&mut self.other);
        let mut keys: Vec<_> = self.keys.drain().collect();
        // The key settles ties, or rows would swap places between intervals.
        keys.sort_by_key(|(id, one)| (Reverse((one.sums.total(), one.sums.out)), *id));
        let mut total = other;
        let mut rows = Vec::new();
        for (_, Entry { key, owner, sums }) in keys {
            total.add(&sums);
            if self.by != GroupBy::Total && (shape.all || sums.is_eventful()) {
                let row = self.key(shape, &key, owner, cgroup(key.cgroup));
                rows.push(row.with(&sums, shape.known));
            }
        }
        if let Some(column) = shape.sort {
            sort(&mut rows, column);
        }
        for hidden in rows.split_off(shape.top.min(rows.len())) {
            other.add(&hidden.sums());
        }
        let shown = other.is_eventful() || (shape.all && other.out > 0);
        if shown && self.by != GroupBy::Total {
            other.worst = None;
            rows.push(self.part(shape, RowPart::Other).with(&other, shape.known));
        }
        rows.push(self.part(shape, RowPart::Total).with(&total, shape.known));
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
        let known = KnownSums { out: true, ..KnownSums::default() };
        RetransRowOptions { ts: 1, interval_ns: 1, sort: None, top, all: false, known }
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
