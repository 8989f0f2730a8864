//! The columns of a row type, declared once for table, JSON and sorting.

use super::Cell;

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
    /// The JSON key it shows, or a name of its own where it shows several or none.
    pub key: &'static str,
    /// Heading in tables. An ending `/s` is left out where sums are shown.
    pub heading: &'static str,
    /// Width in a streaming table, in terminal columns. A wider value pushes what follows.
    pub width: usize,
    /// Where there is no room, a streaming table narrows it to this width.
    pub least: usize,
    /// On a terminal too narrow for all columns the one with 1 gives way first, then that with 2; a
    /// column with 0 stays.
    pub yields: u8,
    /// Alignment in tables.
    pub align: Align,
    /// Tables leave it out; it only serves `--sort`.
    pub hidden: bool,
    /// `--sort` takes it.
    pub sorts: bool,
    /// Takes the value out of a row.
    pub cell: for<'a> fn(&'a R) -> Cell<'a>,
}

impl<R> Column<R> {
    /// A left-aligned column (text).
    pub const fn left(
        key: &'static str,
        heading: &'static str,
        width: usize,
        cell: for<'a> fn(&'a R) -> Cell<'a>,
    ) -> Self {
        let (align, least, yields) = (Align::Left, width, 0);
        Self { key, heading, width, least, yields, align, hidden: false, sorts: true, cell }
    }

    /// A right-aligned column (numbers).
    pub const fn right(
        key: &'static str,
        heading: &'static str,
        width: usize,
        cell: for<'a> fn(&'a R) -> Cell<'a>,
    ) -> Self {
        Self { align: Align::Right, ..Self::left(key, heading, width, cell) }
    }

    /// One that tables leave out.
    pub const fn hidden(key: &'static str, cell: for<'a> fn(&'a R) -> Cell<'a>) -> Self {
        Self { hidden: true, ..Self::right(key, "", 0, cell) }
    }

    /// Its place in the order of those that give way.
    #[must_use]
    pub const fn yields(mut self, place: u8) -> Self {
        self.yields = place;
        self
    }

    /// One that may be narrower where there is no room.
    #[must_use]
    pub const fn least(mut self, width: usize) -> Self {
        self.least = width;
        self
    }

    /// One that only fills a table; `--sort` does not take it.
    pub const fn filler(
        key: &'static str,
        heading: &'static str,
        width: usize,
        cell: for<'a> fn(&'a R) -> Cell<'a>,
    ) -> Self {
        Self { sorts: false, ..Self::left(key, heading, width, cell) }
    }
}

/// What tables are made of: an event or a line of a summary.
pub trait Row: Sized + 'static {
    /// Identifies its tables.
    const NAME: &'static str;
    /// Its columns in order.
    fn columns() -> &'static [Column<Self>];
}

/// Declares the table of a row type: its name, the type, and its columns in order. A column is one of the
/// constructors of [`Column`], with the field that is its JSON key, a field of another record in
/// parentheses, or a name of its own in quotes; then heading, width and cell.
///
/// A column without a cell is the same in every table; the row has its fields itself, or in the one
/// after the type.
///
/// `yields 1` before a column: on a terminal too narrow for all of them it gives way first, then those with
/// `yields 2` and so on. What stays fits into 40 terminal columns.
macro_rules! table {
    ($name:literal $row:ident $(.$key:ident)? { $($columns:tt)* }) => {
        impl $crate::report::Row for $row {
            const NAME: &'static str = $name;

            fn columns() -> &'static [$crate::report::Column<Self>] {
                static COLUMNS: &[$crate::report::Column<$row>] =
                    $crate::report::table!(@ $row [$(.$key)?] [] $($columns)*);
                COLUMNS
            }
        }
    };
    (@ $row:ident $key:tt [$($done:tt)*]) => { &[$($done)*] };
    (@ $row:ident $key:tt $done:tt yields $place:literal $($rest:tt)*) => {
        $crate::report::table!(@@ $row $key $done $place $($rest)*)
    };
    (@ $row:ident $key:tt $done:tt $($rest:tt)+) => {
        $crate::report::table!(@@ $row $key $done 0 $($rest)+)
    };
    (@@ $row:ident $key:tt [$($done:tt)*] $place:literal time; $($rest:tt)*) => {
        $crate::report::table!(@ $row $key [$($done)*
            $crate::report::Column::<$row>::left("time", "TIME", 12, |r| r.ts.cell())
                .least($crate::report::SHORT_TIME).yields($place),
        ] $($rest)*)
    };
    (@@ $row:ident [$($key:tt)*] [$($done:tt)*] $place:literal pid; $($rest:tt)*) => {
        $crate::report::table!(@ $row [$($key)*] [$($done)*
            $crate::report::Column::<$row>::right("pid", "PID", 7,
                |r| $crate::report::Cell::id(r $($key)*.pid)).yields($place),
        ] $($rest)*)
    };
    (@@ $row:ident [$($key:tt)*] [$($done:tt)*] $place:literal comm $width:literal; $($rest:tt)*) => {
        $crate::report::table!(@ $row [$($key)*] [$($done)*
            $crate::report::Column::<$row>::left("comm", "COMM", $width,
                |r| $crate::report::Cell::comm(r $($key)*.comm.as_ref())).least(8).yields($place),
        ] $($rest)*)
    };
    (@@ $row:ident [$($key:tt)*] [$($done:tt)*] $place:literal local $width:literal; $($rest:tt)*) => {
        $crate::report::table!(@ $row [$($key)*] [$($done)*
            $crate::report::Column::<$row>::left("local", "LADDR:LPORT", $width,
                |r| $crate::report::Cell::Endpoint(
                r $($key)*.laddr, r $($key)*.device, r $($key)*.lport)).yields($place),
        ] $($rest)*)
    };
    (@@ $row:ident [$($key:tt)*] [$($done:tt)*] $place:literal remote $width:literal; $($rest:tt)*) => {
        $crate::report::table!(@ $row [$($key)*] [$($done)*
            $crate::report::Column::<$row>::left("remote", "RADDR:RPORT", $width,
                |r| $crate::report::Cell::remote(
                r $($key)*.raddr, r $($key)*.device, r $($key)*.rport)).yields($place),
        ] $($rest)*)
    };
    (@@ $row:ident $key:tt [$($done:tt)*] $place:literal
        $kind:ident $name:tt, $($args:expr),+; $($rest:tt)*) => {
        $crate::report::table!(@ $row $key [$($done)*
            $crate::report::Column::<$row>::$kind($crate::report::table!(@key $row $name), $($args),+)
                .yields($place),
        ] $($rest)*)
    };
    (@key $row:ident $name:literal) => { $name };
    (@key $row:ident $field:ident) => { $crate::report::key!($row::$field) };
    (@key $row:ident ($record:ident::$field:ident)) => { $crate::report::key!($record::$field) };
}
pub(crate) use table;

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
        .filter(|column| column.sorts && !name.is_empty())
        .find(|c| is(c.key) || is(c.heading) || is(bare(c.heading)))
        .ok_or_else(|| UnknownColumn { name: name.to_owned(), known: known::<R>().join(" ") })
}

/// Every key once, in order.
fn known<R: Row>() -> Vec<&'static str> {
    let mut keys = Vec::new();
    for column in R::columns().iter().filter(|column| column.sorts) {
        if !keys.contains(&column.key) {
            keys.push(column.key);
        }
    }
    keys
}

/// Sorts by one column: large numbers first, text ascending, unknown values last. Rows that are
/// equal in it keep their order.
pub fn sort<R: Row>(rows: &mut [R], by: &Column<R>) {
    sort_by(rows, by, |row| row);
}

/// Sorts what has a row by a column of the row.
pub fn sort_by<T, R: 'static>(rows: &mut [T], by: &Column<R>, row: impl Fn(&T) -> &R) {
    rows.sort_by(|a, b| (by.cell)(row(a)).order(&(by.cell)(row(b))));
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    use crate::report::{Comm, Ts, record};

    record! {
        /// A row for the tests of this module and its neighbours.
        "sample" Sample known(tx_calls) {
            /// process
            pid: Option<u64>,
            comm,
            /// sends
            tx_calls: u64,
            family,
        }
    }

    pub fn sample(pid: impl Into<Option<u64>>, comm: &[u8], tx: u64) -> Sample {
        let comm = std::str::from_utf8(comm).map_or_else(
            |_| {
                let mut bytes = [0; crate::wire::COMM_LEN];
                bytes[..comm.len()].copy_from_slice(comm);
                Comm::Kernel(bytes)
            },
            Comm::from,
        );
        Sample {
            ts: Ts(1_000_000),
            pid: pid.into(),
            comm: Some(comm),
            tx_calls: tx,
            family: Some(4),
        }
    }

    table! { "sample" Sample {
        time;
        pid;
        comm 16;
        right tx_calls, "TX/s", 8, |r| Cell::PerSec(r.tx_calls);
        hidden family, |r| Cell::id(r.family);
    } }

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
