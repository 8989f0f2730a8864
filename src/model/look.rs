//! The sockets as they were looked at: their states, single ones, the ports they take, and what does not move.

use std::collections::BTreeMap;

use super::Groups;
use crate::group::Grouping;
use crate::kernel::netns_list::Extent;
use crate::ports::{Bound, PortPool, Ports};
use crate::report::{Key, Ts};
use crate::stall::Stall;
use crate::states::socket_summary::{CloseWait, Destination, Socket, Sockets};
use crate::tcp_state::TcpState;

/// What looks have found, by kind. Not every look finds something of every kind: what an earlier one found may
/// be gone.
#[derive(Clone, Debug, Default)]
pub struct LastLook {
    /// Sockets by state, by grouping and network namespace.
    pub sockets: Groups<(Option<Grouping>, Option<u32>), Sockets>,
    /// Single sockets as they are.
    pub list: Groups<(), Socket>,
    /// The oldest in `CLOSE_WAIT`.
    pub close_wait: Groups<(), CloseWait>,
    /// Local ports in use towards the fullest destinations.
    pub(super) destinations: Groups<(), Destination>,
    pub(super) ports: Groups<Option<Grouping>, Ports>,
    pub(super) port_pools: Groups<(), PortPool>,
    pub(super) stalls: Groups<(), Stall>,
    /// Sockets that are bound, and neither listen nor are connected.
    pub(super) bound: Groups<(), Bound>,
}

impl LastLook {
    /// Takes in a row of the summary; one of several namespaces takes the place of that of one.
    pub(super) fn summary(&mut self, row: Sockets) {
        let key = (row.by, row.netns.filter(|_| row.namespaces.is_none()));
        self.sockets.take(key, row.ts.0, row);
    }

    /// Forgets looks before `oldest`, wall-clock ns.
    pub(super) fn forget(&mut self, oldest: i64) {
        self.sockets.forget(oldest);
        self.list.forget(oldest);
        self.close_wait.forget(oldest);
        self.destinations.forget(oldest);
        self.ports.forget(oldest);
        self.port_pools.forget(oldest);
        self.stalls.forget(oldest);
        self.bound.forget(oldest);
    }

    /// Rows that did not fit, of the kinds that can be many.
    pub(super) fn left_out(&self) -> u64 {
        self.sockets.left_out() + self.ports.left_out() + self.stalls.left_out()
    }

    /// Whether a row was made at the last look at the sockets, or none is recorded: what was held up or
    /// used then may be gone.
    fn is_of_last_look(&self, ts: Ts) -> bool {
        let last = self.sockets.iter().map(|(_, interval)| interval.ts).max();
        last.is_none_or(|last| ts.0 >= last)
    }

    /// Destinations as of the last look at the sockets.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        self.destinations.rows().filter(|row| self.is_of_last_look(row.ts))
    }

    /// Local ports by destination, the worst first, as of the last look at the sockets.
    pub fn ports(&self) -> impl Iterator<Item = &Ports> {
        let rows = self.ports.get(&None).into_iter().flat_map(|interval| &interval.rows);
        rows.filter(|row| self.is_of_last_look(row.ts))
    }

    /// Ports of local addresses for `bind()`, as of the last look at the sockets.
    pub fn port_pools(&self) -> impl Iterator<Item = &PortPool> {
        self.port_pools.rows().filter(|row| self.is_of_last_look(row.ts))
    }

    /// Single sockets, as of the last look at the sockets.
    pub fn listed(&self) -> impl Iterator<Item = &Socket> {
        self.list.rows().filter(|row| self.is_of_last_look(row.ts))
    }

    /// Those longest in `CLOSE_WAIT`, as of the last look at the sockets.
    pub fn held(&self) -> impl Iterator<Item = &CloseWait> {
        self.close_wait.rows().filter(|row| self.is_of_last_look(row.ts))
    }

    /// Connections that do not move, as of the last look at the sockets.
    pub fn stalls(&self) -> impl Iterator<Item = &Stall> {
        self.stalls.rows().filter(|row| self.is_of_last_look(row.ts))
    }

    /// Sockets in each state, by the kernel's number; `None` without a summary.
    pub fn states(&self) -> Option<[Option<u64>; 13]> {
        let mut sums = None;
        for ((by, _), interval) in self.sockets.iter() {
            if by.is_none() {
                let sums = sums.get_or_insert([None; 13]);
                for row in &interval.rows {
                    if let (Some(state), Some(count)) = (row.state, row.count) {
                        let sum: &mut Option<u64> = &mut sums[usize::from(state.number())];
                        *sum = Some(sum.unwrap_or(0).saturating_add(count));
                    }
                }
            }
        }
        sums
    }

    /// The namespaces that sockets are counted in; `None` without a summary, or where it does not say.
    pub fn extent(&self) -> Option<Extent> {
        let summaries = self.sockets.iter().filter(|((by, _), _)| by.is_none());
        let mut extents = summaries.filter_map(|(_, interval)| {
            let row = interval.rows.first()?;
            let (read, closed) = (row.namespaces, row.not_entered.unwrap_or(0));
            let read = read.or(row.netns.map(|_| 1))?;
            Some(Extent { read, closed, only: row.netns })
        });
        // Recordings of an earlier version have a summary of each namespace.
        let one = extents.next()?;
        extents.next().is_none().then_some(one)
    }

    /// Who has most sockets in a state under a grouping, most first.
    pub fn holders(&self, state: TcpState, by: Grouping) -> Vec<(Key, u64)> {
        let groups = self.sockets.iter().filter(|((group, _), _)| *group == Some(by));
        let rows = groups.flat_map(|(_, interval)| &interval.rows);
        let mut sums: BTreeMap<_, (Key, u64)> = BTreeMap::new();
        for row in rows.filter(|row| row.state == Some(state)) {
            let id = (row.pid, row.comm.clone(), row.raddr, row.lport);
            let sum = sums.entry(id).or_insert_with(|| (Key { netns: None, ..row.key() }, 0));
            sum.1 = sum.1.saturating_add(row.count.unwrap_or(0));
        }
        let mut holders: Vec<_> = sums.into_values().collect();
        holders.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        holders
    }
}
