//! When to poll the timewait sockets, and in which namespaces.

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

/// Work between batches: read pending events.
pub type Meanwhile<'a> = &'a mut dyn FnMut(&mut TimeWaits) -> Result<()>;

/// Polls once per interval.
#[derive(Debug)]
pub struct Poller {
    ticker: Ticker,
    next: Instant,
    namespaces: Namespaces,
    reported: bool,
}

impl Poller {
    /// The first regular poll is due one interval from now.
    pub fn every(interval: Duration) -> Self {
        let mut ticker = Ticker::new(interval);
        let next = ticker.next_end();
        Self { ticker, next, namespaces: Namespaces::default(), reported: false }
    }

    /// Whether an interval has passed since this was last true.
    pub fn due(&mut self) -> bool {
        let due = Instant::now() >= self.next;
        if due {
            self.next = self.ticker.next_end();
        }
        due
    }

    /// How long it is until then.
    pub fn left(&self) -> Duration {
        self.next.saturating_duration_since(Instant::now())
    }

    /// Polls one namespace before any event there; 0 is the tool's own.
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
        // A failure is reported when it first causes a miss.
        self.poll(session, waits, netns, meanwhile).map(drop)
    }

    /// Polls every namespace that may have changes. Returns a note for the user the first time
    /// that one cannot be polled.
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
            if let Some(obstacle) = self.poll(session, waits, netns, meanwhile)? {
                remark = Some(format!(
                    "TIME_WAIT is not shown in namespaces that cannot be entered: {obstacle:#}"
                ));
            }
        }
        Ok(remark.filter(|_| !mem::replace(&mut self.reported, true)))
    }

    /// One poll; returns the obstacle, if any.
    fn poll(
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
        let poll = || session.iterate(&TIME_WAIT, size_of::<SockEntry>(), each);
        let polled = namespace.and_then(|namespace| namespace.within(poll));
        let now = monotonic_now();
        // A new connection may have taken the place of one that was not found: its event has the time,
        // and must not come after this poll's verdict.
        if between.is_ok() {
            between = meanwhile(waits);
        }
        match &polled {
            Ok(()) => waits.end_look(netns, now),
            Err(_) => waits.skip_namespace(netns),
        }
        between.map(|()| polled.err())
    }
}
