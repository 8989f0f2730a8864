//! A table with its headings.

use super::Canvas;
use crate::dash::layout::{Area, Place, columns};
use crate::dash::rows::TableRow;
use crate::dash::table::TableState;
use crate::report::Align;

/// Draws the part of a table that fits; `empty` is said of one without rows.
pub fn draw<R: TableRow>(canvas: &mut Canvas<'_>, table: &TableState<R>, area: Area, empty: &str) {
    let places = columns::<R>(area.width, table.shift(), table.needs());
    headings(canvas, table, area, &places);
    let page = usize::from(area.height.saturating_sub(1));
    canvas.ctx.interval_ns = table.interval_ns();
    let top = table.top(page);
    if table.rows().is_empty() {
        let style = canvas.theme.faint();
        canvas.text(area, 1, 1, empty, style);
    }
    for (line, (index, row)) in (1..).zip(table.rows().iter().enumerate().skip(top).take(page)) {
        for place in &places {
            let column = &R::columns()[place.index];
            let cell = Area { x: area.x + place.x, width: place.width, ..area };
            let style = ratatui::style::Style::new();
            canvas.cell(cell, line, (column.cell)(row), column.align, style);
        }
        if index == table.cursor() {
            canvas.line(area, line, canvas.theme.selected());
        }
    }
}

/// The heading of the column sorted by is marked in the blank behind it.
fn headings<R: TableRow>(
    canvas: &mut Canvas<'_>,
    table: &TableState<R>,
    area: Area,
    places: &[Place],
) {
    let (sort, reverse) = table.order();
    let style = canvas.theme.strong();
    for place in places {
        let column = &R::columns()[place.index];
        let cell = Area { x: area.x + place.x, width: place.width, ..area };
        let width = canvas.width(column.heading);
        let x = if column.align == Align::Right { place.width.saturating_sub(width) } else { 0 };
        let end = canvas.text(cell, x, 0, column.heading, style);
        if place.index == sort {
            let mark = match (canvas.theme.ascii, reverse) {
                (false, false) => '▼',
                (false, true) => '▲',
                (true, false) => 'v',
                (true, true) => '^',
            };
            let at =
                area.x + place.x + if column.align == Align::Right { place.width } else { end };
            if at < area.x + area.width && area.height > 0 {
                canvas.put(at, area.y, mark, style);
            }
        }
    }
    canvas.line(
        area,
        0,
        ratatui::style::Style::new().add_modifier(ratatui::style::Modifier::UNDERLINED),
    );
}
