//! Recordings: lines of a file with bounded memory, and the player that lets their time pass.

mod lines;
mod player;
mod speed;

pub use lines::{Input, Lines, Read};
pub use player::{Player, play};
