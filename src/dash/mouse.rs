//! The mouse: tabs, headings, rows, findings, boxes. Nothing needs it.

use super::keys::LAST_HELP;
use super::layout::{Cut, choice_box, first_shown};
use super::{Action, Dash, InputMode, View};

/// Takes lines of the mouse wheel.
pub(super) fn wheel(dash: &mut Dash, lines: isize) {
    match dash.mode {
        InputMode::Normal if dash.view == View::Overview => {
            let layout = dash.layout();
            dash.found.step(lines, &layout);
        }
        InputMode::Normal => {
            let page = dash.layout().page();
            dash.tables.with(dash.view, |table| table.step(lines, page));
        }
        InputMode::Help(top) => {
            let top = usize::from(top).saturating_add_signed(lines);
            let top = u16::try_from(top).unwrap_or(u16::MAX);
            dash.mode = InputMode::Help(top.min(LAST_HELP));
        }
        InputMode::Filter(_) | InputMode::Columns(_) => {}
    }
}

/// Takes a click of the first mouse button.
pub(super) fn click(dash: &mut Dash, x: u16, y: u16) -> Option<Action> {
    match dash.mode {
        InputMode::Normal => {
            click_view(dash, x, y);
            None
        }
        InputMode::Columns(cursor) => click_choice(dash, cursor, (x, y)),
        InputMode::Help(_) | InputMode::Filter(_) => None,
    }
}

/// A click into the box with the columns chooses one, and beside it closes it.
fn click_choice(dash: &mut Dash, cursor: usize, (x, y): (u16, u16)) -> Option<Action> {
    let count = dash.tables.of(dash.view)?.choices().len();
    let frame = choice_box(dash.layout().body, count);
    if !frame.holds(x, y) {
        dash.mode = InputMode::Normal;
        return None;
    }
    let inner = frame.height.saturating_sub(2);
    let line = y.checked_sub(frame.y + 1).filter(|line| *line < inner)?;
    let index = first_shown(cursor, inner) + usize::from(line);
    dash.tables.with(dash.view, |table| table.toggle(index));
    Some(Action::Remember)
}

fn click_view(dash: &mut Dash, x: u16, y: u16) {
    if y == 0 {
        let tabs = View::tabs(dash.view, dash.size.0);
        if let Some(tab) = tabs.into_iter().find(|tab| tab.columns.contains(&x)) {
            dash.show(tab.view);
        }
        return;
    }
    if dash.view == View::Overview {
        return click_finding(dash, x, y);
    }
    let layout = dash.layout();
    if !layout.table.holds(x, y) {
        return;
    }
    let (column, line) = (x - layout.table.x, y - layout.table.y);
    let (width, page) = (layout.table.width, layout.page());
    dash.tables.with(dash.view, |table| {
        if line == 0 {
            table.click_heading(width, column);
        } else {
            table.click_row(usize::from(line - 1), page);
        }
    });
}

/// A click on a finding opens it; on an open one it shows its rows.
fn click_finding(dash: &mut Dash, x: u16, y: u16) {
    let layout = dash.layout();
    if dash.found.open().is_none() {
        dash.found.click(x, y, &layout);
    } else if layout.body.holds(x, y) {
        dash.show_related();
    }
}
