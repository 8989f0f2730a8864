//! Joins the kernel's octaves and heads into one histogram per row.

use std::collections::HashMap;

use super::{LatencyKind, Role};
use crate::hist::{Histogram, OCTAVES, SUBS};
use crate::wire::{
    COMM_LEN, GroupKey, LATENCY_HEAD, LatencyHead, LatencyKey, LatencyOutcome, LatencyValue,
    Record as _,
};

/// Outcomes but for the good one.
const FAILURES: usize = LatencyOutcome::COUNT - 1;

/// What ended in another way than done, by outcome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Failures([u64; FAILURES]);

impl Failures {
    /// How many ended so; 0 for what is done.
    pub fn of(&self, outcome: LatencyOutcome) -> u64 {
        (outcome as usize).checked_sub(1).map_or(0, |nr| self.0[nr])
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    fn add(&mut self, counts: [u64; FAILURES]) {
        for (sum, count) in self.0.iter_mut().zip(counts) {
            *sum += count;
        }
    }
}

/// The numbers of one row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LatencySums {
    /// What was measured.
    pub hist: Histogram,
    /// Connects that failed, or requests that got no answer.
    pub failures: Failures,
    /// Segments of requests retransmitted, or of connects SYNs.
    pub retrans: u64,
    /// Exchanges whose beginning or end was not seen.
    pub untimed: u64,
    /// Round trips whose acknowledgement came with data.
    pub acks_with_data: u64,
}

impl LatencySums {
    /// Adds everything that `other` has.
    pub fn merge(&mut self, other: &Self) {
        self.hist.merge(&other.hist);
        self.failures.add(other.failures.0);
        self.retrans += other.retrans;
        self.untimed += other.untimed;
        self.acks_with_data += other.acks_with_data;
    }

    /// Everything that happened, measured or not.
    pub fn events(&self) -> u64 {
        self.hist.count() + self.failures.total() + self.untimed
    }

    fn octave(&mut self, octave: u8, value: &LatencyValue) {
        if value.max == 0 {
            return;
        }
        let first = usize::from(octave) * SUBS;
        for (sub, &count) in value.slots.iter().enumerate() {
            self.hist.add(first + sub, count.into());
        }
        self.hist.spans(value.min, value.max);
    }

    fn head(&mut self, head: &LatencyHead) {
        self.failures.add(head.failures.map(u64::from));
        self.retrans += head.retrans;
        self.untimed += head.untimed;
        self.acks_with_data += head.acks_with_data;
    }
}

/// One row of an interval.
#[derive(Debug, Clone)]
pub struct LatencyEntry {
    /// What was measured.
    pub kind: LatencyKind,
    /// At which end.
    pub role: Role,
    /// What it is summed up under.
    pub group: GroupKey,
    /// Process, where the grouping has one.
    pub pid: u32,
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// The numbers.
    pub sums: LatencySums,
    /// Not all of it found room in the kernel.
    partial: bool,
}

impl LatencyEntry {
    /// One without anything in it.
    pub fn new(kind: LatencyKind, role: Role, group: GroupKey) -> Self {
        let (sums, comm) = (LatencySums::default(), [0; COMM_LEN]);
        Self { kind, role, group, pid: 0, comm, sums, partial: false }
    }
}

type Other = HashMap<(LatencyKind, Role), LatencySums>;

/// Everything of one interval.
#[derive(Debug, Clone, Default)]
pub struct LatencyInterval {
    /// Every row.
    pub records: Vec<LatencyEntry>,
    /// Rows that did not fit, by what was measured and at which end.
    pub other: Other,
}

/// Collects the entries of the kernel's maps until an interval is over.
#[derive(Debug, Default)]
pub struct Latencies {
    rows: HashMap<[u8; size_of::<LatencyKey>()], LatencyEntry>,
    other: Other,
}

impl Latencies {
    /// Adds an entry with the values of all CPUs; `other`: it is from the map for rows
    /// that did not fit. What is malformed is left out.
    pub fn take<'a>(
        &mut self,
        key: &[u8],
        cpus: impl IntoIterator<Item = &'a [u8]>,
        other: bool,
    ) -> Option<()> {
        let key = LatencyKey::read(key)?;
        let (kind, role) = (LatencyKind::from_number(key.kind)?, Role::from_number(key.role)?);
        if other {
            let sums = self.other.entry((kind, role)).or_default();
            for bytes in cpus {
                take_value(sums, key.octave, bytes)?;
            }
            return Some(());
        }
        let id = LatencyKey { octave: 0, epoch: 0, ..key };
        let mut bytes = [0; size_of::<LatencyKey>()];
        bytes.copy_from_slice(id.as_bytes());
        let record =
            self.rows.entry(bytes).or_insert_with(|| LatencyEntry::new(kind, role, key.group));
        for bytes in cpus {
            if usize::from(key.octave) == LATENCY_HEAD {
                let head = LatencyHead::read(bytes)?;
                record.partial |= head.partial != 0;
                // CPUs that never saw the row have no name for it.
                if head.pid != 0 {
                    (record.pid, record.comm) = (head.pid, head.comm);
                }
            }
            take_value(&mut record.sums, key.octave, bytes)?;
        }
        Some(())
    }

    /// Ends the interval and begins the next one. A row that was stored only partially would be
    /// a lie: all of it is (other).
    pub fn finish(&mut self) -> LatencyInterval {
        let Self { rows, mut other } = std::mem::take(self);
        let (partial, records): (Vec<_>, Vec<_>) =
            rows.into_values().partition(|record| record.partial);
        for record in partial {
            other.entry((record.kind, record.role)).or_default().merge(&record.sums);
        }
        LatencyInterval { records, other }
    }
}

fn take_value(sums: &mut LatencySums, octave: u8, bytes: &[u8]) -> Option<()> {
    if usize::from(octave) == LATENCY_HEAD {
        sums.head(&LatencyHead::read(bytes)?);
    } else if usize::from(octave) < OCTAVES {
        sums.octave(octave, &LatencyValue::read(bytes)?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hist::slot_of;

    fn key(pid: u32, octave: u8) -> LatencyKey {
        let mut key = LatencyKey::default();
        (key.group.pid, key.octave, key.epoch) = (pid, octave, 1);
        key
    }

    /// The octave of `ns` with `count` of them.
    fn octave(pid: u32, ns: u64, count: u32) -> (LatencyKey, LatencyValue) {
        let slot = slot_of(ns);
        let mut value = LatencyValue::default();
        (value.min, value.max) = (ns, ns);
        value.slots[slot % SUBS] = count;
        (key(pid, u8::try_from(slot / SUBS).unwrap()), value)
    }

    fn head(pid: u32, partial: u32) -> (LatencyKey, LatencyHead) {
        let head = LatencyHead { pid, partial, untimed: 2, ..LatencyHead::default() };
        (key(pid, u8::try_from(LATENCY_HEAD).unwrap()), head)
    }

    #[test]
    fn the_head_follows_the_last_octave() {
        assert_eq!(LATENCY_HEAD, OCTAVES);
    }

    #[test]
    fn octaves_of_all_cpus_make_one_histogram() {
        let mut all = Latencies::default();
        let (short, first) = octave(7, 1_000, 3);
        let (_, second) = octave(7, 1_010, 2);
        let idle = LatencyValue::default();
        all.take(short.as_bytes(), [first.as_bytes(), idle.as_bytes(), second.as_bytes()], false);
        let (long, value) = octave(7, 5_000_000, 1);
        all.take(long.as_bytes(), [value.as_bytes()], false);
        let (at, values) = head(7, 0);
        all.take(at.as_bytes(), [LatencyHead::default().as_bytes(), values.as_bytes()], false);
        let interval = all.finish();
        let [record] = &interval.records[..] else { panic!("{interval:?}") };
        let hist = &record.sums.hist;
        assert_eq!((hist.count(), hist.min(), hist.max()), (6, Some(1_000), Some(5_000_000)));
        assert_eq!((record.pid, record.sums.untimed, record.sums.events()), (7, 2, 8));
        assert!(all.finish().records.is_empty(), "the next interval is empty");
    }

    #[test]
    fn partially_stored_rows_count_as_other() {
        let mut all = Latencies::default();
        for (pid, partial) in [(1, 0), (2, 1)] {
            let (at, value) = octave(pid, 2_000, 10);
            all.take(at.as_bytes(), [value.as_bytes()], false);
            let (at, value) = head(pid, partial);
            all.take(at.as_bytes(), [value.as_bytes()], false);
        }
        let (at, value) = octave(0, 70_000, 5);
        all.take(at.as_bytes(), [value.as_bytes()], true);
        let interval = all.finish();
        assert_eq!(interval.records.iter().map(|record| record.pid).collect::<Vec<_>>(), [1]);
        let other = &interval.other[&(LatencyKind::Response, Role::Unknown)];
        assert_eq!((other.hist.count(), other.untimed), (15, 2));
    }

    #[test]
    fn malformed_lines_are_skipped() {
        let mut all = Latencies::default();
        assert_eq!(all.take(&[0; 3], [], false), None);
        let mut unknown = key(1, 0);
        unknown.kind = 99;
        assert_eq!(all.take(unknown.as_bytes(), [], false), None);
        assert_eq!(all.take(key(1, 0).as_bytes(), [&[0_u8; 4][..]], true), None);
        assert!(all.finish().records.is_empty());
    }
}
