//! A namespace or cgroup that a filter names may end and be made anew: the programs get its new identity.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::filter::{Cgroup, Filter, NetnsChoice};
use crate::hooks::{FIND_LISTENERS, OWNERS, maps};
use crate::kernel::map::Map;
use crate::kernel::netns::Namespaces;
use crate::kernel::session::Session;
use crate::wire::{Record as _, Wanted};

/// What no namespace and no cgroup has.
const NONE: (u32, u64) = (u32::MAX, u64::MAX);

/// Follows the filters.
pub struct Follower {
    map: Map,
    wanted: Wanted,
    netns: Option<NetnsChoice>,
    /// What the path of the namespace led to.
    file: Option<FileId>,
    /// What led to a namespace that was given by its inode.
    at: PathBuf,
    cgroup: Option<Cgroup>,
    namespaces: Namespaces,
}

/// What a file of a namespace leads to. The inode alone may be another namespace's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId {
    inode: u32,
    /// When the kernel made the namespace of a name, or started the process.
    since: (i64, i64),
}

impl FileId {
    fn of(path: &Path) -> Option<Self> {
        let data = fs::metadata(path).ok()?;
        let since = match path.strip_prefix("/proc") {
            Ok(_) => (started(&path.ancestors().nth(2)?.join("stat"))?, 0),
            Err(_) => (data.ctime(), data.ctime_nsec()),
        };
        Some(Self { inode: u32::try_from(data.ino()).ok()?, since })
    }
}

/// When a process started, by its file `stat` (`proc_pid_stat(5)`).
fn started(stat: &Path) -> Option<i64> {
    const STARTTIME_AFTER_NAME: usize = 19;
    let text = fs::read_to_string(stat).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    rest.split(' ').nth(STARTTIME_AFTER_NAME)?.parse().ok()
}

impl Follower {
    /// Begins with what the filters name now. `None`: they name nothing that could change.
    ///
    /// # Errors
    /// The map or an iterator cannot be used.
    pub fn begin(session: &Session, filter: &Filter) -> Result<Option<Self>> {
        if filter.netns.is_none() && filter.cgroup.is_none() {
            return Ok(None);
        }
        let mut follower = Self {
            map: session.map(maps::WANTED)?,
            wanted: filter.wanted(),
            netns: filter.netns.clone(),
            file: None,
            at: PathBuf::new(),
            cgroup: filter.cgroup.clone(),
            namespaces: Namespaces::default(),
        };
        let path = follower.netns.as_ref().and_then(|netns| netns.path.as_deref());
        follower.file = path.and_then(FileId::of);
        follower.learn_netns(session)?;
        Ok(Some(follower))
    }

    /// Whether the filters name a namespace.
    pub fn by_netns(&self) -> bool {
        self.netns.is_some()
    }

    /// The inode of the namespace that is watched; `None`: it is gone.
    pub fn netns(&self) -> Option<u32> {
        Some(self.wanted.netns).filter(|netns| *netns != NONE.0)
    }

    /// Looks again. Notes for the user.
    ///
    /// # Errors
    /// The map or an iterator cannot be used.
    pub fn look(&mut self, session: &Session) -> Result<Vec<String>> {
        let notes = [self.look_for_netns(session)?, self.look_for_cgroup(session)?];
        Ok(notes.into_iter().flatten().collect())
    }

    fn look_for_netns(&mut self, session: &Session) -> Result<Option<String>> {
        let Some(netns) = &self.netns else { return Ok(None) };
        let Some(path) = netns.path.clone() else {
            let inode = netns.inode;
            if self.netns().is_none() || self.is_still_there(session)? {
                return Ok(None);
            }
            self.want_netns(NONE.0)?;
            return Ok(Some(format!("network namespace {inode} is gone")));
        };
        let now = FileId::of(&path).filter(|_| NetnsChoice::is_at(&path));
        if now == self.file {
            return Ok(None);
        }
        self.file = now;
        self.want_netns(now.map_or(NONE.0, |file| file.inode))?;
        let shown = path.display();
        Ok(Some(match now {
            None => {
                format!("network namespace {shown} is gone; waiting for a new one of this name")
            }
            Some(FileId { inode, .. }) => {
                self.learn_netns(session)?;
                format!("{shown} is a new network namespace now: {inode}")
            }
        }))
    }

    /// Whether the namespace of an inode is still the same. What nothing has led to cannot be missed.
    fn is_still_there(&mut self, session: &Session) -> Result<bool> {
        if self.file.is_none() || FileId::of(&self.at) == self.file {
            return Ok(true);
        }
        // Something else may lead to it, or to a later one of this number.
        let before = self.cookie()?;
        self.file = None;
        self.want_netns(self.wanted.netns)?;
        self.learn_netns(session)?;
        Ok(self.file.is_some() && before != 0 && self.cookie()? == before)
    }

    /// The cookie that the programs have learned; 0: none.
    fn cookie(&self) -> Result<u64> {
        let wanted = self.map.lookup(&KEY)?;
        Ok(wanted.as_deref().and_then(Wanted::read).map_or(0, |wanted| wanted.netns_cookie))
    }

    fn want_netns(&mut self, inode: u32) -> Result<()> {
        (self.wanted.netns, self.wanted.netns_cookie) = (inode, 0);
        self.write()
    }

    /// Lets the programs learn the cookie of the namespace from inside of it, if we may enter it.
    fn learn_netns(&mut self, session: &Session) -> Result<()> {
        let Some(inode) = self.netns.as_ref().and(self.netns()) else { return Ok(()) };
        let Ok(namespace) = self.namespaces.find(inode) else { return Ok(()) };
        if self.netns.as_ref().is_some_and(|netns| netns.path.is_none()) {
            namespace.path().clone_into(&mut self.at);
            self.file = FileId::of(&self.at);
        }
        let mut outcome = Ok(());
        // Not being allowed to enter it is no error: the inode remains.
        let _ = namespace.within(|| {
            outcome = read_files(session);
            Ok(())
        });
        outcome
    }

    fn look_for_cgroup(&mut self, session: &Session) -> Result<Option<String>> {
        let Some(cgroup) = &self.cgroup else { return Ok(None) };
        let id = fs::metadata(&cgroup.directory).map_or(NONE.1, |data| data.ino());
        if id == self.wanted.cgroup {
            return Ok(None);
        }
        let shown = cgroup.path.display();
        let note = if id == NONE.1 {
            format!("cgroup {shown} is gone; waiting for a new one of this name")
        } else {
            format!("cgroup {shown} is a new one now")
        };
        self.wanted.cgroup = id;
        self.wanted.netns_cookie = self.cookie()?;
        self.write()?;
        // Its first sockets are there already.
        read_files(session)?;
        Ok(Some(note))
    }

    fn write(&self) -> Result<()> {
        self.map.update(&KEY, self.wanted.as_bytes())
    }
}

/// The one entry of the map.
const KEY: [u8; 4] = [0; 4];

/// Reads the tables of open files, with the first iterator that the plan has for them.
fn read_files(session: &Session) -> Result<()> {
    let hooks = [&OWNERS, &FIND_LISTENERS];
    let served = hooks.iter().find(|hook| session.plan().programs_of(hook).next().is_some());
    served.map_or(Ok(()), |hook| session.iterate(hook, 1, |_| ()))
}
