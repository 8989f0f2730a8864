//! Command lines.

use clap::Command;

/// Every tool's command line, for man pages and shell completions.
pub fn commands() -> Vec<Command> {
    vec![Command::new("tcpstates"), Command::new("tcpcount")]
}
