//! Connections that end: each with what it did and why it ended, and sums by key.

mod args;
mod end_counts;
pub mod hooks;
mod model;
mod record;
mod source;
mod sum_record;
mod sums;
mod tool;
mod words;

pub use args::Args;
pub use end_counts::Ends;
pub use model::{Ended, Endings};
pub use record::{Life, NO_RTT};
pub use sum_record::LifeSum;
pub use sums::{LifeRowOptions, LifeSums, LifeTotals};
pub use tool::{TCPLIFE, TOOL};
pub use words::{Errno, end_of, end_word, errno_of};
