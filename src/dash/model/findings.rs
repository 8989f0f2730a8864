//! Problems as sentences, worst first.

use super::{Metric, Model};
use crate::group::Grouping;
use crate::kernel::netns_list::Extent;
use crate::listen::ListenerRecord;
use crate::report::Key;
use crate::report::{Cell, Ctx, human};
use crate::tcp_state::TcpState;

/// Sockets in `TIME_WAIT` that make a finding: a third of the ephemeral ports.
const MANY_TIME_WAIT: u64 = 10_000;
/// A socket this long in `CLOSE_WAIT` counts as leaked, ns.
const LONG_CLOSE_WAIT: u64 = 30_000_000_000;
/// Retransmitted segments, percent.
const MANY_RETRANSMITS: f64 = 1.0;
/// Seconds over which rates are judged.
const WINDOW: usize = 10;

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

/// All findings, worst first.
pub fn findings(model: &Model) -> Vec<Finding> {
    let mut found = Vec::new();
    losses(model, &mut found);
    listeners(model, &mut found);
    clients(model, &mut found);
    close_wait(model, &mut found);
    time_wait(model, &mut found);
    retransmits(model, &mut found);
    found.sort_by_key(|finding| finding.weight);
    found
}

fn losses(model: &Model, found: &mut Vec<Finding>) {
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
        found.push(Finding { weight: Weight::Remark, text });
    }
    let left_out = model.left_out();
    if left_out > 0 {
        let text = format!("{left_out} rows did not fit and are not shown");
        found.push(Finding { weight: Weight::Remark, text });
    }
}

fn listeners(model: &Model, found: &mut Vec<Finding>) {
    for row in model.all_listeners() {
        let name = listener_name(row);
        let peak = row.accept_peak.or(row.accept_now);
        let recent = model.recent_drops(row);
        if let Some(drops @ 1..) = recent.total {
            let cause = recent.worst().map_or(String::new(), |cause| format!(": {cause}"));
            let text = format!("{name} dropped {drops} connections in the last minute{cause}");
            found.push(Finding { weight: Weight::Bad, text });
        } else if let (Some(peak), Some(limit @ 1..)) = (peak, row.accept_limit)
            && peak.saturating_mul(10) >= limit.saturating_mul(8)
        {
            let text = format!("{name}: accept queue at {peak} of {limit}");
            found.push(Finding { weight: Weight::Warning, text });
        }
    }
}

/// The client with the most drops, if clients are known.
fn clients(model: &Model, found: &mut Vec<Finding>) {
    let Some(worst) = model.clients.rows().max_by_key(|client| client.drops_total) else { return };
    let Some(drops @ 1..) = worst.drops_total else { return };
    let who = worst.raddr.map_or("unknown clients".to_owned(), |raddr| raddr.to_string());
    let time = worst.interval_ns.map_or(String::new(), |ns| format!(" in {}", nanos(ns)));
    let text = format!("listeners dropped {drops} connections from {who}{time}");
    found.push(Finding { weight: Weight::Bad, text });
}

fn close_wait(model: &Model, found: &mut Vec<Finding>) {
    let age = |row: &&crate::states::socket_summary::CloseWait| row.age_ns.or(row.age_at_least_ns);
    let old =
        model.close_wait.rows().filter(|row| age(row).is_some_and(|ns| ns >= LONG_CLOSE_WAIT));
    let Some(oldest) = old.max_by_key(age) else { return };
    let holders = model.holders(TcpState::CloseWait, Grouping::Process);
    let of_process = holders.iter().filter(|(key, _)| key.pid == oldest.pid);
    let held = super::sum(of_process.map(|(_, count)| *count));
    let sockets = match held {
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
    found.push(Finding { weight: Weight::Warning, text });
}

fn time_wait(model: &Model, found: &mut Vec<Finding>) {
    let Some(count) = model.states().and_then(|s| s[usize::from(TcpState::TimeWait.number())])
    else {
        return;
    };
    if count < MANY_TIME_WAIT {
        return;
    }
    let mut text = format!("{count} sockets in TIME_WAIT");
    if let Some((key, most)) = model.holders(TcpState::TimeWait, Grouping::Process).first() {
        text = format!("{text}, {most} of {}", process(key));
    }
    if let Some((Key { raddr: Some(raddr), .. }, most)) =
        model.holders(TcpState::TimeWait, Grouping::Remote).first()
    {
        text = format!("{text}, {most} to {raddr}");
    }
    found.push(Finding { weight: Weight::Warning, text });
}

fn retransmits(model: &Model, found: &mut Vec<Finding>) {
    let sum = |metric| model.history.sum(metric, model.now, WINDOW);
    let ((again, known), (first, _)) = (sum(Metric::Retransmits), sum(Metric::Segments));
    // The kernel counts retransmitted segments apart (TcpOutSegs is without them).
    let all = again + first;
    let percent = again * 100.0 / all.max(1.0);
    if known > 0.0 && percent >= MANY_RETRANSMITS {
        let text = format!(
            "{percent:.1} % of segments retransmitted ({again:.0} of {all:.0} in {known:.0} s)"
        );
        found.push(Finding { weight: Weight::Warning, text });
    }
    let (resets, known) = sum(Metric::Resets);
    let (opens, _) = sum(Metric::Opens);
    if known > 0.0 && resets >= 10.0 && resets > opens / 10.0 {
        let text = format!("{resets:.0} resets sent in {known:.0} s");
        found.push(Finding { weight: Weight::Remark, text });
    }
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
pub fn nanos(ns: u64) -> String {
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
