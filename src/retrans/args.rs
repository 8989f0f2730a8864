//! The command line of tcpretrans.

use std::num::{NonZeroU32, NonZeroU64};

use clap::Parser;

use crate::cli::{Common, IntervalArgs, parse};
use crate::clock::tick_ns;
use crate::filter::Filter;
use crate::group::GroupBy;
use crate::report::Word as _;
use crate::wire::{CookieSource, Options, RetransOptions, RetransType};

const EXAMPLES: &str = "\
Examples:
  tcpretrans                            every segment that is sent again
  tcpretrans --type syn,synack          connections that do not come about
  tcpretrans --attempt 3                segments sent again for the third time or more
  tcpretrans --probes --type probe,rto  peers that closed their window, or are gone
  tcpretrans --summary --by remote      which peers lose segments, every second
  tcpretrans --summary --by remote:24 -i 10
  tcpretrans --json | jq -c 'select(.type == \"rto\") | [.comm, .raddr, .attempt, .rto_ns]'
";

/// Show every segment that TCP sends again, with owner, reason and attempt
#[derive(Parser, Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
#[command(name = "tcpretrans", version, after_help = EXAMPLES)]
pub struct Args {
    /// Flags of every tool.
    #[command(flatten)]
    pub common: Common,
    /// Flags of tools with an interval.
    #[command(flatten)]
    pub interval: IntervalArgs,
    /// Stop after N lines, or with --summary after N intervals
    #[arg(short = 'n', long, value_name = "N", help_heading = "Output",
        value_parser = parse::at_least_one)]
    pub count: Option<NonZeroU64>,
    /// Show only these types: rto, fast, tlp, syn, synack, `slow_start`, probe, spurious
    #[arg(long = "type", value_name = "TYPE[,…]", value_delimiter = ',',
        help_heading = "Filters", value_parser = parse_type)]
    pub types: Vec<RetransType>,
    /// Show only segments that are sent again for at least the Nth time
    #[arg(long, value_name = "N", help_heading = "Filters")]
    pub attempt: Option<NonZeroU32>,
    /// Show probes of zero windows, which are no retransmits
    #[arg(long, help_heading = "Output")]
    pub probes: bool,
    /// Sum up every interval
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Show rows without a retransmit, too
    #[arg(long, help_heading = "Output", requires = "summary")]
    pub all: bool,
    /// Group the summary by process, connection, remote[:PREFIX], port (local), cgroup, netns or total
    #[arg(long, value_name = "GROUP", help_heading = "Output", default_value = "process",
        requires = "summary", value_parser = GroupBy::parse)]
    pub by: GroupBy,
    /// Set the ring buffer size, e.g. 512K or 4M
    #[arg(long, value_name = "SIZE", help_heading = "Measurement", default_value = "1M",
        value_parser = parse::buffer_size)]
    pub buffer: u32,
}

fn parse_type(text: &str) -> Result<RetransType, String> {
    let found = RetransType::WORDS.iter().find(|(_, word)| *word == text);
    found.map(|(kind, _)| *kind).ok_or_else(|| {
        let words: Vec<_> = RetransType::WORDS.iter().map(|(_, word)| *word).collect();
        format!("unknown type; valid types: {}", words.join(", "))
    })
}

impl Args {
    /// What the programs of retransmits are reported.
    pub fn retrans_options(&self) -> RetransOptions {
        RetransOptions {
            type_mask: self.types.iter().fold(0, |mask, kind| mask | 1 << *kind as u32),
            min_attempt: self.attempt.map_or(0, NonZeroU32::get),
            tick_ns: tick_ns(),
            summary: u32::from(self.summary),
        }
    }

    /// Whether all retransmits of the watched namespaces are shown, so that the namespaces' own counters
    /// must say the same.
    pub fn shows_everything(&self, filter: &Filter) -> bool {
        let of_netns = Filter { netns: None, ..filter.clone() };
        let all = !of_netns.by_owner() && !of_netns.by_ends();
        all && self.types.is_empty() && self.attempt.is_none()
    }

    /// What all programs are reported.
    pub fn options(&self, filter: &Filter) -> Options {
        let mut options = Options::default();
        let json = self.common.output.json;
        options.want_netns = u32::from(json || filter.netns.is_some());
        options.want_cgroup = u32::from(json);
        self.by.configure(&mut options);
        options.cookie = if json { CookieSource::Helper } else { CookieSource::None } as u32;
        options.wake_bytes = u64::from(self.buffer) / 4;
        options
    }

    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let one_row = self.by == GroupBy::Total;
        let ordered = self.interval.top.is_some() || self.interval.sort.is_some();
        if ordered && !self.summary {
            return Err("--top and --sort need --summary; -n N stops after N lines".into());
        }
        if self.types.contains(&RetransType::Probe) && !self.probes {
            return Err("--type probe needs --probes".into());
        }
        if ordered && one_row {
            return Err("--top and --sort have no effect with --by total".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_a_mask_and_an_unknown_one_lists_them() {
        let args = Args::try_parse_from(["tcpretrans", "--type", "rto,synack"]).unwrap();
        let mask = 1 << RetransType::Rto as u32 | 1 << RetransType::Synack as u32;
        assert_eq!(args.retrans_options().type_mask, mask);
        let error = Args::try_parse_from(["tcpretrans", "--type", "timeout"]).unwrap_err();
        assert!(
            error.to_string().contains("rto, fast, tlp, syn, synack, slow_start, probe, spurious"),
            "{error}"
        );
    }
}
