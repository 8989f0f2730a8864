//! The command line of tcpdrop.

use std::num::NonZeroU64;

use clap::Parser;

use super::ReasonPattern;
use crate::cli::{Common, IntervalArgs, Track, parse};
use crate::filter::Filter;
use crate::group::{GroupBy, Grouping};
use crate::wire::{CookieSource, Options};

const EXAMPLES: &str = "\
Examples:
  tcpdrop                               every TCP segment that the kernel drops
  tcpdrop --reason NETFILTER_DROP       what a firewall of this host drops
  tcpdrop --reason '!TCP_*'             what does not reach its socket
  tcpdrop --port 443 --netns web        one port of a container
  tcpdrop --summary                     which reasons, every second
  tcpdrop --summary --by remote:24 -i 10
  tcpdrop --json | jq -c 'select(.drop_reason == \"NO_SOCKET\") | [.raddr, .lport]'
";

/// Show every TCP segment that the kernel drops, with owner, reason and place
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpdrop", version, after_help = EXAMPLES)]
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
    /// Match the kernel's reason; glob with * ? [a-z] [!a-z], ! in front excludes
    #[arg(long = "reason", value_name = "GLOB[,…]", value_delimiter = ',',
        help_heading = "Filters", value_parser = ReasonPattern::parse)]
    pub reasons: Vec<ReasonPattern>,
    /// Sum up every interval
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Group the summary by reason, process, connection, remote[:PREFIX], port (local), cgroup, netns or total
    #[arg(long, value_name = "GROUP", help_heading = "Output", default_value = "reason",
        requires = "summary", value_parser = DropBy::parse)]
    pub by: DropBy,
    /// Set the ring buffer size, e.g. 512K or 4M
    #[arg(long, value_name = "SIZE", help_heading = "Measurement", default_value = "1M",
        value_parser = parse::buffer_size)]
    pub buffer: u32,
}

/// How sums are grouped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DropBy {
    /// By the kernel's reason.
    Reason,
    /// As other tools do.
    Group(GroupBy),
}

impl DropBy {
    /// `reason`, or what other tools take.
    ///
    /// # Errors
    /// The choices there are.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == "reason" {
            return Ok(Self::Reason);
        }
        let more = |error: String| error.replace("choices are ", "choices are reason, ");
        GroupBy::parse(text).map(Self::Group).map_err(more)
    }

    /// As records say it.
    pub fn grouping(self) -> Grouping {
        match self {
            Self::Reason => Grouping::Reason,
            Self::Group(by) => by.grouping(),
        }
    }

    /// What its rows have one of: everything is one, where reasons differ.
    pub fn group(self) -> GroupBy {
        match self {
            Self::Reason => GroupBy::Total,
            Self::Group(by) => by,
        }
    }
}

impl Args {
    /// What all programs are reported.
    pub fn options(&self, filter: &Filter) -> Options {
        let mut options = Options::default();
        // Sockets are found by their flow, which is one of a namespace.
        options.want_netns = 1;
        options.use_hash = 1;
        options.want_cgroup = u32::from(self.common.output.json || filter.cgroup.is_some());
        self.by.group().configure(&mut options);
        // The socket of a segment is too little known for the helper.
        let cookie = if self.common.output.json { CookieSource::Field } else { CookieSource::None };
        options.cookie = cookie as u32;
        options.wake_bytes = u64::from(self.buffer) / 4;
        options
    }

    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let one_row = self.by == DropBy::Group(GroupBy::Total);
        let ordered = self.interval.top.is_some() || self.interval.sort.is_some();
        if ordered && !self.summary {
            return Err("--top and --sort need --summary; -n N stops after N lines".into());
        }
        if ordered && one_row {
            return Err("--top and --sort have no effect with --by total".into());
        }
        if self.common.measure.track == Track::Storage {
            return Err("--track storage: this tool finds sockets in the hash map".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(args.split_whitespace())
    }

    #[test]
    fn groupings_are_those_of_other_tools_and_reasons() {
        assert_eq!(parse("tcpdrop --summary").unwrap().by, DropBy::Reason);
        let by = parse("tcpdrop --summary --by remote:24").unwrap().by;
        assert_eq!(by, DropBy::Group(GroupBy::Remote(24, 128)));
        let error = parse("tcpdrop --summary --by why").unwrap_err().to_string();
        assert!(error.contains("the choices are reason, process, connection"), "{error}");
    }

    #[test]
    fn flags_that_have_no_effect_are_errors() {
        for (args, hint) in [
            ("tcpdrop --top 3", "--summary"),
            ("tcpdrop --summary --by total --sort segs", "no effect"),
            ("tcpdrop --track storage", "hash map"),
        ] {
            let error = parse(args).unwrap().check().unwrap_err();
            assert!(error.contains(hint), "{args}: {error}");
        }
    }
}
