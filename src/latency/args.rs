//! The command line of tcplatency.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Common, IntervalArgs, parse};
use crate::filter::Filter;
use crate::group::GroupBy;
use crate::latency::{Kinds, LatencyKind, grouping};
use crate::wire::{LatencyOptions, Options};

const EXAMPLES: &str = "\
Examples:
  tcplatency                                  every kind, by process, every second
  tcplatency --kind response --by remote      response time of each peer
  tcplatency --kind service --by port         our own service time, by local port
  tcplatency --kind rtt --by remote:24 -i 5   network round-trip time
  tcplatency --kind connect,accept            connection setup time
  tcplatency --events --slower 10ms           every exchange that took longer than 10 ms
  tcplatency --kind response --hist -n 1 -i 10
  tcplatency --kind service --lport 443 --heatmap
  tcplatency --json | jq -c 'select(.latency_kind == \"service\") | [.comm, .p99_ns]'
";

/// Measure response, service, round-trip, connect and accept times of each socket
#[derive(Parser, Clone, Debug)]
#[command(name = "tcplatency", version, after_help = EXAMPLES)]
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
    /// Measure response, service, rtt, connect, accept [default: the cheap ones; --events: the first two]
    #[arg(long = "kind", value_name = "KIND[,…]", value_delimiter = ',',
        help_heading = "Output", value_parser = LatencyKind::parse)]
    pub kinds: Vec<LatencyKind>,
    /// Group rows by process, connection, remote[:PREFIX], port (of the service), cgroup or total
    #[arg(long, value_name = "GROUP", help_heading = "Output", default_value = "process",
        value_parser = grouping)]
    pub by: GroupBy,
    /// Print every latency, not histograms
    #[arg(long, help_heading = "Output", conflicts_with_all = ["by", "hist", "heatmap", "buckets"])]
    pub events: bool,
    /// Show only latencies of at least this time, e.g. 10ms (with --events)
    #[arg(long, value_name = "TIME", value_parser = parse::duration, help_heading = "Filters")]
    pub slower: Option<Duration>,
    /// Draw the histogram of each row
    #[arg(long, help_heading = "Output", conflicts_with = "heatmap")]
    pub hist: bool,
    /// Draw a heatmap: one line per interval, latency across
    #[arg(long, help_heading = "Output")]
    pub heatmap: bool,
    /// Include the histograms in JSON
    #[arg(long, help_heading = "Output", requires = "json")]
    pub buckets: bool,
    /// Set the maximum number of keys; the rest are summed in (other)
    #[arg(long, value_name = "N", help_heading = "Measurement",
        value_parser = parse::entries)]
    pub max_keys: Option<u32>,
    /// Set the ring buffer size, e.g. 512K or 4M
    #[arg(long, value_name = "SIZE", help_heading = "Measurement", default_value = "2M",
        value_parser = parse::buffer_size)]
    pub buffer: u32,
}

impl Args {
    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        if self.slower.is_some() && !self.events {
            return Err(
                "--slower needs --events: a histogram without the fast latencies would be \
                 wrong"
                    .into(),
            );
        }
        let ordered = self.interval.top.is_some() || self.interval.sort.is_some();
        if self.events && ordered {
            return Err(
                "--top and --sort have no effect with --events; -n N stops after N lines".into()
            );
        }
        if self.heatmap && ordered {
            return Err("--top and --sort have no effect with --heatmap: it has no rows".into());
        }
        Ok(())
    }

    /// What to measure.
    pub fn kinds(&self) -> Kinds {
        match &self.kinds[..] {
            [] if self.events => Kinds::EXCHANGES,
            [] => Kinds::DEFAULT,
            some => Kinds::of(some),
        }
    }

    /// How to group: a heatmap has no rows.
    pub fn grouping(&self) -> GroupBy {
        if self.heatmap { GroupBy::Total } else { self.by }
    }

    /// Whether JSON has the histograms: on request, and in place of drawings.
    pub fn with_buckets(&self) -> bool {
        self.buckets || self.hist || self.heatmap
    }

    /// What the programs of latencies are reported; `rows` is the maximum number of keys.
    pub fn latency_options(&self, rows: u32) -> LatencyOptions {
        let mut options = LatencyOptions {
            kinds: self.kinds().bits(),
            max_keys: rows,
            events: u32::from(self.events),
            ..LatencyOptions::default()
        };
        if self.events {
            options.slower =
                self.slower.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX));
        } else {
            options.by = self.grouping().as_wire() as u32;
        }
        options
    }

    /// What all programs are reported.
    pub fn options(&self, filter: &Filter) -> Options {
        let mut options = Options::default();
        let json = self.common.output.json;
        options.want_netns = u32::from(filter.netns.is_some() || (self.events && json));
        if self.events {
            options.want_cgroup = u32::from(json);
            options.wake_bytes = u64::from(self.buffer) / 4;
        } else {
            self.grouping().configure(&mut options);
        }
        options
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &str) -> Result<Args, String> {
        let words = std::iter::once("tcplatency").chain(args.split_whitespace());
        let args = Args::try_parse_from(words).map_err(|error| error.to_string())?;
        args.check().map(|()| args)
    }

    #[test]
    fn conflicting_flags_are_rejected_with_a_hint() {
        for (args, hint) in [
            ("--kind latency", "response, service, rtt, connect, accept"),
            ("--slower 10ms", "--slower needs --events"),
            ("--events --by port", "cannot be used with"),
            ("--events --hist", "cannot be used with"),
            ("--events --top 3", "-n N stops after"),
            ("--hist --heatmap", "cannot be used with"),
            ("--heatmap --sort count", "no rows"),
            ("--buckets", "--json"),
            ("--by netns", "--netns narrows"),
            ("--by pid", "process, connection"),
        ] {
            let error = parse(args).unwrap_err();
            assert!(error.contains(hint), "{args}: {error}");
        }
    }

    #[test]
    fn kinds_are_all_or_those_named() {
        assert_eq!(parse("").unwrap().kinds(), Kinds::DEFAULT);
        assert_eq!(parse("--events").unwrap().kinds(), Kinds::EXCHANGES);
        let some = parse("--events --kind rtt,connect").unwrap().kinds();
        assert_eq!(some, Kinds::of(&[LatencyKind::Rtt, LatencyKind::Connect]));
    }

    #[test]
    fn options_contain_only_what_is_needed() {
        let filter = Filter::default();
        let sums = parse("").unwrap();
        assert_eq!(sums.options(&filter).want_netns, 0);
        let sums = sums.latency_options(9);
        assert_eq!((sums.by, sums.events, sums.max_keys), (0, 0, 9));
        let events = parse("--json --events --slower 1ms").unwrap();
        assert_eq!(events.options(&filter).want_netns, 1);
        let events = events.latency_options(9);
        assert_eq!((events.events, events.slower), (1, 1_000_000));
        assert_eq!(
            parse("--heatmap").unwrap().latency_options(9).by,
            GroupBy::Total.as_wire() as u32
        );
    }
}
