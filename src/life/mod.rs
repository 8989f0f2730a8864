//! Connections that end: each with what it did and why it ended, and sums by key.

mod args;
mod end;
mod ends;
pub mod hooks;
mod model;
mod record;
mod source;
mod sum_record;
mod sums;
mod tool;

pub use args::Args;
pub use end::{Errno, end_of, end_word, errno_of};
pub use ends::Ends;
pub use model::{Ended, Endings};
pub use record::{Life, NO_RTT};
pub use sum_record::LifeSum;
pub use sums::{LifeRowOptions, LifeSums, LifeTotals};
pub use tool::{TCPLIFE, TOOL};
