//! What every tool prints with: typed cells in columns declared once, as table or JSON Lines.

mod cell;
mod column;
mod ctx;
pub mod escape;
pub mod human;
mod json;
mod printer;
mod sink;
mod status;
mod stop;
mod table;
mod term;

pub use cell::Cell;
pub use column::{Align, Column, Row, Show, UnknownColumn, find, sort};
pub use ctx::Ctx;
pub use json::{line as json_line, note as json_note, value as json_value};
pub use printer::{Format, Printer};
pub use sink::{Sink, SinkError};
pub use status::Status;
pub use stop::{Stop, ignored_signals};
pub use table::{Table, TableView};
pub use term::Term;
