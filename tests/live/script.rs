//! A script of connections and what is shown of it, transition by transition.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::tool::number;

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
    // In order, so that what is missing stands beside what came in its place.
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
    let unserved = |hook: &str| status["probes"][hook] == "-";
    let (blind, orphaned) = (unserved("accept"), unserved("child"));
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
            // child begins without owner where a hash map is its memory and nothing tells of it.
            "LISTEN" | "SYN_RECV" => is_worker || (orphaned && one.pid == 0),
            // Without a hook on accept it is the listener's, until the worker itself acts.
            "ESTABLISHED" if one.new == "CLOSE_WAIT" || one.new == "CLOSE" => {
                blind && (one.pid == master || one.pid == 0)
            }
            _ => false,
        };
        if excused {
            one.pid = owner;
        }
    }
    shown
}
