//! The filter as typed at the dashboard: words, fields such as `rport:443`, or the flags of the tools.

use std::ops::Range;

use super::args::typed_filters;
use super::model::text;
use crate::cli::parse;
use crate::filter::{self, Filter};
use crate::report::{Cell, Key};
use crate::tcp_state::TcpState;

/// Fields that mean the flag of the same name.
const FIELDS: [&str; 8] = ["pid", "lport", "rport", "port", "laddr", "raddr", "addr", "cgroup"];

/// What rows have to meet: every term of it.
#[derive(Clone, Debug, Default)]
pub struct RowFilter(Vec<Term>);

#[derive(Clone, Debug)]
struct Term {
    not: bool,
    test: Test,
}

#[derive(Clone, Debug)]
enum Test {
    /// Flags of the tools.
    Flags(Box<Filter>),
    /// A part of a name.
    Name(String),
    /// A part of an address and port, as shown.
    Address(String),
    /// Any of these states.
    State(Vec<TcpState>),
    /// The inode of a network namespace, which may be of another machine.
    Netns(u32),
}

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

impl Test {
    fn by_ends(&self) -> bool {
        match self {
            Self::Flags(filter) => filter.by_ends(),
            Self::Name(_) => false,
            Self::Address(_) | Self::State(_) | Self::Netns(_) => true,
        }
    }

    fn passes(&self, key: &Key, state: Option<TcpState>) -> bool {
        match self {
            Self::Flags(filter) => filter::passes(filter, key),
            _ => self.passes_plain(key, state),
        }
    }

    /// Tests that are the same for listeners.
    fn passes_plain(&self, key: &Key, state: Option<TcpState>) -> bool {
        match self {
            Self::Flags(filter) => filter::passes_owner(filter, key),
            Self::Name(part) => key.comm.as_ref().is_some_and(|comm| {
                memchr::memmem::find(comm.as_bytes(), part.as_bytes()).is_some()
            }),
            Self::Address(part) => {
                let local = text(Cell::Endpoint(key.laddr, key.device, key.lport));
                let remote = text(Cell::remote(key.raddr, key.device, key.rport));
                local.contains(part) || remote.contains(part)
            }
            Self::State(states) => state.is_some_and(|state| states.contains(&state)),
            Self::Netns(inode) => key.netns == Some(*inode),
        }
    }
}

impl RowFilter {
    /// The filters of a command line.
    pub fn of_flags(filter: Filter) -> Self {
        Self(vec![Term { not: false, test: Test::Flags(Box::new(filter)) }])
    }

    /// The rows of one process.
    pub fn of_process(pid: u32) -> Self {
        Self::of_flags(Filter { pids: vec![pid], ..Filter::default() })
    }

    /// The rows of one network namespace.
    pub fn of_netns(inode: u32) -> Self {
        Self(vec![Term { not: false, test: Test::Netns(inode) }])
    }

    /// What meets both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether it asks for something of single sockets: addresses, ports, states.
    pub fn by_ends(&self) -> bool {
        self.0.iter().any(|term| term.test.by_ends())
    }

    /// Whether a connection is asked for.
    pub fn passes(&self, key: &Key, state: Option<TcpState>) -> bool {
        self.0.iter().all(|term| term.test.passes(key, state) != term.not)
    }

    /// Whether a listener is asked for; `v6only`: no IPv4 at `::`.
    pub fn passes_listener(&self, key: &Key, v6only: bool) -> bool {
        let passes = |test: &Test| match test {
            Test::Flags(filter) => filter::passes_listener(filter, key, v6only),
            test => test.passes_plain(key, Some(TcpState::Listen)),
        };
        self.0.iter().all(|term| passes(&term.test) != term.not)
    }

    /// Whether its owner is asked for, whatever its sockets are.
    pub fn passes_owner(&self, key: &Key) -> bool {
        let of_owner = self.0.iter().filter(|term| !term.test.by_ends());
        of_owner.into_iter().all(|term| term.test.passes(key, None) != term.not)
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Comm;

    fn key() -> Key {
        Key {
            pid: Some(7),
            comm: Some(Comm::from("api-server")),
            laddr: Some("10.1.2.3".parse().unwrap()),
            lport: Some(8443),
            raddr: Some("2001:db8::7".parse().unwrap()),
            rport: Some(50_000),
            netns: Some(4_026_531_840),
            ..Key::default()
        }
    }

    #[test]
    fn words_fields_and_flags_select() {
        let passes =
            |text: &str| read(text).unwrap().unwrap().passes(&key(), Some(TcpState::TimeWait));
        for text in [
            "api",
            "i-s",
            "!nginx",
            "api*",
            "8443",
            "50000",
            "10.0.0.0/8",
            "10.1.",
            "db8::7]:50",
            "comm:server",
            "rport:50000",
            "lport:8000-9000",
            "state:time_wait",
            "state:TIME",
            "state:listen,time-wait",
            "netns:4026531840",
            "raddr:2001:db8::/32",
            "pid:7",
            "!pid:8",
            "!state:established",
            "api 8443 !rport:443",
            "-c api* --rport 50000",
            "'api' --port 8443 ",
        ] {
            assert!(passes(text), "{text}");
        }
        for text in ["!api", "nginx", "443", "!8443", "10.2.", "api !8443", "state:listen", "pid:8"]
        {
            assert!(!passes(text), "{text}");
        }
        assert!(read("  ").unwrap().is_none());
    }

    #[test]
    fn errors_are_one_line_and_say_where() {
        for (text, at, part) in [
            ("api rport:70000", 4..15, "65535"),
            ("xport:1 api", 0..7, "unknown field; fields are comm, state"),
            ("rport:", 0..6, "a value behind rport:"),
            ("state:open", 0..10, "states are close, listen"),
            ("a !", 2..3, "missing after !"),
            ("--port 70000", 0..12, "65535"),
            ("--magic", 0..7, "--magic"),
            ("comm:[a", 0..7, "no matching ]"),
            ("a --comm", 2..8, "a value is required"),
            ("b 'a", 2..4, "not closed"),
            ("--ipv4 --addr ::1", 0..17, "exclude each other"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.text.contains(part) && !error.text.contains('\n'), "{text}: {error:?}");
            assert_eq!(error.at, at, "{text}");
        }
    }
}
