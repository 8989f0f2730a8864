//! Problems as sentences, worst first, and what was looked for.

mod counters;
mod sockets;

use super::Model;
use crate::listen::ListenerRecord;
use crate::report::Key;
use crate::report::{Cell, Ctx, human};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Connections or events are lost.
    Bad,
    /// They will be.
    Warning,
    /// Worth knowing.
    Remark,
}

/// One sentence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub weight: Weight,
    /// The sentence.
    pub text: String,
}

impl Finding {
    fn bad(text: String) -> Self {
        Self { weight: Weight::Bad, text }
    }

    fn warning(text: String) -> Self {
        Self { weight: Weight::Warning, text }
    }

    fn remark(text: String) -> Self {
        Self { weight: Weight::Remark, text }
    }
}

/// What was found, and what was looked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Worst first.
    pub found: Vec<Finding>,
    /// Checks that had the data for it.
    pub checked: Vec<&'static str>,
    /// Checks that had not.
    pub unchecked: Vec<&'static str>,
}

/// Looks for one kind of trouble; `None`: there are no data for it.
type Check = fn(&Model) -> Option<Vec<Finding>>;

/// Everything that is looked for, each with its name.
const CHECKS: [(&str, Check); 11] = [
    ("lost events", sockets::losses),
    ("drops and queues of listeners", sockets::listeners),
    ("CLOSE_WAIT", sockets::close_wait),
    ("free local ports", sockets::ports),
    ("failed connects", counters::failed),
    ("retransmits", counters::retransmits),
    ("lost SYNs", counters::syns),
    ("resets", counters::resets),
    ("zero windows", counters::zero_windows),
    ("TIME_WAIT overflow", counters::time_wait_overflow),
    ("orphans", counters::orphans),
];

/// All findings.
pub fn findings(model: &Model) -> Findings {
    let mut all = Findings::default();
    for (name, check) in CHECKS {
        match check(model) {
            Some(found) => {
                all.found.extend(found);
                all.checked.push(name);
            }
            None => all.unchecked.push(name),
        }
    }
    all.found.sort_by_key(|finding| finding.weight);
    all
}

/// `nginx (812)`, safe to show.
pub fn process(key: &Key) -> String {
    let Some(pid) = key.pid else { return "an unknown process".to_owned() };
    let comm = text(Cell::comm(key.comm.as_ref()));
    format!("{comm} ({pid})")
}

/// `[::]:443 of nginx (812)`
pub fn listener_name(row: &ListenerRecord) -> String {
    format!("{} of {}", text(Cell::Endpoint(row.laddr, row.device, row.lport)), process(&row.key()))
}

/// A duration as people read it.
fn nanos(ns: u64) -> String {
    let mut out = Vec::new();
    human::nanos(ns, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// A cell as people read it, sums as sums.
pub fn text(cell: Cell<'_>) -> String {
    let mut out = Vec::new();
    cell.text(&mut Ctx::new(0, true), &mut out);
    String::from_utf8_lossy(&out).into_owned()
}
