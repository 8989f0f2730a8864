//! Reads a filter as it was typed.

use std::ops::Range;

use super::{RowFilter, Term, Test};
use crate::cli::parse;
use crate::dash::args::typed_filters;
use crate::tcp_state::TcpState;

/// Fields that mean the flag of the same name.
const FIELDS: [&str; 8] = ["pid", "lport", "rport", "port", "laddr", "raddr", "addr", "cgroup"];

/// Why a filter cannot be read, and the bytes of the text that are the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// Bytes of the typed text.
    pub at: Range<usize>,
    /// One line.
    pub text: String,
}

/// A word with its place in the text.
struct Word {
    text: String,
    at: Range<usize>,
}

/// Reads what was typed. Words narrow each other: a port, an address or network, a part of an address,
/// else a part of a name; `field:value`; `!` in front of any excludes. Flags such as `--comm nginx` follow
/// them. Nothing typed is no filter.
///
/// # Errors
/// What cannot be read, and where it is.
pub fn read(typed: &str) -> Result<Option<RowFilter>, FilterError> {
    let words = words(typed)?;
    let bare = words.iter().take_while(|word| !word.text.starts_with('-')).count();
    let mut terms = Vec::new();
    for word in &words[..bare] {
        let (not, rest) = word.text.strip_prefix('!').map_or((false, &*word.text), |r| (true, r));
        let test = test(rest).map_err(|text| FilterError { at: word.at.clone(), text })?;
        terms.push(Term { not, test });
    }
    if let (Some(first), Some(last)) = (words.get(bare), words.last()) {
        let at = first.at.start..last.at.end;
        let flags = words[bare..].iter().map(|word| word.text.clone()).collect();
        let test = flags_test(flags).map_err(|text| FilterError { at, text })?;
        terms.push(Term { not: false, test });
    }
    Ok((!terms.is_empty()).then_some(RowFilter(terms)))
}

fn flags_test(flags: Vec<String>) -> Result<Test, String> {
    Ok(Test::Flags(Box::new(typed_filters(flags)?.filter()?)))
}

/// What a word without `!` asks for.
fn test(word: &str) -> Result<Test, String> {
    let of_address = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '[' | ']');
    if word.is_empty() {
        return Err("a word is missing after !".to_owned());
    }
    if parse::ports(word).is_ok() {
        return flags_test(vec!["--port".to_owned(), word.to_owned()]);
    }
    if parse::network(word).is_ok() {
        return flags_test(vec!["--addr".to_owned(), word.to_owned()]);
    }
    if word.contains(['.', ':']) && word.chars().all(of_address) {
        return Ok(Test::Address(word.to_owned()));
    }
    match word.split_once(':') {
        Some((field, value)) => field_test(field, value),
        None => name_test(word),
    }
}

fn field_test(field: &str, value: &str) -> Result<Test, String> {
    let known = FIELDS.contains(&field) || matches!(field, "comm" | "state" | "netns");
    if !known {
        let all = FIELDS.join(", ");
        return Err(format!("unknown field; fields are comm, state, netns, {all}"));
    }
    if value.is_empty() {
        return Err(format!("write a value behind {field}:"));
    }
    match field {
        "comm" => name_test(value),
        "state" => {
            let states = value.split(',').map(|name| {
                let mut states = TcpState::LIFECYCLE.into_iter();
                name.parse().ok().or_else(|| states.find(|state| begins(state.name(), name)))
            });
            states.collect::<Option<_>>().map(Test::State).ok_or_else(|| {
                let names = TcpState::LIFECYCLE.map(TcpState::name).join(", ");
                format!("unknown TCP state; states are {}", names.to_lowercase())
            })
        }
        "netns" if value.parse::<u32>().is_ok() => {
            value.parse().map(Test::Netns).map_err(|_| "write the inode of a namespace".to_owned())
        }
        _ => flags_test(vec![format!("--{field}"), value.to_owned()]).map_err(|error| {
            // The flag has the name of the field, which is marked.
            error.rsplit_once(">': ").map_or(error.clone(), |(_, reason)| reason.to_owned())
        }),
    }
}

/// Whether a name begins so, in capitals or not.
fn begins(name: &str, start: &str) -> bool {
    !start.is_empty()
        && name.get(..start.len()).is_some_and(|part| part.eq_ignore_ascii_case(start))
}

/// `api` is a part of a name; a pattern is one of all of it.
fn name_test(word: &str) -> Result<Test, String> {
    if word.contains(['*', '?', '[', '\\']) {
        let error = |error: String| {
            error.rsplit_once(">': ").map_or(error.clone(), |(_, reason)| reason.to_owned())
        };
        return flags_test(vec!["--comm".to_owned(), word.to_owned()]).map_err(error);
    }
    Ok(Test::Name(word.to_owned()))
}

/// Splits at spaces outside of quotes.
fn words(text: &str) -> Result<Vec<Word>, FilterError> {
    let (mut words, mut word, mut begun) = (Vec::new(), String::new(), None);
    let mut quote: Option<(char, usize)> = None;
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (Some((open, _)), c) if c == open => quote = None,
            (None, '"' | '\'') => {
                quote = Some((c, at));
                begun.get_or_insert(at);
            }
            (None, ' ' | '\t') => {
                if let Some(start) = begun.take() {
                    words.push(Word { text: std::mem::take(&mut word), at: start..at });
                }
            }
            _ => {
                word.push(c);
                begun.get_or_insert(at);
            }
        }
    }
    if let Some((quote, at)) = quote {
        return Err(FilterError { at: at..text.len(), text: format!("the {quote} is not closed") });
    }
    words.extend(begun.map(|start| Word { text: word, at: start..text.len() }));
    Ok(words)
}
