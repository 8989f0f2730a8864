//! States of sockets: their transitions one by one, `TIME_WAIT`, and how many sockets are in which state.

mod args;
pub mod socket_summary;
pub mod timewait;
mod transition;

pub use args::Args;
pub use transition::*;
