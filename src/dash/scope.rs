//! What the screen is limited to: a process or a namespace that was entered.

use super::filter::RowFilter;
use super::model;
use crate::report::Key;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// A process, and its name with its number.
    Process(u32, String),
    /// A network namespace.
    Netns(u32),
}

impl Scope {
    /// The process of a row.
    ///
    /// # Errors
    /// It is unknown.
    pub fn process(key: &Key) -> Result<Self, &'static str> {
        let pid = key.pid.ok_or("the process of this row is unknown")?;
        Ok(Self::Process(pid, model::process(key)))
    }

    /// The network namespace of a row.
    ///
    /// # Errors
    /// It is unknown.
    pub fn netns(key: &Key) -> Result<Self, &'static str> {
        key.netns.map(Self::Netns).ok_or("the network namespace of this row is unknown")
    }

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
