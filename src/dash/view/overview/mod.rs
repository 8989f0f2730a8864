//! The overview: findings first, then as much of the rest as there is room for.

mod findings;
mod panels;
mod rates;

use ratatui::layout::{Constraint, Layout};

use super::{Canvas, states};
use crate::dash::Dash;
use crate::dash::layout::{self, Area, Cut};

pub use panels::number;

/// A screen of so many columns has three of panels.
const THREE: u16 = 150;
/// Lines of all states and their title.
const STATES: u16 = 13;
/// Least lines of processes beside them.
const PROCESSES: u16 = 5;

/// Draws the view.
pub fn draw(canvas: &mut Canvas<'_>, dash: &Dash, layout: &layout::Layout) {
    let below = findings::draw(canvas, &dash.found, layout);
    if layout.is_wide() {
        panels(canvas, dash, below);
    } else {
        narrow(canvas, dash, below);
    }
    findings::draw_open(canvas, &dash.found, layout.body);
}

/// Two or three columns.
fn panels(canvas: &mut Canvas<'_>, dash: &Dash, below: Area) {
    if below.width < THREE {
        let [left, right] = side_by_side(below);
        // The rates are whole in any case.
        let lines = state_lines(left, rates::LINES + 1);
        let (graphs, states) = left.split(left.height.saturating_sub(lines));
        rates::draw(canvas, dash.model(), graphs);
        states_in(canvas, dash, states);
        let thirds = [Constraint::Fill(1); 3];
        let [processes, remotes, listeners] = Layout::vertical(thirds).areas(right);
        panels::processes(canvas, dash, processes);
        panels::remotes(canvas, dash, remotes);
        panels::listeners(canvas, dash, listeners);
    } else {
        let [left, middle, right] = side_by_side(below);
        rates::draw(canvas, dash.model(), left);
        let (states, processes) = middle.split(state_lines(middle, PROCESSES));
        states_in(canvas, dash, states);
        panels::processes(canvas, dash, processes);
        let (remotes, listeners) = right.split(right.height / 2);
        panels::remotes(canvas, dash, remotes);
        panels::listeners(canvas, dash, listeners);
    }
}

fn side_by_side<const N: usize>(area: Area) -> [Area; N] {
    Layout::horizontal([Constraint::Fill(1); N]).spacing(2).areas(area)
}

/// Lines for all states, or for a bar of them where what shares the column would have less than `others`.
fn state_lines(column: Area, others: u16) -> u16 {
    if column.height >= STATES + others { STATES } else { 2 }
}

fn states_in(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    if area.height < STATES {
        return panels::states(canvas, dash.model(), area);
    }
    let inner = canvas.titled(area, "sockets by state");
    states::bars(canvas, dash.model(), inner);
}

/// One column: rates, states, the worst listener and peer, and processes where there is room left.
fn narrow(canvas: &mut Canvas<'_>, dash: &Dash, area: Area) {
    let (graphs, below) = area.split(rates::LINES);
    rates::lines(canvas, dash.model(), graphs);
    let (states, below) = below.split(2);
    panels::states(canvas, dash.model(), states);
    let (worst, below) = below.split(2);
    panels::worst_listener(canvas, dash.model(), worst);
    panels::slowest_peer(canvas, dash.model(), worst.split(1).1);
    if below.height >= 4 {
        panels::processes(canvas, dash, below);
    }
}
