//! When to look at the timewait sockets, and in which namespaces.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::TimeWaits;
use crate::kernel::netns::{Namespaces, Netns};
use crate::kernel::session::Session;
use crate::run::{Ticker, monotonic_now};
use crate::wire::SockEntry;

/// Takes looks, one an interval.
#[derive(Debug)]
pub struct Looks {
    ticker: Ticker,
    next: Instant,
    namespaces: Namespaces,
    told: bool,
}

impl Looks {
    /// The first regular look is due one interval from now.
    pub fn every(interval: Duration) -> Self {
        let mut ticker = Ticker::new(interval);
        let next = ticker.next_end();
        Self { ticker, next, namespaces: Namespaces::default(), told: false }
    }

    /// Whether an interval has passed since this was last true.
    pub fn due(&mut self) -> bool {
        let due = Instant::now() >= self.next;
        if due {
            self.next = self.ticker.next_end();
        }
        due
    }

    /// Looks at one namespace before anything has happened there; 0 is the tool's own.
    ///
    /// # Errors
    /// As of [`Looks::take`].
    pub fn first(&mut self, session: &Session, waits: &mut TimeWaits, netns: u32) -> Result<()> {
        let netns = if netns == 0 { Netns::own()?.inode() } else { netns };
        // What cannot be entered may still be watched; it is told when something was missed.
        if let Err(_refused) = self.look(session, waits, netns) {
            waits.abandon(netns);
        }
        Ok(())
    }

    /// Looks at every namespace in which something may be found. Returns a remark for the user
    /// the first time that one cannot be looked at.
    pub fn take(&mut self, session: &Session, waits: &mut TimeWaits) -> Option<String> {
        let mut remark = None;
        for netns in waits.namespaces() {
            if let Err(error) = self.look(session, waits, netns) {
                waits.abandon(netns);
                remark = Some(format!("TIME_WAIT is not shown where it cannot be seen: {error:#}"));
            }
        }
        remark.filter(|_| !std::mem::replace(&mut self.told, true))
    }

    fn look(&mut self, session: &Session, waits: &mut TimeWaits, netns: u32) -> Result<()> {
        let namespace = self.namespaces.find(netns)?;
        namespace.within(|| {
            waits.begin_look(netns, monotonic_now());
            session.iterate("dump_sockets", size_of::<SockEntry>(), |bytes| {
                if let Some(entry) = SockEntry::read(bytes).filter(|entry| entry.timewait != 0) {
                    waits.see(&entry);
                }
            })?;
            waits.end_look(netns, monotonic_now());
            Ok(())
        })
    }
}
