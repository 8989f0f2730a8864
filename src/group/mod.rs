//! Groupings of sums, and the display of their keys.

mod by;
mod row;

pub use by::{GroupBy, Grouping};
pub use row::{Keyed, RowPart, hidden, label, remote};
