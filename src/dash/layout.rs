//! Screen layout: plain arithmetic, for drawing and clicks.

use super::View;
use super::rows::TableRow;
use crate::report::{Align, Column, Ctx};

/// Lines above the body: tabs, and what is being shown.
const HEAD: u16 = 2;
/// Lines below it.
const FOOT: u16 = 1;
/// A column of text may become so narrow where there is no room.
const NARROW: u16 = 15;
/// And so wide where there is.
const WIDE: u16 = 45;
/// So many lines show all states and a table below them.
const TALL: u16 = 26;

/// A screen of so many columns has two of panels on the overview.
const TWO: u16 = 100;
/// Lines of all rates of a narrow overview, and their axis.
pub const RATES: u16 = 9;

pub use ratatui::layout::Rect as Area;

/// Cutting parts off an area.
pub trait Cut: Sized {
    /// The first `height` lines, and the others.
    fn split(self, height: u16) -> (Self, Self);
    /// The first `width` columns, and the others.
    fn beside(self, width: u16) -> (Self, Self);
    /// Whether a click meets it.
    fn holds(&self, x: u16, y: u16) -> bool;
}

impl Cut for Area {
    fn split(self, height: u16) -> (Self, Self) {
        let height = height.min(self.height);
        let below = Self { y: self.y + height, height: self.height - height, ..self };
        (Self { height, ..self }, below)
    }

    fn beside(self, width: u16) -> (Self, Self) {
        let width = width.min(self.width);
        let right = Self { x: self.x + width, width: self.width - width, ..self };
        (Self { width, ..self }, right)
    }

    fn holds(&self, x: u16, y: u16) -> bool {
        self.contains((x, y).into())
    }
}

/// The parts of a screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Everything between head and foot.
    pub body: Area,
    /// The table, its headings in the first line; empty in views without one.
    pub table: Area,
    /// Details of the selected row, or what goes with the table; may be empty.
    pub below: Area,
    /// The last line.
    pub foot: Area,
}

impl Layout {
    /// The layout of a screen with these columns and lines.
    pub fn of(view: View, width: u16, height: u16, detail: bool) -> Self {
        let screen = Area { x: 0, y: 0, width, height };
        let (_, rest) = screen.split(HEAD);
        let (body, foot) = rest.split(rest.height.saturating_sub(FOOT));
        let lower = (body.height / 2).max(7).min(body.height.saturating_sub(3));
        let (upper, rest) = body.split(body.height - lower);
        let none = body.split(0).0;
        let (table, below) = match view {
            View::Overview | View::Tool => (none, none),
            View::Latency => (upper, rest),
            View::States if !detail => (close_wait(body), none),
            _ if detail => (upper, rest),
            _ => (body, none),
        };
        Self { body, table, below, foot }
    }

    /// Whether the overview has several columns of panels.
    pub fn is_wide(&self) -> bool {
        self.body.width >= TWO && self.body.height >= 20
    }

    /// Lines that findings of the overview may take.
    pub fn findings(&self) -> u16 {
        let height = self.body.height;
        if self.is_wide() { height / 3 } else { height.saturating_sub(RATES + 5) }
    }

    /// Rows of the table that fit below its headings.
    pub fn page(&self) -> usize {
        usize::from(self.table.height.saturating_sub(1))
    }
}

/// The box in which one of so many things can be chosen, with its frame: over the right end of the body.
pub fn choice_box(body: Area, count: usize) -> Area {
    const WIDTH: u16 = 26;
    let height = u16::try_from(count).unwrap_or(u16::MAX).saturating_add(2).min(body.height);
    let width = WIDTH.min(body.width);
    Area { x: body.x + body.width - width, width, height, ..body }
}

/// The first of a list on a screen with room for so many, of which the selected one is the last at most.
pub fn first_shown(cursor: usize, room: u16) -> usize {
    (cursor + 1).saturating_sub(usize::from(room))
}

/// Where the oldest in `CLOSE_WAIT` are listed: below all else, or in a corner.
fn close_wait(body: Area) -> Area {
    if body.height >= TALL {
        return body.split(13).1;
    }
    body.beside(body.width / 2).1.split(body.height / 2).1
}

/// A column on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which column.
    pub index: usize,
    /// Its first cell within the table.
    pub x: u16,
    /// Its cells.
    pub width: u16,
}

/// The columns that fit: those that stay, and of the others as many as there is room for, the
/// first `shift` left out. A blank cell is between two. `needs`: what the values of each column of text
/// take, where that is known; `hidden`: columns that are not wanted; `sorted`: columns with a mark behind
/// their heading, for which there is room in the column.
///
/// ratatui's `Layout` and `Table` give every column a width and squeeze where there is no room: which columns
/// are there at all, and what a click meets, is decided here.
pub fn columns<R: TableRow>(
    width: u16,
    shift: usize,
    needs: &[u16],
    hidden: &[usize],
    sorted: &[usize],
) -> Vec<Place> {
    let all = R::columns();
    let wanted = |index: &usize| !hidden.contains(index);
    let cells = |count: usize| u16::try_from(count).unwrap_or(u16::MAX);
    let heading =
        |index: usize| cells(all[index].heading.len()) + u16::from(sorted.contains(&index));
    let stretches = |index: usize| is_wide_text(&all[index]);
    let own = |index: usize| match needs.get(index) {
        Some(need) if stretches(index) => (*need).max(heading(index)).clamp(NARROW, WIDE),
        _ => cells(all[index].width).max(heading(index)),
    };
    // Short text grows a little: a process has at most 15 characters in its name.
    let need = |index: usize| {
        let most = if stretches(index) { WIDE } else { NARROW };
        needs.get(index).map_or(0, |need| (*need).min(most))
    };
    let narrowest = |index: usize| match needs.get(index) {
        Some(need) => (*need).max(heading(index)).min(NARROW),
        None => NARROW,
    };
    let mut pinned: Vec<_> = (0..R::PINNED).filter(wanted).collect();
    let others: Vec<_> = (R::PINNED..all.len()).filter(wanted).collect();
    let first = others.first().map_or(0, |index| own(*index));
    let too_wide =
        |pinned: &[usize]| pinned.iter().map(|index| own(*index) + 1).sum::<u16>() + first > width;
    // Of those that stay, one that yields goes before others are cut.
    let yielding = |index: &usize| all[*index].yields > 0;
    while too_wide(&pinned)
        && let Some(at) = pinned.iter().position(yielding)
    {
        pinned.remove(at);
    }
    let narrow = too_wide(&pinned);
    let (mut places, mut used) = (Vec::new(), 0);
    for index in pinned.into_iter().chain(others.into_iter().skip(shift)) {
        let cells = if narrow && stretches(index) { narrowest(index) } else { own(index) };
        if used + cells > width {
            break;
        }
        places.push(Place { index, x: used, width: cells });
        used += cells + 1;
    }
    stretch(&mut places, (width + 1).saturating_sub(used), need, stretches);
    places
}

/// Whether a column has text, whose width is that of its values where there is room.
fn is_wide_text<R>(column: &Column<R>) -> bool {
    column.align == Align::Left && column.width > usize::from(NARROW)
}

/// Gives what is left of the width to columns of text: first what their values lack, then the wide ones share
/// the rest.
fn stretch(
    places: &mut [Place],
    mut left: u16,
    need: impl Fn(usize) -> u16,
    stretches: impl Fn(usize) -> bool,
) {
    // Addresses and numbers before names: a part of them misleads.
    for wide in [true, false] {
        let lacks =
            |place: &Place| stretches(place.index) == wide && place.width < need(place.index);
        // A cell each at a time: all come as near to their need as the others.
        while left > 0 && places.iter().any(lacks) {
            for place in places.iter_mut().filter(|place| lacks(place)).take(left.into()) {
                place.width += 1;
                left -= 1;
            }
        }
    }
    let wide: u16 = places.iter().filter(|place| stretches(place.index)).map(|_| 1).sum();
    let share = left.checked_div(wide).unwrap_or(0);
    let mut x = 0;
    for place in places {
        place.x = x;
        if stretches(place.index) {
            place.width += share.min(WIDE.saturating_sub(place.width));
        }
        x += place.width + 1;
    }
}

/// The width of the widest value of each column of text: an address takes what it needs, and no more.
pub fn needs<R: TableRow>(rows: &[R]) -> Vec<u16> {
    if rows.is_empty() {
        return Vec::new();
    }
    let (mut ctx, mut text) = (Ctx::new(0, true), Vec::new());
    let mut widest = |column: &Column<R>| {
        let texts = rows.iter().filter(|_| column.align == Align::Left).map(|row| {
            let cell = (column.cell)(row);
            text.clear();
            cell.text(&mut ctx, &mut text);
            cell.width(&text)
        });
        u16::try_from(texts.max().unwrap_or(0)).unwrap_or(u16::MAX)
    };
    R::columns().iter().map(&mut widest).collect()
}

#[cfg(test)]
#[path = "layout_tests.rs"]
mod tests;
