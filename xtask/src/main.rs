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
    /// Draw a view of the built-in recording as SVG: `picture processes 30 > FILE`
    Picture { view: String, second: i64 },
}

fn main() -> Result<()> {
    match Job::parse() {
        Job::Assets { share } => assets::write(&share),
        Job::Picture { view, second } => picture::draw(&view, second),
    }
}
