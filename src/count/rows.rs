//! The rows of an interval.

use std::sync::Arc;

use super::{Count, CountInterval, CountSums, Counter, GroupBy, RowPart};
use crate::group::Keyed;
use crate::report::{Column, Ts, sort};

/// How the rows of an interval are made.
#[derive(Clone, Copy)]
pub struct CountRowOptions {
    /// Wall-clock ns at the end of the interval.
    pub ts: i64,
    /// Length of the interval in ns.
    pub interval_ns: u64,
    /// The grouping.
    pub by: GroupBy,
    /// What to sort by; `None` puts the most bytes, sent and received, first.
    pub sort: Option<&'static Column<Count>>,
    /// Keys that get a row of their own; (other) adds up the rest.
    pub top: usize,
    /// The sums are those since the start: tables show them as they are, not per second.
    pub cumulative: bool,
    /// The sums are of TCP's own counters, which have no calls.
    pub light: bool,
}

impl CountRowOptions {
    /// The keys of an interval that rows are made of, those that sent and received most. On a busy machine
    /// what is shown is a small part of all; by another column all are compared.
    pub fn wanted(&self) -> usize {
        if self.sort.is_some() { usize::MAX } else { self.top }
    }

    /// The rows: keys, then (other) if there is anything in it, then the total, which every
    /// column adds up to. `cgroup` names a cgroup2 id.
    pub fn rows(
        &self,
        interval: &CountInterval,
        cgroup: impl FnMut(u64) -> Option<Arc<str>>,
    ) -> Vec<Count> {
        let mut rows = Vec::new();
        self.each_row(interval, cgroup, |row| rows.push(row));
        rows
    }

    /// The same, one after the other.
    pub fn each_row(
        &self,
        interval: &CountInterval,
        mut cgroup: impl FnMut(u64) -> Option<Arc<str>>,
        mut each: impl FnMut(Count),
    ) {
        if self.by == GroupBy::Total {
            return each(self.sums(RowPart::Total, interval.total));
        }
        let made = self.wanted();
        let keys = interval.most_first(made);
        let (shown, hidden) = keys.split_at(made.min(keys.len()));
        let mut other =
            hidden.iter().fold(interval.other, |other, counter| other.plus(counter.sums));
        let row = |counter: &&Counter| self.key(counter, cgroup(counter.key.cgroup));
        let rows = shown.iter().map(row);
        if let Some(column) = self.sort {
            let mut rows: Vec<_> = rows.collect();
            sort(&mut rows, column);
            let hidden = rows.split_off(self.top.min(rows.len()));
            other = hidden.iter().fold(other, |other, row| other.plus(row.sums()));
            rows.into_iter().for_each(&mut each);
        } else {
            rows.for_each(&mut each);
        }
        if !other.is_idle() {
            each(self.sums(RowPart::Other, other));
        }
        each(self.sums(RowPart::Total, interval.total));
    }

    fn key(&self, counter: &Counter, cgroup: Option<Arc<str>>) -> Count {
        let process = (counter.pid, counter.comm);
        let Keyed { key, family, remote_net } = Keyed::new(self.by, &counter.key, process, cgroup);
        Count { family, remote_net, ..self.numbers(Count::about(key), counter.sums) }
    }

    /// A row without a key.
    fn sums(&self, part: RowPart, sums: CountSums) -> Count {
        let (other, total) = (part == RowPart::Other, part == RowPart::Total);
        Count { other, total, ..self.numbers(Count::default(), sums) }
    }

    fn numbers(&self, row: Count, sums: CountSums) -> Count {
        let CountSums { tx_calls, tx_bytes, rx_calls, rx_bytes, segs_in, errors, eagain, .. } =
            sums;
        let calls = |count| (!self.light).then_some(count);
        Count {
            ts: Ts(self.ts),
            by: Some(self.by.grouping()),
            interval_ns: Some(self.interval_ns),
            tx_calls: calls(tx_calls),
            tx_bytes: Some(tx_bytes),
            rx_calls: calls(rx_calls),
            rx_bytes: Some(rx_bytes),
            segs_in,
            errors: calls(errors),
            eagain: calls(eagain),
            retrans_segs: Some(sums.retrans_segs),
            ..row
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Counts;
    use crate::report::find;
    use crate::wire::GroupKey;

    /// Process `pid` has sent 10 * `pid` bytes in `calls` calls.
    fn key(pid: u32, calls: u64) -> Counter {
        let sums =
            CountSums { tx_calls: calls, tx_bytes: 10 * u64::from(pid), ..CountSums::default() };
        Counter {
            key: GroupKey::default(),
            sums,
            pid,
            comm: *b"test\0\0\0\0\0\0\0\0\0\0\0\0",
            flags: 0,
            gone: false,
        }
    }

    fn interval(keys: Vec<Counter>, other: CountSums) -> CountInterval {
        let mut interval = CountInterval::new(usize::MAX);
        for key in keys {
            interval.add(key);
        }
        Counts::new(false).end(&mut interval, other);
        interval
    }

    fn shape(by: GroupBy, top: usize) -> CountRowOptions {
        CountRowOptions {
            ts: 7,
            interval_ns: 1_000_000_000,
            by,
            sort: None,
            top,
            cumulative: false,
            light: false,
        }
    }

    fn pids(rows: &[Count]) -> Vec<u32> {
        rows.iter().filter(|row| row.part() == RowPart::Key).map(|row| row.pid.unwrap()).collect()
    }

    #[test]
    fn hidden_rows_are_summed_in_other() {
        let unkeyed = CountSums { tx_calls: 5, rx_bytes: 3, eagain: 1, ..CountSums::default() };
        let interval = interval(vec![key(1, 9), key(2, 8), key(3, 7)], unkeyed);
        for (top, shown) in
            [(0, &[][..]), (1, &[3]), (2, &[3, 2]), (3, &[3, 2, 1]), (9, &[3, 2, 1])]
        {
            let rows = shape(GroupBy::Process, top).rows(&interval, |_| None);
            assert_eq!(pids(&rows), shown, "--top {top}");
            let (total, parts) = rows.split_last().unwrap();
            assert_eq!(total.part(), RowPart::Total);
            assert_eq!(parts.last().map(Count::part), Some(RowPart::Other));
            let sums = parts.iter().fold(CountSums::default(), |sums, row| sums.plus(row.sums()));
            assert_eq!(sums, total.sums(), "--top {top}");
            assert_eq!(total.sums(), interval.total);
        }
    }

    #[test]
    fn an_idle_other_has_no_row_but_the_total_has() {
        let parts = |interval: CountInterval, top| {
            let rows = shape(GroupBy::Process, top).rows(&interval, |_| None);
            rows.iter().map(Count::part).collect::<Vec<_>>()
        };
        assert_eq!(
            parts(interval(vec![key(1, 1)], CountSums::default()), 1),
            [RowPart::Key, RowPart::Total]
        );
        assert_eq!(parts(interval(vec![], CountSums::default()), 1), [RowPart::Total]);
    }

    #[test]
    fn top_keeps_the_first_rows_of_the_order() {
        let interval = interval(vec![key(1, 9), key(2, 8), key(3, 7)], CountSums::default());
        let by_calls =
            CountRowOptions { sort: Some(find("tx_calls").unwrap()), ..shape(GroupBy::Process, 2) };
        assert_eq!(pids(&by_calls.rows(&interval, |_| None)), [1, 2]);
    }

    #[test]
    fn keys_with_the_same_bytes_keep_their_places() {
        let sums = CountSums { segs_in: 1, ..CountSums::default() };
        let idle = |pid| Counter { sums, ..key(pid, 1) };
        let interval = interval([3, 1, 2].map(idle).into(), CountSums::default());
        let rows = shape(GroupBy::Process, 9).rows(&interval, |_| None);
        assert_eq!(pids(&rows), [1, 2, 3]);
    }

    #[test]
    fn calls_are_unknown_where_counters_of_tcp_are_read() {
        let shape = CountRowOptions { light: true, ..shape(GroupBy::Process, 1) };
        for row in shape.rows(&interval(vec![key(1, 0)], CountSums::default()), |_| None) {
            assert_eq!([row.tx_calls, row.rx_calls, row.errors, row.eagain], [None; 4]);
            assert_eq!((row.tx_bytes, row.retrans_segs), (Some(10), Some(0)));
        }
    }

    #[test]
    fn by_total_is_one_row() {
        // The kernel counts everything as (other) then.
        let everything = CountSums { rx_calls: 2, ..CountSums::default() };
        let rows = shape(GroupBy::Total, 0).rows(&interval(vec![], everything), |_| None);
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].part(), rows[0].sums()), (RowPart::Total, everything));
    }
}
