//! States of sockets: their transitions one by one, `TIME_WAIT`, and how many sockets are in which state.

mod args;
pub mod settle;
pub mod socket_summary;
pub mod timewait;
mod tool;
mod transition;

pub use args::Args;
pub use tool::{TCPSTATES, TCPSTATES_SUMMARY, Tcpstates};
pub use transition::*;
