//! What every tool prints with: records, which are lines of JSON, and tables of their columns.

mod cell;
mod column;
mod ctx;
mod device;
pub mod escape;
pub mod human;
mod json;
mod layout;
mod line;
mod note;
mod printer;
mod record;
mod sink;
mod status;
mod stop;
mod table;
mod term;
mod values;

pub use cell::Cell;
pub(crate) use column::table;
pub use column::{Align, Column, Row, UnknownColumn, find, sort, sort_by};
pub use ctx::Ctx;
pub use device::Device;
pub use json::line as json_line;
pub(crate) use layout::SHORT_TIME;
pub use note::Note;
pub use printer::{Format, Printer};
pub use record::{Key, Record, Word, lenient, word};
pub(crate) use record::{fields, key, record, spell, words};
pub use sink::{Sink, SinkError};
pub use status::{Attached, Status};
pub use stop::{Stop, ignored_signals};
pub use table::{Table, TableView};
pub use term::Term;
pub use values::{Comm, Ts, pid_inside};
