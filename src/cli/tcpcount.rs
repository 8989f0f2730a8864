//! The command line of tcpcount.

use std::num::NonZeroU64;

use clap::Parser;

use super::{Common, IntervalArgs, parse};
use crate::count::By;

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
        value_parser = by)]
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

/// `remote:24` keeps 24 bits of IPv4 addresses and, of IPv6 ones, all; beyond 32 the prefix is
/// one of IPv6 addresses.
fn by(text: &str) -> Result<By, String> {
    if let Some(prefix) = text.strip_prefix("remote:") {
        return match prefix.parse::<u8>() {
            Ok(bits @ 1..=32) => Ok(By::Remote(bits, 128)),
            Ok(bits @ 33..=128) => Ok(By::Remote(32, bits)),
            _ => Err(format!(
                "'{prefix}' is no prefix length; 1 to 32 cut IPv4 addresses (remote:24), \
                 33 to 128 IPv6 addresses (remote:64)"
            )),
        };
    }
    match text {
        "process" => Ok(By::Process),
        "connection" => Ok(By::Connection),
        "remote" => Ok(By::Remote(32, 128)),
        "port" => Ok(By::Port),
        "cgroup" => Ok(By::Cgroup),
        "netns" => Ok(By::Netns),
        "total" => Ok(By::Total),
        _ => Err("the choices are process, connection, remote, remote:PREFIX, port, cgroup, \
                  netns and total"
            .into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_belongs_to_the_family_it_fits() {
        assert_eq!(by("remote:24"), Ok(By::Remote(24, 128)));
        assert_eq!(by("remote:64"), Ok(By::Remote(32, 64)));
        for bad in ["remote:0", "remote:129", "remote:x", "remote:"] {
            assert!(by(bad).unwrap_err().contains("prefix length"), "{bad}");
        }
        assert!(by("pid").unwrap_err().contains("process, connection"));
    }
}
