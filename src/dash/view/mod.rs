//! Draws the state. It decides only the appearance.

mod ascii;
mod canvas;
mod chrome;
mod columns;
mod detail;
mod foot;
mod grid;
mod heatmap;
mod help;
mod latency;
mod overview;
mod port;
mod snapshot;
mod states;
mod theme;
mod tool;

use ratatui::buffer::Buffer;

pub use canvas::Canvas;
pub use snapshot::snapshot;
pub use theme::{Palette, Theme};

use super::{Area, Dash, InputMode, View};
use crate::group::Grouping;
use crate::report::Ctx;

/// The smallest supported screen.
pub const SMALLEST: (u16, u16) = (40, 10);

/// Draws one frame. The screen must be empty.
pub fn draw(dash: &Dash, theme: Theme, ctx: &mut Ctx, screen: &mut Buffer) {
    let size = (screen.area.width, screen.area.height);
    let mut canvas = Canvas { screen, theme, ctx };
    if size.0 < SMALLEST.0 || size.1 < SMALLEST.1 {
        let all = Area { x: 0, y: 0, width: size.0, height: size.1 };
        let (width, height) = SMALLEST;
        let text = format!("{}×{}: needs {width}×{height}", size.0, size.1);
        canvas.text(all, 0, 0, &text, theme.strong());
    } else {
        views(&mut canvas, dash);
    }
    if theme.ascii {
        ascii::replace(screen);
    }
}

fn views(canvas: &mut Canvas<'_>, dash: &Dash) {
    let layout = dash.layout();
    chrome::head(canvas, dash);
    match dash.view {
        View::Overview => overview::draw(canvas, dash, &layout),
        View::Processes => {
            grid::draw(canvas, &dash.tables.processes, layout.table, nothing(dash));
            grid::trends(canvas, &dash.tables.processes, dash.model(), layout.table);
        }
        View::Remotes => {
            grid::draw(canvas, &dash.tables.remotes, layout.table, nothing(dash));
            grid::trends(canvas, &dash.tables.remotes, dash.model(), layout.table);
        }
        View::Connections => {
            grid::draw(canvas, &dash.tables.connections, layout.table, nothing(dash));
            grid::trends(canvas, &dash.tables.connections, dash.model(), layout.table);
        }
        View::Latency => latency::draw(canvas, dash, &layout),
        View::States => states::draw(canvas, dash, &layout),
        View::Listeners => {
            grid::draw(canvas, &dash.tables.listeners, layout.table, nothing(dash));
        }
        View::Ports => {
            grid::draw(canvas, &dash.tables.ports, layout.table, nothing(dash));
        }
        View::Tool => tool::draw(canvas, dash, layout.body),
    }
    if dash.has_detail() {
        detail::draw(canvas, dash, layout.below);
    }
    foot::draw(canvas, dash, layout.foot);
    match dash.mode {
        InputMode::Help(top) => help::draw(canvas, layout.body, top),
        InputMode::Columns(cursor) => columns::draw(canvas, dash, layout.body, cursor),
        InputMode::Normal | InputMode::Filter(_) => {}
    }
}

/// Text for a table without rows: unknown is not the same as none.
fn nothing(dash: &Dash) -> &'static str {
    let model = dash.model();
    let known = match dash.view {
        View::Processes => {
            model.counts.get(&Grouping::Process).is_some()
                || model.counts.get(&Grouping::Connection).is_some()
                || model.look.sockets.iter().any(|((by, _), _)| *by == Some(Grouping::Process))
        }
        View::Connections | View::Remotes => {
            model.counts.get(&Grouping::Connection).is_some() || !model.look.list.is_empty()
        }
        View::Latency => !model.latency.is_empty(),
        View::States => !model.look.sockets.is_empty(),
        View::Ports => model.look.ports().next().is_some() || model.looks_at_ports(),
        _ => !model.listeners.is_empty(),
    };
    match (dash.filter.is_some() || !dash.scope.is_empty(), &dash.progress) {
        (true, _) if known && dash.shows_related() => {
            "no rows match the filter: they have ended, or were not seen at the last look"
        }
        (true, _) if known => "no rows match the filter",
        (false, _) if known => "none",
        (_, None) => "no data yet",
        (_, Some(_)) => "not in this recording so far",
    }
}

/// One frame as plain text, for tickets and tests. Trailing blanks are removed.
pub fn text(screen: &Buffer) -> String {
    let width = usize::from(screen.area.width).max(1);
    let mut out = String::new();
    for line in screen.content().chunks(width) {
        let (mut text, mut covered) = (String::new(), 0);
        for cell in line {
            // A wide character covers the cell behind it.
            if covered > 0 {
                covered -= 1;
                continue;
            }
            text.push_str(cell.symbol());
            covered = unicode_width::UnicodeWidthStr::width(cell.symbol()).saturating_sub(1);
        }
        out.push_str(text.trim_end());
        out.push('\n');
    }
    out
}
