//! The network namespaces that listeners are in: their counters, settings and names.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;

use super::{ListenCounters, Sysctls};
use crate::kernel::netns::{Namespaces, Netns};

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
    names: BTreeMap<u32, Arc<str>>,
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
        let of = |path: &Path| u32::try_from(fs::metadata(path).ok()?.ino()).ok();
        let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
        let named = named.filter_map(|entry| of(&entry.path()));
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.filter_map(|entry| of(&entry.path().join("ns/net")));
        let own = Netns::own().ok().map(|own| own.inode());
        let mut all: Vec<_> = own.into_iter().chain(named).chain(processes).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// Display name of a namespace: its name, else its oldest process.
    pub fn name(&mut self, netns: u32) -> Arc<str> {
        let name = self.names.entry(netns).or_insert_with(|| name_of(netns).into());
        Arc::clone(name)
    }
}

/// `/run/netns` has a name for it, or a process is in it, or nothing is known.
fn name_of(netns: u32) -> String {
    let is = |path: &Path| fs::metadata(path).is_ok_and(|data| data.ino() == u64::from(netns));
    let named = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    if let Some(entry) = named.into_iter().find(|entry| is(&entry.path())) {
        return entry.file_name().to_string_lossy().into_owned();
    }
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    let eldest = pids.into_iter().find(|pid| is(Path::new(&format!("/proc/{pid}/ns/net"))));
    let comm = |pid: u32| fs::read_to_string(format!("/proc/{pid}/comm")).ok();
    eldest
        .and_then(|pid| Some(format!("{}[{pid}]", comm(pid)?.trim_end_matches('\n'))))
        .unwrap_or_default()
}
