//! The flags that mean the same in every tool.

mod given;
pub mod hint;
pub mod parse;

use std::fmt::Display;
use std::io;
use std::ops::RangeInclusive;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, ValueEnum};

pub use given::filters_given;

use crate::filter::{Cgroup, CommGlob, Family, Filter, NetnsChoice, Network};
use crate::kernel::attach::AttachMethod;
use crate::kernel::plan::PlanRequest;
use crate::report::{Column, Ctx, Format, Printer, Row, Sink, Stop, find};

/// Every tool has these.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// Which sockets.
    #[command(flatten)]
    pub filters: FilterArgs,
    /// How results are shown.
    #[command(flatten)]
    pub output: OutputArgs,
    /// How they are measured.
    #[command(flatten)]
    pub measure: MeasureArgs,
}

/// How a tool shows results, and when it ends.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
pub struct OutputArgs {
    /// Print JSON Lines instead of a table
    #[arg(long)]
    pub json: bool,
    /// Show times in UTC, as JSON always does; else in the zone of TZ or /etc/localtime
    #[arg(long)]
    pub utc: bool,
    /// Stop after this time, e.g. 30, 1.5s or 10m
    #[arg(short, long, value_name = "TIME", value_parser = parse::duration)]
    pub duration: Option<Duration>,
    /// Exit with 9 if anything was lost, missed or untracked
    #[arg(long)]
    pub strict: bool,
    /// Print each step, and the kernel's log if it rejects a program
    #[arg(short, long)]
    pub verbose: bool,
}

/// How a tool measures.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Measurement")]
pub struct MeasureArgs {
    /// Use only this attach method
    #[arg(long, value_name = "METHOD", value_enum, default_value_t = AttachChoice::Auto)]
    pub attach: AttachChoice,
    /// Choose where to keep the owner and state of each socket
    #[arg(long, value_name = "WHERE", value_enum, default_value_t = Track::Auto)]
    pub track: Track,
    /// Set the size of the socket hash map (--track hash)
    #[arg(long, value_name = "N", default_value_t = 65_536,
        value_parser = parse::entries)]
    pub track_max: u32,
}

impl MeasureArgs {
    /// The constraints of the plan.
    pub fn request(&self) -> PlanRequest {
        PlanRequest { forced: self.attach.method(), use_hash: self.track.use_hash() }
    }
}

/// Where the programs keep the state of a socket.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Track {
    /// BPF socket storage if the kernel allows it, else a hash map
    #[default]
    Auto,
    /// BPF socket storage
    Storage,
    /// Hash map keyed by socket address
    Hash,
}

impl Track {
    /// Whether a hash map or storage is forced.
    pub fn use_hash(self) -> Option<bool> {
        match self {
            Self::Auto => None,
            Self::Storage => Some(false),
            Self::Hash => Some(true),
        }
    }
}

/// The attach methods a user can choose.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachChoice {
    /// The cheapest that this kernel supports
    #[default]
    Auto,
    /// fentry and fexit
    Fentry,
    /// kprobe and kretprobe
    Kprobe,
    /// Tracepoints with BTF
    Tracepoint,
    /// Tracepoints without BTF
    RawTracepoint,
}

impl AttachChoice {
    /// The only method to use, if one was given.
    pub fn method(self) -> Option<AttachMethod> {
        match self {
            Self::Auto => None,
            Self::Fentry => Some(AttachMethod::Fentry),
            Self::Kprobe => Some(AttachMethod::Kprobe),
            Self::Tracepoint => Some(AttachMethod::Tracepoint),
            Self::RawTracepoint => Some(AttachMethod::RawTracepoint),
        }
    }
}

/// Flags of tools that print each interval.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct IntervalArgs {
    /// Set the seconds between reports; fractions allowed [default: 1]
    #[arg(short, long, value_name = "SECS", value_parser = parse::interval)]
    pub interval: Option<Duration>,
    /// Print only the first N rows of each interval
    #[arg(long, value_name = "N", value_parser = parse::at_least_one)]
    pub top: Option<std::num::NonZeroU64>,
    /// Sort by this column
    #[arg(long, value_name = "COLUMN")]
    pub sort: Option<String>,
}

/// Which sockets. Several values of one flag widen the selection, several flags narrow it.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Filters")]
pub struct FilterArgs {
    /// Match process IDs
    #[arg(short, long = "pid", value_name = "PID[,…]", value_delimiter = ',',
        value_parser = parse::pid)]
    pids: Vec<u32>,
    /// Match the process name; glob with * ? [a-z] [!a-z], ! in front negates
    #[arg(short, long, value_name = "GLOB")]
    comm: Option<CommGlob>,
    /// Match local ports
    #[arg(long = "lport", value_name = "PORT[-PORT][,…]", value_delimiter = ',',
        value_parser = parse::ports)]
    lports: Vec<RangeInclusive<u16>>,
    /// Match remote ports
    #[arg(long = "rport", value_name = "PORT[-PORT][,…]", value_delimiter = ',',
        value_parser = parse::ports)]
    rports: Vec<RangeInclusive<u16>>,
    /// Match local or remote ports
    #[arg(long = "port", value_name = "PORT[-PORT][,…]", value_delimiter = ',',
        value_parser = parse::ports)]
    ports: Vec<RangeInclusive<u16>>,
    /// Match local addresses
    #[arg(long = "laddr", value_name = "CIDR[%DEV][,…]", value_delimiter = ',',
        value_parser = parse::network)]
    laddrs: Vec<Network>,
    /// Match remote addresses
    #[arg(long = "raddr", value_name = "CIDR[%DEV][,…]", value_delimiter = ',',
        value_parser = parse::network)]
    raddrs: Vec<Network>,
    /// Match local or remote addresses
    #[arg(long = "addr", value_name = "CIDR[%DEV][,…]", value_delimiter = ',',
        value_parser = parse::network)]
    addrs: Vec<Network>,
    /// Match IPv4 only
    #[arg(short = '4', long, conflicts_with = "ipv6")]
    ipv4: bool,
    /// Match IPv6 only
    #[arg(short = '6', long)]
    ipv6: bool,
    /// Match one network namespace, by name, container ID, PID, inode number or path
    #[arg(long, value_name = "NETNS", value_parser = NetnsChoice::parse)]
    netns: Option<NetnsChoice>,
    /// Match a cgroup and its descendants
    #[arg(long, value_name = "PATH", value_parser = Cgroup::find)]
    cgroup: Option<Cgroup>,
}

impl FilterArgs {
    /// Whether any filter was given.
    pub fn any(&self) -> bool {
        self.filter().is_ok_and(|filter| filter.by_owner() || filter.by_ends())
    }

    /// The filter asked for; an error names the flags that cannot be used.
    pub fn filter(&self) -> Result<Filter, String> {
        let mut args = self.clone();
        let netns = args.netns.as_ref().map(|netns| netns.inode);
        for list in [&mut args.laddrs, &mut args.raddrs, &mut args.addrs] {
            list.iter_mut().try_for_each(|network| network.find_device(netns))?;
        }
        let filter = Filter {
            pids: args.pids,
            comm: args.comm,
            lports: args.lports,
            rports: args.rports,
            ports: args.ports,
            laddrs: args.laddrs,
            raddrs: args.raddrs,
            addrs: args.addrs,
            family: match (args.ipv4, args.ipv6) {
                (true, _) => Some(Family::V4),
                (_, true) => Some(Family::V6),
                _ => None,
            },
            netns: args.netns,
            cgroup: args.cgroup,
        };
        filter.check().map(|()| filter)
    }
}

impl OutputArgs {
    /// A printer to standard output in the requested format. Rates are per `interval`; zero
    /// shows sums.
    pub fn printer(&self, interval: Duration, stop: &Stop) -> io::Result<Printer> {
        let format = if self.json { Format::Json } else { Format::Table };
        let ns = u64::try_from(interval.as_nanos()).unwrap_or(u64::MAX);
        let (out, err) = (Sink::stdout(stop.clone())?, Sink::stderr(stop.clone())?);
        Ok(Printer::new(out, err, format, Ctx::new(ns, self.utc)))
    }
}

impl IntervalArgs {
    /// Length of an interval.
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(1))
    }

    /// How many rows of an interval are shown.
    pub fn top(&self) -> usize {
        self.top.map_or(usize::MAX, |top| usize::try_from(top.get()).unwrap_or(usize::MAX))
    }

    /// The column to sort rows `R` by, if given; an error lists the valid columns.
    pub fn sort_column<R: Row>(&self) -> Result<Option<&'static Column<R>>, String> {
        let by = self.sort.as_deref().map(find).transpose();
        by.map_err(|error| format!("--sort: {error}"))
    }
}

/// A usage error of command line `C` for a check that clap cannot do. Exits with 2.
pub fn usage_error<C: CommandFactory>(message: impl Display) -> clap::Error {
    C::command().error(ErrorKind::ValueValidation, message)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser, Debug)]
    struct Tool {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        interval: IntervalArgs,
    }

    fn parse(args: &str) -> Result<Tool, clap::Error> {
        Tool::try_parse_from(std::iter::once("tool").chain(args.split_whitespace()))
    }

    #[test]
    fn the_flags_are_consistent() {
        Tool::command().debug_assert();
        let help = Tool::command().render_help().to_string();
        for heading in ["Filters:", "Output:", "Measurement:"] {
            assert!(help.contains(heading), "{help}");
        }
    }

    #[test]
    fn filters_become_plain_values() {
        let tool = parse("-p 1,2 -c ngin? --port 80,8000-8099 --raddr 10.0.0.0/8,::1 -4").unwrap();
        let filter = tool.common.filters.filter().unwrap();
        assert_eq!(filter.pids, [1, 2]);
        assert!(filter.comm.unwrap().matches(b"nginx"));
        assert_eq!(filter.ports, [80..=80, 8000..=8099]);
        assert_eq!(filter.raddrs.len(), 2);
        assert_eq!(filter.family, Some(Family::V4));
        assert_eq!(tool.interval.interval(), Duration::from_secs(1));
    }

    #[test]
    fn bad_values_are_rejected_with_a_hint() {
        for (args, value, hint) in [
            ("--port 70000", "'70000'", "65535"),
            ("--addr 10.0.0.0/33", "'10.0.0.0/33'", "/0 to /32"),
            ("-i 0", "'0'", "0.5"),
            ("-i NaN", "'NaN'", "0.5"),
            ("-d soon", "'soon'", "10ms"),
            ("-c [a", "'[a'", "matching ]"),
            ("--netns 4194304", "'4194304'", "no process 4194304"),
            ("--attach magic", "'magic'", "tracepoint"),
            ("-4 -6", "--ipv6", "cannot be used with"),
            ("--top 0", "'0'", "at least 1"),
        ] {
            let error = parse(args).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(value) && text.contains(hint), "{args}: {text}");
            assert_eq!(error.exit_code(), 2, "{args}");
        }
    }

    #[test]
    fn checks_beyond_clap_are_usage_errors() {
        let tool = parse(&format!("--port {}", vec!["1"; 17].join(","))).unwrap();
        let error = usage_error::<Tool>(tool.common.filters.filter().unwrap_err());
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("error: --port takes at most 16 values, not 17"));
    }
}
