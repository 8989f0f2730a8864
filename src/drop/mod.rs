//! TCP segments that the kernel drops: each, and sums by key.

mod args;
mod flags;
pub mod hooks;
mod places;
mod reasons;
mod record;
mod sums;
mod tool;

pub use args::{Args, DropBy};
pub use flags::TcpFlags;
pub use places::PlaceNames;
pub use reasons::{ReasonPattern, Reasons};
pub use record::{DropSum, SegmentDrop};
pub use sums::{DropRowOptions, DropSums, Dropped, Names};
pub use tool::{TCPDROP, TOOL};
