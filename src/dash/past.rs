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

/// The lines of an interval.
#[derive(Clone, Debug)]
struct Interval {
    ts: i64,
    /// Of what is counted over a minute.
    minute: Box<[u8]>,
    others: Box<[u8]>,
}

impl Interval {
    fn bytes(&self) -> usize {
        self.minute.len() + self.others.len() + OVERHEAD
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
        let (mut minute, mut others) = (Lines::new(), Lines::new());
        let (kept, rest) = busiest(records);
        for record in kept {
            let of_minute = matches!(
                record,
                AnyRecord::Listener(_) | AnyRecord::ListenEvent(_) | AnyRecord::DropSum(_)
            );
            let of = if of_minute { &mut minute } else { &mut others };
            of.add(record);
        }
        if let Some(rest) = rest {
            others.add(&rest.into());
        }
        let interval = Interval { ts, minute: minute.finish(), others: others.finish() };
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
        for (index, interval) in self.intervals.range(..end).enumerate() {
            if index >= first {
                lines(&interval.others).for_each(|record| model.take(record));
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
            for lines in [&interval.others, &interval.minute] {
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

    fn finish(self) -> Box<[u8]> {
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

/// Of each kind and grouping at most [`ROWS`], and the connections that are left out as one row.
fn busiest(records: &[AnyRecord]) -> (Vec<&AnyRecord>, Option<Count>) {
    let connection = |record: &&AnyRecord| match record {
        AnyRecord::Count(row) => !row.total && !row.other,
        _ => false,
    };
    let (mut counts, others): (Vec<_>, Vec<_>) = records.iter().partition(connection);
    let mut seen: HashMap<_, usize> = HashMap::new();
    let mut kept = others;
    kept.retain(|record| {
        let by = match record {
            AnyRecord::Sockets(row) => row.by,
            AnyRecord::Latency(row) => row.by,
            _ => None,
        };
        let number = seen.entry((discriminant(*record), by)).or_default();
        *number += 1;
        *number <= ROWS
    });
    let bytes = |record: &AnyRecord| match record {
        AnyRecord::Count(row) => row.sums().bytes(),
        _ => 0,
    };
    if counts.len() > ROWS {
        counts.select_nth_unstable_by_key(ROWS, |record| std::cmp::Reverse(bytes(record)));
    }
    let left_out = counts.split_off(counts.len().min(ROWS));
    kept.extend(counts);
    let rows = left_out.into_iter().filter_map(|record| match record {
        AnyRecord::Count(row) => Some(row),
        _ => None,
    });
    (kept, rows.fold(None, |sum: Option<Count>, row| Some(plus(sum, row))))
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
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::group::Grouping;
    use crate::report::Ts;

    /// An interval of a second with connections, each with other numbers.
    fn interval(second: i64, connections: u32) -> Vec<AnyRecord> {
        let row = |number: u32| Count {
            ts: Ts(second * SECOND),
            interval_ns: Some(1_000_000_000),
            by: Some(Grouping::Connection),
            laddr: Some(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1))),
            lport: Some(443),
            raddr: Some(IpAddr::V4(Ipv4Addr::from(number.wrapping_mul(2_654_435_761)))),
            rport: Some(u16::try_from(number % 60_000 + 1).unwrap()),
            tx_bytes: Some(u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 30),
            ..Count::default()
        };
        let first = u32::try_from(second).unwrap() * connections;
        (first..first + connections).map(|number| row(number).into()).collect()
    }

    #[test]
    fn memory_and_time_are_bounded_and_the_newest_is_kept() {
        let mut past = Past { room: 1 << 20, ..Past::default() };
        for second in 1..=300 {
            past.push(&interval(second, 600));
            assert!(past.bytes() <= 1 << 20, "{}", past.bytes());
        }
        assert_eq!(past.newest(), Some(300 * SECOND));
        let oldest = past.oldest().unwrap();
        assert!(oldest > SECOND && past.bytes() > 900 << 10, "{oldest} {}", past.bytes());
        let real: usize = past.intervals.iter().map(Interval::bytes).sum();
        assert_eq!(real, past.bytes());
        let mut past = Past::default();
        assert!(past.room <= 40 << 20);
        for second in 1..=1_000 {
            past.push(&interval(second, 1));
        }
        assert_eq!((past.oldest(), past.intervals.len()), (Some(101 * SECOND), 900));
    }

    #[test]
    fn a_moment_is_shown_as_it_was_and_what_was_left_out_is_other() {
        let mut past = Past::default();
        for second in 1..=20 {
            past.push(&interval(second, 700));
        }
        let model = past.at(15 * SECOND, &Model::default());
        assert_eq!(model.now, 15 * SECOND);
        let shown = model.counts.get(&Grouping::Connection).unwrap();
        let bytes = |rows: &[Count]| -> u64 { rows.iter().filter_map(|row| row.tx_bytes).sum() };
        let all: Vec<Count> = interval(15, 700)
            .into_iter()
            .filter_map(|record| if let AnyRecord::Count(row) = record { Some(*row) } else { None })
            .collect();
        assert_eq!((shown.ts, shown.rows.len()), (15 * SECOND, ROWS + 1));
        assert_eq!(bytes(&shown.rows), bytes(&all));
        assert_eq!(past.before(15 * SECOND), Some(14 * SECOND));
        assert_eq!((past.before(SECOND), past.after(20 * SECOND)), (None, None));
        let mut text = Vec::new();
        past.write(&mut text).unwrap();
        let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let saved: Vec<_> = lines.map(|line| AnyRecord::parse(line).unwrap()).collect();
        assert_eq!(saved.len(), 20 * (ROWS + 1));
    }
}
