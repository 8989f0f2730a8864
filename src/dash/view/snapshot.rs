//! One frame as plain text.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::{Palette, Theme};
use crate::dash::{Dash, Event};
use crate::report::Ctx;

/// What the screen would show, without colours.
pub fn snapshot(dash: &mut Dash, ctx: &mut Ctx, width: u16, height: u16) -> String {
    dash.handle(Event::Resize(width, height));
    dash.refresh();
    let mut screen = Buffer::empty(Rect::new(0, 0, width, height));
    let theme = Theme { palette: Palette::None, ascii: dash.ascii };
    super::draw(dash, theme, ctx, &mut screen);
    super::text(&screen)
}
