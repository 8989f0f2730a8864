//! The oldest sockets in `CLOSE_WAIT`.

use super::TableRow;
use crate::dash::model::Ends;
use crate::report::{Cell, Column, Key, Row, key};
use crate::states::socket_summary::CloseWait;

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
    Column::right(key!(Key::pid), "PID", 7, |r: &CloseWaitRow| Cell::id(r.key.pid)),
    Column::left(key!(Key::comm), "COMM", 11, |r| Cell::comm(r.key.comm.as_ref())),
    Column::right("age", "AGE", 8, |r| Cell::age(r.row.age_ns, r.row.age_at_least_ns)),
    Column::left("local", "LADDR:LPORT", 21, |r| Cell::Endpoint(r.key.laddr, r.key.lport)),
    Column::left("remote", "RADDR:RPORT", 21, |r| Cell::Endpoint(r.key.raddr, r.key.rport)),
];

impl Row for CloseWaitRow {
    const NAME: &'static str = "close_wait";

    fn columns() -> &'static [Column<Self>] {
        &COLUMNS
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
