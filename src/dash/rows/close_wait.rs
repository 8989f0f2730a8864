//! The oldest sockets in `CLOSE_WAIT`.

use super::TableRow;
use crate::dash::filter::RowFilter;
use crate::dash::model::{Ends, Model};
use crate::report::{Cell, Key, table};
use crate::states::socket_summary::CloseWait;
use crate::tcp_state::TcpState;

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

table! { "close_wait" CloseWaitRow.key {
    pid;
    comm 11;
    right "age", "AGE", 8, |r| Cell::age(r.row.age_ns, r.row.age_at_least_ns);
    local 21;
    remote 21;
} }

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

/// All of them that the filter asks for.
pub fn close_wait(model: &Model, filter: Option<&RowFilter>) -> Vec<CloseWaitRow> {
    let rows = model.look.held().map(CloseWaitRow::from);
    let passes =
        |row: &CloseWaitRow| filter.is_none_or(|f| f.passes(&row.key, Some(TcpState::CloseWait)));
    rows.filter(passes).collect()
}
