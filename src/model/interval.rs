//! The rows of the last interval of each group.

use std::collections::BTreeMap;

/// Rows of one interval that are kept; a recording may hold any number.
const ROWS: usize = 20_000;
/// Groups that are kept: namespaces, groupings, what was measured.
const GROUPS: usize = 128;

/// Rows with one time.
#[derive(Clone, Debug)]
pub struct LastInterval<R> {
    /// Wall-clock ns of its end.
    pub ts: i64,
    /// Its rows in the order of the lines.
    pub rows: Vec<R>,
    left_out: u64,
}

/// The last interval of each group `K`.
#[derive(Clone, Debug)]
pub struct Groups<K, R> {
    groups: BTreeMap<K, LastInterval<R>>,
    left_out: u64,
}

impl<K, R> Default for Groups<K, R> {
    fn default() -> Self {
        Self { groups: BTreeMap::new(), left_out: 0 }
    }
}

impl<K: Ord, R> Groups<K, R> {
    /// Takes a row in. One of another time begins a new interval.
    pub fn take(&mut self, group: K, ts: i64, row: R) {
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&group) {
            self.left_out += 1;
            return;
        }
        let new = || LastInterval { ts, rows: Vec::new(), left_out: 0 };
        let interval = self.groups.entry(group).or_insert_with(new);
        if interval.ts != ts {
            (interval.ts, interval.left_out) = (ts, 0);
            interval.rows.clear();
        }
        if interval.rows.len() < ROWS {
            interval.rows.push(row);
        } else {
            interval.left_out += 1;
        }
    }

    /// The last interval of a group.
    pub fn get(&self, group: &K) -> Option<&LastInterval<R>> {
        self.groups.get(group)
    }

    /// Every group with its last interval.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &LastInterval<R>)> {
        self.groups.iter()
    }

    /// The rows of all groups.
    pub fn rows(&self) -> impl Iterator<Item = &R> {
        self.groups.values().flat_map(|interval| &interval.rows)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Forgets intervals that ended before `oldest`.
    pub fn forget(&mut self, oldest: i64) {
        self.groups.retain(|_, interval| interval.ts >= oldest);
    }

    /// Rows that did not fit.
    pub fn left_out(&self) -> u64 {
        self.left_out + self.groups.values().map(|interval| interval.left_out).sum::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_time_begins_another_interval() {
        let mut groups = Groups::default();
        groups.take("a", 1, 10);
        groups.take("a", 1, 11);
        groups.take("b", 1, 12);
        groups.take("a", 2, 13);
        assert_eq!(groups.get(&"a").unwrap().rows, [13]);
        assert_eq!(groups.rows().collect::<Vec<_>>(), [&13, &12]);
        groups.forget(2);
        assert!(groups.get(&"b").is_none());
    }

    #[test]
    fn rows_that_do_not_fit_are_counted() {
        let mut groups = Groups::default();
        for row in 0..ROWS + 3 {
            groups.take(0, 1, row);
        }
        for group in 1..=GROUPS {
            groups.take(group, 1, 0);
        }
        assert_eq!(groups.left_out(), 3 + 1);
        groups.take(0, 2, 0);
        assert_eq!(groups.left_out(), 1, "an interval that is over is not missed any more");
    }
}
