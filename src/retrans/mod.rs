//! Segments that are sent again: each, and sums by key.

mod args;
pub mod hooks;
mod record;
mod source;
mod sums;
mod tool;
mod unexplained;

pub use args::Args;
pub use record::{KnownSums, NO_SSTHRESH, RetransSum, Retransmit};
pub use source::SocketCounters;
pub use sums::{RetransRowOptions, RetransSums, Retransmits, Worst};
pub use tool::{TCPRETRANS, TCPRETRANS_PROBES, TOOL};
pub use unexplained::Unexplained;
