//! The oldest sockets in `CLOSE_WAIT`.

use super::{TableRow, age};
use crate::dash::model::Ends;
use crate::dash::record::{CloseWait, Key};
use crate::report::{Column, Row};

/// One socket.
#[derive(Clone, Debug, Default)]
pub struct CloseWaitRow {
    /// Who has not closed it.
    pub key: Key,
    /// The line.
    pub row: CloseWait,
}

impl From<&CloseWait> for CloseWaitRow {
    fn from(row: &CloseWait) -> Self {
        Self { key: row.key(), row: row.clone() }
    }
}

static COLUMNS: [Column<CloseWaitRow>; 5] = [
    Column::right("pid", "PID", 7, |r: &CloseWaitRow| r.key.pid_cell(), "Process."),
    Column::left("comm", "COMM", 11, |r| r.key.comm_cell(), "Its name."),
    Column::right("age", "AGE", 8, |r| age(r.row.age_ns, r.row.age_at_least_ns), "In CLOSE_WAIT."),
    Column::left("local", "LADDR:LPORT", 21, |r| r.key.local_cell(), "This side."),
    Column::left("remote", "RADDR:RPORT", 21, |r| r.key.remote_cell(), "The other side."),
];

impl Row for CloseWaitRow {
    const KIND: &'static str = "close_wait";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
    }

    fn ts(&self) -> i64 {
        self.row.ts.0
    }
}

impl TableRow for CloseWaitRow {
    type Id = Option<Ends>;
    const PINNED: usize = 3;
    const SORT: usize = 2;

    fn id(&self) -> Self::Id {
        Ends::of(&self.key)
    }

    fn key(&self) -> &Key {
        &self.key
    }
}
