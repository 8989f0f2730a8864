//! Tables: a stream of rows with fixed widths, or a snapshot with widths from its values.

use super::term::Term;
use super::{Align, Column, Ctx, Row, escape};

/// How rows are put into a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableView<'a> {
    /// A line above a snapshot.
    pub title: Option<&'a str>,
    /// Keys of the columns to leave out of the table. JSON always has every key.
    pub hide: &'a [&'static str],
}

impl TableView<'_> {
    fn columns<R: Row>(&self) -> impl Iterator<Item = &'static Column<R>> {
        R::columns().iter().filter(|c| !c.hidden && !self.hide.contains(&c.key))
    }
}

/// The layout of what has been printed so far.
#[derive(Default)]
pub struct Table {
    /// The terminal it is for.
    pub term: Term,
    widths: Vec<usize>,
    /// Kind and hidden columns of the rows under the header in force.
    kind: &'static str,
    hidden: Vec<&'static str>,
    laid_out_for: Term,
    rows: usize,
    scratch: Vec<u8>,
    printed: bool,
}

impl Table {
    /// A table for a terminal, or for a pipe or file.
    pub fn new(term: Term) -> Self {
        Self { term, ..Self::default() }
    }

    /// Appends the header of a stream before its first row, to show that the tool is running.
    pub fn begin<R: Row>(&mut self, view: &TableView<'_>, ctx: &Ctx, out: &mut Vec<u8>) {
        self.lay_out::<R>(view);
        self.header::<R>(view, ctx, out);
        self.rows = 0;
    }

    /// Appends a row of a stream, and the header before it when one is due: at the start, for
    /// another kind of row, and on a terminal every screenful.
    pub fn row<R: Row>(&mut self, row: &R, view: &TableView<'_>, ctx: &mut Ctx, out: &mut Vec<u8>) {
        let same = self.kind == R::NAME && self.hidden == view.hide;
        let screenful = self.term.height.is_some_and(|height| self.rows + 1 >= height);
        if !same || screenful || self.laid_out_for != self.term {
            self.begin::<R>(view, ctx, out);
        }
        self.rows += 1;
        let mut line = Line::default();
        for (column, &width) in view.columns::<R>().zip(&self.widths) {
            let cell = (column.cell)(row);
            line.put(width, column.align, out, |out| cell.text(ctx, out), |text| cell.width(text));
        }
        trim(out);
        out.push(b'\n');
        self.printed = true;
    }

    /// Appends a snapshot: title, header, rows; an empty line before it unless it comes first.
    pub fn snapshot<R: Row>(
        &mut self,
        rows: &[R],
        view: &TableView<'_>,
        ctx: &mut Ctx,
        out: &mut Vec<u8>,
    ) {
        if std::mem::replace(&mut self.printed, true) {
            out.push(b'\n');
        }
        if let Some(title) = view.title {
            out.extend_from_slice(title.as_bytes());
            out.push(b'\n');
        }
        self.kind = "";
        self.widths.clear();
        for column in view.columns::<R>() {
            let mut width = escape::width(heading(column, ctx).as_bytes());
            for row in rows {
                self.scratch.clear();
                let cell = (column.cell)(row);
                cell.text(ctx, &mut self.scratch);
                width = width.max(cell.width(&self.scratch));
            }
            self.widths.push(width);
        }
        self.header::<R>(view, ctx, out);
        for row in rows {
            let mut line = Line::default();
            for (column, &width) in view.columns::<R>().zip(&self.widths) {
                let cell = (column.cell)(row);
                line.put(
                    width,
                    column.align,
                    out,
                    |out| cell.text(ctx, out),
                    |text| cell.width(text),
                );
            }
            trim(out);
            out.push(b'\n');
        }
    }

    /// Sets the widths of a stream. On a terminal too narrow for them, columns give up what
    /// their headings do not need, the last ones first; rows that still do not fit wrap.
    fn lay_out<R: Row>(&mut self, view: &TableView<'_>) {
        self.kind = R::NAME;
        self.hidden.clear();
        self.hidden.extend_from_slice(view.hide);
        self.laid_out_for = self.term;
        self.widths.clear();
        self.widths.extend(view.columns::<R>().map(|c| c.width));
        let Some(limit) = self.term.width else { return };
        let total = self.widths.iter().sum::<usize>() + self.widths.len().saturating_sub(1);
        let mut excess = total.saturating_sub(limit);
        let least: Vec<_> =
            view.columns::<R>().map(|c| escape::width(c.heading.as_bytes())).collect();
        for (width, least) in self.widths.iter_mut().zip(least).rev() {
            let give = width.saturating_sub(least).min(excess);
            *width -= give;
            excess -= give;
        }
    }

    fn header<R: Row>(&mut self, view: &TableView<'_>, ctx: &Ctx, out: &mut Vec<u8>) {
        let (bold, plain) = if self.term.bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        out.extend_from_slice(bold.as_bytes());
        let mut line = Line::default();
        for (column, &width) in view.columns::<R>().zip(&self.widths) {
            let heading = heading(column, ctx).as_bytes();
            let write = |out: &mut Vec<u8>| out.extend_from_slice(heading);
            line.put(width, column.align, out, write, escape::width);
        }
        trim(out);
        out.extend_from_slice(plain.as_bytes());
        out.push(b'\n');
    }
}

/// A heading, without `/s` where sums are shown.
fn heading<R>(column: &Column<R>, ctx: &Ctx) -> &'static str {
    match column.heading.strip_suffix("/s") {
        Some(sum) if ctx.interval_ns == 0 => sum,
        _ => column.heading,
    }
}

/// A line in the making. What a wide value takes too much, the columns after it make up for
/// from their padding.
#[derive(Default)]
struct Line {
    /// Columns written, without spaces at the end.
    at: usize,
    /// Columns that should be written so far.
    due: usize,
}

impl Line {
    fn put(
        &mut self,
        width: usize,
        align: Align,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut Vec<u8>),
        measure: impl FnOnce(&[u8]) -> usize,
    ) {
        if self.due > 0 {
            // One space separates two values of any width.
            let gap = self.due.saturating_sub(self.at) + 1;
            spaces(out, gap);
            self.at += gap;
            self.due += 1;
        }
        let start = out.len();
        self.due += width;
        write(out);
        self.at += measure(&out[start..]);
        let shift = self.due.saturating_sub(self.at);
        if align == Align::Right && shift > 0 {
            let end = out.len();
            spaces(out, shift);
            out.copy_within(start..end, start + shift);
            out[start..start + shift].fill(b' ');
            self.at += shift;
        }
    }
}

/// Drops the spaces that empty values left at the end of a line.
fn trim(out: &mut Vec<u8>) {
    while out.last() == Some(&b' ') {
        out.pop();
    }
}

fn spaces(out: &mut Vec<u8>, n: usize) {
    out.resize(out.len() + n, b' ');
}

#[cfg(test)]
mod tests {
    use super::super::column::tests::{Sample, sample};
    use super::*;

    const SUMS: u64 = 0;

    fn stream(term: Term, view: &TableView<'_>, rows: &[Sample]) -> String {
        let (mut table, mut ctx, mut out) = (Table::new(term), Ctx::new(SUMS, true), Vec::new());
        for row in rows {
            table.row(row, view, &mut ctx, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    fn snapshot(term: Term, rows: &[Sample]) -> String {
        let (mut table, mut out) = (Table::new(term), Vec::new());
        let view = TableView { title: Some("title"), hide: &["time"] };
        let mut ctx = Ctx::new(1_000_000_000, true);
        table.snapshot(rows, &view, &mut ctx, &mut out);
        table.snapshot(&rows[..0], &view, &mut ctx, &mut out);
        String::from_utf8(out).unwrap()
    }

    fn tty(width: usize, height: usize) -> Term {
        Term { tty: true, bold: false, width: Some(width), height: Some(height) }
    }

    #[test]
    fn a_wide_value_shifts_the_line_and_later_columns_realign() {
        let rows = [
            sample(7, b"a name beyond its column", 3),
            sample(None, b"sshd", 3),
            sample(1_234_567_890_123, b"x", 3),
        ];
        assert_eq!(
            stream(Term::default(), &TableView::default(), &rows),
            "TIME             PID COMM                   TX\n\
             00:00:00.001       7 a name beyond its column 3\n\
             00:00:00.001       - sshd                    3\n\
             00:00:00.001 1234567890123 x                 3\n"
        );
    }

    #[test]
    fn the_header_comes_with_every_screenful() {
        let rows = vec![sample(7, b"sshd", 3); 5];
        let headers = |term| stream(term, &TableView::default(), &rows).matches("COMM").count();
        assert_eq!(headers(Term::default()), 1);
        assert_eq!(headers(tty(80, 3)), 3);
        assert_eq!(headers(tty(80, 1)), 5);
    }

    #[test]
    fn narrow_terminals_do_not_panic() {
        let rows = [sample(7, b"sshd", 3)];
        assert_eq!(
            stream(tty(40, 9), &TableView::default(), &rows),
            "TIME             PID COMM             TX\n00:00:00.001       7 sshd              3\n"
        );
        for width in 0..60 {
            let text = stream(tty(width, 9), &TableView::default(), &rows);
            assert!(text.contains("sshd"), "{text}");
            assert!(snapshot(tty(width, 9), &rows).lines().count() == 6);
        }
    }

    #[test]
    fn a_snapshot_fits_its_values() {
        let rows =
            [sample(12_345, b"sshd", 12_000_000), sample(None, "caf\u{e9}\x1b".as_bytes(), 3)];
        assert_eq!(
            snapshot(Term::default(), &rows),
            "title\n  PID COMM      TX/s\n12345 sshd     12.0M\n    - caf\u{e9}\\x1b     3\n\
             \ntitle\nPID COMM TX/s\n"
        );
        assert_eq!(
            snapshot(tty(10, 9), &rows),
            snapshot(Term::default(), &rows),
            "no number is cut off"
        );
    }

    #[test]
    fn the_header_is_bold_on_terminals() {
        let term = Term { bold: true, ..tty(80, 9) };
        let text = stream(term, &TableView { hide: &["comm", "time"], title: None }, &[]);
        assert_eq!(text, "");
        let hide = TableView { hide: &["comm", "time"], title: None };
        let text = stream(term, &hide, &[sample(7, b"", 3)]);
        assert_eq!(text, "\x1b[1m    PID       TX\x1b[0m\n      7        3\n");
    }
}
