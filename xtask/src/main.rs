//! Jobs that need the tools' own code and are not installed: `cargo xtask JOB`.

mod assets;
mod picture;

use std::path::PathBuf;

use anyhow::Result;
use clap::Parser;

#[derive(Parser)]
#[command(name = "xtask", about = "Jobs around a release")]
enum Job {
    /// Write every tool's man page and shell completions below a `share` folder
    Assets { share: PathBuf },
    /// Draw the pictures of the docs from the built-in recording: `pictures docs`
    Pictures { folder: PathBuf },
}

fn main() -> Result<()> {
    match Job::parse() {
        Job::Assets { share } => assets::write(&share),
        Job::Pictures { folder } => picture::draw_all(&folder),
    }
}
