//! The filters of a command line as they were given.

use clap::parser::ValueSource;
use clap::{ArgMatches, Args};

use super::FilterArgs;

/// `--comm nginx --rport 443,8443`; empty without any. Raw: escape it before you print it.
pub fn filters_given(matches: &ArgMatches) -> String {
    let command = FilterArgs::augment_args(clap::Command::new(""));
    let mut flags = Vec::new();
    for arg in command.get_arguments() {
        let id = arg.get_id().as_str();
        let given = matches.value_source(id) == Some(ValueSource::CommandLine);
        let (true, Some(long)) = (given, arg.get_long()) else { continue };
        if !arg.get_action().takes_values() {
            flags.push(format!("--{long}"));
            continue;
        }
        let raw = matches.get_raw(id).into_iter().flatten();
        let values: Vec<_> = raw.map(|value| value.to_string_lossy()).collect();
        let value = values.join(",");
        let quote = if value.contains(' ') { "'" } else { "" };
        flags.push(format!("--{long} {quote}{value}{quote}"));
    }
    flags.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_said_as_they_can_be_typed() {
        let given = |args: &[&str]| {
            let command = FilterArgs::augment_args(clap::Command::new("tool"));
            filters_given(&command.no_binary_name(true).get_matches_from(args))
        };
        assert_eq!(
            given(&["-c", "my app", "--rport=443,8000-8010", "-4"]),
            "--comm 'my app' --rport 443,8000-8010 --ipv4"
        );
        assert_eq!(given(&[]), "");
    }
}
