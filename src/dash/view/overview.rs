//! The overview.

use ratatui::style::Style;

use super::Canvas;
use crate::dash::Dash;
use crate::dash::layout::Area;
use crate::dash::model::{Findings, Metric, Model, Weight, float, listener_name, process, sum};
use crate::group::Grouping;
use crate::latency::LatencyKind;
use crate::report::{Align, Cell, human};
use crate::tcp_state::TcpState;

/// Columns in front of a graph: its name, and the newest value.
const LABEL: u16 = 19;

/// Draws the view.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let model = dash.model();
    let graphs = u16::try_from(Metric::SHOWN.len()).unwrap_or(0);
    // Half of the screen, and at least a line each.
    let tall = (area.height / 2 / graphs).clamp(1, 4);
    let (above, below) = area.split(tall * graphs);
    for (index, series) in (0..).zip(Metric::SHOWN) {
        let (_, rest) = above.split(index * tall);
        graph(canvas, model, series, rest.split(tall).0);
    }
    let (bar, below) = below.split(2);
    states(canvas, model, bar);
    let (worst, below) = below.split(2);
    listener(canvas, model, worst);
    slowest(canvas, model, worst);
    findings(canvas, dash, below);
}

fn graph(canvas: &mut Canvas<'_>, model: &Model, series: Metric, area: Area) {
    let (label, graph) = area.beside(LABEL);
    canvas.text(label, 0, 0, series.name(), canvas.theme.strong());
    let newest = match model.history.newest(series, model.now) {
        Some(rate) => rate_words(rate),
        None => "-".to_owned(),
    };
    let x = (LABEL - 1).saturating_sub(canvas.width(&newest));
    canvas.text(label, x, 0, &newest, Style::new());
    let values = model.history.values(series, model.now, usize::from(graph.width));
    canvas.graph(graph, &values);
}

/// `12.3k/s`
fn rate_words(rate: f64) -> String {
    let mut text = Vec::new();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are finite")]
    human::per_second((rate * 1000.0).round() as u64, 1_000_000_000_000, &mut text);
    format!("{}/s", String::from_utf8_lossy(&text))
}

/// How the sockets are shared among the states: a bar, and below it what its parts are.
fn states(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    let (label, rest) = area.beside(LABEL);
    canvas.text(label, 0, 0, "sockets", canvas.theme.strong());
    let Some(states) = model.states() else {
        canvas.text(label, LABEL - 2, 0, "-", Style::new());
        return;
    };
    let mut parts: Vec<_> = TcpState::LIFECYCLE
        .into_iter()
        .filter_map(|state| Some((state, states[usize::from(state.number())].filter(|n| *n > 0)?)))
        .collect();
    parts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let total = sum(parts.iter().map(|(_, count)| *count));
    let words = canvas.words(Cell::Count(total));
    let x = (LABEL - 1).saturating_sub(canvas.width(&words));
    canvas.text(label, x, 0, &words, Style::new());
    let (mut x, mut legend) = (0, 0);
    for (index, (state, count)) in parts.iter().enumerate() {
        let share = float(*count) / float(total.max(1)) * f64::from(rest.width);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "at most the width"
        )]
        let cells = (share.round() as u16).max(1).min(rest.width.saturating_sub(x));
        for _ in 0..cells {
            canvas.put(rest.x + x, rest.y, canvas.theme.part_sign(index), canvas.theme.part(index));
            x += 1;
        }
        let words = format!("{} {}", state.name(), canvas.words(Cell::Count(*count)));
        if legend + canvas.width(&words) + 2 <= area.width && area.height > 1 {
            let sign = canvas.theme.part_sign(index);
            canvas.put(area.x + legend, area.y + 1, sign, canvas.theme.part(index));
            legend = canvas.text(area, legend + 1, 1, &words, Style::new()) + 2;
        }
    }
}

/// The listener with most drops, else the one with the fullest queue.
fn listener(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    canvas.text(area, 0, 0, "worst listener", canvas.theme.strong());
    let (_, rest) = area.beside(LABEL);
    let fullness = |row: &&crate::listen::ListenerRecord| {
        let level = row.accept_peak.or(row.accept_now).unwrap_or(0);
        let full = level.saturating_mul(1000) / row.accept_limit.unwrap_or(0).max(1);
        (model.recent_drops(row).total, full)
    };
    let Some(row) = model.all_listeners().max_by_key(fullness) else {
        canvas.text(rest, 0, 0, "-", Style::new());
        return;
    };
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let recent = model.recent_drops(row).total;
    let text = format!(
        "{}: {} dropped in a minute, accept queue {} of {}",
        listener_name(row),
        number(recent),
        number(row.accept_peak.or(row.accept_now)),
        number(row.accept_limit),
    );
    let bad = recent.is_some_and(|drops| drops > 0);
    let style = if bad { canvas.theme.weight(Weight::Bad) } else { Style::new() };
    canvas.text(rest, 0, 0, &text, style);
}

/// The remote with the longest responses, or without rows by remote the process
/// that waits for them.
fn slowest(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    canvas.text(area, 0, 1, "slowest peer", canvas.theme.strong());
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
        canvas.text(rest, 0, 1, "-", Style::new());
        return;
    };
    let ns = canvas.words(ns.map_or(Cell::Missing, Cell::Nanos));
    canvas.text(rest, 0, 1, &format!("{who}: {ns} {what}"), Style::new());
}

/// What is wrong, as far as there is room, and how much more there is; then what was looked for.
fn findings(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let Findings { found, .. } = &dash.findings;
    let width = usize::from(area.width.saturating_sub(2)).max(1);
    let wrapped: Vec<_> = found.iter().map(|one| textwrap::wrap(&one.text, width)).collect();
    let height = usize::from(area.height);
    let fits = |room: usize| {
        let mut used = 0;
        let ends = wrapped.iter().map(|lines| {
            used += lines.len();
            used
        });
        ends.filter(|end| *end <= room).count()
    };
    // The last line says how many more there are, unless all fit.
    let mut shown = fits(height);
    if shown < found.len() {
        shown = fits(height.saturating_sub(1)).max(usize::from(height > 1));
    }
    let mut y = 0;
    for (finding, lines) in found.iter().zip(&wrapped).take(shown) {
        let style = canvas.theme.weight(finding.weight);
        canvas.text(area, 0, y, "!", style);
        let room = area.height - u16::from(shown < found.len());
        let left = usize::from(room.saturating_sub(y));
        for (at, line) in lines.iter().take(left).enumerate() {
            let cut = if at + 1 == left && left < lines.len() { " …" } else { "" };
            canvas.text(area, 2, y, &format!("{line}{cut}"), style);
            y += 1;
        }
    }
    if let Some(next) = found.get(shown) {
        let style = canvas.theme.weight(next.weight);
        let left = found.len() - shown;
        let text = if shown == 0 {
            format!("+{left} problems: too small a screen to show them")
        } else {
            format!("+{left} more")
        };
        canvas.text(area, 0, y, &text, style);
        return;
    }
    checks(canvas, &dash.findings, area.split(y).1);
}

/// Which checks found nothing, and which had no data.
fn checks(canvas: &mut Canvas<'_>, findings: &Findings, area: Area) {
    let Findings { found, checked, unchecked } = findings;
    let mut texts = Vec::new();
    if !checked.is_empty() {
        let none = if found.is_empty() { "No problems found. Checked: " } else { "Checked: " };
        texts.push(format!("{none}{}.", checked.join(", ")));
    }
    if !unchecked.is_empty() {
        texts.push(format!("Not checked, as no data tell: {}.", unchecked.join(", ")));
    }
    let width = usize::from(area.width).max(1);
    let lines = texts.iter().flat_map(|text| textwrap::wrap(text, width));
    for (y, line) in (0..area.height).zip(lines) {
        canvas.text(area, 0, y, &line, canvas.theme.faint());
    }
}

/// A number at the right end of its place.
pub fn number(canvas: &mut Canvas<'_>, area: Area, y: u16, cell: Cell<'_>) {
    canvas.cell(area, y, cell, Align::Right, Style::new());
}
