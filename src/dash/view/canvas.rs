//! What views draw with: text that stays within its area, and widgets in the colours of the theme.

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use ratatui::widgets::{Block, Borders, Sparkline, Widget};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::Theme;
use crate::dash::layout::Area;
use crate::report::{Align, Cell, Ctx};

/// What views draw with.
pub struct Canvas<'a> {
    /// The screen.
    pub screen: &'a mut Buffer,
    /// Colours and symbols.
    pub theme: Theme,
    /// Clock and interval for cells.
    pub ctx: &'a mut Ctx,
}

impl Canvas<'_> {
    /// Writes text that has been made safe, cut at the end of the area's line `y` (0 is its
    /// first). Returns the column behind it.
    pub fn text(&mut self, area: Area, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if y >= area.height || x >= area.width {
            return x;
        }
        let shown = fit(text, area.width - x);
        let (end, _) = self.screen.set_stringn(
            area.x + x,
            area.y + y,
            &shown,
            usize::from(area.width - x),
            style,
        );
        end - area.x
    }

    /// Writes items from line `y` on, as many to a line as fit; returns the line behind them.
    pub fn flow(
        &mut self,
        area: Area,
        indent: u16,
        y: u16,
        items: impl IntoIterator<Item = (String, Style)>,
    ) -> u16 {
        let (mut x, mut y) = (indent, y);
        for (text, style) in items {
            if x > indent && x + width(&text) > area.width {
                (x, y) = (indent, y + 1);
            }
            x = self.text(area, x, y, &text, style) + 2;
        }
        y + 1
    }

    /// Sets one cell of the screen.
    pub fn put(&mut self, x: u16, y: u16, c: char, style: Style) {
        if let Some(cell) = self.screen.cell_mut((x, y)) {
            cell.set_char(c).set_style(style);
        }
    }

    /// A cell of a row, cut to its place; zeros are faint.
    pub fn cell(&mut self, area: Area, y: u16, cell: Cell<'_>, align: Align, style: Style) {
        let text = self.words(cell);
        let style = if cell.is_idle() { style.patch(self.theme.faint()) } else { style };
        let blank = area.width.saturating_sub(width(&text));
        self.text(area, if align == Align::Right { blank } else { 0 }, y, &text, style);
    }

    /// A cell's text.
    pub fn words(&mut self, cell: Cell<'_>) -> String {
        let mut out = Vec::new();
        cell.text(self.ctx, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Styles a line of an area.
    pub fn line(&mut self, area: Area, y: u16, style: Style) {
        if y < area.height {
            self.screen.set_style(Area { y: area.y + y, height: 1, ..area }, style);
        }
    }

    /// A rule with a title; returns what is below it.
    pub fn titled(&mut self, area: Area, title: &str) -> Area {
        let title = ratatui::text::Span::styled(format!(" {title} "), self.theme.strong());
        let block = Block::new().borders(Borders::TOP).border_style(self.theme.faint());
        let block = block.title(title);
        let inner = block.inner(area);
        block.render(area, self.screen);
        inner
    }

    /// Values over time, newest on the right, up to `top`; unknown ones are blank and 0 is a thin line.
    pub fn spark(&mut self, area: Area, values: &[Option<f64>], top: f64) {
        let skipped = values.len().saturating_sub(usize::from(area.width));
        let steps = u64::from(area.height) * 8;
        // Whatever is above 0 is seen to be.
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "0 to a few hundred"
        )]
        let height = |value: f64| 1 + (value / top * (steps.max(1) - 1) as f64).ceil() as u64;
        let known = |value: &Option<f64>| value.filter(|value| !value.is_nan()).map(height);
        let blank = usize::from(area.width).saturating_sub(values.len());
        let data = std::iter::repeat_n(None, blank).chain(values[skipped..].iter().map(known));
        let graph = Sparkline::default().data(data).max(steps).style(self.theme.graph());
        graph.absent_value_symbol(" ").render(area, self.screen);
    }
}

/// Columns that a text takes.
pub fn width(text: &str) -> u16 {
    u16::try_from(text.width()).unwrap_or(u16::MAX)
}

/// A text in at most `most` columns; the last one says that there was more.
pub fn fit(text: &str, most: u16) -> String {
    if width(text) <= most {
        return text.to_owned();
    }
    let (mut used, mut out) = (1, String::new());
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used > usize::from(most) {
            break;
        }
        out.push(c);
    }
    if most > 0 {
        out.push('…');
    }
    out
}
