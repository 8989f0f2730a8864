//! Quantiles by key, and below them how those of the selected key went over time.

use super::{Pen, grid, heatmap, nothing};
use crate::dash::Dash;
use crate::dash::layout::Layout;

/// Draws the view.
pub fn draw(pen: &mut Pen<'_>, dash: &Dash, layout: &Layout) {
    grid::draw(pen, &dash.tables.latencies, layout.table, nothing(dash));
    if !dash.has_detail()
        && let Some(row) = dash.tables.latencies.selected()
    {
        heatmap::draw(pen, dash.board(), row, layout.below);
    }
}
