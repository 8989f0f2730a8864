//! The command line of tcpstates.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::builder::PossibleValue;
use clap::{Parser, ValueEnum};

use crate::cli::{Common, IntervalArgs, parse};
use crate::filter::Filter;
use crate::states::socket_summary::SummaryBy;
use crate::tcp_state::TcpState;
use crate::wire::{CookieSource, Options, StatesOptions};

const EXAMPLES: &str = "\
Examples:
  tcpstates                              every state change of every TCP socket
  tcpstates -c 'nginx*' --lport 443      of nginx's connections on port 443
  tcpstates --from SYN_SENT --slower 1s  connects that took longer than a second
  tcpstates --from CLOSE_WAIT --slower 10s  sockets closed long after their peer did
  tcpstates --to CLOSE -n 20             the next 20 sockets that close
  tcpstates --summary                    sockets in each state, every second
  tcpstates --summary --by process       by owner; --by remote: by peer
  tcpstates --json | jq -c 'select(.new == \"CLOSE\")'
";

const INTERVAL: &str = "\
Set the seconds between reports (--summary) or TIME_WAIT polls; fractions allowed [default: 1]";

/// Show every TCP state change with owner, old and new state, and time in the old state
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpstates", version, after_help = EXAMPLES)]
#[command(mut_arg("interval", |arg| arg.help(INTERVAL)))]
pub struct Args {
    /// Flags of every tool.
    #[command(flatten)]
    pub common: Common,
    /// Flags of tools with an interval; without `--summary` it is the `TIME_WAIT` poll interval.
    #[command(flatten)]
    pub interval: IntervalArgs,
    /// Stop after N state changes, or with --summary after N intervals
    #[arg(short = 'n', long, value_name = "N", help_heading = "Output",
        value_parser = parse::at_least_one)]
    pub count: Option<NonZeroU64>,
    /// Show only changes to or from these states, spelled as in ss or the kernel
    #[arg(
        long = "state",
        value_name = "STATE[,…]",
        value_delimiter = ',',
        help_heading = "Filters",
        conflicts_with = "summary"
    )]
    pub states: Vec<TcpState>,
    /// Show only changes from these states
    #[arg(
        long,
        value_name = "STATE[,…]",
        value_delimiter = ',',
        help_heading = "Filters",
        conflicts_with = "summary"
    )]
    pub from: Vec<TcpState>,
    /// Show only changes to these states
    #[arg(
        long,
        value_name = "STATE[,…]",
        value_delimiter = ',',
        help_heading = "Filters",
        conflicts_with = "summary"
    )]
    pub to: Vec<TcpState>,
    /// Show only changes after at least this time in the old state, e.g. 10ms
    #[arg(long, value_name = "TIME", value_parser = parse::duration,
        help_heading = "Filters", conflicts_with = "summary")]
    pub slower: Option<Duration>,
    /// Count the sockets in each state, every interval
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Group the summary by owner, remote address, local port or network namespace
    #[arg(long, value_enum, help_heading = "Output", requires = "summary")]
    pub by: Option<SummaryBy>,
    /// Set the ring buffer size, e.g. 512K or 4M
    #[arg(long, value_name = "SIZE", help_heading = "Measurement", default_value = "2M",
        value_parser = parse::buffer_size)]
    pub buffer: u32,
}

impl ValueEnum for SummaryBy {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Process, Self::Remote, Self::Port, Self::Netns]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Process => "The process that owns them",
            Self::Remote => "The remote address",
            Self::Port => "The local port",
            Self::Netns => "The network namespace",
        };
        Some(PossibleValue::new(self.name()).help(help))
    }
}

impl Args {
    /// What the programs of states are reported.
    pub fn states_options(&self) -> StatesOptions {
        StatesOptions {
            slower: self
                .slower
                .map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)),
            state_mask: mask(&self.states),
            from_mask: mask(&self.from),
            to_mask: mask(&self.to),
            events: u32::from(!self.summary),
            ..StatesOptions::default()
        }
    }

    /// What all programs are reported.
    pub fn options(&self, filter: &Filter) -> Options {
        let mut options = Options::default();
        let json = self.common.output.json;
        options.want_netns = u32::from(self.summary || json || filter.netns.is_some());
        options.want_cgroup = u32::from(json);
        options.cookie = if json { CookieSource::Helper } else { CookieSource::None } as u32;
        options.wake_bytes = u64::from(self.buffer) / 4;
        options
    }

    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        if !self.summary && self.interval.sort.is_some() {
            return Err("--sort needs --summary: state changes are printed as they happen".into());
        }
        if !self.summary && self.interval.top.is_some() {
            return Err("--top needs --summary; -n N stops after N state changes".into());
        }
        for (flag, states) in [("state", &self.states), ("from", &self.from), ("to", &self.to)] {
            if states.contains(&TcpState::NewSynRecv) {
                return Err(format!(
                    "--{flag} NEW_SYN_RECV: the kernel does not report changes to or from it; \
                     tcpstates --summary counts these sockets"
                ));
            }
        }
        Ok(())
    }
}

/// Bit n: state n; none for all.
fn mask(states: &[TcpState]) -> u32 {
    states.iter().fold(0, |mask, state| mask | 1 << state.number())
}
