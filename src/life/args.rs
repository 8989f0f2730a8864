//! The command line of tcplife.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Common, IntervalArgs, parse};
use crate::clock::tick_ns;
use crate::filter::{CommGlob, Filter};
use crate::group::GroupBy;
use crate::report::Word as _;
use crate::wire::{CookieSource, LifeEnd, LifeOptions, Options};

const EXAMPLES: &str = "\
Examples:
  tcplife                               each connection as it ends
  tcplife --end '!closed_*'             those that did not end in good order
  tcplife --end 'reset_*' --rport 5432  who resets connections to the database
  tcplife --longer 1m --bytes 100M      long and large ones
  tcplife --open -d 10                  and those that are open after 10 seconds
  tcplife --summary --by remote         how connections to each peer end, every second
  tcplife --json | jq -c 'select(.errno == 104) | [.comm, .raddr, .end, .unacked_bytes]'
";

/// Show each connection as it ends: what it did, how it ended, and by whom
#[derive(Parser, Clone, Debug)]
#[command(name = "tcplife", version, after_help = EXAMPLES)]
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
    /// Match how it ended; glob with * ? [a-z] [!a-z], ! in front negates
    #[arg(long = "end", value_name = "GLOB[,…]", value_delimiter = ',',
        help_heading = "Filters", value_parser = parse_ends)]
    ends: Vec<EndGlob>,
    /// Match connections of at least this length, e.g. 10s
    #[arg(long, value_name = "TIME", help_heading = "Filters", value_parser = parse::duration)]
    pub longer: Option<Duration>,
    /// Match connections of at most this length, e.g. 100ms
    #[arg(long, value_name = "TIME", help_heading = "Filters", value_parser = parse::duration)]
    pub shorter: Option<Duration>,
    /// Match connections with at least this many bytes, sent and received, e.g. 1M
    #[arg(long, value_name = "SIZE", help_heading = "Filters", value_parser = parse::byte_count)]
    pub bytes: Option<u64>,
    /// Show connections that are open when the tool ends
    #[arg(long, help_heading = "Output", conflicts_with = "summary")]
    pub open: bool,
    /// Sum up every interval
    #[arg(long, help_heading = "Output")]
    pub summary: bool,
    /// Group the summary by process, connection, remote[:PREFIX], port (local), cgroup, netns or total
    #[arg(long, value_name = "GROUP", help_heading = "Output", default_value = "process",
        requires = "summary", value_parser = GroupBy::parse)]
    pub by: GroupBy,
    /// Set the ring buffer size, e.g. 512K or 4M
    #[arg(long, value_name = "SIZE", help_heading = "Measurement", default_value = "2M",
        value_parser = parse::buffer_size)]
    pub buffer: u32,
}

/// The ends that a pattern names: a bit for each, and whether they are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct EndGlob {
    mask: u32,
    negated: bool,
}

fn parse_ends(text: &str) -> Result<EndGlob, String> {
    let mut glob: CommGlob = text.parse().map_err(|_| unknown())?;
    let negated = std::mem::take(&mut glob.negated);
    let matching = LifeEnd::WORDS.iter().filter(|(_, word)| glob.matches(word.as_bytes()));
    let mask = matching.fold(0, |mask, (end, _)| mask | 1 << *end as u32);
    if mask == 0 { Err(unknown()) } else { Ok(EndGlob { mask, negated }) }
}

fn unknown() -> String {
    let words: Vec<_> = LifeEnd::WORDS.iter().map(|(_, word)| *word).collect();
    format!("unknown end; valid ends: {}", words.join(", "))
}

fn ns(time: Option<Duration>) -> u64 {
    time.map_or(0, |time| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX))
}

impl Args {
    /// A bit for each end that is wanted. An unknown one is wanted unless others are asked for.
    pub fn ends(&self) -> u32 {
        let of = |negated| {
            let globs = self.ends.iter().filter(|glob| glob.negated == negated);
            globs.fold(0, |mask, glob| mask | glob.mask)
        };
        let asked = if self.ends.iter().any(|glob| !glob.negated) { of(false) } else { u32::MAX };
        asked & !of(true)
    }

    /// What the programs of connections are reported.
    pub fn life_options(&self) -> LifeOptions {
        LifeOptions {
            longer: ns(self.longer),
            shorter: ns(self.shorter),
            bytes: self.bytes.unwrap_or(0),
            ends: self.ends(),
            opens: self.summary.into(),
            tick_ns: tick_ns(),
            ..LifeOptions::default()
        }
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
        if ordered && one_row {
            return Err("--top and --sort have no effect with --by total".into());
        }
        if self.shorter.is_some_and(|shorter| self.longer.is_some_and(|longer| longer > shorter)) {
            return Err("no connection is longer than --longer and shorter than --shorter".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ends(flags: &[&str]) -> Result<Vec<&'static str>, clap::Error> {
        let args = Args::try_parse_from([&["tcplife"], flags].concat())?;
        let chosen = LifeEnd::WORDS.iter().filter(|(end, _)| args.ends() >> *end as u32 & 1 == 1);
        Ok(chosen.map(|(_, word)| *word).collect())
    }

    #[test]
    fn patterns_choose_ends_and_an_unknown_one_lists_them() {
        let closed = ["closed_by_us", "closed_by_peer", "closed_by_both"];
        assert_eq!(ends(&["--end", "closed_*"]).unwrap(), closed);
        let rest = ends(&["--end", "!closed_*"]).unwrap();
        assert!(rest.contains(&"refused") && !rest.contains(&"closed_by_us"));
        assert_eq!(ends(&["--end", "closed_*,!*_both"]).unwrap(), closed[..2]);
        let error = ends(&["--end", "vanished"]).unwrap_err().to_string();
        assert!(error.contains("valid ends: closed_by_us, closed_by_peer"), "{error}");
    }

    #[test]
    fn an_unknown_end_is_shown_unless_others_are_asked_for() {
        let unknown = |flags: &[&str]| {
            let args = Args::try_parse_from([&["tcplife"], flags].concat()).unwrap();
            args.ends() & 1 << LifeEnd::Unknown as u32 != 0
        };
        assert!(unknown(&[]) && unknown(&["--end", "!closed_*"]));
        assert!(!unknown(&["--end", "closed_*"]));
    }
}
