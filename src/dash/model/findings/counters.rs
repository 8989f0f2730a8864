//! What the kernel's own counters say.

use super::Finding;
use crate::dash::model::{Metric, Model};

/// Seconds over which rates are judged.
const WINDOW: usize = 10;
/// So few of anything may be chance.
const FEW: f64 = 5.0;
/// Retransmitted segments, percent.
const MANY_RETRANSMITS: f64 = 1.0;
/// From this part of `tcp_max_orphans` on the kernel may reset orphans (`tcp_too_many_orphans`).
const ORPHANS_SHARE: u64 = 4;

/// A counter over the window, and of how many seconds it is known; `None`: of none.
fn sum(model: &Model, metric: Metric) -> Option<(f64, f64)> {
    let (sum, known) = model.history.sum(metric, model.now, WINDOW);
    (known > 0.0).then_some((sum, known))
}

/// Connects that were refused or given up, and half-open connections that were reset.
pub fn failed(model: &Model) -> Option<Vec<Finding>> {
    let (failed, known) = sum(model, Metric::AttemptFails)?;
    let opens = sum(model, Metric::Opens).map_or(0.0, |(opens, _)| opens);
    let accepts = sum(model, Metric::Accepts).map_or(0.0, |(accepts, _)| accepts);
    let many = failed >= FEW && failed * 10.0 >= opens + accepts;
    let text = || {
        format!(
            "{failed:.0} connects or half-open connections failed in {known:.0} s (TcpAttemptFails), \
             of {opens:.0} connects and {accepts:.0} accepted"
        )
    };
    Some(many.then(|| Finding::warning(text())).into_iter().collect())
}

/// Segments of connections that were sent again; SYNs and SYN-ACKs where the kernel tells them apart.
pub fn retransmits(model: &Model) -> Option<Vec<Finding>> {
    let (again, known) = sum(model, Metric::Retransmits)?;
    // The kernel counts retransmitted segments apart (TcpOutSegs is without them).
    let all = again + sum(model, Metric::Segments)?.0;
    let syns = sum(model, Metric::SynRetransmits).map_or(0.0, |(syns, _)| syns);
    let data = (again - syns).max(0.0);
    let percent = data * 100.0 / all.max(1.0);
    let many = data >= FEW && percent >= MANY_RETRANSMITS;
    let apart =
        if syns > 0.0 { format!(", and {syns:.0} SYNs or SYN-ACKs") } else { String::new() };
    let text = || {
        format!(
            "{percent:.1} % of segments retransmitted ({data:.0} of {all:.0} in {known:.0} s{apart})"
        )
    };
    Some(many.then(|| Finding::warning(text())).into_iter().collect())
}

/// A lost SYN costs a second.
pub fn syns(model: &Model) -> Option<Vec<Finding>> {
    let (again, known) = sum(model, Metric::SynRetransmits)?;
    let opens = sum(model, Metric::Opens).map_or(0.0, |(opens, _)| opens);
    let accepts = sum(model, Metric::Accepts).map_or(0.0, |(accepts, _)| accepts);
    let many = again >= FEW && again * 100.0 >= opens + accepts;
    // The kernel counts both as one; listeners tell the SYN-ACKs.
    let what = match sum(model, Metric::SynAckRetransmits) {
        Some((synacks, _)) => {
            format!("{:.0} SYNs and {synacks:.0} SYN-ACKs", (again - synacks).max(0.0))
        }
        None => format!("{again:.0} SYNs or SYN-ACKs"),
    };
    let text = || {
        format!(
            "{what} retransmitted in {known:.0} s, with {opens:.0} connects and {accepts:.0} accepted: \
             each costs a second or more"
        )
    };
    Some(many.then(|| Finding::warning(text())).into_iter().collect())
}

pub fn resets(model: &Model) -> Option<Vec<Finding>> {
    let (resets, known) = sum(model, Metric::Resets)?;
    let opens = sum(model, Metric::Opens).map_or(0.0, |(opens, _)| opens);
    let many = resets >= 10.0 && resets > opens / 10.0;
    let text = || format!("{resets:.0} resets sent in {known:.0} s");
    Some(many.then(|| Finding::remark(text())).into_iter().collect())
}

/// Peers whose receive buffer is full.
pub fn zero_windows(model: &Model) -> Option<Vec<Finding>> {
    let (probes, known) = sum(model, Metric::WindowProbes)?;
    let text = || {
        format!(
            "{probes:.0} probes of a zero window in {known:.0} s: a peer's process does not read, and \
             sends wait for it"
        )
    };
    Some((probes >= 1.0).then(|| Finding::warning(text())).into_iter().collect())
}

/// `tcp_max_tw_buckets` is reached.
pub fn time_wait_overflow(model: &Model) -> Option<Vec<Finding>> {
    let (left_out, known) = sum(model, Metric::TimeWaitOverflow)?;
    let text = || {
        format!(
            "{left_out:.0} connections went without TIME_WAIT in {known:.0} s (TCPTimeWaitOverflow): \
             tcp_max_tw_buckets is reached"
        )
    };
    Some((left_out >= 1.0).then(|| Finding::warning(text())).into_iter().collect())
}

/// Sockets that their process has closed, and TCP has not.
pub fn orphans(model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let aborted = sum(model, Metric::MemoryAborts);
    if let Some((aborted @ 1.0.., known)) = aborted {
        found.push(Finding::bad(format!(
            "{aborted:.0} connections reset in {known:.0} s (TCPAbortOnMemory): too many orphans, or no \
             memory for TCP"
        )));
    }
    let orphans = model.orphans();
    if let Some((orphans, limit)) = orphans
        && orphans.saturating_mul(ORPHANS_SHARE) >= limit
        && orphans > 0
    {
        found.push(Finding::warning(format!(
            "{orphans} orphans (closed by their process, unfinished in TCP) of tcp_max_orphans {limit}: \
             the kernel resets them from a quarter of it on"
        )));
    }
    (aborted.is_some() || orphans.is_some()).then_some(found)
}
