//! Quantiles by key, and below them the history of the selected key.

use super::{Canvas, grid, heatmap, nothing};
use crate::dash::Dash;
use crate::dash::layout::Layout;

/// Draws the view.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, layout: &Layout) {
    grid::draw(canvas, &dash.tables.latencies, layout.table, nothing(dash));
    if !dash.has_detail()
        && let Some(row) = dash.tables.latencies.selected()
    {
        heatmap::draw(canvas, dash.model(), row, layout.below);
    }
}
