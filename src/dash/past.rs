//! The last minutes of a live session: the lines of each interval, compressed, in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::mem::discriminant;

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::model::Model;
use crate::count::Count;
use crate::record::AnyRecord;

const SECOND: i64 = 1_000_000_000;
/// Time that is kept.
const SPAN: i64 = 15 * 60 * SECOND;
/// Memory for it, bytes.
const ROOM: usize = 40 << 20;
/// Rows of a kind and grouping that are kept of an interval: connections with most bytes, else the first.
const ROWS: usize = 500;
/// A moment is shown with everything of so many intervals up to it …
const INTERVALS: usize = 10;
/// … and with the drops of this time, which are counted over a minute.
const MINUTE: i64 = 60 * SECOND;
/// What an interval takes besides its lines.
const OVERHEAD: usize = size_of::<Interval>();

/// The lines of an interval, compressed in parts: to show a moment takes other intervals of each.
#[derive(Clone, Debug)]
struct Interval {
    ts: i64,
    /// Of what is counted over a minute.
    minute: Box<[u8]>,
    /// Sockets as they were, of which the last ones are shown; empty where they were not read.
    sockets: Box<[u8]>,
    /// All else, of which details show several intervals.
    others: Box<[u8]>,
}

impl Interval {
    fn bytes(&self) -> usize {
        self.minute.len() + self.sockets.len() + self.others.len() + OVERHEAD
    }
}

/// The intervals that are kept, oldest first.
#[derive(Clone, Debug)]
pub struct Past {
    intervals: VecDeque<Interval>,
    bytes: usize,
    room: usize,
}

impl Default for Past {
    fn default() -> Self {
        Self { intervals: VecDeque::new(), bytes: 0, room: ROOM }
    }
}

impl Past {
    /// Keeps the records of an interval, and forgets the oldest ones beyond the time and the memory.
    pub fn push(&mut self, records: &[AnyRecord]) {
        let Some(ts) = records.iter().map(AnyRecord::ts).max() else { return };
        let [mut minute, mut sockets, mut others] = [(); 3].map(|()| Lines::new());
        let (kept, rest) = busiest(records);
        for record in kept {
            let of = match record {
                AnyRecord::Listener(_) | AnyRecord::ListenEvent(_) | AnyRecord::DropSum(_) => {
                    &mut minute
                }
                AnyRecord::Sockets(_)
                | AnyRecord::Socket(_)
                | AnyRecord::CloseWait(_)
                | AnyRecord::Destination(_) => &mut sockets,
                _ => &mut others,
            };
            of.add(record);
        }
        for rest in rest {
            others.add(&rest.into());
        }
        let [minute, sockets, others] = [minute, sockets, others].map(Lines::finish);
        let interval = Interval { ts, minute, sockets, others };
        self.bytes += interval.bytes();
        self.intervals.push_back(interval);
        while self.bytes > self.room
            || self.intervals.front().is_some_and(|oldest| oldest.ts <= ts - SPAN)
        {
            let Some(oldest) = self.intervals.pop_front() else { break };
            self.bytes -= oldest.bytes();
        }
    }

    /// Memory that the lines take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The time of the oldest interval, wall-clock ns.
    pub fn oldest(&self) -> Option<i64> {
        self.intervals.front().map(|interval| interval.ts)
    }

    /// The time of the newest.
    pub fn newest(&self) -> Option<i64> {
        self.intervals.back().map(|interval| interval.ts)
    }

    /// The last interval before a time.
    pub fn before(&self, ts: i64) -> Option<i64> {
        let at = self.intervals.partition_point(|interval| interval.ts < ts);
        Some(self.intervals.get(at.checked_sub(1)?)?.ts)
    }

    /// The first interval after a time.
    pub fn after(&self, ts: i64) -> Option<i64> {
        let at = self.intervals.partition_point(|interval| interval.ts <= ts);
        self.intervals.get(at).map(|interval| interval.ts)
    }

    /// What was shown at the end of an interval. Rates over time are those of `now`.
    pub fn at(&self, ts: i64, now: &Model) -> Model {
        let mut model = Model::default();
        model.history.clone_from(&now.history);
        let end = self.intervals.partition_point(|interval| interval.ts <= ts);
        let first = end.saturating_sub(INTERVALS);
        let has_sockets = |interval: &Interval| !interval.sockets.is_empty();
        let sockets = self.intervals.range(first..end).rposition(has_sockets);
        for (index, interval) in self.intervals.range(..end).enumerate() {
            if index >= first {
                lines(&interval.others).for_each(|record| model.take(record));
            }
            if index.checked_sub(first).is_some_and(|index| Some(index) == sockets) {
                lines(&interval.sockets).for_each(|record| model.take(record));
            }
            if index >= first || interval.ts > ts - MINUTE {
                lines(&interval.minute).for_each(|record| model.take(record));
                model.settle();
            }
        }
        model
    }

    /// Everything as lines, oldest first.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, mut to: impl Write) -> io::Result<()> {
        for interval in &self.intervals {
            let parts = [&interval.others, &interval.sockets, &interval.minute];
            for lines in parts.into_iter().filter(|lines| !lines.is_empty()) {
                io::copy(&mut DeflateDecoder::new(&**lines), &mut to)?;
            }
        }
        to.flush()
    }
}

/// Lines that are being compressed.
struct Lines {
    line: Vec<u8>,
    out: DeflateEncoder<Vec<u8>>,
}

impl Lines {
    fn new() -> Self {
        Self { line: Vec::new(), out: DeflateEncoder::new(Vec::new(), Compression::fast()) }
    }

    fn add(&mut self, record: &AnyRecord) {
        self.line.clear();
        record.line(&mut self.line);
        // Writing to memory cannot fail.
        let _ = self.out.write_all(&self.line);
    }

    /// Nothing of no line.
    fn finish(self) -> Box<[u8]> {
        if self.out.total_in() == 0 {
            return Box::default();
        }
        self.out.finish().unwrap_or_default().into_boxed_slice()
    }
}

/// The records of compressed lines.
fn lines(compressed: &[u8]) -> impl Iterator<Item = AnyRecord> {
    let mut text = Vec::new();
    // This process has written them.
    let _ = DeflateDecoder::new(compressed).read_to_end(&mut text);
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').map(AnyRecord::parse).collect();
    lines.into_iter().flatten()
}

/// Of each kind and grouping at most [`ROWS`], and what is left out of the counts of a grouping as one row.
fn busiest(records: &[AnyRecord]) -> (Vec<&AnyRecord>, Vec<Count>) {
    let mut kept = Vec::new();
    let mut counts: HashMap<_, Vec<&AnyRecord>> = HashMap::new();
    let mut seen: HashMap<_, usize> = HashMap::new();
    for record in records {
        let by = match record {
            AnyRecord::Count(row) if !row.total && !row.other => {
                counts.entry(row.by).or_default().push(record);
                continue;
            }
            AnyRecord::Sockets(row) => row.by,
            AnyRecord::Latency(row) => row.by,
            _ => None,
        };
        let number = seen.entry((discriminant(record), by)).or_default();
        *number += 1;
        if *number <= ROWS {
            kept.push(record);
        }
    }
    let bytes = |record: &AnyRecord| match record {
        AnyRecord::Count(row) => row.sums().bytes(),
        _ => 0,
    };
    let mut rest = Vec::new();
    for mut counts in counts.into_values() {
        if counts.len() > ROWS {
            counts.select_nth_unstable_by_key(ROWS, |record| std::cmp::Reverse(bytes(record)));
        }
        let left_out = counts.split_off(counts.len().min(ROWS));
        kept.extend(counts);
        let rows = left_out.into_iter().filter_map(|record| match record {
            AnyRecord::Count(row) => Some(row),
            _ => None,
        });
        rest.extend(rows.fold(None, |sum: Option<Count>, row| Some(plus(sum, row))));
    }
    (kept, rest)
}

/// `(other)` with another row in it.
fn plus(sum: Option<Count>, row: &Count) -> Count {
    let new = || Count {
        ts: row.ts,
        by: row.by,
        other: true,
        interval_ns: row.interval_ns,
        retrans_segs: row.retrans_segs.map(|_| 0),
        ..Count::default()
    };
    let sum = sum.unwrap_or_else(new);
    let both = sum.sums().plus(row.sums());
    // Where they are unknown, they are so in all rows of an interval.
    let calls = |count| row.tx_calls.map(|_| count);
    Count {
        tx_calls: calls(both.tx_calls),
        tx_bytes: Some(both.tx_bytes),
        rx_calls: calls(both.rx_calls),
        rx_bytes: Some(both.rx_bytes),
        segs_in: both.segs_in,
        errors: calls(both.errors),
        eagain: calls(both.eagain),
        retrans_segs: sum.retrans_segs.map(|_| both.retrans_segs),
        ..sum
    }
}

#[cfg(test)]
#[path = "past_tests.rs"]
mod tests;
