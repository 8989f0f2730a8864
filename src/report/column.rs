//! The columns of a row type, declared once for table, JSON and sorting.

use super::Cell;

/// Where a column appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Show {
    /// In tables and in JSON.
    Both,
    /// In tables only.
    Table,
    /// In JSON only.
    Json,
}

/// The side that values of a column line up at in a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Text.
    Left,
    /// Numbers.
    Right,
}

/// One column of the rows `R`.
pub struct Column<R: 'static> {
    /// JSON key, with the raw unit in its name.
    pub key: &'static str,
    /// Heading in tables. An ending `/s` is left out where sums are shown.
    pub heading: &'static str,
    /// Width in a streaming table, in terminal columns. A wider value pushes what follows.
    pub width: usize,
    /// Alignment in tables.
    pub align: Align,
    /// Where it appears.
    pub show: Show,
    /// Takes the value out of a row.
    pub cell: for<'a> fn(&'a R) -> Cell<'a>,
    /// One sentence for the manual.
    pub help: &'static str,
}

impl<R> Column<R> {
    /// A left-aligned column (text) of tables and JSON.
    pub const fn left(
        key: &'static str,
        heading: &'static str,
        width: usize,
        cell: for<'a> fn(&'a R) -> Cell<'a>,
        help: &'static str,
    ) -> Self {
        Self { key, heading, width, align: Align::Left, show: Show::Both, cell, help }
    }

    /// A right-aligned column (numbers) of tables and JSON.
    pub const fn right(
        key: &'static str,
        heading: &'static str,
        width: usize,
        cell: for<'a> fn(&'a R) -> Cell<'a>,
        help: &'static str,
    ) -> Self {
        Self { align: Align::Right, ..Self::left(key, heading, width, cell, help) }
    }

    /// A key that only JSON has.
    pub const fn json(
        key: &'static str,
        cell: for<'a> fn(&'a R) -> Cell<'a>,
        help: &'static str,
    ) -> Self {
        Self { show: Show::Json, ..Self::left(key, "", 0, cell, help) }
    }

    /// The same column in tables only, its key serving `--sort`.
    #[must_use]
    pub const fn table_only(self) -> Self {
        Self { show: Show::Table, ..self }
    }
}

/// A record to show: an event or a line of a summary.
pub trait Row: Sized + 'static {
    /// The `kind` of its JSON lines.
    const KIND: &'static str;
    /// Its columns in order. `kind` and `ts` come first in JSON without being declared.
    fn columns() -> &'static [Column<Self>];
    /// Wall-clock time of the record, in ns since the epoch.
    fn ts(&self) -> i64;
}

/// A name given to `--sort` that no column has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown column '{name}'; valid columns: {known}")]
pub struct UnknownColumn {
    name: String,
    known: String,
}

/// Finds a column by key or heading, in either case, with or without an ending `/s`.
pub fn find<R: Row>(name: &str) -> Result<&'static Column<R>, UnknownColumn> {
    let is = |other: &str| other.eq_ignore_ascii_case(name);
    let bare = |heading: &'static str| heading.strip_suffix("/s").unwrap_or(heading);
    R::columns()
        .iter()
        .filter(|_| !name.is_empty())
        .find(|c| is(c.key) || is(c.heading) || is(bare(c.heading)))
        .ok_or_else(|| UnknownColumn { name: name.to_owned(), known: known::<R>().join(" ") })
}

/// Every key once, in order; a column without a help text only fills a table.
fn known<R: Row>() -> Vec<&'static str> {
    let mut keys = Vec::new();
    for column in R::columns().iter().filter(|column| !column.help.is_empty()) {
        if !keys.contains(&column.key) {
            keys.push(column.key);
        }
    }
    keys
}

/// Sorts by one column: large numbers first, text ascending, unknown values last. Rows that are
/// equal in it keep their order.
pub fn sort<R: Row>(rows: &mut [R], by: &Column<R>) {
    rows.sort_by(|a, b| (by.cell)(a).order(&(by.cell)(b)));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A row for the tests of this module and its neighbours.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Sample {
        pub pid: Option<u64>,
        pub comm: Vec<u8>,
        pub tx: u64,
    }

    pub fn sample(pid: impl Into<Option<u64>>, comm: &[u8], tx: u64) -> Sample {
        Sample { pid: pid.into(), comm: comm.to_vec(), tx }
    }

    static COLUMNS: [Column<Sample>; 5] = [
        Column::left("time", "TIME", 12, |r: &Sample| Cell::Time(r.ts()), "When.").table_only(),
        Column::right("pid", "PID", 7, |r| r.pid.map_or(Cell::Missing, Cell::Id), "Process."),
        Column::left("comm", "COMM", 16, |r| Cell::Text(&r.comm), "Name of the process."),
        Column::right("tx_calls", "TX/s", 8, |r| Cell::PerSec(r.tx), "Sends."),
        Column::json("family", |_| Cell::Id(4), "4 or 6."),
    ];

    impl Row for Sample {
        const KIND: &'static str = "sample";
        fn columns() -> &'static [Column<Self>] {
            &COLUMNS
        }
        fn ts(&self) -> i64 {
            1_000_000
        }
    }

    fn pids(by: &str) -> Vec<Option<u64>> {
        let mut rows = [
            sample(7, b"sshd", 1),
            sample(None, b"curl", 9),
            sample(300, b"nginx", 5),
            sample(9, b"nginx", 5),
        ];
        sort(&mut rows, find(by).unwrap());
        rows.iter().map(|r| r.pid).collect()
    }

    #[test]
    fn sorts_by_key_or_heading() {
        assert_eq!(pids("pid"), [Some(300), Some(9), Some(7), None]);
        assert_eq!(pids("COMM"), [None, Some(300), Some(9), Some(7)]);
        assert_eq!(pids("tx"), [None, Some(300), Some(9), Some(7)]);
        assert_eq!(pids("tx/S"), pids("tx_calls"));
    }

    #[test]
    fn an_unknown_column_lists_the_columns() {
        let error = find::<Sample>("nope").err().unwrap().to_string();
        assert_eq!(error, "unknown column 'nope'; valid columns: time pid comm tx_calls family");
        assert!(find::<Sample>("").is_err());
    }
}
