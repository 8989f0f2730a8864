//! Details of a connection: its rates, why it does not move, and how it came to its state.

use std::fmt::Write as _;

use ratatui::style::Style;

use super::parts::{again, dropped, endings, graphs};
use crate::dash::Dash;
use crate::dash::layout::{Area, Cut};
use crate::dash::model::{Ends, Step, Weight, Who};
use crate::dash::rows::ConnectionRow;
use crate::dash::view::Canvas;
use crate::life::end_word;
use crate::report::Cell;
use crate::stall::{Stall, Why};
use crate::tcp_state::TcpState;

/// Draws them.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, row: &ConnectionRow, area: Area) {
    let tall = (area.height / 3).clamp(2, 6);
    let (above, below) = area.split(tall);
    let trail = Ends::of(&row.key).and_then(|ends| dash.model().series.of(Who::Connection(ends)));
    graphs(canvas, trail, ["sent", "received"], Cell::Bytes, above);
    let known = row.traffic.is_some_and(|traffic| traffic.retrans.is_some());
    let (line, below) = below.split(u16::from(known));
    again(canvas, row.traffic.as_ref(), (line, 0));
    let reasons = Ends::of(&row.key).map(|ends| dash.model().segments.of_connection(&ends));
    let below = dropped(canvas, &reasons.unwrap_or_default(), below);
    let below = endings(canvas, dash.model(), row.key.pid, below);
    let (line, below) = below.split(u16::from(row.stall.is_some()));
    if let Some(stall) = &row.stall {
        let text = stall_words(canvas, stall);
        canvas.text(line, 0, 0, &text, canvas.theme.weight(Weight::Warning));
    }
    if row.steps.is_empty() {
        let why = without_steps(dash);
        for (y, line) in (0..).zip(textwrap::wrap(why, usize::from(below.width).max(1))) {
            canvas.text(below, 0, y, &line, canvas.theme.faint());
        }
    }
    // The last ones, if not all fit.
    let skipped = row.steps.len().saturating_sub(usize::from(below.height));
    for (y, step) in (0..).zip(row.steps.iter().skip(skipped)) {
        let text = step_words(canvas, step);
        canvas.text(below, 0, y, &text, Style::new());
    }
}

/// `does not move for 6.70s: peer_gone, 607K queued, attempt 4 of 15, dies in 15m25s`
fn stall_words(canvas: &mut Canvas<'_>, stall: &Stall) -> String {
    let since = Cell::age(stall.stalled_ns, Some(stall.stalled_at_least_ns));
    let mut text = format!("does not move for {}", canvas.words(since));
    text += ": ";
    text += stall.why.map_or("-", Why::name);
    for (bytes, what) in [(stall.unacked_bytes, "queued"), (stall.unread_bytes, "not read")] {
        if bytes > 0 {
            let _ = write!(text, ", {} {what}", canvas.words(Cell::Bytes(bytes.into())));
        }
    }
    if let Some(attempt) = stall.attempt {
        let of = stall.attempts.map_or(String::new(), |attempts| format!(" of {attempts}"));
        let _ = write!(text, ", attempt {attempt}{of}");
    }
    if let Some(dies_in) = stall.dies_in_ns {
        let _ = write!(text, ", dies in {}", canvas.words(Cell::Nanos(dies_in)));
    }
    text
}

/// Why nothing is known of how a connection came to its state.
fn without_steps(dash: &Dash) -> &'static str {
    let recorded = dash.model().connections.iter().next().is_some();
    match (&dash.progress, recorded) {
        (None, _) => {
            "State changes are not recorded live (too costly). Record tcpstates --json and replay it."
        }
        (Some(_), true) => "No state change recorded so far.",
        (Some(_), false) => "State changes are not in this recording; record tcpstates --json.",
    }
}

fn step_words(canvas: &mut Canvas<'_>, step: &Step) -> String {
    let time = canvas.words(Cell::Time(step.ts));
    let state = step.state.map_or("-", TcpState::name);
    let mut words = format!("{time}  {state}");
    if let Some(ns) = step.after {
        words = format!("{words}  after {}", canvas.words(Cell::Nanos(ns)));
    }
    match step.cause.and_then(end_word) {
        Some(cause) => format!("{words}  {cause}"),
        None => words,
    }
}
