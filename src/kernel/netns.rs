//! Entering a network namespace: iterators show the sockets of the reader's namespace.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context, Result, bail};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Folders with names of namespaces.
const NAMED: [&str; 2] = ["/run/netns", "/run/docker/netns"];
const OWN: &str = "/proc/thread-self/ns/net";

/// A network namespace, kept alive.
#[derive(Debug)]
pub struct Netns {
    file: File,
    inode: u32,
    path: PathBuf,
    own: bool,
}

impl Netns {
    /// The one this thread is in.
    ///
    /// # Errors
    /// /proc is not there.
    pub fn own() -> Result<Self> {
        let file = File::open(OWN).with_context(|| format!("cannot open {OWN}"))?;
        let inode = inode_of(&file)?;
        Ok(Self { file, inode, path: OWN.into(), own: true })
    }

    /// The one with this inode, found by its name or by a process in it.
    ///
    /// # Errors
    /// Neither a name nor a process leads to it.
    pub fn find(inode: u32) -> Result<Self> {
        Namespaces::default().find(inode)
    }

    /// The one at a path, if it has this inode.
    pub(super) fn open(path: &Path, inode: u32) -> Option<Self> {
        let file = File::open(path).ok()?;
        let path = path.to_owned();
        (inode_of(&file).ok()? == inode).then_some(Self { file, inode, path, own: false })
    }

    /// Inode number.
    pub fn inode(&self) -> u32 {
        self.inode
    }

    /// What led to it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something inside the namespace. The calling thread comes back in any case.
    ///
    /// # Errors
    /// Entering (it needs `CAP_SYS_ADMIN`) or coming back fails, or those of `inside`.
    pub fn within<T>(&self, inside: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.own {
            return inside();
        }
        let home = Self::own()?;
        let network = Some(LinkNameSpaceType::Network);
        move_into_link_name_space(self.file.as_fd(), network)
            .with_context(|| format!("cannot enter network namespace {}", self.inode))?;
        let result = inside();
        move_into_link_name_space(home.file.as_fd(), network)
            .context("cannot return from a network namespace")?;
        result
    }
}

/// Where namespaces were found, to find them again at once. Open files would keep those alive that
/// everybody else has left.
#[derive(Debug, Default)]
pub struct Namespaces {
    paths: HashMap<u32, PathBuf>,
}

impl Namespaces {
    /// As [`Netns::find`].
    ///
    /// # Errors
    /// Neither a name nor a process leads to it.
    pub fn find(&mut self, inode: u32) -> Result<Netns> {
        let own = Netns::own()?;
        if own.inode == inode {
            return Ok(own);
        }
        let last = self.paths.remove(&inode);
        for path in last.into_iter().chain(named()).chain(of_processes()) {
            if let Some(found) = Netns::open(&path, inode) {
                self.paths.insert(inode, path);
                return Ok(found);
            }
        }
        bail!(
            "network namespace {inode} cannot be entered: no accessible process is in it, and \
             /run/netns has no name for it"
        )
    }
}

fn inode_of(file: &File) -> Result<u32> {
    Ok(u32::try_from(file.metadata()?.ino())?)
}

/// Files that keep namespaces alive under a name: of `ip netns` (CNI and podman use the same), and
/// of docker.
pub fn named() -> impl Iterator<Item = PathBuf> {
    let folders = NAMED.iter().filter_map(|folder| fs::read_dir(folder).ok());
    folders.flatten().flatten().map(|entry| entry.path())
}

/// The file of a namespace's name, if there is one.
pub fn by_name(name: &str) -> Option<PathBuf> {
    NAMED.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists())
}

/// Processes, the oldest numbers first.
pub(super) fn processes() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> =
        entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}

fn of_processes() -> impl Iterator<Item = PathBuf> {
    processes().into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}/ns/net")))
}

/// The number of the namespace at a path; `None` where a name has no namespace yet or any more.
pub(super) fn inode_at(path: &Path) -> Option<u32> {
    static FILE_SYSTEM: OnceLock<Option<u64>> = OnceLock::new();
    let of_namespaces = FILE_SYSTEM.get_or_init(|| Some(fs::metadata(OWN).ok()?.dev()));
    let data = fs::metadata(path).ok()?;
    u32::try_from(data.ino()).ok().filter(|_| Some(data.dev()) == *of_namespaces)
}
