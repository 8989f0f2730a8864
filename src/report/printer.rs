//! Prints every line of a tool.

use crate::clock::wall_now;

use super::{Ctx, Note, Record, Row, Sink, SinkError, Status, Table, TableView, Term, Ts, json};

/// How a tool shows its rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Rows for people on the output; what the tool says about itself on the error output.
    Table,
    /// JSON Lines; everything on the output.
    Json,
}

/// Prints rows, and what the tool has to say about itself.
pub struct Printer {
    out: Sink,
    err: Sink,
    format: Format,
    ctx: Ctx,
    table: Table,
    /// What the last complaint counted, so that each loss is announced once.
    announced: u64,
}

impl Printer {
    /// Prints to `out`, and in table format what concerns the tool itself to `err`.
    pub fn new(out: Sink, err: Sink, format: Format, ctx: Ctx) -> Self {
        let table = Table::new(Term::of(&out));
        Self { out, err, format, ctx, table, announced: 0 }
    }

    /// The length of the interval that rates are per; 0 for sums.
    pub fn set_interval(&mut self, ns: u64) {
        self.ctx.interval_ns = ns;
    }

    /// Says that a stream of rows begins: a table shows its header.
    pub fn begin<R: Row>(&mut self, view: &TableView<'_>) -> Result<(), SinkError> {
        if self.format == Format::Table {
            self.table.begin::<R>(view, &self.ctx, self.out.buffer());
        }
        self.flush()
    }

    /// Prints one row of a stream; [`flush`](Self::flush) writes it.
    pub fn row<R: Row + Record>(&mut self, row: &R) -> Result<(), SinkError> {
        self.row_in(&TableView::default(), row)
    }

    /// Prints one row of a stream without some of its columns.
    pub fn row_in<R: Row + Record>(
        &mut self,
        view: &TableView<'_>,
        row: &R,
    ) -> Result<(), SinkError> {
        match self.format {
            Format::Json => json::line(row, self.out.buffer()),
            Format::Table => self.table.row(row, view, &mut self.ctx, self.out.buffer()),
        }
        if self.out.is_full() { self.flush() } else { Ok(()) }
    }

    /// Prints the rows of an interval as one table, at once.
    pub fn rows<R: Row + Record>(
        &mut self,
        view: &TableView<'_>,
        rows: &[R],
    ) -> Result<(), SinkError> {
        match self.format {
            Format::Json => {
                for row in rows {
                    self.line(|out| json::line(row, out))?;
                }
            }
            Format::Table => {
                self.table.term.measure(&self.out);
                self.table.snapshot(rows, view, &mut self.ctx, self.out.buffer());
            }
        }
        self.flush()
    }

    /// Whether rows are printed as JSON Lines.
    pub fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints lines that are no table. In JSON rows say the same.
    pub fn text(&mut self, text: &str) -> Result<(), SinkError> {
        if self.format == Format::Table {
            self.out.buffer().extend_from_slice(text.as_bytes());
        }
        self.flush()
    }

    /// Prints a record that is a line of JSON for programs, and a text for people.
    pub fn record<R: Record>(&mut self, record: &R, text: &str) -> Result<(), SinkError> {
        match self.format {
            Format::Json => self.line(|out| json::line(record, out)),
            Format::Table => self.text(text),
        }
    }

    /// Prints one line of a stream that `append` makes; [`flush`](Self::flush) writes it.
    pub fn line(&mut self, append: impl FnOnce(&mut Vec<u8>)) -> Result<(), SinkError> {
        append(self.out.buffer());
        if self.out.is_full() { self.flush() } else { Ok(()) }
    }

    /// Prints a status: a JSON line, or for people one line for each new loss and
    /// one at the end.
    pub fn status(&mut self, status: &Status) -> Result<(), SinkError> {
        if self.format == Format::Json {
            json::line(status, self.out.buffer());
            return self.flush();
        }
        if status.incomplete() > self.announced
            && let Some(complaint) = status.complaint()
        {
            self.announced = status.incomplete();
            self.note(&complaint)?;
        }
        if status.last { self.note(&status.summary()) } else { Ok(()) }
    }

    /// Says something to the person at the terminal, after the rows before it.
    pub fn note(&mut self, text: &str) -> Result<(), SinkError> {
        if self.format == Format::Json {
            json::line(&Note { ts: Ts(wall_now()), text: text.into() }, self.out.buffer());
            return self.flush();
        }
        let rows = self.flush();
        self.err.buffer().extend_from_slice(text.as_bytes());
        self.err.buffer().push(b'\n');
        // A failing error output cannot be reported.
        let _ = self.err.flush();
        rows
    }

    /// Writes what is buffered; a batch of events ends with it.
    pub fn flush(&mut self) -> Result<(), SinkError> {
        self.table.term.measure(&self.out);
        self.out.flush()
    }

    /// Lines that a stuck reader did not take before the end.
    pub fn dropped(&self) -> u64 {
        self.out.dropped()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;

    use super::super::Stop;
    use super::super::column::tests::sample;
    use super::*;

    fn printed(format: Format, print: impl FnOnce(&mut Printer)) -> (String, String) {
        let (stop, _wake) = Stop::pair().unwrap();
        let pipes = [rustix::pipe::pipe().unwrap(), rustix::pipe::pipe().unwrap()];
        let [(out, out_end), (err, err_end)] = pipes;
        let sink = |fd| Sink::new(fd, stop.clone()).unwrap();
        let ctx = Ctx::new(1_000_000_000, true);
        let mut printer = Printer::new(sink(out_end), sink(err_end), format, ctx);
        print(&mut printer);
        drop(printer);
        let [out, err] = [out, err].map(|fd| {
            let mut text = String::new();
            File::from(fd).read_to_string(&mut text).unwrap();
            text
        });
        (out, err)
    }

    fn run(printer: &mut Printer) {
        printer.row(&sample(7, b"sshd", 12_345)).unwrap();
        let status = Status {
            tool: "t".into(),
            attempted: 3,
            delivered: 2,
            lost: 1,
            eventful: true,
            ..Status::default()
        };
        printer.status(&Status { lost: 0, ..status.clone() }).unwrap();
        printer.status(&status).unwrap();
        printer.status(&status).unwrap();
        printer.status(&Status { last: true, ..status }).unwrap();
        printer.note("well").unwrap();
    }

    #[test]
    fn table_keeps_rows_and_remarks_apart() {
        let (out, err) = printed(Format::Table, run);
        assert_eq!(
            out,
            "TIME             PID COMM                 TX/s\n\
             00:00:00.001       7 sshd                12.3k\n"
        );
        assert_eq!(
            err,
            "t: lost 1 of 3 events (use a narrower filter or a larger --buffer)\n\
             t: 3 events: 2 delivered, 1 lost, 0 filtered\n\
             well\n"
        );
    }

    #[test]
    fn json_has_everything_in_order() {
        let (out, err) = printed(Format::Json, run);
        assert_eq!(err, "");
        let lines: Vec<serde_json::Value> =
            out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<_> = lines.iter().map(|v| v["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["sample", "status", "status", "status", "status", "note"]);
        let last = &lines[4];
        assert_eq!(last["final"], true);
        assert_eq!(last["lost"], 1);
        assert_eq!(last["untracked"], serde_json::Value::Null);
        assert_eq!(last["attach"], serde_json::json!({}));
    }
}
