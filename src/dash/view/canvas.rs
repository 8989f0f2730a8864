//! Writes into the screen: text that stays within its area, graphs, bars.

use ratatui::buffer::Buffer;
use ratatui::style::Style;
use unicode_width::UnicodeWidthChar;

use super::Theme;
use crate::dash::layout::Area;
use crate::dash::model::peak;
use crate::report::{Align, Cell, Ctx};

/// What views draw with.
pub struct Canvas<'a> {
    /// The screen.
    pub screen: &'a mut Buffer,
    /// Colours and symbols.
    pub theme: Theme,
    /// Clock and interval for cells.
    pub ctx: &'a mut Ctx,
    cell: Vec<u8>,
}

impl<'a> Canvas<'a> {
    /// One for a screen.
    pub fn new(screen: &'a mut Buffer, theme: Theme, ctx: &'a mut Ctx) -> Self {
        Self { screen, theme, ctx, cell: Vec::new() }
    }

    /// Writes text that has been made safe, cut at the end of the area's line `y` (0 is its
    /// first). Returns the column behind it.
    pub fn text(&mut self, area: Area, x: u16, y: u16, text: &str, style: Style) -> u16 {
        if y >= area.height || x >= area.width {
            return x;
        }
        let end = area.x + area.width;
        let mut at = area.x + x;
        for c in text.chars() {
            let mut buffer = [0; 4];
            let shown = self.shown(c, &mut buffer);
            for c in shown.chars() {
                let width = u16::try_from(c.width().unwrap_or(0)).unwrap_or(0);
                if at + width > end {
                    // The last cell says that there was more.
                    let last = if self.theme.ascii { '~' } else { '…' };
                    self.put(end - 1, area.y + y, last, style);
                    return area.width;
                }
                if width > 0 {
                    self.put(at, area.y + y, c, style);
                    at += width;
                }
            }
        }
        at - area.x
    }

    /// A character as this terminal can show it.
    fn shown<'b>(&self, c: char, buffer: &'b mut [u8; 4]) -> &'b str {
        match c {
            c if !self.theme.ascii || c.is_ascii() => c.encode_utf8(buffer),
            'µ' => "u",
            '≥' => ">=",
            '×' => "x",
            '→' => ">",
            '←' => "<",
            '↑' => "^",
            '↓' => "v",
            '…' => "..",
            '·' => "-",
            _ => "?",
        }
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
            if x > indent && x + self.width(&text) > area.width {
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

    /// A cell of a row, cut to its place.
    pub fn cell(&mut self, area: Area, y: u16, cell: Cell<'_>, align: Align, style: Style) {
        let mut bytes = std::mem::take(&mut self.cell);
        bytes.clear();
        cell.text(self.ctx, &mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        let width = self.width(&text);
        let x = if align == Align::Right { area.width.saturating_sub(width) } else { 0 };
        self.text(area, x, y, &text, style);
        drop(text);
        self.cell = bytes;
    }

    /// Cells that a text takes here.
    pub fn width(&self, text: &str) -> u16 {
        let mut buffer = [0; 4];
        let width = |c| -> usize {
            self.shown(c, &mut buffer).chars().map(|c| c.width().unwrap_or(0)).sum()
        };
        u16::try_from(text.chars().map(width).sum::<usize>()).unwrap_or(u16::MAX)
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
            let line = ratatui::layout::Rect::new(area.x, area.y + y, area.width, 1);
            self.screen.set_style(line, style);
        }
    }

    /// A graph of values over time, newest on the right, unknown ones blank and 0 a thin line.
    pub fn graph(&mut self, area: Area, values: &[Option<f64>]) {
        let (levels, style) = (self.theme.levels(), self.theme.graph());
        let top = peak(values);
        let steps = f64::from(area.height) * 7.0;
        let skipped = values.len().saturating_sub(usize::from(area.width));
        let newest = &values[skipped..];
        let blank = usize::from(area.width) - newest.len();
        for (x, value) in (blank..).zip(newest) {
            let Some(value) = value.filter(|value| !value.is_nan()) else { continue };
            let x = area.x + u16::try_from(x).unwrap_or(0);
            // Whatever is above 0 is seen to be.
            let mut left = if value > 0.0 { (value / top * steps).ceil().max(1.0) } else { 0.0 };
            for line in (0..area.height).rev() {
                let lowest = line + 1 == area.height;
                let level = left.clamp(0.0, 7.0);
                if level > 0.0 || lowest {
                    #[allow(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "0 to 7"
                    )]
                    let index = level as usize + 1;
                    self.put(x, area.y + line, levels[index], style);
                }
                left -= 7.0;
            }
        }
    }

    /// A bar filled to `part` (0 to 1).
    pub fn bar(&mut self, area: Area, y: u16, part: f64, style: Style) {
        let width = f64::from(area.width);
        let mut filled = (part.clamp(0.0, 1.0) * width).round();
        if part > 0.0 {
            filled = filled.max(1.0);
        }
        let sign = self.theme.part_sign(0);
        for x in (0..area.width).filter(|_| y < area.height) {
            if f64::from(x) < filled {
                self.put(area.x + x, area.y + y, sign, style);
            }
        }
    }
}
