//! Counters that are judged together: those of one network namespace, or of all that were read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Finding, Rule};
use crate::model::{Metric, Model, float};
use crate::report::Key;

/// Seconds over which rates are judged.
pub const WINDOW: usize = 10;
/// ns.
pub const SECOND: i64 = 1_000_000_000;
/// Less than this, in seconds, is no window.
const ENOUGH: f64 = 0.5;

/// What one judgement is about.
pub struct Scene<'a> {
    /// Everything that is known.
    pub model: &'a Model,
    /// The namespace; `None`: there are several, and their counters are known as a sum only.
    pub netns: Option<u32>,
    pub(super) part: bool,
}

impl<'a> Scene<'a> {
    /// Whether something of this namespace belongs to it.
    pub fn holds(&self, netns: Option<u32>) -> bool {
        self.netns.is_none() || netns.is_none() || netns == self.netns
    }

    /// All that was read.
    pub fn whole(model: &'a Model) -> Self {
        let last = model.mibs.rows().max_by_key(|mib| mib.ts);
        Self { model, netns: last.and_then(|mib| mib.netns), part: false }
    }

    /// A counter over the window, and of how many seconds it is known; `None`: of none.
    pub fn sum(&self, metric: Metric) -> Option<(f64, f64)> {
        let Self { model, netns, part } = self;
        let (sum, known) = model.history.sum(metric, model.now, WINDOW);
        if known < ENOUGH {
            return None;
        }
        match netns.filter(|_| *part) {
            // What listeners tell is known as a sum only.
            Some(_) if metric == Metric::SynAckRetransmits => None,
            Some(netns) => Some((float(model.parts.sum(netns, metric)), known)),
            None => Some((sum, known)),
        }
    }

    /// Connects and accepted connections; 0 where unknown.
    pub fn opens_and_accepts(&self) -> (f64, f64) {
        let of = |metric| self.sum(metric).map_or(0.0, |(sum, _)| sum);
        (of(Metric::Opens), of(Metric::Accepts))
    }

    /// A finding about the namespace, if there is reason for it.
    pub fn one<const N: usize>(
        &self,
        rule: &'static Rule,
        reason: bool,
        (text, about): (String, Key),
        numbers: [(&'static str, f64); N],
    ) -> Vec<Finding> {
        let numbers = numbers.map(|(name, value)| (name, Some(whole(value))));
        let about = Key { netns: self.netns, ..about };
        let found = || Finding::new(rule, about, text).with(numbers);
        reason.then(found).into_iter().collect()
    }
}

/// When the window of rates began, wall-clock ns.
pub fn window_begin(model: &Model) -> i64 {
    model.now.saturating_sub(WINDOW.cast_signed() as i64 * SECOND)
}

/// Whether the other side is on this host, as its address says.
pub fn is_local(raddr: Option<IpAddr>) -> bool {
    raddr.is_some_and(|raddr| raddr.to_canonical().is_loopback())
}

/// As a number of evidence.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub fn whole(sum: f64) -> u64 {
    sum.round() as u64
}

/// Judges each namespace in which something came; all together where they are not known one by one.
pub fn each(
    model: &Model,
    look: impl Fn(&Scene<'_>) -> Option<Vec<Finding>>,
) -> Option<Vec<Finding>> {
    let parts = model.parts.namespaces();
    let mut scenes: Vec<_> =
        parts.map(|netns| Scene { model, netns: Some(netns), part: true }).collect();
    if scenes.is_empty() {
        scenes.push(Scene::whole(model));
    }
    let found: Vec<_> = scenes.iter().filter_map(look).collect();
    (!found.is_empty()).then(|| found.into_iter().flatten().collect())
}

/// Destination of a connection.
fn destination(key: &Key) -> Key {
    let Key { raddr, rport, device, netns, .. } = key.clone();
    Key { raddr, rport, device, netns, ..Key::default() }
}

/// Its process.
fn owner(key: &Key) -> Key {
    let Key { pid, comm, .. } = key.clone();
    Key { pid, comm, ..Key::default() }
}

/// What comes most often, and how often.
fn most<K: Ord>(keys: impl Iterator<Item = K>) -> Option<(K, u64)> {
    let mut counts: BTreeMap<K, u64> = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    // Of equals always the same one.
    counts.into_iter().rev().max_by_key(|(_, count)| *count)
}

/// The destination that most of these connections are for, the same each in its way `how`, with their
/// process if half of them are of one; and how many they are.
pub fn most_for<H: Ord + Copy>(connections: &[(Key, H)]) -> Option<(Key, H, u64)> {
    let all = connections.iter().map(|(key, how)| (destination(key), *how));
    let ((to, how), count) = most(all)?;
    let same = connections.iter().filter(|(key, other)| destination(key) == to && *other == how);
    let owner = most(same.map(|(key, _)| owner(key)));
    let owner = owner.filter(|(_, own)| own * 2 >= count).map(|(owner, _)| owner);
    let Key { pid, comm, .. } = owner.unwrap_or_default();
    Some((Key { pid, comm, ..to }, how, count))
}
