//! States of sockets: transitions, `TIME_WAIT`, and sockets in each state.

mod args;
mod record;
pub mod settle;
pub mod socket_summary;
pub mod timewait;
mod tool;

pub use args::Args;
pub use record::StateChange;
pub(crate) use record::known;
pub use tool::{TCPSTATES, TCPSTATES_SUMMARY, TOOL, print_summary};
