//! What sockets, listeners and the tools themselves say.

use super::{Finding, Weight, listener_name, nanos, process, text};
use crate::dash::model::{Model, sum};
use crate::group::Grouping;
use crate::kernel::netns_list::Extent;
use crate::report::Cell;
use crate::states::socket_summary::CloseWait;
use crate::tcp_state::TcpState;

/// A socket this long in `CLOSE_WAIT` counts as leaked, ns.
const LONG_CLOSE_WAIT: u64 = 30_000_000_000;
/// Local ports in use towards one destination, of a thousand, that make a finding.
const FEW_PORTS_LEFT: u64 = 800;

pub fn losses(model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    for tool in model.tools.values().filter(|tool| tool.status.incomplete() > 0) {
        let status = &tool.status;
        let parts = [
            (status.lost, "lost"),
            (status.untracked.unwrap_or(0), "untracked"),
            (status.left_out().unwrap_or(0), "missed"),
        ];
        let parts: Vec<_> = parts
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let text = format!(
            "{}: {} of {} events: its numbers are too low",
            status.tool,
            parts.join(", "),
            status.attempted
        );
        // One in a thousand is no reason to distrust what is shown.
        let few = status.incomplete().saturating_mul(1000) <= status.attempted;
        let weight = if few { Weight::Remark } else { Weight::Warning };
        found.push(Finding { weight, text });
    }
    if let Some(Extent { closed: closed @ 1.., .. }) = model.extent() {
        let text =
            format!("{closed} network namespaces cannot be entered: their sockets are not shown");
        found.push(Finding::remark(text));
    }
    let left_out = model.left_out();
    if left_out > 0 {
        found.push(Finding::remark(format!("{left_out} rows did not fit and are not shown")));
    }
    (!model.tools.is_empty() || !found.is_empty()).then_some(found)
}

/// What listeners drop, and whom of.
pub fn listeners(model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    for row in model.all_listeners() {
        let name = listener_name(row);
        let peak = row.accept_peak.or(row.accept_now);
        let recent = model.recent_drops(row);
        if let Some(drops @ 1..) = recent.total {
            let cause = recent.worst().map_or(String::new(), |cause| format!(": {cause}"));
            let text = format!("{name} dropped {drops} connections in the last minute{cause}");
            found.push(Finding::bad(text));
        } else if let (Some(peak), Some(limit @ 1..)) = (peak, row.accept_limit)
            && peak.saturating_mul(10) >= limit.saturating_mul(8)
        {
            found.push(Finding::warning(format!("{name}: accept queue at {peak} of {limit}")));
        }
    }
    // The client with the most drops, if clients are known.
    let worst = model.clients.rows().max_by_key(|client| client.drops_total);
    if let Some((worst, drops @ 1..)) = worst.and_then(|worst| Some((worst, worst.drops_total?))) {
        let who = worst.raddr.map_or("unknown clients".to_owned(), |raddr| raddr.to_string());
        let time = worst.interval_ns.map_or(String::new(), |ns| format!(" in {}", nanos(ns)));
        let text = format!("listeners dropped {drops} connections from {who}{time}");
        found.push(Finding::bad(text));
    }
    let known = model.live() || model.all_listeners().next().is_some() || worst.is_some();
    known.then_some(found)
}

pub fn close_wait(model: &Model) -> Option<Vec<Finding>> {
    let age = |row: &&CloseWait| row.age_ns.or(row.age_at_least_ns);
    let old =
        model.close_wait.rows().filter(|row| age(row).is_some_and(|ns| ns >= LONG_CLOSE_WAIT));
    let Some(oldest) = old.max_by_key(age) else {
        return model.states().map(|_| Vec::new());
    };
    let holders = model.holders(TcpState::CloseWait, Grouping::Process);
    let of_process = holders.iter().filter(|(key, _)| key.pid == oldest.pid);
    let sockets = match sum(of_process.map(|(_, count)| *count)) {
        0 => "a socket".to_owned(),
        1 => "1 socket".to_owned(),
        n => format!("{n} sockets"),
    };
    let bound = if oldest.age_ns.is_some() { "" } else { "at least " };
    let text = format!(
        "{} holds {sockets} in CLOSE_WAIT (peer closed, process did not); the oldest for {bound}{}",
        process(&oldest.key()),
        nanos(age(&oldest).unwrap_or(0)),
    );
    Some(vec![Finding::warning(text)])
}

/// Local ports towards each destination, against those that the kernel chooses from.
pub fn ports(model: &Model) -> Option<Vec<Finding>> {
    let mut found = Vec::new();
    let mut known = model.sees_ports();
    for row in model.destinations() {
        known = true;
        let (Some(permille), Some(used), Some(ports)) =
            (row.permille(), row.local_ports_used, row.local_ports)
        else {
            continue;
        };
        if permille < FEW_PORTS_LEFT {
            continue;
        }
        let to = text(Cell::Endpoint(row.raddr, row.device, row.rport));
        let whose = row.pid.map_or(String::new(), |_| format!(", most of {}", process(&row.key())));
        let waiting = row.local_ports_time_wait.unwrap_or(0);
        let text = format!(
            "{used} of {ports} local ports in use towards {to}, {waiting} of them in TIME_WAIT{whose}: \
             a connect without a free port fails with EADDRNOTAVAIL"
        );
        let weight = if used >= ports { Weight::Bad } else { Weight::Warning };
        found.push(Finding { weight, text });
    }
    known.then_some(found)
}
