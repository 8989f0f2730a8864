//! The command line of tcpcount.

use std::num::NonZeroU64;

use clap::Parser;

use super::Count;
use crate::cli::{Common, IntervalArgs, parse};
use crate::group::GroupBy;

const EXAMPLES: &str = "\
Examples:
  tcpcount                        what each process sends and receives, every second
  tcpcount --by total             one line per second
  tcpcount --by connection --top 10
  tcpcount --by remote:24 -c redis-server
  tcpcount --by port -i 5 -n 12   12 reports, 5 seconds each
  tcpcount --cumulative --sort tx_bytes
  tcpcount --light                bytes and segments as TCP counts them: no cost for each call
  tcpcount --json | jq -c 'select(.total)'
";

/// Count the TCP calls, bytes, segments and errors of each process
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
    /// Group rows by process, connection, remote[:PREFIX], port (local), cgroup, netns or total
    #[arg(long, value_name = "GROUP", help_heading = "Output", default_value = "process",
        value_parser = GroupBy::parse)]
    pub by: GroupBy,
    /// Show totals since the start, not per interval
    #[arg(long, help_heading = "Output")]
    pub cumulative: bool,
    /// Read TCP's own counters: bytes and segments only, at next to no cost
    #[arg(long, help_heading = "Measurement")]
    pub light: bool,
    /// Set the maximum number of keys; the rest are summed in (other)
    #[arg(long, value_name = "N", help_heading = "Measurement",
        value_parser = parse::entries)]
    pub max_keys: Option<u32>,
}

impl Args {
    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let one_row = self.by == GroupBy::Total;
        if one_row && (self.interval.top.is_some() || self.interval.sort.is_some()) {
            return Err("--top and --sort have no effect with --by total".into());
        }
        let sort = self.interval.sort_column::<Count>().ok().flatten();
        if let Some(column) = sort.filter(|column| self.light && !Count::read_light(column.key)) {
            let key = column.key;
            return Err(format!("--sort {key} has no effect with --light, which does not know it"));
        }
        Ok(())
    }
}
