//! The command line of tcpcount.

use std::num::NonZeroU64;

use clap::Parser;

use crate::cli::{Common, IntervalArgs, parse};
use crate::group::By;

const EXAMPLES: &str = "\
Examples:
  tcpcount                        who sends and receives, every second
  tcpcount --by total             one line a second
  tcpcount --by connection --top 10
  tcpcount --by remote:24 -c redis-server
  tcpcount --by port -i 5 -n 12   a minute in steps of 5 seconds
  tcpcount --cumulative --sort tx_bytes
  tcpcount --json | jq -c 'select(.total)'
";

/// Count what processes send and receive over TCP: calls, bytes, segments and errors
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpcount", version, after_help = EXAMPLES)]
pub struct Args {
    /// Flags of every tool.
    #[command(flatten)]
    pub common: Common,
    /// Flags of tools with an interval.
    #[command(flatten)]
    pub interval: IntervalArgs,
    /// Stop after N intervals
    #[arg(short = 'n', long, value_name = "N", help_heading = "Output",
        value_parser = parse::at_least_one)]
    pub count: Option<NonZeroU64>,
    /// What a row stands for: process, connection, remote, remote:PREFIX, port (local), cgroup,
    /// netns or total
    #[arg(long, value_name = "WHAT", help_heading = "Output", default_value = "process",
        value_parser = By::parse)]
    pub by: By,
    /// Show sums since the start instead of each interval's
    #[arg(long, help_heading = "Output")]
    pub cumulative: bool,
    /// Keys (processes, connections …) counted one by one; the others share the row (other)
    #[arg(long, value_name = "N", help_heading = "How it measures",
        value_parser = parse::entries)]
    pub max_keys: Option<u32>,
}

impl Args {
    /// What clap itself cannot see.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let one_row = self.by == By::Total;
        if one_row && (self.interval.top.is_some() || self.interval.sort.is_some()) {
            return Err("--by total has one row: there is nothing for --top or --sort to do".into());
        }
        Ok(())
    }
}
