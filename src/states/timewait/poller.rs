//! When to poll the timewait sockets, and in which namespaces.

use std::mem;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};

use super::TimeWaits;
use crate::clock::Ticker;
use crate::hooks::TIME_WAIT;
use crate::kernel::netns::Namespaces;
use crate::kernel::reader::RecordReader;
use crate::kernel::session::Session;
use crate::wire::{Record as _, SockEntry};

/// The kernel writes as much at a stretch, of some 300 sockets: the ring buffer does not stop filling
/// while a hundred thousand are read.
const STRETCH: usize = 32 << 10;

/// When a poll is due: once per interval.
#[derive(Debug)]
pub struct Poller {
    ticker: Ticker,
    next: Instant,
    namespaces: Namespaces,
    reported: bool,
}

/// One poll, as far as it was read.
#[derive(Debug)]
pub struct Look {
    readers: Vec<RecordReader>,
}

impl Look {
    /// Takes in the next timewait sockets; false: that was all.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn go_on(&mut self, waits: &mut TimeWaits) -> Result<bool> {
        let Some(reader) = self.readers.last_mut() else { return Ok(false) };
        let more = reader.advance(|bytes| {
            if let Some(entry) = SockEntry::read(bytes).filter(|entry| entry.timewait != 0) {
                waits.see(&entry);
            }
        })?;
        if !more {
            self.readers.pop();
        }
        Ok(true)
    }
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

    /// Begins a poll of one namespace.
    ///
    /// # Errors
    /// The namespace cannot be entered, or the iterator not started.
    pub fn begin(&mut self, session: &Session, netns: u32) -> Result<Look> {
        // An iterator shows the namespace that it was started in.
        let start = || session.readers(&TIME_WAIT, size_of::<SockEntry>(), STRETCH);
        let readers = self.namespaces.find(netns).and_then(|found| found.within(start))?;
        Ok(Look { readers })
    }

    /// A note for the user the first time that a namespace cannot be polled.
    pub fn remark(&mut self, obstacle: &Error) -> Option<String> {
        let first = !mem::replace(&mut self.reported, true);
        first.then(|| {
            format!("TIME_WAIT is not shown in namespaces that cannot be entered: {obstacle:#}")
        })
    }
}
