//! The box in which the columns of a view are chosen.

use ratatui::widgets::{Block, Clear, List, ListState, StatefulWidget, Widget};

use super::Canvas;
use crate::dash::Dash;
use crate::dash::layout::{Area, choice_box};

/// Draws it, with the selected column.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, body: Area, cursor: usize) {
    let Some(table) = dash.tables.of(dash.view) else { return };
    let choices = table.choices();
    let area = choice_box(body, choices.len());
    Clear.render(area, canvas.screen);
    let title = ratatui::text::Span::styled(" columns ", canvas.theme.strong());
    let lines = choices
        .into_iter()
        .map(|(_, heading, shown)| format!("[{}] {heading}", if shown { 'x' } else { ' ' }));
    let list = List::new(lines)
        .block(Block::bordered().border_style(canvas.theme.faint()).title(title))
        .highlight_style(canvas.theme.selected());
    let mut selection = ListState::default().with_selected(Some(cursor));
    StatefulWidget::render(list, area, canvas.screen, &mut selection);
}
