//! The network namespaces that listeners are in: their counters, settings and names.

use anyhow::Result;

use super::{ListenCounters, Sysctls};
use crate::kernel::netns::Namespaces;
use crate::kernel::netns_list::NetnsList;
use crate::kernel::netns_names::NetnsNames;

/// The readings of a namespace at one time.
#[derive(Debug, Clone, Copy)]
pub struct NetnsCounters {
    /// Counters.
    pub mib: ListenCounters,
    /// Settings.
    pub sysctls: Option<Sysctls>,
}

/// Reads namespaces by their inode.
#[derive(Debug, Default)]
pub struct NetnsReader {
    found: Namespaces,
    /// Their names.
    pub names: NetnsNames,
    obstacle: Option<String>,
    reported: bool,
}

impl NetnsReader {
    /// Does something in a namespace; `None` if it cannot be entered.
    pub fn within<T>(&mut self, netns: u32, inside: impl FnOnce() -> Result<T>) -> Option<T> {
        let done = self.found.find(netns).and_then(|found| found.within(inside));
        if let Err(error) = &done {
            self.obstacle.get_or_insert_with(|| format!("{error:#}"));
        }
        done.ok()
    }

    /// What a namespace has counted. `settings`: and how it is set up.
    pub fn read(&mut self, netns: u32, settings: bool) -> Option<NetnsCounters> {
        self.within(netns, || {
            Ok(NetnsCounters {
                mib: ListenCounters::here()?,
                sysctls: settings.then(Sysctls::here).and_then(Result::ok),
            })
        })
    }

    /// The first reason why a namespace could not be read, once.
    pub fn remark(&mut self) -> Option<String> {
        let obstacle = self.obstacle.clone().filter(|_| !self.reported);
        self.reported |= obstacle.is_some();
        obstacle
    }

    /// All namespaces that have a name or a process.
    pub fn all() -> Vec<u32> {
        NetnsList::default().places(None).into_iter().filter_map(|place| place.inode).collect()
    }
}
