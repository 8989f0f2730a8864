//! The state of one table: its order, which row is selected, what of it is on the screen.

use super::layout::{Place, columns, needs};
use super::order::{busiest, order};
use super::rows::TableRow;
use crate::report::Key;

/// A table of rows `R`.
#[derive(Clone, Debug)]
pub struct TableState<R: TableRow> {
    rows: Vec<R>,
    sort: usize,
    /// Not by the column, but by the sum.
    by_sum: bool,
    reverse: bool,
    cursor: usize,
    /// The row that the selection follows, once it was moved.
    followed: Option<R::Id>,
    top: usize,
    shift: usize,
    detail: Option<R>,
    /// What the values of each column of text take on a screen.
    needs: Vec<u16>,
    /// Columns that are not wanted, by index; the trend stands behind all others.
    hidden: Vec<usize>,
}

/// Columns of a screen from which on there is room for the trend, …
const TREND_FROM: u16 = 100;
/// … and those that it takes at least and at most.
const TREND: (u16, u16) = (12, 40);

impl<R: TableRow> Default for TableState<R> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            sort: R::SORT,
            by_sum: !R::SUM.is_empty(),
            reverse: false,
            cursor: 0,
            followed: None,
            top: 0,
            shift: 0,
            detail: None,
            needs: Vec::new(),
            hidden: Vec::new(),
        }
    }
}

impl<R: TableRow> TableState<R> {
    /// Shows other rows, or the same with other numbers. The selection stays with its row and at
    /// its height of the screen.
    pub fn fill(&mut self, rows: Vec<R>) {
        self.rows = rows;
        self.needs = needs(&self.rows);
        self.arrange();
        if let Some(open) = self.detail.as_mut() {
            let id = open.id();
            // A row that is gone is shown as it was.
            if let Some(now) = self.rows.iter().find(|row| row.id() == id) {
                *open = now.clone();
            }
        }
    }

    fn arrange(&mut self) {
        let height = self.cursor.saturating_sub(self.top);
        let column = &R::columns()[self.sort];
        let reverse = self.reverse;
        let by_sum = self.by_sum;
        let order = |a: &R, b: &R| {
            if by_sum { busiest(reverse, a, b) } else { order(column, reverse, a, b) }
        };
        self.rows.sort_by(|a, b| order(a, b).then_with(|| a.id().cmp(&b.id())));
        let place =
            self.followed.as_ref().and_then(|id| self.rows.iter().position(|r| r.id() == *id));
        self.cursor = place.unwrap_or(self.cursor).min(self.rows.len().saturating_sub(1));
        if place.is_some() {
            self.top = self.cursor.saturating_sub(height);
        }
    }

    /// All rows in order.
    pub fn rows(&self) -> &[R] {
        &self.rows
    }

    /// Index of the selected row.
    pub fn cursor(&self) -> usize {
        self.cursor
    }

    /// The selected row; `None` of an empty table.
    pub fn selected(&self) -> Option<&R> {
        self.rows.get(self.cursor)
    }

    /// Index of the row at the top of a screen with room for `page` rows.
    pub fn top(&self, page: usize) -> usize {
        let page = page.max(1);
        let lowest = self.cursor.saturating_sub(page - 1);
        let end = self.rows.len().saturating_sub(page);
        self.top.clamp(lowest, self.cursor.max(lowest)).min(end.max(lowest))
    }

    /// Selects a row by index.
    pub fn select(&mut self, index: usize, page: usize) {
        self.top = self.top(page);
        self.cursor = index.min(self.rows.len().saturating_sub(1));
        self.top = self.top(page);
        self.followed = self.selected().map(TableRow::id);
    }

    /// Sorts by a column; the same column again reverses.
    pub fn sort_by(&mut self, column: usize) {
        if column >= R::columns().len() {
            return;
        }
        self.reverse = self.sort == column && !self.by_sum && !self.reverse;
        (self.sort, self.by_sum) = (column, false);
        self.arrange();
    }

    /// The columns that the order goes by: one, or the parts of the sum.
    pub fn sorted(&self) -> &[usize] {
        if self.by_sum { R::SUM } else { std::slice::from_ref(&self.sort) }
    }

    /// Whether the smallest comes first.
    pub fn ascending(&self) -> bool {
        self.reverse
    }

    /// Where columns are on a screen of this width.
    pub fn columns(&self, width: u16) -> Vec<Place> {
        columns::<R>(width, self.shift, &self.needs, &self.hidden, self.sorted())
    }

    /// The same with a trend of each row in what is left, where the rows have any.
    pub fn places(&self, width: u16) -> (Vec<Place>, Option<Place>) {
        let index = R::columns().len();
        if !R::TREND || width < TREND_FROM || self.hidden.contains(&index) {
            return (self.columns(width), None);
        }
        let places = self.columns(width - TREND.0 - 1);
        let x = places.last().map_or(0, |place| place.x + place.width + 1);
        (places, Some(Place { index, x, width: (width - x).min(TREND.1) }))
    }

    /// The row with open details.
    pub fn detail(&self) -> Option<&R> {
        self.detail.as_ref()
    }

    /// The length of the interval that rates were counted in, ns; 0 without any.
    pub fn interval_ns(&self) -> u64 {
        self.rows.iter().map(R::interval_ns).find(|ns| *ns > 0).unwrap_or(0)
    }
}

/// What every table can do, whatever its rows.
pub trait Browse {
    /// Moves the selection by this many rows.
    fn step(&mut self, rows: isize, page: usize);
    /// Sorts by another column: the next or the one before.
    fn sort_beside(&mut self, step: isize);
    /// Turns the order round.
    fn turn(&mut self);
    /// Shows columns further to the right, or to the left.
    fn scroll(&mut self, step: isize);
    /// Opens the details of the selected row.
    fn open(&mut self);
    /// Closes the details; `false` if none were open.
    fn close(&mut self) -> bool;
    /// Index of the selected row, and how many there are.
    fn place(&self) -> (usize, usize);
    /// Whether details are open.
    fn has_detail(&self) -> bool;
    /// The row with open details, else the selected one.
    fn current(&self) -> Option<&Key>;
    /// A click into a heading, at `x` of a table of this width.
    fn click_heading(&mut self, width: u16, x: u16);
    /// A click into a line below the headings.
    fn click_row(&mut self, line: usize, page: usize);
    /// Sorts by the column of this key, if there is one; the largest first.
    fn sort_on(&mut self, key: &str);
    /// The columns: key, heading, and whether it is wanted.
    fn choices(&self) -> Vec<(&'static str, &'static str, bool)>;
    /// Wants a column, or no longer; the last one stays.
    fn toggle(&mut self, index: usize);
}

impl<R: TableRow> Browse for TableState<R> {
    fn step(&mut self, rows: isize, page: usize) {
        let last = self.rows.len().saturating_sub(1);
        self.select(self.cursor.saturating_add_signed(rows).min(last), page);
    }

    fn sort_beside(&mut self, step: isize) {
        let columns = R::columns().len().cast_signed();
        let next = (self.sort.cast_signed() + step).rem_euclid(columns);
        self.sort_by(next.unsigned_abs());
    }

    fn turn(&mut self) {
        self.reverse = !self.reverse;
        self.arrange();
    }

    fn scroll(&mut self, step: isize) {
        let others = (R::PINNED..R::columns().len()).filter(|index| !self.hidden.contains(index));
        let most = others.count().saturating_sub(1);
        self.shift = self.shift.saturating_add_signed(step).min(most);
    }

    fn open(&mut self) {
        self.detail = self.selected().cloned();
        self.followed = self.selected().map(TableRow::id);
    }

    fn close(&mut self) -> bool {
        self.detail.take().is_some()
    }

    fn place(&self) -> (usize, usize) {
        (self.cursor, self.rows.len())
    }

    fn has_detail(&self) -> bool {
        self.detail.is_some()
    }

    fn current(&self) -> Option<&Key> {
        self.detail.as_ref().or_else(|| self.selected()).map(TableRow::key)
    }

    fn click_heading(&mut self, width: u16, x: u16) {
        let (places, _) = self.places(width);
        let hit = places.iter().find(|place| (place.x..=place.x + place.width).contains(&x));
        if let Some(place) = hit {
            self.sort_by(place.index);
        }
    }

    fn click_row(&mut self, line: usize, page: usize) {
        let index = self.top(page) + line;
        if index < self.rows.len() {
            self.select(index, page);
        }
    }

    fn sort_on(&mut self, key: &str) {
        if let Some(column) = R::columns().iter().position(|column| column.key == key) {
            (self.sort, self.by_sum, self.reverse) = (column, false, false);
            self.arrange();
        }
    }

    fn choices(&self) -> Vec<(&'static str, &'static str, bool)> {
        let columns = R::columns().iter().map(|column| (column.key, column.heading));
        let trend = R::TREND.then_some(("trend", "TREND"));
        let all = columns.chain(trend).enumerate();
        all.map(|(at, (key, heading))| (key, heading, !self.hidden.contains(&at))).collect()
    }

    fn toggle(&mut self, index: usize) {
        let columns = R::columns().len();
        if let Some(at) = self.hidden.iter().position(|hidden| *hidden == index) {
            self.hidden.remove(at);
        } else if index < columns + usize::from(R::TREND) {
            let left = (0..columns).filter(|at| !self.hidden.contains(at) && *at != index);
            if left.count() > 0 {
                self.hidden.push(index);
            }
        }
        self.scroll(0);
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
