//! A table with its headings.

use super::Pen;
use crate::dash::layout::{Area, Place, columns};
use crate::dash::rows::Line;
use crate::dash::table::Table;
use crate::report::Align;

/// Draws the part of a table that fits; `empty` is said of one without rows.
pub fn draw<R: Line>(pen: &mut Pen<'_>, table: &Table<R>, area: Area, empty: &str) {
    let places = columns::<R>(area.width, table.shift());
    headings(pen, table, area, &places);
    let page = usize::from(area.height.saturating_sub(1));
    pen.ctx.interval_ns = table.interval_ns();
    let top = table.top(page);
    if table.rows().is_empty() {
        let style = pen.theme.faint();
        pen.text(area, 1, 1, empty, style);
    }
    for (line, (index, row)) in (1..).zip(table.rows().iter().enumerate().skip(top).take(page)) {
        for place in &places {
            let column = &R::columns()[place.index];
            let cell = Area { x: area.x + place.x, width: place.width, ..area };
            let style = ratatui::style::Style::new();
            pen.cell(cell, line, (column.cell)(row), column.align, style);
        }
        if index == table.cursor() {
            pen.line(area, line, pen.theme.selected());
        }
    }
}

/// The heading of the column sorted by is marked in the blank behind it.
fn headings<R: Line>(pen: &mut Pen<'_>, table: &Table<R>, area: Area, places: &[Place]) {
    let (sort, reverse) = table.order();
    let style = pen.theme.strong();
    for place in places {
        let column = &R::columns()[place.index];
        let cell = Area { x: area.x + place.x, width: place.width, ..area };
        let width = pen.width(column.heading);
        let x = if column.align == Align::Right { place.width.saturating_sub(width) } else { 0 };
        let end = pen.text(cell, x, 0, column.heading, style);
        if place.index == sort {
            let mark = match (pen.theme.ascii, reverse) {
                (false, false) => '▼',
                (false, true) => '▲',
                (true, false) => 'v',
                (true, true) => '^',
            };
            let at =
                area.x + place.x + if column.align == Align::Right { place.width } else { end };
            if at < area.x + area.width && area.height > 0 {
                pen.put(at, area.y, mark, style);
            }
        }
    }
    pen.line(
        area,
        0,
        ratatui::style::Style::new().add_modifier(ratatui::style::Modifier::UNDERLINED),
    );
}
