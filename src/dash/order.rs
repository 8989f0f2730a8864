//! The order of the rows of a table.

use std::cmp::Ordering;

use super::rows::TableRow;
use crate::report::{Cell, Column};

/// The largest sum first; unknown ones come last in both orders.
pub fn busiest<R: TableRow>(reverse: bool, a: &R, b: &R) -> Ordering {
    match (a.busy(), b.busy()) {
        (Some(a), Some(b)) if reverse => a.cmp(&b),
        (a, b) => b.cmp(&a),
    }
}

/// Unknown values come last in both orders.
pub fn order<R: TableRow>(column: &Column<R>, reverse: bool, a: &R, b: &R) -> Ordering {
    let (a, b) = ((column.cell)(a), (column.cell)(b));
    let order = a.order(&b);
    let unknown = |cell| matches!(cell, Cell::Missing | Cell::Endpoint(None, _, None));
    if reverse && !unknown(a) && !unknown(b) { order.reverse() } else { order }
}
