//! Connections that do not move: which, why, and since when.

mod args;
mod conn;
mod deadline;
pub mod hooks;
mod judge;
mod model;
mod record;
mod share;
mod tool;

pub use args::{Args, StallBy};
pub use conn::Conn;
pub use deadline::{Deadline, deadline};
pub use judge::{Why, judge_sender};
pub use model::{Age, StallModel, Stalled};
pub use record::Stall;
pub use share::{StallShare, StallShares};
pub use tool::{TCPSTALL, TOOL};
