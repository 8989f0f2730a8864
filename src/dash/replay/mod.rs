//! Recordings: lines of a file with bounded memory, and the player.

mod find;
mod input;
mod lines;
mod open;
mod player;
mod speed;

pub use input::Input;
pub use lines::{Lines, Read};
pub use open::open;
pub use player::{Player, play};
