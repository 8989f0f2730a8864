//! Segments retransmitted in the last seconds, by namespace and remote address.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

/// Remote addresses that are stored.
const ROOM: usize = 4096;
/// How long they are stored, ns.
const WINDOW: i64 = 10_000_000_000;

/// A remote address in a namespace.
type Remote = (Option<u32>, IpAddr);

/// What each remote address was sent again.
#[derive(Clone, Debug, Default)]
pub struct Again(BTreeMap<Remote, VecDeque<(i64, u64)>>);

impl Again {
    /// Adds what was retransmitted until wall-clock `ts`.
    pub fn take(&mut self, raddr: Remote, ts: i64, segments: u64) {
        if segments > 0 && (self.0.len() < ROOM || self.0.contains_key(&raddr)) {
            self.0.entry(raddr).or_default().push_back((ts, segments));
        }
    }

    /// Forgets what is long over.
    pub fn forget(&mut self, now: i64) {
        for sums in self.0.values_mut() {
            while sums.front().is_some_and(|(ts, _)| *ts <= now - WINDOW) {
                sums.pop_front();
            }
        }
        self.0.retain(|_, sums| !sums.is_empty());
    }

    /// The address that has more than all others of a namespace, or of all, together; and how many
    /// segments that were.
    pub fn most(&self, netns: Option<u32>) -> Option<(IpAddr, u64)> {
        let mut sums: BTreeMap<IpAddr, u64> = BTreeMap::new();
        let here = self.0.iter().filter(|((one, _), _)| netns.is_none() || *one == netns);
        for ((_, raddr), counts) in here {
            let sum = super::sum(counts.iter().map(|(_, count)| *count));
            let all = sums.entry(*raddr).or_default();
            *all = all.saturating_add(sum);
        }
        let all = super::sum(sums.values().copied());
        let most = sums.into_iter().max_by_key(|(_, count)| *count);
        most.filter(|(_, count)| count.saturating_mul(2) > all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_is_named_if_it_has_most() {
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let mut again = Again::default();
        again.take((Some(1), one), 1, 4);
        again.take((Some(2), other), 1, 4);
        assert_eq!(again.most(None), None);
        assert_eq!(again.most(Some(2)), Some((other, 4)));
        again.take((Some(1), one), 2, 1);
        assert_eq!(again.most(None), Some((one, 5)));
        again.forget(1 + WINDOW);
        assert_eq!(again.most(None), Some((one, 1)));
    }
}
