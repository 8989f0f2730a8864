//! The command line of tcpstall.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};

use crate::cli::{Common, IntervalArgs, parse};
use crate::clock::tick_ns;
use crate::group::Grouping;
use crate::wire::{Options, StallOptions};

/// The shortest stall that is shown where nothing else is asked for, ns.
pub const SHORTEST: u64 = 1_000_000_000;

const EXAMPLES: &str = "\
Examples:
  tcpstall                        connections that do not move, every second
  tcpstall --longer 30s -n 1      those that have not moved for 30 seconds, once
  tcpstall --rport 5432 --top 5   the longest stalls towards a database
  tcpstall --by process           what limits the connections of each process
  tcpstall --all -n 1             every connection with what its socket knows, once
  tcpstall --events --longer 5s   each stall as it ends: its length, and how it ended
  tcpstall --json | jq -c 'select(.why == \"peer_gone\") | [.comm, .raddr, .dies_in_ns]'
";

/// Show connections that do not move: why, since when, and by whom
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpstall", version, after_help = EXAMPLES)]
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
    /// Match stalls of at least this length, e.g. 200ms
    #[arg(long, value_name = "TIME", help_heading = "Filters", default_value = "1s",
        value_parser = parse::duration)]
    pub longer: Duration,
    /// Show every connection with what its socket knows
    #[arg(long, help_heading = "Output")]
    pub all: bool,
    /// Sum up connections by process or remote address, with what limits them
    #[arg(long, value_name = "GROUP", value_enum, help_heading = "Output", conflicts_with = "all")]
    pub by: Option<StallBy>,
    /// Show each stall as it ends, with its length and how it ended
    #[arg(long, help_heading = "Output", conflicts_with_all = ["all", "by"])]
    pub events: bool,
}

/// How connections are summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StallBy {
    /// The process.
    Process,
    /// The remote address.
    Remote,
}

impl StallBy {
    /// As JSON has it.
    pub fn grouping(self) -> Grouping {
        match self {
            Self::Process => Grouping::Process,
            Self::Remote => Grouping::Remote,
        }
    }
}

impl ValueEnum for StallBy {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Process, Self::Remote]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Process => "The process",
            Self::Remote => "The remote address",
        };
        Some(PossibleValue::new(self.grouping().name()).help(help))
    }
}

impl Args {
    /// What the program that reads connections is reported.
    /// `waits`: a program sees threads begin to wait in `send()`.
    pub fn stall_options(&self, waits: bool) -> StallOptions {
        StallOptions {
            all: u32::from(self.all || self.by.is_some()),
            tick_ns: tick_ns(),
            waits: waits.into(),
            ends: self.events.into(),
        }
    }

    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        if self.events && (self.interval.top.is_some() || self.interval.sort.is_some()) {
            return Err(
                "--top and --sort have no effect with --events; -n N stops after N lines".into()
            );
        }
        Ok(())
    }

    /// What all programs are reported.
    pub fn options(&self) -> Options {
        let mut options = Options::default();
        options.want_netns = 1;
        options.want_cgroup = u32::from(self.common.output.json);
        options
    }

    /// ns that a stall must last to be shown.
    pub fn longer_ns(&self) -> u64 {
        u64::try_from(self.longer.as_nanos()).unwrap_or(u64::MAX)
    }
}
