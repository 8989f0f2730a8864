//! All network namespaces of the machine, to read one after the other.
//!
//! Who may not look into other processes does not learn the inodes of their namespaces, but still can
//! tell them apart, and read their counters: each namespace has its own file `netstat` in /proc.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::netns::{Netns, inode_at, named, processes};

/// The list is made anew at most this often, and takes at most this part of the time.
const PAUSE: Duration = Duration::from_secs(1);
const SHARE: u32 = 50;

/// How much of the machine was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extent {
    /// Namespaces that were read.
    pub read: u64,
    /// Namespaces that cannot be entered.
    pub closed: u64,
    /// The inode, if there is only one.
    pub only: Option<u32>,
}

impl Extent {
    /// Adds a namespace that was read.
    pub fn add(&mut self, inode: Option<u32>) {
        self.only = inode.filter(|_| self.read == 0);
        self.read += 1;
    }

    /// In words: `network namespace 4026531833`, `3 network namespaces (1 more cannot be entered)`.
    pub fn words(&self, name: Option<&str>) -> String {
        let mut text = match (self.only, self.read) {
            (Some(inode), 1) => format!("network namespace {inode}"),
            (_, 1) => "1 network namespace".to_owned(),
            (_, read) => format!("{read} network namespaces"),
        };
        if let Some(name) = name.filter(|_| self.read == 1) {
            text = format!("{text} ({name})");
        }
        if self.closed > 0 {
            text = format!("{text} ({} more cannot be entered)", self.closed);
        }
        text
    }
}

/// A namespace, and what leads to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Inode; `None`: it is not for us to know.
    pub inode: Option<u32>,
    /// Folder in /proc of a process in it, and the inode of its counters there.
    process: Option<(PathBuf, u64)>,
    name: Option<PathBuf>,
}

impl Place {
    /// Does something inside. `None`: it cannot be entered, or is gone.
    pub fn within<T>(&self, inside: impl FnOnce() -> Result<T>) -> Option<Result<T>> {
        let inode = self.inode?;
        let own = Netns::own().ok()?;
        if own.inode() == inode {
            return Some(inside());
        }
        let by_process = self.process.as_ref().map(|(folder, _)| folder.join("ns/net"));
        let mut paths = by_process.into_iter().chain(self.name.clone());
        let netns = paths.find_map(|path| Netns::open(&path, inode))?;
        let mut result = None;
        let entered = netns.within(|| {
            result = Some(inside());
            Ok(())
        });
        // Without a way back the thread must not go on.
        match (entered, result) {
            (Err(error), Some(Ok(_))) => Some(Err(error)),
            (_, result) => result,
        }
    }

    /// Reads files of its folder `net` in /proc, without entering it if a process is in it.
    pub fn read_net<T>(&self, read: impl FnOnce(&Path) -> Result<T>) -> Option<T> {
        let process =
            self.process.as_ref().filter(|(folder, inode)| counters(folder) == Some(*inode));
        match process {
            Some((folder, _)) => read(&folder.join("net")).ok(),
            None => self.within(|| read(Path::new("/proc/thread-self/net")))?.ok(),
        }
    }

    /// What distinguishes it from the others.
    pub fn id(&self) -> u64 {
        let counters = self.process.as_ref().map_or(0, |(_, inode)| *inode);
        // Inodes of namespaces have 32 bits.
        self.inode.map_or(counters | 1 << 63, u64::from)
    }

    /// Whether it is still there.
    pub fn exists(&self) -> bool {
        self.process.as_ref().is_some_and(|(folder, inode)| counters(folder) == Some(*inode))
            || self.name.as_ref().is_some_and(|path| inode_at(path) == self.inode)
    }
}

/// The inode of the file that has a namespace's counters.
fn counters(folder: &Path) -> Option<u64> {
    Some(fs::metadata(folder.join("net/netstat")).ok()?.ino())
}

/// All namespaces that have a name or a process.
#[derive(Debug, Default)]
pub struct NetnsList {
    places: Vec<Place>,
    next: Option<Instant>,
}

impl NetnsList {
    /// As they are, but for what came in the last second; `only`: at most the one with this inode.
    pub fn places(&mut self, only: Option<u32>) -> Vec<Place> {
        let now = Instant::now();
        if self.next.is_none_or(|next| now >= next) {
            self.places = scan();
            self.next = Some(now + PAUSE.max(now.elapsed() * SHARE));
        }
        self.places.retain(Place::exists);
        let wanted = |place: &&Place| only.is_none() || place.inode == only;
        self.places.iter().filter(wanted).cloned().collect()
    }
}

fn scan() -> Vec<Place> {
    let mut found: BTreeMap<u64, Place> = BTreeMap::new();
    let own = [PathBuf::from("/proc/thread-self")];
    let folders = processes().into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}")));
    for folder in own.into_iter().chain(folders) {
        let Some(key) = counters(&folder) else { continue };
        found.entry(key).or_insert_with(|| {
            let inode = inode_at(&folder.join("ns/net"));
            Place { inode, process: Some((folder, key)), name: None }
        });
    }
    let mut places: Vec<_> = found.into_values().collect();
    for path in named() {
        let Some(inode) = inode_at(&path) else { continue };
        match places.iter_mut().find(|place| place.inode == Some(inode)) {
            Some(place) => place.name = Some(path),
            None => places.push(Place { inode: Some(inode), process: None, name: Some(path) }),
        }
    }
    places.sort();
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_its_own_namespace_once() {
        let own = Netns::own().unwrap().inode();
        let mut list = NetnsList::default();
        let own = list.places(Some(own));
        assert_eq!(own.len(), 1);
        assert!(own[0].within(|| Ok(())).unwrap().is_ok());
        assert!(own[0].read_net(|net| Ok(fs::read_to_string(net.join("snmp"))?)).is_some());
    }

    #[test]
    fn an_extent_says_what_was_read_and_what_not() {
        let mut extent = Extent::default();
        extent.add(Some(7));
        assert_eq!(extent.words(Some("blue")), "network namespace 7 (blue)");
        extent.add(Some(8));
        extent.closed = 1;
        assert_eq!(extent.words(None), "2 network namespaces (1 more cannot be entered)");
        assert_eq!(extent.only, None);
    }
}
