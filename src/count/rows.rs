//! The rows that an interval is shown as.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{By, CountRow, Counter, Interval, Part, Sums};
use crate::group::Subject;
use crate::report::{Column, Printer, SinkError, sort};

/// How the rows of an interval are made.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// The grouping.
    pub by: By,
    /// What to sort by; `None` puts the most bytes, sent and received, first.
    pub sort: Option<&'static Column<CountRow>>,
    /// Keys that get a row of their own; (other) adds up the rest.
    pub top: usize,
    /// The sums are those since the start: tables show them as they are, not per second.
    pub cumulative: bool,
}

impl Interval {
    /// Prints the rows as one table; with [`By::Total`] as one more line of a stream.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn print(
        &self,
        printer: &mut Printer,
        shape: &Shape,
        cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Result<(), SinkError> {
        let rows = self.rows(shape, cgroup);
        let view = CountRow::view(shape.by);
        printer.set_interval(if shape.cumulative { 0 } else { shape.interval_ns });
        if shape.by != By::Total {
            return printer.rows(&view, &rows);
        }
        rows.iter().try_for_each(|row| printer.row_in(&view, row))?;
        printer.flush()
    }

    /// The rows: keys, then (other) if there is anything in it, then the total, which every
    /// column adds up to. `cgroup` names a cgroup2 id.
    pub fn rows(
        &self,
        shape: &Shape,
        mut cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<CountRow> {
        if shape.by == By::Total {
            return vec![shape.sums(Part::Total, self.total)];
        }
        let mut rows: Vec<_> = self
            .keys
            .iter()
            .map(|(counter, sums)| shape.key(counter, *sums, cgroup(counter.key.cgroup)))
            .collect();
        rows.sort_by(|a, b| {
            // The key settles ties, or rows would swap places between intervals.
            let key = |row: &CountRow| (Reverse(bytes(row)), row.subject.pid);
            key(a).cmp(&key(b)).then_with(|| a.subject.key.as_bytes().cmp(b.subject.key.as_bytes()))
        });
        if let Some(column) = shape.sort {
            sort(&mut rows, column);
        }
        let hidden = rows.split_off(shape.top.min(rows.len()));
        let other = hidden.iter().fold(self.other, |sums, row| sums.plus(row.sums));
        if !other.is_idle() {
            rows.push(shape.sums(Part::Other, other));
        }
        rows.push(shape.sums(Part::Total, self.total));
        rows
    }
}

impl Shape {
    fn key(&self, counter: &Counter, sums: Sums, cgroup: Option<Arc<str>>) -> CountRow {
        let process = (counter.pid, counter.comm);
        let subject = Subject::key(self.by, counter.key, process, cgroup);
        CountRow { subject, ..self.sums(Part::Key, sums) }
    }

    /// A row without a key.
    fn sums(&self, part: Part, sums: Sums) -> CountRow {
        CountRow {
            ts: self.ts,
            interval_ns: self.interval_ns,
            subject: Subject::without_key(self.by, part),
            sums,
        }
    }
}

/// Sent and received.
fn bytes(row: &CountRow) -> u64 {
    row.sums.tx_bytes.saturating_add(row.sums.rx_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::find;
    use crate::wire::GroupKey;

    /// Process `pid` has sent 10 * `pid` bytes in `calls` calls.
    fn key(pid: u32, calls: u64) -> (Counter, Sums) {
        let sums = Sums { tx_calls: calls, tx_bytes: 10 * u64::from(pid), ..Sums::default() };
        let counter = Counter {
            key: GroupKey::zeroed(),
            sums,
            pid,
            comm: *b"test\0\0\0\0\0\0\0\0\0\0\0\0",
            closed: false,
            gone: false,
        };
        (counter, sums)
    }

    fn interval(keys: Vec<(Counter, Sums)>, other: Sums) -> Interval {
        let total = keys.iter().fold(other, |total, (_, sums)| total.plus(*sums));
        Interval { keys, other, total }
    }

    fn shape(by: By, top: usize) -> Shape {
        Shape { ts: 7, interval_ns: 1_000_000_000, by, sort: None, top, cumulative: false }
    }

    fn pids(rows: &[CountRow]) -> Vec<u32> {
        rows.iter().filter(|row| row.subject.part == Part::Key).map(|row| row.subject.pid).collect()
    }

    #[test]
    fn hidden_rows_fold_into_other_and_columns_still_add_up() {
        let unkeyed = Sums { tx_calls: 5, rx_bytes: 3, eagain: 1, ..Sums::default() };
        let interval = interval(vec![key(1, 9), key(2, 8), key(3, 7)], unkeyed);
        for (top, shown) in
            [(0, &[][..]), (1, &[3]), (2, &[3, 2]), (3, &[3, 2, 1]), (9, &[3, 2, 1])]
        {
            let rows = interval.rows(&shape(By::Process, top), |_| None);
            assert_eq!(pids(&rows), shown, "--top {top}");
            let (total, parts) = rows.split_last().unwrap();
            assert_eq!(total.subject.part, Part::Total);
            assert_eq!(parts.last().map(|row| row.subject.part), Some(Part::Other));
            let sums = parts.iter().fold(Sums::default(), |sums, row| sums.plus(row.sums));
            assert_eq!(sums, total.sums, "--top {top}");
            assert_eq!(total.sums, interval.total);
        }
    }

    #[test]
    fn an_idle_other_has_no_row_and_the_total_always_has() {
        let parts = |interval: Interval, top| {
            let rows = interval.rows(&shape(By::Process, top), |_| None);
            rows.iter().map(|row| row.subject.part).collect::<Vec<_>>()
        };
        assert_eq!(parts(interval(vec![key(1, 1)], Sums::default()), 1), [Part::Key, Part::Total]);
        assert_eq!(parts(interval(vec![], Sums::default()), 1), [Part::Total]);
    }

    #[test]
    fn top_keeps_the_first_of_the_order_asked_for() {
        let interval = interval(vec![key(1, 9), key(2, 8), key(3, 7)], Sums::default());
        let by_calls = Shape { sort: Some(find("tx_calls").unwrap()), ..shape(By::Process, 2) };
        assert_eq!(pids(&interval.rows(&by_calls, |_| None)), [1, 2]);
    }

    #[test]
    fn keys_with_the_same_bytes_keep_their_places() {
        let idle = |pid| (key(pid, 1).0, Sums { segs_in: 1, ..Sums::default() });
        let rows = interval([3, 1, 2].map(idle).into(), Sums::default())
            .rows(&shape(By::Process, 9), |_| None);
        assert_eq!(pids(&rows), [1, 2, 3]);
    }

    #[test]
    fn by_total_is_one_row() {
        // The kernel counts everything as (other) then.
        let everything = Sums { rx_calls: 2, ..Sums::default() };
        let rows = interval(vec![], everything).rows(&shape(By::Total, 0), |_| None);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].subject.part, rows[0].sums), (Part::Total, everything));
    }
}
