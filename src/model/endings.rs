//! How connections have ended lately, by process.

use std::collections::{BTreeMap, VecDeque};

use crate::group::Grouping;
use crate::life::{Ends, LifeSum};
use crate::report::Key;

/// Rows that are stored, newest last.
const ROOM: usize = 20_000;

/// The rows of the last minute.
#[derive(Clone, Debug, Default)]
pub struct Endings {
    rows: VecDeque<LifeSum>,
}

impl Endings {
    /// Takes in a row, if it is about a process.
    pub fn take(&mut self, row: LifeSum) {
        if row.by != Some(Grouping::Process) || row.total || row.other {
            return;
        }
        if self.rows.len() == ROOM {
            self.rows.pop_front();
        }
        self.rows.push_back(row);
    }

    /// Forgets what ended before `oldest`, wall-clock ns.
    pub fn forget(&mut self, oldest: i64) {
        while self.rows.front().is_some_and(|row| row.ts.0 < oldest) {
            self.rows.pop_front();
        }
    }

    /// Whether any are known.
    pub fn known(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Those of a process.
    pub fn of(&self, pid: Option<u32>) -> Ends {
        let mut ends = Ends::default();
        for row in self.rows.iter().filter(|row| row.pid == pid) {
            ends.add(&row.ends);
        }
        ends
    }

    /// The process and the way in which most ended since `begin`, among the ways whose word starts so,
    /// and how many.
    pub fn most(&self, prefix: &str, begin: i64) -> Option<(Key, &'static str, u64)> {
        let mut sums: BTreeMap<Key, Ends> = BTreeMap::new();
        for row in self.rows.iter().filter(|row| row.ts.0 >= begin) {
            let key = Key { pid: row.pid, comm: row.comm.clone(), ..Key::default() };
            sums.entry(key).or_default().add(&row.ends);
        }
        let all = sums.into_iter().flat_map(|(key, ends)| {
            let words = ends.words().filter(|(word, _)| word.starts_with(prefix));
            words.map(move |(word, count)| (key.clone(), word, count)).collect::<Vec<_>>()
        });
        all.max_by_key(|(_, _, count)| *count).filter(|(_, _, count)| *count > 0)
    }
}

/// Ends in words, most first; empty: none.
pub fn ends_in_words(ends: &Ends) -> String {
    let mut all: Vec<_> = ends.words().filter(|(_, count)| *count > 0).collect();
    all.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
    let all = all.into_iter().map(|(word, count)| format!("{word} {count}"));
    all.collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Ts;
    use crate::wire::LifeEnd;

    fn row(ts: i64, pid: u32, ends: &[(LifeEnd, u64)]) -> LifeSum {
        let mut row = LifeSum { ts: Ts(ts), pid: Some(pid), ..LifeSum::default() };
        row.by = Some(Grouping::Process);
        for (end, count) in ends {
            row.ends.count_all(*end, *count);
        }
        row
    }

    #[test]
    fn the_process_that_resets_most_is_named() {
        let mut endings = Endings::default();
        endings.take(row(1, 7, &[(LifeEnd::Unread, 50)]));
        endings.take(row(5, 7, &[(LifeEnd::Unread, 3), (LifeEnd::ClosedUs, 90)]));
        endings.take(row(6, 8, &[(LifeEnd::LingerZero, 4)]));
        endings.take(LifeSum { total: true, ..row(6, 0, &[(LifeEnd::LingerZero, 99)]) });
        let most =
            |begin| endings.most("reset_sent", begin).map(|(key, word, n)| (key.pid, word, n));
        assert_eq!(most(5), Some((Some(8), "reset_sent_linger_0", 4)));
        assert_eq!(most(0), Some((Some(7), "reset_sent_unread_data", 53)));
        assert_eq!(most(7), None);
        let words = ends_in_words(&endings.of(Some(7)));
        assert_eq!(words, "closed_by_us 90  reset_sent_unread_data 53");
        endings.forget(5);
        assert_eq!(endings.of(Some(7)).of(LifeEnd::Unread), 3);
        assert!(endings.known());
    }
}
