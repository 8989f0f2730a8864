//! Findings, what was looked for, and what there is to say about one of them.

use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, List, ListState, StatefulWidget, Widget};

use super::super::canvas::{fit, width};
use super::Canvas;
use crate::dash::found::{checks, indent, story};
use crate::dash::layout::{Area, Cut, Layout};
use crate::dash::model::Finding;
use crate::dash::{Found, Item};

/// Columns of the headings of a story.
const LABEL: u16 = 9;

/// What is wrong, as far as there is room, and how much more there is; then what was looked for. Returns the
/// area below.
pub fn draw(canvas: &mut Canvas<'_>, found: &Found, layout: &Layout) -> Area {
    let (area, below) = found.split(layout);
    for (y, line) in (0..).zip(found.lines(layout)) {
        let (index, column) = match line.item {
            Item::Checks => (found.all.found.len(), 0),
            Item::Finding(index) => (index, indent(area.width)),
            Item::More(index) => (index, 0),
        };
        let weight = found.all.found.get(index).map(Finding::weight);
        let style = match line.item {
            Item::Checks => canvas.theme.faint(),
            _ => weight.map_or(Style::new(), |weight| canvas.theme.weight(weight)),
        };
        if let (Item::Finding(_), true, Some(weight)) = (line.item, line.first, weight) {
            let words = indent(area.width) > width(weight.name());
            canvas.text(area, 0, y, if words { weight.name() } else { "!" }, style);
        }
        let end = canvas.text(area, column, y, &line.text, style);
        let selected = match line.item {
            Item::More(first) => found.cursor().is_some_and(|cursor| cursor >= first),
            Item::Checks => found.on_checks() && line.first,
            Item::Finding(_) => found.cursor() == Some(index),
        };
        if selected {
            canvas.line(Area { width: end.min(area.width), ..area }, y, canvas.theme.selected());
        }
    }
    below
}

/// The whole list, or what is open of it, over all else.
pub fn draw_open(canvas: &mut Canvas<'_>, found: &Found, area: Area) {
    if let Some((finding, top)) = found.open() {
        Clear.render(area, canvas.screen);
        return tell(canvas, finding, area, top);
    }
    if !found.has_list() {
        return;
    }
    Clear.render(area, canvas.screen);
    let lines = found.all.found.iter().map(|one| {
        let severity = Span::raw(format!("{:7}", one.weight().name()));
        let text = Span::raw(fit(&one.text, area.width.saturating_sub(7)));
        Line::from(vec![severity, text]).style(canvas.theme.weight(one.weight()))
    });
    let count = u16::try_from(found.all.found.len()).unwrap_or(u16::MAX);
    let (area, below) = area.split(count);
    let list = List::new(lines).highlight_style(canvas.theme.selected());
    let mut selection = ListState::default().with_selected(found.cursor());
    StatefulWidget::render(list, area, canvas.screen, &mut selection);
    for (y, line) in (0..).zip(checks(&found.all, below.width)) {
        canvas.text(below, 0, y, &line, canvas.theme.faint());
    }
}

/// A finding with its evidence, cause and remedy, from a line on.
fn tell(canvas: &mut Canvas<'_>, finding: &Finding, area: Area, top: u16) {
    let lines = story(finding, area.width);
    let left = lines.len().saturating_sub(usize::from(top) + usize::from(area.height));
    let weight = canvas.theme.weight(finding.weight());
    let mut first = true;
    for (number, line) in lines.iter().enumerate() {
        let (label, text) = line.split_at_checked(usize::from(LABEL)).unwrap_or((line, ""));
        // The first part says what is wrong.
        first &= number == 0 || label.trim().is_empty();
        let Some(y) = number.checked_sub(top.into()).and_then(|y| u16::try_from(y).ok()) else {
            continue;
        };
        canvas.text(area, 0, y, label.trim_end(), canvas.theme.strong());
        canvas.text(area, LABEL, y, text, if first { weight } else { Style::new() });
    }
    if left > 0 {
        let more = format!("{left} more: ↓");
        let (_, last) = area.split(area.height - 1);
        let x = last.width.saturating_sub(width(&more));
        canvas.text(last, x, 0, &more, canvas.theme.selected());
    }
}
