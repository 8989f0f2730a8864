//! The keys, over the view.

use ratatui::widgets::{Clear, Widget};

use super::Canvas;
use super::canvas::width;
use crate::dash::HELP;
use crate::dash::layout::Area;

/// Draws the help from a line on.
pub fn draw(canvas: &mut Canvas<'_>, area: Area, top: u16) {
    Clear.render(area, canvas.screen);
    let longest = HELP.iter().map(|(keys, _)| width(keys)).max().unwrap_or(0);
    let lines = HELP.iter().skip(usize::from(top)).take(usize::from(area.height));
    for (y, (keys, what)) in (0..).zip(lines) {
        canvas.text(area, 1, y, keys, canvas.theme.strong());
        canvas.text(area, longest + 3, y, what, ratatui::style::Style::new());
    }
    let left = HELP.len().saturating_sub(usize::from(top) + usize::from(area.height));
    if left > 0 {
        let more = format!("{left} more: ↓");
        let x = area.width.saturating_sub(width(&more));
        canvas.text(area, x, area.height - 1, &more, canvas.theme.selected());
    }
}
