//! Connections that do not move: which, why, and since when.

mod args;
mod conn;
mod deadline;
mod end_record;
mod ends;
pub mod hooks;
mod judge;
mod model;
mod record;
mod share;
mod tool;

pub use args::{Args, SHORTEST, StallBy};
pub use conn::Conn;
pub use deadline::{Deadline, deadline};
pub use end_record::StallEnd;
pub use ends::{EndedStall, StallEnds, StallOutcome};
pub use judge::{Why, judge_sender};
pub use model::{Age, Blocked, StallModel, Stalled};
pub use record::{Stall, word_of};
pub use share::{StallShare, StallShares};
pub use tool::{TCPSTALL, TOOL};
