//! Segments that are sent again: each, and sums by key.

mod args;
pub mod hooks;
mod record;
mod sums;
mod tool;

pub use args::Args;
pub use record::{RetransSum, Retransmit};
pub use sums::{RetransRowOptions, RetransSums, Retransmits};
pub use tool::{TCPRETRANS, TOOL};
