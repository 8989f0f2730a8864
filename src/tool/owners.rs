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
    /// What the last search took.
    took: Duration,
    number: u32,
    holders: Holders,
}

impl OwnerSearch {
    /// The first search may begin at once.
    pub fn new() -> Self {
        let took = Duration::ZERO;
        Self { next: Instant::now(), took, number: 0, holders: Holders::default() }
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
        let (begun, before) = (Instant::now(), own_cpu_ns());
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
        let now = Instant::now();
        (self.next, self.took) = (now + (spent * CPU_SHARE).max(PAUSE), now - begun);
        Ok(())
    }

    /// Whether a search is over before `end`, if it takes as long as the last one.
    pub fn fits(&self, end: Instant) -> bool {
        Instant::now() + self.took <= end
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_search_does_not_begin_before_the_end_of_an_interval() {
        let end = Instant::now() + Duration::from_mins(1);
        let search =
            |seconds| OwnerSearch { took: Duration::from_secs(seconds), ..OwnerSearch::new() };
        assert!(search(1).fits(end) && !search(90).fits(end));
        assert!(OwnerSearch::new().fits(end));
    }
}
