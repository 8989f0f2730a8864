//! A table with its headings.

use ratatui::layout::Constraint;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, StatefulWidget, Table, TableState as Selection};

use super::Canvas;
use super::canvas::{fit, width};
use crate::dash::layout::{Area, Place, columns};
use crate::dash::rows::TableRow;
use crate::dash::table::TableState;
use crate::report::Align;

/// Draws the part of a table that fits, with its selected row; `empty` is said of one without rows.
pub fn draw<R: TableRow>(canvas: &mut Canvas<'_>, table: &TableState<R>, area: Area, empty: &str) {
    rows(canvas, table, area, empty, true);
}

/// The same without a selection: a part of a view that has others.
pub fn panel<R: TableRow>(canvas: &mut Canvas<'_>, table: &TableState<R>, area: Area, empty: &str) {
    rows(canvas, table, area, empty, false);
}

fn rows<R: TableRow>(
    canvas: &mut Canvas<'_>,
    table: &TableState<R>,
    area: Area,
    empty: &str,
    selects: bool,
) {
    let places = columns::<R>(area.width, table.shift(), table.needs());
    let page = usize::from(area.height.saturating_sub(1));
    canvas.ctx.interval_ns = table.interval_ns();
    let top = table.top(page);
    let body: Vec<_> = table.rows().iter().skip(top).take(page).collect();
    let body: Vec<_> = body.into_iter().map(|row| line(canvas, row, &places)).collect();
    let headings = places.iter().map(|place| {
        let column = &R::columns()[place.index];
        aligned(fit(column.heading, place.width), column.align, Style::new())
    });
    let style = canvas.theme.strong().add_modifier(Modifier::UNDERLINED);
    let widths = places.iter().map(|place| Constraint::Length(place.width));
    let widget = Table::new(body, widths)
        .column_spacing(1)
        .header(Row::new(headings).style(style))
        .row_highlight_style(canvas.theme.selected());
    let selected = (selects && !table.rows().is_empty()).then(|| table.cursor() - top);
    widget.render(area, canvas.screen, &mut Selection::new().with_selected(selected));
    mark_order(canvas, table, area, &places);
    if table.rows().is_empty() {
        canvas.text(area, 1, 1, empty, canvas.theme.faint());
    }
}

fn line<R: TableRow>(canvas: &mut Canvas<'_>, row: &R, places: &[Place]) -> Row<'static> {
    let cells = places.iter().map(|place| {
        let column = &R::columns()[place.index];
        let cell = (column.cell)(row);
        let style = if cell.is_idle() { canvas.theme.faint() } else { Style::new() };
        aligned(fit(&canvas.words(cell), place.width), column.align, style)
    });
    Row::new(cells.collect::<Vec<_>>())
}

fn aligned(text: String, align: Align, style: Style) -> Cell<'static> {
    let line = Line::from(text);
    Cell::from(if align == Align::Right { line.right_aligned() } else { line }).style(style)
}

/// The headings of the columns sorted by are marked in the blank behind them.
fn mark_order<R: TableRow>(
    canvas: &mut Canvas<'_>,
    table: &TableState<R>,
    area: Area,
    places: &[Place],
) {
    let mark = if table.ascending() { '▲' } else { '▼' };
    let style = canvas.theme.strong().add_modifier(Modifier::UNDERLINED);
    for place in places.iter().filter(|place| table.sorts_by(place.index)) {
        let column = &R::columns()[place.index];
        let end = if column.align == Align::Right {
            place.width
        } else {
            width(column.heading).min(place.width)
        };
        let at = area.x + place.x + end;
        if at < area.x + area.width && area.height > 0 {
            canvas.put(at, area.y, mark, style);
        }
    }
}
