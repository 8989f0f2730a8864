//! What is wrong, why, and what to change: the findings of one look at the machine, or of a recording.
//!
//! The measuring is the dashboard's ([`crate::dash`]), the rules are in [`crate::findings`].

mod args;
mod tool;

pub use args::Args;
pub use tool::{TCPDOCTOR, TOOL};
