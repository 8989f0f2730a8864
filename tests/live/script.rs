//! A script of connections and its expected transitions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::setting::delay_ns;
use crate::tool::{Ended, number};

/// A transition as it must be shown; listeners have no remote end.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Seen {
    pub laddr: String,
    pub lport: u64,
    pub raddr: String,
    pub rport: u64,
    pub old: String,
    pub new: String,
    pub pid: u64,
}

/// How often each transition is there.
pub type Bag = BTreeMap<Seen, i64>;

impl Seen {
    pub fn new(end: &Value, step: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            laddr: text(&end["laddr"]),
            lport: number(&end["lport"]),
            raddr: text(&end["raddr"]),
            rport: number(&end["rport"]),
            old: text(&step["old"]),
            new: text(&step["new"]),
            pid: number(&step["pid"]),
        }
    }

    pub fn of_listener(&self) -> bool {
        self.new == "LISTEN" || (self.old == "LISTEN" && self.new == "CLOSE")
    }
}

/// Every end of the script's connections with each of its transitions.
pub fn script(life: &Value) -> impl Iterator<Item = (&Value, &Value)> {
    let connections = life["connections"].as_array().into_iter().flatten();
    let ends = connections.flat_map(|one| one["ends"].as_array().into_iter().flatten());
    ends.flat_map(|end| {
        end["transitions"].as_array().into_iter().flatten().map(move |step| (end, step))
    })
}

pub fn bag(seen: impl Iterator<Item = Seen>) -> Bag {
    let mut bag = Bag::new();
    for one in seen {
        *bag.entry(one).or_default() += 1;
    }
    bag
}

/// Fails with the first differences.
pub fn same(expected: &Bag, found: &Bag) -> Result<()> {
    let mut differences = Vec::new();
    // In order, so that a missing line is beside the one in its place.
    for key in expected.keys().chain(found.keys()).collect::<BTreeSet<_>>() {
        let (want, got) = (expected.get(key).unwrap_or(&0), found.get(key).unwrap_or(&0));
        if want != got {
            differences.push(format!("{got} instead of {want} times: {key:?}"));
        }
    }
    ensure!(
        differences.is_empty(),
        "{} differences:\n{}",
        differences.len(),
        differences.iter().take(12).map(String::as_str).collect::<Vec<_>>().join("\n")
    );
    Ok(())
}

/// The transitions shown, with the owners that the tool could not have known yet put in, and only
/// those: it says itself which hooks it goes without.
pub fn shown(life: &Value, status: &Value, lines: &[Value]) -> Vec<Seen> {
    let unserved = |hook: &str| status["attach"][hook] == "-";
    let (blind, orphaned) = (unserved("use"), unserved("child"));
    let key = |one: &Seen| Seen { pid: 0, ..one.clone() };
    let owners: BTreeMap<Seen, u64> = script(life)
        .map(|(end, step)| Seen::new(end, step))
        .map(|one| (key(&one), one.pid))
        .collect();
    let master = number(&life["master"]);
    let mut shown: Vec<_> = lines.iter().map(|line| Seen::new(line, line)).collect();
    for one in &mut shown {
        let Some(&owner) = owners.get(&key(one)) else { continue };
        let is_worker =
            life["workers"].as_array().is_some_and(|pids| pids.contains(&one.pid.into()));
        let excused = match one.old.as_str() {
            // Another CPU may accept a child before the handshake's last transition is made. A
            // child begins without owner if state is in a hash map and no hook reports children.
            "LISTEN" | "SYN_RECV" => is_worker || (orphaned && one.pid == 0),
            // Without a hook on use it is the listener's, until the worker itself closes; so is one that
            // was not accepted yet. A search may have found that any worker has the listener.
            "ESTABLISHED" if one.new == "CLOSE_WAIT" || one.new == "CLOSE" => {
                (blind && (one.pid == master || one.pid == 0 || is_worker))
                    || (owner == master && is_worker)
            }
            _ => false,
        };
        if excused {
            one.pid = owner;
        }
    }
    shown
}

/// Without children that came second: where two CPUs take up a handshake's last segments at once,
/// each makes a child, and one is undone (`inet_ehash_nolisten` in the kernel). That is no part of
/// any script, and no connection of one ends in `SYN_RECV`.
pub fn without_undone(mut shown: Vec<Seen>) -> Vec<Seen> {
    let is_end = |one: &&Seen| one.old == "SYN_RECV" && one.new == "CLOSE";
    for end in shown.iter().filter(is_end).cloned().collect::<Vec<_>>() {
        let begins = |one: &Seen| {
            let same_ends = Seen { old: one.old.clone(), new: one.new.clone(), ..end.clone() };
            one.old == "LISTEN" && Seen { pid: end.pid, ..one.clone() } == same_ends
        };
        let mut twins: Vec<_> = (0..shown.len()).filter(|&at| begins(&shown[at])).collect();
        twins.sort_by_key(|&at| shown[at].pid == end.pid);
        // A lone one is the connection's own: then such an end is wrong.
        if twins.len() > 1
            && let Some(at) = twins.pop()
        {
            shown.remove(at);
            shown.retain(|one| *one != end);
        }
    }
    shown
}

/// The first transitions of the script that were not shown, with the last status.
pub fn lacking(life: &Value, ended: &Ended) -> Result<String> {
    let status = ended.last_status()?;
    let lines = ended.of_kind("state")?;
    let mut left = bag(shown(life, &status, &lines).into_iter());
    let missing = script(life).map(|(end, step)| Seen::new(end, step)).filter(|one| {
        let count = left.entry(one.clone()).or_default();
        *count -= 1;
        *count < 0
    });
    let missing: Vec<_> = missing.take(8).collect();
    let near = |line: &&Value| {
        missing.first().is_some_and(|one| line["lport"] == one.lport && line["rport"] == one.rport)
    };
    let beside: Vec<_> = lines.iter().filter(near).map(ToString::to_string).collect();
    Ok(format!("not shown: {missing:?}; beside it: {beside:#?}; {status}"))
}

/// Poll interval of the tool.
const INTERVAL_NS: u64 = 1_000_000_000;

/// Whether the kernel has `tw_entry_stamp`.
fn stamps_timewait(status: &Value) -> bool {
    let mut numbers = status["kernel"].as_str().unwrap_or_default().split(['.', '-']);
    let mut next = || numbers.next().and_then(|number| number.parse().ok()).unwrap_or(0);
    (next(), next()) >= (6, 14)
}

/// Every deliberate stay lasted as long as the clock around it says, within 5 %: the softirq that ends a
/// state runs after the call that the script timed. How many there were.
pub fn stays(life: &Value, status: &Value, found: &[Value]) -> Result<u64> {
    let lines: BTreeMap<Seen, &Value> = shown(life, status, found).into_iter().zip(found).collect();
    // Before 6.14 a timewait socket has no start time: the poll time is used.
    let late = if stamps_timewait(status) { 0 } else { INTERVAL_NS };
    let delay = delay_ns();
    let mut checked = 0;
    for (end, step) in script(life).filter(|(_, step)| step["stay"].is_object()) {
        let seen = Seen::new(end, step);
        let one = lines.get(&seen).with_context(|| format!("not shown: {seen:?}"))?;
        let duration = one["duration_ns"].as_u64();
        let duration = duration.with_context(|| format!("no duration: {seen:?}"))?;
        let (min, max) = (number(&step["stay"]["min_ns"]), number(&step["stay"]["max_ns"]));
        let max = max + if one["polled"] == true { late } else { 0 };
        let (least, most) = ((min - min / 20).saturating_sub(delay), max + max / 20 + delay);
        ensure!(
            (least..=most).contains(&duration),
            "{duration} ns is not within {min} to {max}: {seen:?}"
        );
        checked += 1;
    }
    Ok(checked)
}
