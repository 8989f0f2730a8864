//! TCP segments that the kernel drops: each, and sums by key.

mod args;
mod flags;
pub mod hooks;
mod owners;
mod places;
mod reasons;
mod record;
mod source;
mod sums;
mod tool;

pub use args::{Args, DropBy};
pub use flags::TcpFlags;
pub use owners::{SocketOwner, SocketOwners};
pub use places::PlaceNames;
pub use reasons::{ReasonPattern, Reasons};
pub use record::{DropSum, SegmentDrop};
pub use source::{DropNames, DropSource};
pub use sums::{DropRowOptions, DropSums, Dropped, Left, Names, Wanted};
pub use tool::{TCPDROP, TOOL};
