//! Sockets by state, and who holds them.

use std::collections::BTreeMap;

use super::Board;
use crate::dash::record::{By, Key};
use crate::tcp_state::TcpState;

impl Board {
    /// Sockets in each state, by the kernel's number; `None` where no summary tells.
    pub fn states(&self) -> Option<[Option<u64>; 13]> {
        let mut sums = None;
        for ((by, _), interval) in self.sockets.iter() {
            if by.is_none() {
                let sums = sums.get_or_insert([None; 13]);
                for row in &interval.rows {
                    if let (Some(state), Some(count)) = (row.state, row.count) {
                        let sum: &mut Option<u64> = &mut sums[usize::from(state.number())];
                        *sum = Some(sum.unwrap_or(0) + count);
                    }
                }
            }
        }
        sums
    }

    /// Who has most sockets in a state under a grouping, most first.
    pub fn holders(&self, state: TcpState, by: By) -> Vec<(Key, u64)> {
        let groups = self.sockets.iter().filter(|((group, _), _)| *group == Some(by));
        let rows = groups.flat_map(|(_, interval)| &interval.rows);
        let mut sums: BTreeMap<_, (Key, u64)> = BTreeMap::new();
        for row in rows.filter(|row| row.state == Some(state)) {
            let id = (row.pid, row.comm.clone(), row.raddr, row.lport);
            sums.entry(id).or_insert_with(|| (Key { netns: None, ..row.key() }, 0)).1 +=
                row.count.unwrap_or(0);
        }
        let mut holders: Vec<_> = sums.into_values().collect();
        holders.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        holders
    }
}
