//! The filter as typed at the dashboard: words, fields such as `rport:443`, or the flags of the tools.

mod read;

use super::model::text;
use crate::filter::{self, Filter};
use crate::report::{Cell, Key};
use crate::tcp_state::TcpState;

pub use read::{FilterError, read};

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

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
