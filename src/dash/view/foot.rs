//! The last line: keys, or what is typed.

use ratatui::style::Style;

use super::Canvas;
use super::canvas::width;
use crate::dash::layout::Area;
use crate::dash::model::Weight;
use crate::dash::related::related;
use crate::dash::{Dash, FilterLine, InputMode, View};
use crate::report::Cell;

/// The line below: the filter being typed, a remark, or the keys.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    if let InputMode::Filter(line) = &dash.mode {
        return typed(canvas, line, area);
    }
    if let Some(message) = &dash.message {
        let safe = canvas.words(Cell::Text(message.as_bytes()));
        canvas.text(area, 0, 0, &safe, canvas.theme.strong());
        return;
    }
    let mut x = 0;
    for (key, what) in keys(dash) {
        if x + width(key) + width(what) + 1 > area.width {
            break;
        }
        x = canvas.text(area, x, 0, key, canvas.theme.strong()) + 1;
        x = canvas.text(area, x, 0, what, canvas.theme.faint()) + 2;
    }
}

/// The keys that matter most now.
fn keys(dash: &Dash) -> Vec<(&'static str, &'static str)> {
    if matches!(dash.mode, InputMode::Columns(_)) {
        return vec![("Enter", "show or hide"), ("↑ ↓", "select"), ("Esc", "close")];
    }
    if let (Some((finding, _)), View::Overview) = (dash.found.open(), dash.view) {
        let rows = related(finding).map(|_| ("Enter", "its rows"));
        let others = [("Esc", "back"), ("← →", "others"), ("↑ ↓", "scroll")];
        return rows.into_iter().chain(others).collect();
    }
    let enter = match dash.view {
        // Without findings there is nothing in it that could be opened.
        View::Overview if dash.found.has_list() && dash.found.cursor().is_none() => Some("close"),
        View::Overview if dash.found.cursor().is_none() => Some("checks"),
        View::Overview => Some("cause and remedy"),
        View::Tool => None,
        _ if dash.has_detail() => Some("its process"),
        _ => Some("details"),
    };
    let table = dash.tables.of(dash.view).is_some();
    let all = [
        Some(("q", "quit")),
        Some(("?", "help")),
        enter.map(|what| ("Enter", what)),
        Some(("/", "filter")),
        table.then_some(("< >", "sort")),
        table.then_some(("c", "columns")),
        Some(("Space", "pause")),
        Some(("[ ]", "step")),
        Some(if dash.progress.is_some() { (", .", "seek") } else { ("s", "save") }),
    ];
    all.into_iter().flatten().collect()
}

/// The filter as it is typed: what cannot be read is marked, and why stands behind it.
fn typed(canvas: &mut Canvas<'_>, line: &FilterLine, area: Area) {
    let (strong, bad) = (canvas.theme.strong(), canvas.theme.weight(Weight::Bad));
    let mut x = canvas.text(area, 0, 0, "/", strong);
    let marked = line.error.as_ref().map_or(0..0, |error| error.at.clone());
    let room = usize::from(area.width).saturating_sub(3).max(1);
    // A long one shows the part around its cursor.
    let skipped = line.cursor().saturating_sub(room * 3 / 4);
    let mut cursor_at = None;
    for (number, (at, c)) in line.text().char_indices().enumerate().skip(skipped) {
        if number == line.cursor() {
            cursor_at = Some(x);
        }
        let style = if marked.contains(&at) { bad.underlined() } else { strong };
        x = canvas.text(area, x, 0, c.encode_utf8(&mut [0; 4]), style);
    }
    let at = cursor_at.unwrap_or(x).min(area.width.saturating_sub(1));
    canvas.line(Area { x: area.x + at, width: 1, ..area }, 0, canvas.theme.selected());
    let (hint, style): (_, Style) = match &line.error {
        Some(error) => (error.text.as_str(), bad),
        None => (
            "part of a name, rport:443 state:time_wait, ! excludes; Enter, Esc",
            canvas.theme.faint(),
        ),
    };
    canvas.text(area, x + 2, 0, hint, style);
}
