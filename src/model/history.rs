//! History of the whole machine, per second.

use std::collections::{BTreeMap, VecDeque};

use super::{float, per_second};
use crate::count::Count;
use crate::listen::ListenerRecord;
use crate::nstat::Mib;
use crate::report::Record;
use crate::states::StateChange;
use crate::tcp_state::TcpState;

const SECOND: i64 = 1_000_000_000;
/// Seconds that are stored: a quarter of an hour back, as many as the widest screen has columns.
const SECONDS: usize = 900 + 300;

/// Spans that are stored of each metric: at the shortest intervals less than [`SECONDS`].
const SPANS: usize = 4096;
/// A column of which less is known shows nothing, rather than what one end of an interval says.
const ENOUGH: f64 = 0.1;

/// Something that is counted over time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Metric {
    /// Sends that succeeded.
    Sends,
    /// Receives that returned data.
    Receives,
    /// Connections opened.
    Opens,
    /// Connections accepted.
    Accepts,
    /// Segments retransmitted.
    Retransmits,
    /// Resets sent.
    Resets,
    /// Segments sent, without those retransmitted (`TcpOutSegs`).
    Segments,
    /// SYNs and SYN-ACKs retransmitted.
    SynRetransmits,
    /// Connects and half-open connections that failed.
    AttemptFails,
    /// Connections that went without `TIME_WAIT`.
    TimeWaitOverflow,
    /// Connections reset because there were too many orphans, or no memory.
    MemoryAborts,
    /// Probes of a zero window.
    WindowProbes,
    /// SYN-ACKs retransmitted, as listeners tell.
    SynAckRetransmits,
    /// Bytes accepted from programs.
    SentBytes,
    /// Bytes delivered to programs.
    ReceivedBytes,
    /// Connections reset by `close()` with `SO_LINGER` 0, or as data came after it.
    DataAborts,
    /// Connections reset by `close()` with unread data.
    CloseAborts,
    /// Connections given up without an answer.
    TimeoutAborts,
    /// Receive windows of this side that became zero.
    WindowsClosed,
    /// Those that opened again.
    WindowsOpened,
    /// Packets dropped by `rp_filter`.
    ReversePathDrops,
    /// Segments with a wrong checksum.
    ChecksumErrors,
    /// Segments dropped as a receive buffer was full.
    BufferDrops,
    /// How often TCP came under memory pressure.
    MemoryPressures,
    /// Packets dropped as the queue of a CPU was full.
    CpuQueueDrops,
}

const METRICS: usize = Metric::CpuQueueDrops as usize + 1;

/// What the kernel's own counters say.
pub(super) fn counted(mib: &Mib) -> [(Metric, Option<u64>); 20] {
    [
        (Metric::Opens, mib.active_opens),
        (Metric::Accepts, mib.passive_opens),
        (Metric::Retransmits, mib.retrans_segs),
        (Metric::Resets, mib.out_rsts),
        (Metric::Segments, mib.out_segs),
        (Metric::SynRetransmits, mib.tcp_syn_retrans),
        (Metric::AttemptFails, mib.attempt_fails),
        (Metric::TimeWaitOverflow, mib.tcp_time_wait_overflow),
        (Metric::MemoryAborts, mib.tcp_abort_on_memory),
        (Metric::WindowProbes, mib.tcp_win_probe),
        (Metric::DataAborts, mib.tcp_abort_on_data),
        (Metric::CloseAborts, mib.tcp_abort_on_close),
        (Metric::TimeoutAborts, mib.tcp_abort_on_timeout),
        (Metric::WindowsClosed, mib.tcp_to_zero_window_adv),
        (Metric::WindowsOpened, mib.tcp_from_zero_window_adv),
        (Metric::ReversePathDrops, mib.ip_reverse_path_filter),
        (Metric::ChecksumErrors, mib.in_csum_errors),
        (Metric::BufferDrops, mib.rcv_pruned),
        (Metric::MemoryPressures, mib.tcp_memory_pressures),
        (Metric::CpuQueueDrops, mib.cpu_queue_drops),
    ]
}

/// What was counted in a part of time, in ns since the epoch.
#[derive(Clone, Copy, Debug)]
struct Span {
    begin: i64,
    end: i64,
    count: u64,
}

impl Span {
    /// ns that it shares with another part of time.
    fn shared(&self, begin: i64, end: i64) -> i64 {
        (self.end.min(end) - self.begin.max(begin)).max(0)
    }

    fn length(&self) -> i64 {
        self.end - self.begin
    }

    fn rate(&self) -> f64 {
        per_second(self.count, self.length().unsigned_abs())
    }
}

/// The last minutes.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// In the order of their ends; no two share more than half of the shorter one.
    spans: [VecDeque<Span>; METRICS],
    /// The kernel's counters include opens and accepts.
    has_mib: bool,
    /// The records that it is made of, by time.
    totals: BTreeMap<i64, Count>,
    mibs: BTreeMap<i64, Mib>,
}

impl History {
    /// Takes in the total of an interval.
    pub fn total(&mut self, row: &Count) {
        let sums = [
            (Metric::Sends, row.tx_calls),
            (Metric::Receives, row.rx_calls),
            (Metric::SentBytes, row.tx_bytes),
            (Metric::ReceivedBytes, row.rx_bytes),
        ];
        for (metric, count) in sums {
            self.add(metric, row.ts.0, row.interval_ns, count);
        }
        remember(&mut self.totals, row);
    }

    /// Takes in the kernel's own counters.
    pub fn mib(&mut self, mib: &Mib) {
        self.has_mib = true;
        for (metric, count) in counted(mib) {
            self.add(metric, mib.ts.0, mib.interval_ns, count);
        }
        remember(&mut self.mibs, mib);
    }

    /// The records that the graphs are made of.
    pub fn records(&self) -> (impl Iterator<Item = &Count>, impl Iterator<Item = &Mib>) {
        (self.totals.values(), self.mibs.values())
    }

    /// Takes in one of the listeners of an interval, which add up.
    pub fn listener(&mut self, row: &ListenerRecord) {
        let (end, metric) = (row.ts.0, Metric::SynAckRetransmits);
        let Some(count) = row.synack_retrans else { return };
        match self.spans[metric as usize].iter_mut().rev().find(|span| span.end == end) {
            Some(span) => span.count = span.count.saturating_add(count),
            None => self.add(metric, end, row.interval_ns, Some(count)),
        }
    }

    /// Adds a state change, for recordings without the kernel's counters.
    pub fn state(&mut self, change: &StateChange) {
        if self.has_mib {
            return;
        }
        let end = next_second(change.ts.0);
        let opened = match (change.old, change.new) {
            (Some(TcpState::SynSent), Some(TcpState::Established)) => Some(Metric::Opens),
            (Some(TcpState::SynRecv), Some(TcpState::Established)) => Some(Metric::Accepts),
            _ => None,
        };
        // Where changes are recorded, none is 0 and not unknown.
        for metric in [Metric::Opens, Metric::Accepts] {
            let spans = &mut self.spans[metric as usize];
            let more = u64::from(opened == Some(metric));
            match spans.iter_mut().rev().find(|span| span.end == end) {
                Some(span) => span.count = span.count.saturating_add(more),
                None => self.add(metric, end, Some(SECOND.unsigned_abs()), Some(more)),
            }
        }
    }

    /// Adds what an interval of `length` ns that ended at `end` has counted. It replaces what was
    /// counted over the same time.
    fn add(&mut self, metric: Metric, end: i64, length: Option<u64>, count: Option<u64>) {
        let length = length.and_then(|ns| i64::try_from(ns).ok()).filter(|ns| *ns > 0);
        let (Some(length), Some(count)) = (length, count) else { return };
        let new = Span { begin: end.saturating_sub(length), end, count };
        let spans = &mut self.spans[metric as usize];
        spans.retain(|span| {
            span.shared(new.begin, new.end).saturating_mul(2) <= span.length().min(length)
        });
        let after = spans.partition_point(|span| span.end <= end);
        spans.insert(after, new);
        let newest = spans.back().map_or(end, |span| span.end);
        let oldest = newest.saturating_sub(SECOND * SECONDS.cast_signed() as i64);
        while spans.len() > SPANS || spans.front().is_some_and(|span| span.end <= oldest) {
            spans.pop_front();
        }
    }

    /// The end of the newest column: single changes fill the second that they are in.
    fn end(&self, metric: Metric, now: i64) -> i64 {
        let by_changes = matches!(metric, Metric::Opens | Metric::Accepts) && !self.has_mib;
        if by_changes { next_second(now) } else { now }
    }

    /// Rates per second of a metric in the last `seconds` up to `now` (ns), oldest first. Where
    /// intervals meet within a second, each counts by its share of it; `None` is unknown.
    pub fn values(&self, metric: Metric, now: i64, seconds: usize) -> Vec<Option<f64>> {
        let now = self.end(metric, now);
        // Mean of the rates, and the ns that it is of.
        let mut columns = vec![(0.0, 0.0); seconds];
        for span in &self.spans[metric as usize] {
            let first = now.saturating_sub(span.end).max(0) / SECOND;
            let last = now.saturating_sub(span.begin).max(0) / SECOND;
            for back in first..=last.min(seconds.cast_signed() as i64 - 1) {
                let end = now - back * SECOND;
                let shared = float(span.shared(end - SECOND, end).unsigned_abs());
                let column: &mut (f64, f64) = &mut columns[usize::try_from(back).unwrap_or(0)];
                if shared > 0.0 {
                    column.1 += shared;
                    column.0 += (span.rate() - column.0) * shared / column.1;
                }
            }
        }
        let enough = ENOUGH * float(SECOND.unsigned_abs());
        let known = |(rate, ns): (f64, f64)| (ns >= enough).then_some(rate);
        columns.into_iter().rev().map(known).collect()
    }

    /// The newest value of a metric that is known of the last few seconds.
    pub fn newest(&self, metric: Metric, now: i64) -> Option<f64> {
        self.values(metric, now, 5).into_iter().rev().flatten().next()
    }

    /// The sum of a metric over the last `seconds`, and over how many of them it is known.
    pub fn sum(&self, metric: Metric, now: i64, seconds: usize) -> (f64, f64) {
        let end = self.end(metric, now);
        let begin = end.saturating_sub(SECOND.saturating_mul(seconds.cast_signed() as i64));
        let shared = |span: &Span| float(span.shared(begin, end).unsigned_abs());
        let spans = || self.spans[metric as usize].iter();
        let sum = spans().map(|span| span.rate() * shared(span) / 1e9).sum();
        (sum, spans().map(|span| shared(span) / 1e9).sum())
    }
}

/// Adds a record; those that no graph shows any more are forgotten. Each grouping has the same total.
fn remember<R: Record + Clone>(records: &mut BTreeMap<i64, R>, record: &R) {
    records.insert(record.ts().0, record.clone());
    let newest = records.last_key_value().map_or(0, |(ts, _)| *ts);
    let oldest = newest.saturating_sub(SECOND * SECONDS.cast_signed() as i64);
    while records.len() > SPANS || records.first_key_value().is_some_and(|(ts, _)| *ts <= oldest) {
        records.pop_first();
    }
}

/// The end of the second that a time is in.
fn next_second(ns: i64) -> i64 {
    ns.div_euclid(SECOND).saturating_add(1).saturating_mul(SECOND)
}

/// The largest of some values, at least 1.
pub fn peak(values: &[Option<f64>]) -> f64 {
    values.iter().flatten().fold(float(1), |max, value| max.max(*value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Ts;

    fn total(second: i64, seconds: u64, calls: u64) -> Count {
        Count {
            ts: Ts(second * SECOND + 5),
            interval_ns: Some(seconds * 1_000_000_000),
            tx_calls: Some(calls),
            ..Count::default()
        }
    }

    #[test]
    fn an_interval_is_spread_over_its_seconds_and_gaps_stay_unknown() {
        let mut history = History::default();
        history.total(&total(100, 1, 7));
        history.total(&total(104, 2, 8));
        let values = history.values(Metric::Sends, 105 * SECOND, 7);
        assert_eq!(values, [None, Some(7.0), None, None, Some(4.0), Some(4.0), None]);
        assert_eq!(history.newest(Metric::Sends, 105 * SECOND), Some(4.0));
        assert_eq!(history.newest(Metric::Resets, 105 * SECOND), None);
        history.total(&total(100, 1, 9));
        assert_eq!(history.values(Metric::Sends, 100 * SECOND, 1), [Some(9.0)], "late is not lost");
        history.total(&total(1_000_000, 1, 1));
        assert_eq!(history.sum(Metric::Sends, 1_000_000 * SECOND + 5, 300), (1.0, 1.0));
    }

    /// Intervals are never whole seconds: each one touches two.
    #[test]
    fn a_sum_is_what_was_counted_however_intervals_lie() {
        for (length, offset) in [(1_000_300_000, 0), (999_700_000, 999_999_999), (100_100_000, 7)] {
            let mut history = History::default();
            let (mut end, mut counted) = (1_000 * SECOND + offset, 0);
            for number in 0..9 {
                end += i64::try_from(length).unwrap();
                let out_rsts = Some(100 + number);
                counted += 100 + number;
                history.mib(&Mib {
                    ts: Ts(end),
                    interval_ns: Some(length),
                    out_rsts,
                    ..Mib::default()
                });
            }
            let (sum, known) = history.sum(Metric::Resets, end, 10);
            assert!((sum - float(counted)).abs() < 1e-6, "{length}: {sum} of {counted}");
            assert!((known * 1e9 - float(length) * 9.0).abs() < 1.0, "{length}: {known}");
        }
    }

    #[test]
    fn opens_come_from_changes_until_kernel_counters_arrive() {
        let change = |old, new| StateChange {
            ts: Ts(7 * SECOND),
            old: Some(old),
            new: Some(new),
            ..StateChange::default()
        };
        let mut history = History::default();
        history.state(&change(TcpState::SynSent, TcpState::Established));
        history.state(&change(TcpState::Established, TcpState::FinWait1));
        assert_eq!(history.newest(Metric::Opens, 7 * SECOND), Some(1.0));
        assert_eq!(history.newest(Metric::Accepts, 7 * SECOND), Some(0.0));
        let mib = Mib { active_opens: Some(4), interval_ns: Some(1_000_000_000), ..Mib::default() };
        history.mib(&Mib { ts: Ts(8 * SECOND), ..mib });
        history.state(&change(TcpState::SynSent, TcpState::Established));
        assert_eq!(history.newest(Metric::Opens, 8 * SECOND), Some(4.0));
    }
}
