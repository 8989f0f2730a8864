//! Sockets by state, `TIME_WAIT` by owner, and the oldest in `CLOSE_WAIT`.

use ratatui::style::Style;
use ratatui::widgets::{LineGauge, Widget};

use super::overview::number;
use super::{Canvas, grid, nothing};
use crate::dash::layout::{Area, Cut, Layout};
use crate::dash::model::{Model, Weight, float, process};
use crate::dash::{Dash, View};
use crate::group::Grouping;
use crate::report::Cell;
use crate::report::Key;
use crate::tcp_state::TcpState;

/// Columns of names, numbers and ages.
const NAME: u16 = 13;
const NUMBER: u16 = 7;

/// The states that can be counted: the kernel does not list sockets in CLOSE.
fn counted() -> impl Iterator<Item = TcpState> {
    TcpState::LIFECYCLE.into_iter().filter(|state| *state != TcpState::Close)
}

/// Draws the view.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, layout: &Layout) {
    let model = dash.model();
    let body = if dash.has_detail() {
        Layout::of(View::Processes, dash.size.0, dash.size.1, true).table
    } else {
        layout.body
    };
    if dash.has_detail() {
        grid::draw(canvas, &dash.tables.close_wait, layout.table, nothing(dash));
        return;
    }
    let (left, right) = body.beside(body.width / 2);
    bars(canvas, model, Area { width: left.width.saturating_sub(1), ..left });
    let height = if layout.table.x == 0 { 12 } else { body.height - layout.table.height };
    holders(canvas, model, right.split(height).0);
    grid::draw(canvas, &dash.tables.close_wait, layout.table, nothing(dash));
}

/// A line a state.
pub fn bars(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    let states = model.look.states();
    let known = |state: TcpState| states.and_then(|states| states[usize::from(state.number())]);
    let most = counted().filter_map(known).max().unwrap_or(0).max(1);
    for (y, state) in (0..area.height).zip(counted()) {
        let count = known(state);
        let (name, rest) = area.beside(NAME);
        let busy = count.is_some_and(|count| count > 0);
        canvas.text(
            name,
            0,
            y,
            state.name(),
            if busy { canvas.theme.strong() } else { canvas.theme.faint() },
        );
        let (value, rest) = rest.beside(NUMBER);
        number(canvas, value, y, count.map_or(Cell::Missing, Cell::Id));
        bar(canvas, rest.split(y).1, (count.unwrap_or(0), most), canvas.theme.state(state));
    }
    if let Some(extent) = model.look.extent()
        && usize::from(area.height) > counted().count()
    {
        let text = format!("all in {}", extent.words(None));
        canvas.text(area, 0, area.height - 1, &text, canvas.theme.faint());
    }
}

/// A bar of the part that a count is of the largest, behind a blank; of any count something is seen.
fn bar(canvas: &mut Canvas<'_>, area: Area, (count, most): (u64, u64), style: Style) {
    let cells = f64::from(area.width.saturating_sub(1).max(1));
    let filled = (float(count) / float(most) * cells).round().max(f64::from(u8::from(count > 0)));
    // It rounds down.
    let ratio = ((filled + 0.5) / cells).min(1.0);
    let gauge = LineGauge::default().label("").filled_symbol("█").unfilled_symbol(" ");
    let ratio = if count > 0 { ratio } else { 0.0 };
    gauge.ratio(ratio).filled_style(style).render(area.split(1).0, canvas.screen);
}

/// Who has most sockets in `TIME_WAIT`, by process and by remote.
fn holders(canvas: &mut Canvas<'_>, model: &Model, area: Area) {
    let (by_process, by_remote) = area.split(area.height / 2);
    let name = |key: &Key| process(key);
    list(canvas, model, by_process, "TIME_WAIT by process", Grouping::Process, name);
    let name = |key: &Key| key.raddr.map_or("-".to_owned(), |raddr| raddr.to_string());
    list(canvas, model, by_remote, "TIME_WAIT by remote", Grouping::Remote, name);
}

fn list(
    canvas: &mut Canvas<'_>,
    model: &Model,
    area: Area,
    title: &str,
    by: Grouping,
    name: impl Fn(&Key) -> String,
) {
    canvas.text(area, 0, 0, title, canvas.theme.strong());
    let holders = model.look.holders(TcpState::TimeWait, by);
    if holders.is_empty() {
        let reported = model.look.sockets.iter().any(|((group, _), _)| *group == Some(by));
        canvas.text(area, 0, 1, if reported { "none" } else { "-" }, canvas.theme.faint());
    }
    for (y, (key, count)) in (1..area.height).zip(&holders) {
        let (value, rest) = area.beside(NUMBER);
        number(canvas, value, y, Cell::Id(*count));
        let first = y == 1 && *count >= 1000;
        let style = if first { canvas.theme.weight(Weight::Warning) } else { Style::new() };
        canvas.text(rest, 1, y, &name(key), style);
    }
}
