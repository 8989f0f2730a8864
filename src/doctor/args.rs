//! The command line of tcpdoctor.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;

use crate::cli::{Common, parse};

const EXAMPLES: &str = "\
Examples:
  tcpdoctor                        watch for 10 s, then say what is wrong
  tcpdoctor -d 60 --netns web -v   one namespace for a minute; also what is well
  tcpdoctor --watch                findings as they begin and end
  tcpdoctor --replay FILE          the findings of a recording
  tcpdoctor --explain local-ports-used-up
  tcpdoctor --explain 'connection reset by peer'
  tcpdoctor --json | jq -r 'select(.kind == \"finding\") | [.severity, .rule, .text] | @tsv'
";

/// Find out what is wrong with TCP on this machine, why, and what to change
#[derive(Parser, Clone, Debug)]
#[command(name = "tcpdoctor", version, after_help = EXAMPLES)]
pub struct Args {
    /// Flags of every tool.
    #[command(flatten)]
    pub common: Common,
    /// Set the seconds between two looks; fractions allowed
    #[arg(short, long, value_name = "SECS", value_parser = parse::interval, default_value = "1",
        help_heading = "Measurement")]
    pub interval: Duration,
    /// Go on, and print findings as they begin and end
    #[arg(long, help_heading = "Output")]
    pub watch: bool,
    /// Exit with 13 if there are findings of high or medium severity
    #[arg(long, help_heading = "Output")]
    pub exit_code: bool,
    /// Explain a rule, or the text of an error, and exit; needs no root
    #[arg(long, value_name = "ID|TEXT", help_heading = "Output",
        conflicts_with_all = ["replay", "watch", "exit_code", "json"])]
    pub explain: Option<String>,
    /// Judge a recording: JSON Lines of any tool; - reads standard input
    #[arg(long, value_name = "FILE", help_heading = "Recordings")]
    pub replay: Option<PathBuf>,
}

impl Args {
    /// Checks that clap cannot do.
    ///
    /// # Errors
    /// A message that names the flag.
    pub fn check(&self) -> Result<(), String> {
        let offline = self.replay.is_some() || self.explain.is_some();
        if offline && self.common.output.duration.is_some() {
            return Err("--duration needs a live session".into());
        }
        if offline && self.common.filters.any() {
            return Err(
                "filters need a live session; what was recorded is judged as a whole".into()
            );
        }
        Ok(())
    }

    /// How long to watch; `None`: until a signal.
    pub fn duration(&self) -> Option<Duration> {
        let given = self.common.output.duration;
        given.or((!self.watch).then_some(Duration::from_secs(10)))
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        Args::command().debug_assert();
        let read = |args: &str| {
            Args::try_parse_from(std::iter::once("tcpdoctor").chain(args.split_whitespace()))
        };
        assert_eq!(read("").unwrap().duration(), Some(Duration::from_secs(10)));
        assert_eq!(read("--watch").unwrap().duration(), None);
        assert!(read("--explain x --watch").is_err());
        for args in ["--replay x -d 5", "--replay x --port 80", "--explain x -d 5"] {
            assert!(read(args).unwrap().check().unwrap_err().contains("live session"), "{args}");
        }
    }
}
