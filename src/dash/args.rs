//! The command line of tcpdash.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde::{Deserialize, Serialize};

use super::view::Palette;
use crate::cli::{Common, FilterArgs, parse};
use crate::dash::{Target, View};

const EXAMPLES: &str = "\
Examples:
  tcpdash                              this machine, now
  tcpdash -i 5 --comm nginx            only nginx, every five seconds
  tcpdash --light                      where every microsecond of a request counts
  tcpdash --json -d 60 > FILE          record one minute without a screen
  tcpdash --record FILE                also record to FILE
  tcpdash --demo                       built-in recording; no root needed
  tcpdash --replay FILE                replay --json output of any tool
  tcpcount --json | tcpdash --replay - replay live output, also over ssh
  tcpdash --replay FILE -c nginx       only processes named nginx
  tcpdash --replay FILE --at 30 --snapshot processes
";

/// Show traffic, socket states, listener queues and latency on one screen
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpdash", version, after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is one flag of the command line")]
pub struct Args {
    /// Flags of every tool.
    #[command(flatten)]
    pub common: Common,
    /// Set the seconds between reports; fractions allowed
    #[arg(short, long, value_name = "SECS", value_parser = parse::interval, default_value = "1",
        help_heading = "Measurement")]
    pub interval: Duration,
    /// Read TCP's own counters: no calls, responses and service times, at next to no cost
    #[arg(long, conflicts_with_all = ["replay", "demo"], help_heading = "Measurement")]
    pub light: bool,
    /// Set the maximum number of connections; the rest are summed in (other)
    #[arg(long, value_name = "N", value_parser = parse::entries,
        help_heading = "Measurement")]
    pub max_keys: Option<u32>,
    /// Record to this file as JSON Lines
    #[arg(long, value_name = "FILE", conflicts_with_all = ["replay", "demo"],
        help_heading = "Recordings")]
    pub record: Option<PathBuf>,
    /// Limit the size of the recording; FILE and FILE.1 together stay below it
    #[arg(long, value_name = "SIZE", value_parser = parse::file_size, default_value = "64M",
        requires = "record", help_heading = "Recordings")]
    pub record_max: u64,
    /// Replace the files of an earlier recording
    #[arg(long, requires = "record", help_heading = "Recordings")]
    pub force: bool,
    /// Replay a recording: JSON Lines of any tool; - reads standard input
    #[arg(long, value_name = "FILE", conflicts_with = "demo", help_heading = "Recordings")]
    pub replay: Option<PathBuf>,
    /// Replay the built-in recording
    #[arg(long, help_heading = "Recordings")]
    pub demo: bool,
    /// Start at this offset of the recording, e.g. 30, 90s or 2m
    #[arg(long, value_name = "TIME", value_parser = parse::duration, conflicts_with = "record",
        help_heading = "Recordings")]
    pub at: Option<Duration>,
    /// Print one frame of VIEW as plain text and exit, after an interval or --duration
    #[arg(long, value_name = "VIEW", num_args = 0..=1, default_missing_value = "overview",
        value_parser = view, help_heading = "Screen")]
    pub snapshot: Option<View>,
    /// Start with this view: overview, processes, connections, latency, states, listeners, tool,
    /// remotes or ports
    #[arg(long, value_name = "VIEW", value_parser = view, conflicts_with = "snapshot",
        help_heading = "Screen")]
    pub view: Option<View>,
    /// Set columns and lines of the snapshot [default: the terminal's, else 100x30]
    #[arg(long, value_name = "COLSxLINES", value_parser = size, requires = "snapshot",
        help_heading = "Screen")]
    pub size: Option<(u16, u16)>,
    /// Set the colours: the terminal's own 16, or 256 on a dark or light background [default: 16]
    #[arg(long, value_name = "THEME", value_enum, help_heading = "Screen")]
    pub theme: Option<ThemeChoice>,
    /// Remember the chosen columns in this file, which may name a theme, too
    /// [default: tcpscope/tcpdash.json in the folder of the user's settings]
    #[arg(long, value_name = "FILE", help_heading = "Screen")]
    pub config: Option<PathBuf>,
    /// Draw with ASCII only
    #[arg(long, help_heading = "Screen")]
    pub ascii: bool,
    /// Do not capture the mouse
    #[arg(long, help_heading = "Screen")]
    pub no_mouse: bool,
}

/// The palettes that a user can choose.
#[derive(Serialize, Deserialize, ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ThemeChoice {
    /// 256 colours on a dark background
    Dark,
    /// 256 colours on a light background
    Light,
    /// The terminal's own 16 colours
    #[value(name = "16")]
    #[serde(rename = "16")]
    Sixteen,
}

impl ThemeChoice {
    /// The colours.
    pub fn palette(self) -> Palette {
        match self {
            Self::Dark => Palette::Dark,
            Self::Light => Palette::Light,
            Self::Sixteen => Palette::Sixteen,
        }
    }
}

impl Args {
    /// The recording asked for.
    pub fn target(&self) -> Option<Target> {
        let path = self.record.clone()?;
        Some(Target { path, max: self.record_max, force: self.force })
    }

    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let output = &self.common.output;
        let live = self.replay.is_none() && !self.demo;
        if output.json {
            let screen = self.snapshot.is_some() || self.view.is_some() || self.config.is_some();
            let screen = screen || self.record.is_some();
            return match (live, screen) {
                (false, _) => {
                    Err("--json needs a live session; a recording already is JSON".into())
                }
                (_, true) => {
                    Err("--json has no screen and no --record; redirect its output".into())
                }
                _ => Ok(()),
            };
        }
        if output.duration.is_some() && self.snapshot.is_none() {
            return Err("--duration needs --json or --snapshot; press q to leave the screen".into());
        }
        if output.duration.is_some() && !live {
            return Err("--duration needs a live session; --at is a place in a recording".into());
        }
        for (given, flag) in [(output.strict, "--strict"), (output.verbose, "--verbose")] {
            if given {
                return Err(format!("{flag} needs --json; press q to leave the screen"));
            }
        }
        Ok(())
    }
}

fn view(text: &str) -> Result<View, String> {
    View::named(text).ok_or_else(|| {
        "valid views: overview, processes, connections, latency, states, listeners, tool, remotes, \
         ports"
            .into()
    })
}

/// `80x24`; sizes that no screen has are rejected.
fn size(text: &str) -> Result<(u16, u16), String> {
    let parts = text.split_once('x').and_then(|(w, h)| Some((w.parse().ok()?, h.parse().ok()?)));
    parts
        .filter(|(width, height)| (20..=1000).contains(width) && (5..=1000).contains(height))
        .ok_or_else(|| "write columns and lines, e.g. 100x30".to_owned())
}

/// The filter flags that are typed at the dashboard.
#[derive(Parser, Debug)]
#[command(name = "filter", no_binary_name = true, disable_help_flag = true)]
struct TypedFilters {
    #[command(flatten)]
    filters: FilterArgs,
}

/// Reads filter flags as typed at the dashboard.
///
/// # Errors
/// One line that says what is wrong.
pub(super) fn typed_filters(flags: Vec<String>) -> Result<FilterArgs, String> {
    let typed = TypedFilters::try_parse_from(flags).map_err(|error| first_line(&error))?;
    Ok(typed.filters)
}

/// What clap says, without usage and hints for a shell.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
        let parse = |args: &str| {
            Args::try_parse_from(std::iter::once("tcpdash").chain(args.split_whitespace()))
        };
        assert_eq!(parse("--demo --snapshot").unwrap().snapshot, Some(View::Overview));
        assert_eq!(parse("--demo --snapshot 7").unwrap().snapshot, Some(View::Tool));
        assert_eq!(parse("--demo --snapshot --size 80x24").unwrap().size, Some((80, 24)));
        assert_eq!(parse("--snapshot -d 5").unwrap().check(), Ok(()));
        for (args, part) in [
            ("--demo --json", "a live session"),
            ("--json --snapshot", "no screen"),
            ("--json --record x", "redirect"),
            ("--demo -d 5", "--duration needs --json or --snapshot"),
            ("--demo --snapshot -d 5", "--duration needs a live session"),
            ("--strict", "--strict needs --json"),
        ] {
            let error = parse(args).unwrap().check().unwrap_err();
            assert!(error.contains(part), "{args}: {error}");
        }
        for (args, part) in [
            ("--demo --snapshot nope", "listeners"),
            ("--demo --snapshot 10", "listeners"),
            ("--demo --snapshot --size 80", "100x30"),
            ("--demo --size 80x24", "--snapshot"),
            ("--demo --replay x", "cannot be used"),
            ("--demo --record x", "cannot be used"),
            ("--record-max 5", "--record"),
            ("--record x --record-max 5", "64M"),
        ] {
            let error = parse(args).unwrap_err().to_string();
            assert!(error.contains(part), "{args}: {error}");
        }
    }
}
