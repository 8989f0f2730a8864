//! The command line of tcpports.

use std::num::NonZeroU64;

use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};

use crate::cli::{Common, IntervalArgs, parse};
use crate::clock::tick_ns;
use crate::filter::Filter;
use crate::group::Grouping;
use crate::wire::{Options, PortsOptions};

const EXAMPLES: &str = "\
Examples:
  tcpports                       destinations that use up local ports, every second
  tcpports --all --by process    every process with connections
  tcpports --advise -n 1         what to do about it
  tcpports --cost                how long connect() searches for a port
  tcpports --events              connects and binds that found no port
  tcpports --json | jq -c 'select(.kind == \"ports\" and .no_port > 0) | [.comm, .raddr, .rport]'
";

/// Show which destinations use up the local ports, by whom, and until when they last
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpports", version, after_help = EXAMPLES)]
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
    /// Show every destination, not only those short of ports
    #[arg(long, help_heading = "Output")]
    pub all: bool,
    /// Sum up by remote address, process, local address or network namespace
    #[arg(
        long,
        value_name = "GROUP",
        value_enum,
        help_heading = "Output",
        conflicts_with = "events"
    )]
    pub by: Option<PortsBy>,
    /// Say what to do about destinations short of ports
    #[arg(long, help_heading = "Output", conflicts_with_all = ["events", "by"])]
    pub advise: bool,
    /// Show each connect and bind that found no port
    #[arg(long, help_heading = "Output")]
    pub events: bool,
    /// Time each search for a local port
    #[arg(long, help_heading = "Measurement", conflicts_with_all = ["events", "by"])]
    pub cost: bool,
    /// Set the maximum number of destinations and processes that are counted at a time
    #[arg(long, value_name = "N", help_heading = "Measurement", default_value_t = 65_536,
        value_parser = parse::entries)]
    pub max_keys: u32,
    /// Set the ring buffer size of --events, e.g. 512K or 4M
    #[arg(long, value_name = "SIZE", help_heading = "Measurement", default_value = "1M",
        value_parser = parse::buffer_size)]
    pub buffer: u32,
}

/// How rows are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortsBy {
    /// The remote address.
    Remote,
    /// The process.
    Process,
    /// The local address.
    Local,
    /// The network namespace.
    Netns,
}

impl PortsBy {
    /// As JSON has it.
    pub fn grouping(self) -> Grouping {
        match self {
            Self::Remote => Grouping::Remote,
            Self::Process => Grouping::Process,
            Self::Local => Grouping::Local,
            Self::Netns => Grouping::Netns,
        }
    }
}

impl ValueEnum for PortsBy {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Remote, Self::Process, Self::Local, Self::Netns]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Remote => "The remote address",
            Self::Process => "The process",
            Self::Local => "The local address",
            Self::Netns => "The network namespace",
        };
        Some(PossibleValue::new(self.grouping().name()).help(help))
    }
}

impl Args {
    /// What the programs of ports are reported.
    pub fn ports_options(&self) -> PortsOptions {
        PortsOptions {
            events: u32::from(self.events),
            searches: u32::from(self.cost),
            tick_ns: tick_ns(),
        }
    }

    /// What all programs are reported.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        options.want_netns = 1;
        options.want_cgroup = u32::from(self.events && self.common.output.json);
        options.wake_bytes = u64::from(self.buffer) / 4;
        options
    }

    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self, filter: &Filter) -> Result<(), String> {
        if self.events && (self.interval.top.is_some() || self.interval.sort.is_some()) {
            return Err(
                "--top and --sort have no effect with --events; -n N stops after N lines".into()
            );
        }
        if !filter.lports.is_empty() || !filter.ports.is_empty() {
            return Err("--lport and --port: rows sum up local ports; use --rport".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_by_local_port_are_rejected() {
        let check = |flags: &str| {
            let words = std::iter::once("tcpports").chain(flags.split_whitespace());
            let args = Args::try_parse_from(words).unwrap();
            args.check(&args.common.filters.filter().unwrap())
        };
        assert!(check("--lport 80").unwrap_err().contains("--rport"));
        assert!(check("--events --top 3").unwrap_err().contains("--events"));
        assert_eq!(check("--rport 80 --by process"), Ok(()));
    }
}
