//! Tips for arguments that other programs take in another form.

use std::ffi::OsString;

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Words of other programs for JSON.
const FORMATS: [&str; 4] = ["--format", "--output", "--output-format", "-o"];

/// Adds a tip to an error of `command` about an argument of `words` that it does not know.
pub fn add(error: &mut clap::Error, command: &Command, words: &[OsString]) {
    if error.kind() != ErrorKind::UnknownArgument {
        return;
    }
    let Some(ContextValue::String(unknown)) = error.get(ContextKind::InvalidArg) else { return };
    if let Some(tip) = tip(unknown, command, words) {
        let tip = ContextValue::StyledStrs(vec![StyledStr::from(tip)]);
        error.insert(ContextKind::Suggested, tip);
    }
}

fn tip(unknown: &str, command: &Command, words: &[OsString]) -> Option<String> {
    let has = |id: &str| command.get_arguments().any(|arg| arg.get_id() == id);
    let flag = unknown.split('=').next().unwrap_or_default();
    if FORMATS.contains(&flag) {
        return has("json").then(|| "--json prints JSON Lines; a table is the default".to_owned());
    }
    // As vmstat and iostat take them.
    unknown.parse::<f64>().ok().filter(|_| has("interval"))?;
    // The same number may be the value of a flag.
    let is = |at: &usize| words[*at] == *unknown;
    let by_itself = |at: &usize| *at == 0 || !words[at - 1].as_encoded_bytes().starts_with(b"-");
    let found = || (0..words.len()).filter(is);
    let at = found().find(by_itself).or_else(|| found().next())?;
    let count = words.get(at + 1).and_then(|word| word.to_str()?.parse::<u64>().ok());
    let count = count.filter(|_| has("count")).map(|count| format!(" -n {count}"));
    Some(format!("intervals and counts are flags: -i {unknown}{}", count.unwrap_or_default()))
}
