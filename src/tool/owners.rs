//! The search for owners among the open files.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::clock::{monotonic_now, own_cpu_ns};
use crate::hooks::{FIND_LISTENERS, OWNERS, maps};
use crate::kernel::map::Map;
use crate::kernel::session::Session;
use crate::listen::Holders;
use crate::wire::{Holder, OwnerSearch as Progress, Record as _};

/// The search takes at most this part of a CPU.
const CPU_SHARE: u32 = 100;
/// Minimum time between two searches.
const PAUSE: Duration = Duration::from_secs(1);

/// Searches again and again: processes end, and give sockets to others.
pub struct OwnerSearch {
    next: Instant,
    number: u32,
    holders: Holders,
}

impl OwnerSearch {
    /// The first search may begin at once.
    pub fn new() -> Self {
        Self { next: Instant::now(), number: 0, holders: Holders::default() }
    }

    /// Asks the tables of open files who owns which socket, unless the last search was just now. It
    /// takes time with many processes, so the next one comes the later the longer it took.
    ///
    /// # Errors
    /// The iterator cannot be read.
    pub fn search(&mut self, session: &Session) -> Result<()> {
        let plan = session.plan();
        let none = [&OWNERS, &FIND_LISTENERS].iter().all(|hook| plan.method_of(hook).is_none());
        if Instant::now() < self.next || none {
            return Ok(());
        }
        let before = own_cpu_ns();
        let map = session.map(maps::OWNER_SEARCH)?;
        self.number += 1;
        let mut progress = Progress { number: self.number, ..Progress::default() };
        self.holders = Holders::since(monotonic_now());
        self.pass(session, &map, &progress)?;
        let found = map.lookup(&0u32.to_ne_bytes())?.unwrap_or_default();
        if Progress::read(&found).is_some_and(|found| found.wrong > 0) {
            progress.replaces = 1;
            self.pass(session, &map, &progress)?;
        }
        let spent = Duration::from_nanos(own_cpu_ns() - before);
        self.next = Instant::now() + (spent * CPU_SHARE).max(PAUSE);
        Ok(())
    }

    /// What the last search has found.
    pub fn holders(&self) -> &Holders {
        &self.holders
    }

    fn pass(&mut self, session: &Session, map: &Map, progress: &Progress) -> Result<()> {
        map.update(&0u32.to_ne_bytes(), progress.as_bytes())?;
        session.iterate(&OWNERS, 1, |_| ()).context("cannot find owners")?;
        let size = size_of::<Holder>();
        session
            .iterate(&FIND_LISTENERS, size, |bytes| self.holders.add(bytes))
            .context("cannot find listeners")
    }
}
