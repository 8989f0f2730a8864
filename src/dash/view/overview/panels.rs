//! The parts of the overview besides findings and rates.

use ratatui::style::Style;

use super::super::canvas::width;
use super::super::grid;
use super::Canvas;
use crate::dash::Dash;
use crate::dash::layout::{Area, Cut};
use crate::dash::model::{Model, Weight, float, listener_name, process, sum};
use crate::findings::FEW_PORTS_LEFT;
use crate::group::Grouping;
use crate::latency::LatencyKind;
use crate::report::{Align, Cell};
use crate::tcp_state::TcpState;

/// Columns in front of a value.
const LABEL: u16 = 19;

/// The busiest processes.
pub fn processes(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let inner = canvas.titled(area, "top processes");
    grid::panel(canvas, &dash.tables.processes, inner, "none known");
}

/// The busiest remotes, and the slowest below them.
pub fn remotes(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let inner = canvas.titled(area, "top remotes");
    let (above, below) = inner.split(inner.height.saturating_sub(1));
    grid::panel(canvas, &dash.tables.remotes, above, "none known");
    slowest_peer(canvas, dash.model(), below);
}

/// Listeners: those with drops first; and below them the fullest destination.
pub fn listeners(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let inner = canvas.titled(area, "listeners");
    let (above, below) = inner.split(inner.height.saturating_sub(1));
    grid::panel(canvas, &dash.tables.listeners, above, "none known");
    fullest_destination(canvas, dash.model(), below);
}

/// The destination whose local ports are nearest to being used up.
fn fullest_destination(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    canvas.text(area, 0, 0, "local ports used", canvas.theme.strong());
    let (_, rest) = area.beside(LABEL);
    let Some(row) = model.look.destinations().max_by_key(|row| row.permille()) else {
        canvas.text(rest, 0, 0, "-", canvas.theme.faint());
        return;
    };
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let to = canvas.words(Cell::Endpoint(row.raddr, row.device, row.rport));
    let (used, all) = (number(row.local_ports_used), number(row.local_ports));
    let short = row.permille().is_some_and(|part| part >= FEW_PORTS_LEFT);
    let style = if short { canvas.theme.weight(Weight::Warning) } else { canvas.theme.faint() };
    canvas.text(rest, 0, 0, &format!("{used} of {all} to {to}"), style);
}

/// How the sockets are shared among the states: a bar, and below it what its parts are.
pub fn states(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    let (label, rest) = area.beside(LABEL);
    canvas.text(label, 0, 0, "sockets", canvas.theme.strong());
    let Some(states) = model.look.states() else {
        canvas.text(label, LABEL - 2, 0, "-", canvas.theme.faint());
        return;
    };
    let mut parts: Vec<_> = TcpState::LIFECYCLE
        .into_iter()
        .filter_map(|state| Some((state, states[usize::from(state.number())].filter(|n| *n > 0)?)))
        .collect();
    parts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total = sum(parts.iter().map(|(_, count)| *count));
    let words = canvas.words(Cell::Count(total));
    canvas.text(label, (LABEL - 1).saturating_sub(width(&words)), 0, &words, Style::new());
    let (mut x, mut legend) = (0, 0);
    for (index, (state, count)) in parts.iter().enumerate() {
        let (sign, style) = (canvas.theme.part_sign(index), canvas.theme.state(*state));
        let share = float(*count) / float(total.max(1)) * f64::from(rest.width);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the width"
        )]
        let cells = (share.round() as u16).max(1).min(rest.width.saturating_sub(x));
        for _ in 0..cells.min(cells * rest.height) {
            canvas.put(rest.x + x, rest.y, sign, style);
            x += 1;
        }
        let words = format!("{} {}", state.name(), canvas.words(Cell::Count(*count)));
        if legend + width(&words) + 2 <= area.width && area.height > 1 {
            canvas.put(area.x + legend, area.y + 1, sign, style);
            legend = canvas.text(area, legend + 1, 1, &words, Style::new()) + 2;
        }
    }
}

/// The listener with most drops, else the one with the fullest queue.
pub fn worst_listener(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    canvas.text(area, 0, 0, "worst listener", canvas.theme.strong());
    let (_, rest) = area.beside(LABEL);
    let fullness = |row: &&crate::listen::ListenerRecord| {
        let level = row.accept_peak.or(row.accept_now).unwrap_or(0);
        let full = level.saturating_mul(1000) / row.accept_limit.unwrap_or(0).max(1);
        (model.recent_drops(row).total, full)
    };
    let Some(row) = model.all_listeners().max_by_key(fullness) else {
        canvas.text(rest, 0, 0, "-", canvas.theme.faint());
        return;
    };
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let recent = model.recent_drops(row).total;
    let numbers = format!(
        "{} drops/min, ACCEPT-Q {}/{}",
        number(recent),
        number(row.accept_peak.or(row.accept_now)),
        number(row.accept_limit),
    );
    let text = format!("{}: {numbers}", listener_name(row));
    // The numbers are worth more than the process.
    let text = if width(&text) > rest.width {
        format!("{}: {numbers}", canvas.words(Cell::Endpoint(row.laddr, row.device, row.lport)))
    } else {
        text
    };
    let bad = recent.is_some_and(|drops| drops > 0);
    let style = if bad { canvas.theme.weight(Weight::Bad) } else { canvas.theme.faint() };
    canvas.text(rest, 0, 0, &text, style);
}

/// The remote with the longest responses, or without rows by remote the process
/// that waits for them.
pub fn slowest_peer(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    canvas.text(area, 0, 0, "slowest peer", canvas.theme.strong());
    let (_, rest) = area.beside(LABEL);
    let slowest = |grouping: &[Grouping]| {
        let groups = model.latency.iter();
        let of = groups.filter(|((what, by), _)| {
            *what == Some(LatencyKind::Response) && grouping.contains(by)
        });
        let rows =
            of.flat_map(|(_, interval)| &interval.rows).filter(|row| !row.other && !row.is_total());
        rows.filter(|row| row.p99_ns.is_some()).max_by_key(|row| row.p99_ns)
    };
    let one = || {
        let responses =
            model.exchanges.iter().filter(|one| one.latency_kind == Some(LatencyKind::Response));
        responses.max_by_key(|one| one.duration_ns)
    };
    let (who, ns, what) = if let Some(row) = slowest(&[Grouping::Remote, Grouping::Connection]) {
        (canvas.words(Cell::addr(row.raddr, row.device)), row.p99_ns, "P99 of responses")
    } else if let Some(row) = slowest(&[Grouping::Process]) {
        (format!("that of {}", process(&row.key())), row.p99_ns, "P99 of responses")
    } else if let Some(one) = one() {
        let raddr = canvas.words(Cell::addr(one.raddr, one.device));
        (raddr, one.duration_ns, "for one response")
    } else {
        canvas.text(rest, 0, 0, "-", canvas.theme.faint());
        return;
    };
    let ns = canvas.words(ns.map_or(Cell::Missing, Cell::Nanos));
    canvas.text(rest, 0, 0, &format!("{who}: {ns} {what}"), Style::new());
}

/// A number at the right end of its place.
pub fn number(canvas: &mut Canvas<'_>, area: Area, y: u16, cell: Cell<'_>) {
    canvas.cell(area, y, cell, Align::Right, Style::new());
}
