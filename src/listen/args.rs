//! The command line of listenoverflow.

use std::num::NonZeroU64;

use clap::Parser;

use crate::cli::{Common, IntervalArgs, parse};
use crate::filter::Filter;
use crate::hooks::maps;
use crate::kernel::map::MapDef;
use crate::wire::Options;

const EXAMPLES: &str = "\
Examples:
  listenoverflow                    listeners with a non-empty queue, every second
  listenoverflow --all --sort accept_peak
  listenoverflow --lport 80,443 --advise
  listenoverflow --events           one line per drop, or per millisecond of drops
  listenoverflow --clients --top 10 clients with the most drops
  listenoverflow --wait             accept() waits, on every kernel
  listenoverflow --json | jq -c 'select(.drops_total > 0)'
";

/// Show the queues of each listener, and the connections dropped because one was full
#[derive(Parser, Clone, Debug)]
#[command(name = "listenoverflow", version, after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
pub struct Args {
    /// Flags of every tool.
    #[command(flatten)]
    pub common: Common,
    /// Flags of tools with an interval.
    #[command(flatten)]
    pub interval: IntervalArgs,
    /// Stop after N intervals, or with --events after N lines
    #[arg(short = 'n', long, value_name = "N", help_heading = "Output",
        value_parser = parse::at_least_one)]
    pub count: Option<NonZeroU64>,
    /// Show idle listeners too
    #[arg(long, help_heading = "Output", conflicts_with_all = ["events", "clients"])]
    pub all: bool,
    /// Merge listeners of one address (`SO_REUSEPORT`); show the queues of the fullest
    #[arg(long, help_heading = "Output", conflicts_with_all = ["events", "clients"])]
    pub group: bool,
    /// Show every process that has the listener open
    #[arg(long, help_heading = "Output", conflicts_with_all = ["events", "clients"])]
    pub holders: bool,
    /// Print a line per drop; drops within one millisecond share a line
    #[arg(long, help_heading = "Output", conflicts_with = "clients")]
    pub events: bool,
    /// Show the clients with the most drops
    #[arg(long, help_heading = "Output")]
    pub clients: bool,
    /// Explain each overflow below the table, and what to change
    #[arg(long, help_heading = "Output", conflicts_with_all = ["events", "clients"])]
    pub advise: bool,
    /// Measure `accept()` waits even where every system call must be traced
    #[arg(long, help_heading = "Measurement")]
    pub wait: bool,
    /// Set the ring buffer size, e.g. 512K or 4M
    #[arg(long, value_name = "SIZE", help_heading = "Measurement", default_value = "2M",
        value_parser = parse::buffer_size)]
    pub buffer: u32,
    /// Set the maximum number of listeners
    #[arg(long, value_name = "N", help_heading = "Measurement", default_value_t = 4_096,
        value_parser = parse::entries)]
    pub max_listeners: u32,
}

/// Average number of wait octaves per listener.
pub const WAIT_OCTAVES: u32 = 4;

impl Args {
    /// What all programs are reported.
    pub fn options(&self) -> Options {
        let wake_bytes = u64::from(self.buffer) / 4;
        Options { want_netns: 1, wake_bytes, ..Options::default() }
    }

    /// Entries of the maps.
    pub fn map_sizes(&self) -> Vec<(MapDef, u32)> {
        let waits = self.max_listeners.saturating_mul(WAIT_OCTAVES);
        vec![
            (maps::EVENTS, self.buffer),
            (maps::LISTENERS, self.max_listeners),
            (maps::WAITS, waits),
        ]
    }

    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self, filter: &Filter) -> Result<(), String> {
        let remote = !filter.rports.is_empty() || !filter.raddrs.is_empty();
        if remote && !self.events && !self.clients {
            return Err(
                "--rport and --raddr need --events or --clients: a listener has no remote \
                 address"
                    .into(),
            );
        }
        if self.events && (self.interval.sort.is_some() || self.interval.top.is_some()) {
            return Err("--top and --sort have no effect with --events".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &str) -> Result<(), String> {
        let words = std::iter::once("listenoverflow").chain(args.split_whitespace());
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        args.check(&args.common.filters.filter()?)
    }

    #[test]
    fn conflicting_flags_are_rejected() {
        for (args, hint) in [
            ("--rport 80", "--events or --clients"),
            ("--events --sort pid", "no effect"),
            ("--events --clients", "cannot be used with"),
            ("--advise --events", "cannot be used with"),
        ] {
            let error = check(args).unwrap_err();
            assert!(error.contains(hint), "{args}: {error}");
        }
        assert_eq!(check("--clients --raddr 10.0.0.0/8"), Ok(()));
        assert_eq!(check("--lport 80 --group --advise --all"), Ok(()));
    }
}
