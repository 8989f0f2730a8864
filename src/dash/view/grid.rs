//! A table with its headings.

use ratatui::layout::Constraint;
use ratatui::style::{Modifier, Style};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, StatefulWidget, Table, TableState as Selection};

use super::Canvas;
use super::canvas::{fit, width};
use crate::dash::layout::{Area, Cut, Place};
use crate::dash::model::{Model, Points, peak};
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
    // A part of a view has no room for trends.
    let places = if selects { table.places(area.width).0 } else { table.columns(area.width) };
    let page = usize::from(area.height.saturating_sub(1));
    canvas.ctx.interval_ns = table.interval_ns();
    let top = table.top(page);
    let body: Vec<_> = table.rows().iter().skip(top).take(page).collect();
    let body: Vec<_> = body.into_iter().map(|row| line(canvas, row, &places)).collect();
    let mark = if table.ascending() { "▲" } else { "▼" };
    let headings = places.iter().map(|place| {
        let column = &R::columns()[place.index];
        let mark = if table.sorted().contains(&place.index) { mark } else { "" };
        let text = heading(column.heading, place.width.saturating_sub(width(mark)));
        aligned(text + mark, column.align, Style::new())
    });
    let style = canvas.theme.strong().add_modifier(Modifier::UNDERLINED);
    let widths = places.iter().map(|place| Constraint::Length(place.width));
    let widget = Table::new(body, widths)
        .column_spacing(1)
        .header(Row::new(headings).style(style))
        .row_highlight_style(canvas.theme.selected());
    let selected = (selects && !table.rows().is_empty()).then(|| table.cursor() - top);
    widget.render(area, canvas.screen, &mut Selection::new().with_selected(selected));
    if table.rows().is_empty() {
        canvas.text(area, 0, 1, empty, canvas.theme.faint());
    }
}

/// A heading for which there is no room loses its last word before it is cut: `ACCEPT-Q` without `now/peak/limit`.
fn heading(text: &str, most: u16) -> String {
    let shorter = text.rsplit_once(' ').filter(|_| width(text) > most);
    fit(shorter.map_or(text, |(shorter, _)| shorter), most)
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

/// The last intervals of each row, where there is room: all its bytes, up to its own peak.
pub fn trends<R: TableRow>(
    canvas: &mut Canvas<'_>,
    table: &TableState<R>,
    model: &Model,
    area: Area,
) {
    let Some(place) = table.places(area.width).1.filter(|_| !table.rows().is_empty()) else {
        return;
    };
    let area = Area { width: place.width, ..area.beside(place.x).1 };
    let (heading, below) = area.split(1);
    let style = canvas.theme.strong().add_modifier(Modifier::UNDERLINED);
    canvas.text(heading, 0, 0, "TREND", style);
    let page = usize::from(below.height);
    let top = table.top(page);
    for (y, row) in (0..).zip(table.rows().iter().skip(top).take(page)) {
        let (_, line) = below.split(y);
        let points = row.who().and_then(|who| model.series.of(who));
        let values = points.map(|points| steps(points, row, model.now, place.width));
        if let Some(values) =
            values.filter(|values| values.iter().flatten().any(|value| *value > 0.0))
        {
            canvas.spark(line.split(1).0, &values, peak(&values));
        }
        if top + usize::from(y) == table.cursor() {
            canvas.line(line, 0, canvas.theme.selected());
        }
    }
}

/// All bytes of each of so many intervals up to now; one without a point is unknown.
fn steps<R: TableRow>(points: &Points, row: &R, now: i64, count: u16) -> Vec<Option<f64>> {
    let mut values = vec![None; count.into()];
    let length = i64::try_from(row.interval_ns()).unwrap_or(i64::MAX).max(1);
    for point in points {
        let back = now.saturating_sub(point.ts).saturating_add(length / 2) / length;
        let at = usize::try_from(back).ok().and_then(|back| values.len().checked_sub(back + 1));
        if let Some(at) = at {
            values[at] = Some(point.values.iter().sum()).filter(|sum: &f64| !sum.is_nan());
        }
    }
    values
}
