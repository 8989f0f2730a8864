//! When to look at the timewait sockets, and in which namespaces.

use std::mem;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::TimeWaits;
use crate::clock::{Ticker, monotonic_now};
use crate::hooks::TIME_WAIT;
use crate::kernel::netns::{Namespaces, Netns};
use crate::kernel::session::Session;
use crate::wire::{Record as _, SockEntry};

/// So many sockets are read at a stretch, in half a millisecond or so: the ring buffer does not
/// stop filling while a hundred thousand are read.
const STRETCH: u64 = 1024;

/// What is to be done between stretches: take in the events that have come.
pub type Meanwhile<'a> = &'a mut dyn FnMut(&mut TimeWaits) -> Result<()>;

/// Takes looks, one an interval.
#[derive(Debug)]
pub struct Poller {
    ticker: Ticker,
    next: Instant,
    namespaces: Namespaces,
    told: bool,
}

impl Poller {
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
    /// /proc is not there, or those of `meanwhile`.
    pub fn first(
        &mut self,
        session: &Session,
        waits: &mut TimeWaits,
        netns: u32,
        meanwhile: Meanwhile<'_>,
    ) -> Result<()> {
        let netns = if netns == 0 { Netns::own()?.inode() } else { netns };
        // If it cannot be done, that is told as soon as something is missed for it.
        self.look(session, waits, netns, meanwhile).map(drop)
    }

    /// Looks at every namespace in which something may be found. Returns a remark for the user
    /// the first time that one cannot be looked at.
    ///
    /// # Errors
    /// Those of `meanwhile`.
    pub fn take(
        &mut self,
        session: &Session,
        waits: &mut TimeWaits,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Option<String>> {
        let mut remark = None;
        for netns in waits.namespaces() {
            if let Some(obstacle) = self.look(session, waits, netns, meanwhile)? {
                remark = Some(format!(
                    "TIME_WAIT is not shown in namespaces that cannot be entered: {obstacle:#}"
                ));
            }
        }
        Ok(remark.filter(|_| !mem::replace(&mut self.told, true)))
    }

    /// A look; returns what was in its way.
    fn look(
        &mut self,
        session: &Session,
        waits: &mut TimeWaits,
        netns: u32,
        meanwhile: Meanwhile<'_>,
    ) -> Result<Option<Error>> {
        let (mut count, mut between) = (0, Ok(()));
        let namespace = self.namespaces.find(netns);
        waits.begin_look(netns);
        let each = |bytes: &[u8]| {
            if let Some(entry) = SockEntry::read(bytes).filter(|entry| entry.timewait != 0) {
                waits.see(&entry);
            }
            count += 1;
            if count % STRETCH == 0 && between.is_ok() {
                between = meanwhile(waits);
            }
        };
        let look = || session.iterate(&TIME_WAIT, size_of::<SockEntry>(), each);
        let looked = namespace.and_then(|namespace| namespace.within(look));
        match &looked {
            Ok(()) => waits.end_look(netns, monotonic_now()),
            Err(_) => waits.skip_namespace(netns),
        }
        between.map(|()| looked.err())
    }
}
