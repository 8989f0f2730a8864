//! Errors and drops of interfaces in the last seconds.

use std::collections::{BTreeMap, VecDeque};

use crate::interfaces::Interface;
use crate::report::Device;

/// Interfaces that are stored.
const ROOM: usize = 1024;
/// How long they are stored, ns.
const WINDOW: i64 = 10_000_000_000;

/// Errors and drops received, and sent.
pub type Losses = [u64; 4];
/// Namespace and name.
pub type InterfaceName = (Option<u32>, Device);

/// By interface; what it lost in each interval, by the wall-clock ns of its end.
#[derive(Clone, Debug, Default)]
pub struct Interfaces(BTreeMap<InterfaceName, VecDeque<(i64, Losses)>>);

impl Interfaces {
    /// Takes in an interval of one.
    pub fn take(&mut self, row: &Interface) {
        let Some(name) = row.interface else { return };
        let name = (row.netns, name);
        if self.0.len() < ROOM || self.0.contains_key(&name) {
            let losses = [row.rx_errors, row.rx_dropped, row.tx_errors, row.tx_dropped];
            self.0.entry(name).or_default().push_back((row.ts.0, losses));
        }
    }

    /// Forgets what is long over.
    pub fn forget(&mut self, now: i64) {
        for losses in self.0.values_mut() {
            while losses.front().is_some_and(|(ts, _)| *ts <= now - WINDOW) {
                losses.pop_front();
            }
        }
        self.0.retain(|_, losses| !losses.is_empty());
    }

    /// What each has lost.
    pub fn sums(&self) -> impl Iterator<Item = (InterfaceName, Losses)> {
        self.0.iter().map(|(name, intervals)| {
            let mut sums = Losses::default();
            for (_, losses) in intervals {
                for (sum, count) in sums.iter_mut().zip(losses) {
                    *sum = sum.saturating_add(*count);
                }
            }
            (*name, sums)
        })
    }
}
