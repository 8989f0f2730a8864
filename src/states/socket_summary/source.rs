//! Reads the sockets of one namespace or of all.

use std::fs;
use std::sync::Arc;

use anyhow::Result;

use super::bound_by_watch;
use crate::hooks::SOCKETS;
use crate::kernel::netns::Namespaces;
use crate::kernel::netns_list::{Extent, NetnsList};
use crate::kernel::netns_names::NetnsNames;
use crate::kernel::session::Session;
use crate::wire::{Record as _, SockEntry};

/// Finds the namespaces anew each time: an open one would outlive its last process.
#[derive(Debug, Default)]
pub struct SocketReader {
    list: NetnsList,
    namespaces: Namespaces,
    names: NetnsNames,
    entered: bool,
}

impl SocketReader {
    /// Hands over all sockets that the programs let through, of one namespace or of all that can be
    /// entered; and says which these are.
    ///
    /// # Errors
    /// The iterator fails, or the namespace that is asked for cannot be entered the first time.
    pub fn read(
        &mut self,
        session: &Session,
        asked: Option<u32>,
        mut each: impl FnMut(&SockEntry),
    ) -> Result<Extent> {
        let watched = session.watched();
        self.each_namespace(asked, || {
            session.iterate(&SOCKETS, size_of::<SockEntry>(), |bytes| {
                if let Some(mut entry) = SockEntry::read(bytes) {
                    bound_by_watch(&mut entry, watched);
                    each(&entry);
                }
            })
        })
    }

    /// Does `walk` inside one namespace, or inside each that has sockets and can be entered; and says
    /// which these are.
    ///
    /// # Errors
    /// Those of `walk`, or the namespace that is asked for cannot be entered the first time.
    pub fn each_namespace(
        &mut self,
        asked: Option<u32>,
        mut walk: impl FnMut() -> Result<()>,
    ) -> Result<Extent> {
        // The kernel walks the tables of all namespaces for the sockets of one.
        self.visit(asked, |_| if asked.is_none() && !has_sockets() { Ok(()) } else { walk() })
    }

    /// Does something inside of one namespace, or of all that can be entered, with its inode.
    ///
    /// # Errors
    /// Those of `inside`, or the namespace that is asked for cannot be entered the first time.
    pub fn visit(
        &mut self,
        asked: Option<u32>,
        mut inside: impl FnMut(Option<u32>) -> Result<()>,
    ) -> Result<Extent> {
        let mut extent = Extent::default();
        if let Some(inode) = asked {
            match self.namespaces.find(inode) {
                Ok(netns) => netns.within(|| inside(asked))?,
                Err(error) if !self.entered => return Err(error),
                Err(_) => return Ok(extent),
            }
            self.entered = true;
            extent.add(asked);
            return Ok(extent);
        }
        for place in self.list.places(None) {
            let Some(done) = place.within(|| inside(place.inode)) else {
                extent.closed += u64::from(place.exists());
                continue;
            };
            done?;
            extent.add(place.inode);
        }
        Ok(extent)
    }

    /// The name of a namespace.
    pub fn name(&mut self, netns: u32) -> Option<Arc<str>> {
        self.names.name(netns)
    }
}

/// Whether the thread's namespace has any TCP socket; also where the kernel does not say.
pub fn has_sockets() -> bool {
    let files = ["sockstat", "sockstat6"].map(|file| format!("/proc/thread-self/net/{file}"));
    files
        .iter()
        .any(|file| fs::read_to_string(file).map_or(!file.ends_with('6'), |text| in_use(&text)))
}

/// `TCP: inuse 2 orphan 0 tw 7 alloc 3 mem 1`: open ones, and those in `TIME_WAIT`.
fn in_use(text: &str) -> bool {
    let lines = text.lines().filter(|line| line.starts_with("TCP"));
    let words = lines.flat_map(|line| line.split(' ').zip(line.split(' ').skip(1)));
    words.filter(|(name, _)| ["inuse", "tw"].contains(name)).any(|(_, count)| count != "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_namespace_without_sockets_is_seen() {
        let text =
            "sockets: used 9\nTCP: inuse 0 orphan 0 tw 0 alloc 2 mem 0\nUDP: inuse 1 mem 0\n";
        assert!(!in_use(text));
        assert!(in_use(&text.replace("tw 0", "tw 7")) && in_use("TCP6: inuse 1\n"));
    }
}
