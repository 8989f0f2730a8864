//! Tables: a stream of rows with fixed widths, or a snapshot with widths from its values.

use super::layout::{self, Place, SHORT_TIME};
use super::line::Line;
use super::term::Term;
use super::{Cell, Column, Ctx, Row, Ts, escape};

/// How rows are put into a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableView<'a> {
    /// A line above a snapshot.
    pub title: Option<&'a str>,
    /// Keys of the columns to leave out of the table. JSON always has every key.
    pub hide: &'a [&'static str],
    /// The time and text of the line that a snapshot without rows is; else its header.
    pub idle: Option<(Ts, &'a str)>,
}

/// The layout of what has been printed so far.
#[derive(Default)]
pub struct Table {
    /// The terminal it is for.
    pub term: Term,
    places: Vec<Place>,
    /// Kind and hidden columns of the rows under the header in force.
    kind: &'static str,
    hidden: Vec<&'static str>,
    /// What addresses of a stream have needed so far, by column.
    grown: Vec<usize>,
    laid_out_for: Term,
    rows: usize,
    scratch: Vec<u8>,
    /// The last that was printed.
    last: Last,
}

/// What stands above the next line.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Last {
    #[default]
    Nothing,
    Rows,
    /// A line that says that nothing happened.
    Idle,
}

impl Table {
    /// A table for a terminal, or for a pipe or file.
    pub fn new(term: Term) -> Self {
        Self { term, ..Self::default() }
    }

    /// Appends the header of a stream before its first row, to show that the tool is running.
    pub fn begin<R: Row>(&mut self, view: &TableView<'_>, ctx: &Ctx, out: &mut Vec<u8>) {
        if self.kind != R::NAME {
            self.grown.clear();
        }
        self.kind = R::NAME;
        self.hidden.clear();
        self.hidden.extend_from_slice(view.hide);
        self.laid_out_for = self.term;
        self.places = layout::of_stream::<R>(view, &self.grown, self.term.width);
        self.header::<R>(ctx, out);
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
        let start = out.len();
        let too_wide = self.write(row, ctx, out);
        // A pipe has one header, and no end of a line.
        if too_wide && self.term.width.is_some() && self.grow(row, view, ctx) {
            out.truncate(start);
            self.begin::<R>(view, ctx, out);
            self.write(row, ctx, out);
        }
        self.rows += 1;
        self.last = Last::Rows;
    }

    /// Appends a snapshot: title, header, rows; an empty line before it unless it comes first.
    pub fn snapshot<R: Row>(
        &mut self,
        rows: &[R],
        view: &TableView<'_>,
        ctx: &mut Ctx,
        out: &mut Vec<u8>,
    ) {
        let idle = view.idle.filter(|_| rows.is_empty());
        let now = if idle.is_some() { Last::Idle } else { Last::Rows };
        let before = std::mem::replace(&mut self.last, now);
        // Lines that say that nothing happened stand together.
        if before != Last::Nothing && (before, now) != (Last::Idle, Last::Idle) {
            out.push(b'\n');
        }
        if let Some((ts, text)) = idle {
            ctx.clock(ts.0, out);
            out.push(b' ');
            out.extend_from_slice(text.as_bytes());
            out.push(b'\n');
            return;
        }
        if let Some(title) = view.title {
            out.extend_from_slice(title.as_bytes());
            out.push(b'\n');
        }
        self.kind = "";
        let (scratch, interval_ns) = (&mut self.scratch, ctx.interval_ns);
        let measure = |column: &Column<R>, row: &R| {
            scratch.clear();
            let cell = (column.cell)(row);
            cell.text(ctx, scratch);
            cell.width(scratch)
        };
        let head = |column: &Column<R>| heading(column, interval_ns);
        self.places = layout::of_rows(rows, view, self.term.width, head, measure);
        self.header::<R>(ctx, out);
        for row in rows {
            self.write(row, ctx, out);
        }
    }

    /// Appends a row; `true` if an address is wider than its column.
    fn write<R: Row>(&self, row: &R, ctx: &mut Ctx, out: &mut Vec<u8>) -> bool {
        let mut line = Line::new(self.term.width);
        let mut too_wide = false;
        for place in &self.places {
            let column = &R::columns()[place.index];
            let cell = (column.cell)(row);
            let write = |out: &mut Vec<u8>| {
                let start = out.len();
                cell.text(ctx, out);
                if matches!(cell, Cell::Time(_)) && place.width < out.len() - start {
                    out.truncate(start + SHORT_TIME);
                }
            };
            let width = line.put(place.width, column.align, out, write, |text| cell.width(text));
            too_wide |= width > place.width && cell.is_address();
        }
        trim(out);
        out.push(b'\n');
        too_wide
    }

    /// Widens columns to the addresses of a row; `false` if another column would have to go for it: then
    /// rows like this one take a second line.
    fn grow<R: Row>(&mut self, row: &R, view: &TableView<'_>, ctx: &mut Ctx) -> bool {
        // Steps, so that a stream of addresses has few headers; the first is what IPv4 may need.
        const IPV4: usize = 21;
        const STEP: usize = 8;
        let before = std::mem::take(&mut self.grown);
        self.grown.clone_from(&before);
        self.grown.resize(R::columns().len(), 0);
        for place in &self.places {
            let cell = (R::columns()[place.index].cell)(row);
            self.scratch.clear();
            cell.text(ctx, &mut self.scratch);
            let width = cell.width(&self.scratch);
            if cell.is_address() && width > place.width {
                let room = if width <= IPV4 { IPV4 } else { width.next_multiple_of(STEP) };
                self.grown[place.index] = room;
            }
        }
        let wider = layout::of_stream::<R>(view, &self.grown, self.term.width);
        let fits = wider.iter().map(|place| place.index).eq(self.places.iter().map(|p| p.index));
        if !fits {
            self.grown = before;
        }
        fits
    }

    fn header<R: Row>(&mut self, ctx: &Ctx, out: &mut Vec<u8>) {
        let (bold, plain) = if self.term.bold { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
        out.extend_from_slice(bold.as_bytes());
        let mut line = Line::new(self.term.width);
        for place in &self.places {
            let column = &R::columns()[place.index];
            let heading = heading(column, ctx.interval_ns).as_bytes();
            let write = |out: &mut Vec<u8>| out.extend_from_slice(heading);
            line.put(place.width, column.align, out, write, escape::width);
        }
        trim(out);
        out.extend_from_slice(plain.as_bytes());
        out.push(b'\n');
    }
}

/// A heading, without `/s` where sums are shown.
fn heading<R>(column: &Column<R>, interval_ns: u64) -> &'static str {
    match column.heading.strip_suffix("/s") {
        Some(sum) if interval_ns == 0 => sum,
        _ => column.heading,
    }
}

/// Drops the spaces that empty values left at the end of a line.
fn trim(out: &mut Vec<u8>) {
    while out.last() == Some(&b' ') {
        out.pop();
    }
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
        let view = TableView { title: Some("title"), hide: &["time"], idle: None };
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
            "TIME         PID COMM                 TX\n00:00:00       7 sshd                  3\n"
        );
        for width in 0..60 {
            let text = stream(tty(width, 9), &TableView::default(), &rows);
            assert!(text.contains("sshd"), "{text}");
            assert!(snapshot(tty(width, 9), &rows).contains("sshd"));
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
            snapshot(tty(14, 9), &rows[..1]),
            "title\n  PID COMM\n   TX/s\n12345 sshd\n  12.0M\n\ntitle\nPID COMM TX/s\n",
            "lines break between values, and no number is cut off"
        );
    }

    #[test]
    fn the_header_is_bold_on_terminals() {
        let term = Term { bold: true, ..tty(80, 9) };
        let text =
            stream(term, &TableView { hide: &["comm", "time"], ..TableView::default() }, &[]);
        assert_eq!(text, "");
        let hide = TableView { hide: &["comm", "time"], ..TableView::default() };
        let text = stream(term, &hide, &[sample(7, b"", 3)]);
        assert_eq!(text, "\x1b[1m    PID       TX\x1b[0m\n      7        3\n");
    }
}
