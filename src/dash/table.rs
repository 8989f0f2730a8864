//! The state of one table: its order, which row is selected, what of it is on the screen.

use std::cmp::Ordering;

use super::layout::{columns, is_wide_text};
use super::rows::TableRow;
use crate::report::{Cell, Column, Ctx, Key};

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
}

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

    /// Whether the order goes by this column, alone or as a part of the sum.
    pub fn sorts_by(&self, column: usize) -> bool {
        if self.by_sum { R::SUM.contains(&column) } else { self.sort == column }
    }

    /// Whether the smallest comes first.
    pub fn ascending(&self) -> bool {
        self.reverse
    }

    /// Columns scrolled out on the left.
    pub fn shift(&self) -> usize {
        self.shift
    }

    /// What the values of each column of text take; nothing of a table without rows.
    pub fn needs(&self) -> &[u16] {
        &self.needs
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
        let most = R::columns().len() - R::PINNED - 1;
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
        let places = columns::<R>(width, self.shift, &self.needs);
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
}

/// The width of the widest value of each column of text: an address takes what it needs, and no more.
fn needs<R: TableRow>(rows: &[R]) -> Vec<u16> {
    if rows.is_empty() {
        return Vec::new();
    }
    let (mut ctx, mut text) = (Ctx::new(0, true), Vec::new());
    let mut widest = |column: &Column<R>| {
        let texts = rows.iter().filter(|_| is_wide_text(column)).map(|row| {
            let cell = (column.cell)(row);
            text.clear();
            cell.text(&mut ctx, &mut text);
            cell.width(&text)
        });
        u16::try_from(texts.max().unwrap_or(0).max(column.heading.len())).unwrap_or(u16::MAX)
    };
    R::columns().iter().map(&mut widest).collect()
}

/// The largest sum first; unknown ones come last in both orders.
fn busiest<R: TableRow>(reverse: bool, a: &R, b: &R) -> Ordering {
    match (a.busy(), b.busy()) {
        (Some(a), Some(b)) if reverse => a.cmp(&b),
        (a, b) => b.cmp(&a),
    }
}

/// Unknown values come last in both orders.
fn order<R: TableRow>(column: &Column<R>, reverse: bool, a: &R, b: &R) -> Ordering {
    let (a, b) = ((column.cell)(a), (column.cell)(b));
    let order = a.order(&b);
    let unknown = |cell| matches!(cell, Cell::Missing | Cell::Endpoint(None, _, None));
    if reverse && !unknown(a) && !unknown(b) { order.reverse() } else { order }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dash::rows::ProcessRow;

    fn row(pid: u32, time_wait: Option<u64>) -> ProcessRow {
        let mut row = ProcessRow::default();
        row.key.pid = Some(pid);
        row.sockets = time_wait.map(|n| std::array::from_fn(|i| if i == 6 { n } else { 0 }));
        row
    }

    fn pids(table: &TableState<ProcessRow>) -> Vec<u32> {
        table.rows().iter().map(|row| row.key.pid.unwrap()).collect()
    }

    const TIME_WAIT: usize = 5;

    #[test]
    fn the_selection_follows_its_row_and_not_its_line() {
        let mut table = TableState::default();
        table.sort_by(TIME_WAIT);
        table.fill((1..=9).map(|pid| row(pid, Some(pid.into()))).collect());
        assert_eq!((pids(&table)[0], table.cursor()), (9, 0));
        table.fill((1..=9).map(|pid| row(pid, Some(100 - u64::from(pid)))).collect());
        assert_eq!((pids(&table)[0], table.cursor()), (1, 0), "unmoved it stays on top");
        table.step(2, 4);
        assert_eq!(table.selected().unwrap().key.pid, Some(3));
        table.fill((1..=9).map(|pid| row(pid, Some(pid.into()))).collect());
        assert_eq!(table.selected().unwrap().key.pid, Some(3));
        assert_eq!((table.cursor(), table.top(4)), (6, 4), "at the same height");
        table.fill(vec![row(8, None)]);
        assert_eq!(table.selected().unwrap().key.pid, Some(8));
        table.fill(vec![row(3, None), row(8, Some(1))]);
        assert_eq!(table.selected().unwrap().key.pid, Some(3), "it has come back");
    }

    #[test]
    fn unknown_values_come_last_both_ways() {
        let mut table = TableState::default();
        table.fill(vec![row(1, None), row(2, Some(5)), row(3, Some(9))]);
        table.sort_by(TIME_WAIT);
        assert_eq!(pids(&table), [3, 2, 1]);
        table.sort_by(TIME_WAIT);
        assert_eq!(pids(&table), [2, 3, 1]);
        table.turn();
        assert_eq!(pids(&table), [3, 2, 1]);
    }

    #[test]
    fn the_cursor_is_always_on_the_screen() {
        let mut table = TableState::default();
        table.fill((1..=50).map(|pid| row(pid, Some(1))).collect());
        for (step, page) in [(10, 5), (-3, 5), (100, 7), (-100, 3), (20, 50), (0, 1), (0, 0)] {
            table.step(step, page);
            let (top, cursor) = (table.top(page), table.cursor());
            assert!(top <= cursor && cursor < top + page.max(1), "{top} {cursor} {page}");
        }
        table.fill(Vec::new());
        assert_eq!((table.cursor(), table.top(5)), (0, 0));
        assert!(table.selected().is_none());
    }

    #[test]
    fn details_stay_when_the_row_is_gone() {
        let mut table = TableState::default();
        table.fill(vec![row(1, Some(5))]);
        table.open();
        table.fill(vec![row(1, Some(6))]);
        assert_eq!(table.detail().unwrap().sockets.unwrap()[6], 6);
        table.fill(Vec::new());
        assert_eq!(table.detail().unwrap().sockets.unwrap()[6], 6);
        assert!(table.close() && !table.close());
    }
}
