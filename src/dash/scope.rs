//! What the screen is limited to: a process or a namespace that was entered.

use super::filter::RowFilter;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A process, and its name with its number.
    Process(u32, String),
    /// A network namespace.
    Netns(u32),
}

impl Scope {
    /// What it is called.
    pub fn name(&self) -> String {
        match self {
            Self::Process(_, name) => name.clone(),
            Self::Netns(inode) => format!("namespace {inode}"),
        }
    }

    /// The rows in it.
    pub fn filter(&self) -> RowFilter {
        match self {
            Self::Process(pid, _) => RowFilter::of_process(*pid),
            Self::Netns(inode) => RowFilter::of_netns(*inode),
        }
    }
}
