//! The search for owners among the open files.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::clock::{monotonic_now, own_cpu_ns};
use crate::hooks::{FIND_LISTENERS, OWNERS, maps};
use crate::kernel::map::Map;
use crate::kernel::reader::RecordReader;
use crate::kernel::session::Session;
use crate::listen::Holders;
use crate::wire::{Holder, OwnerSearch as Progress, Record as _};

/// The search takes at most this part of a CPU.
const CPU_SHARE: u32 = 100;
/// Minimum time between two searches.
const PAUSE: Duration = Duration::from_secs(1);
/// The one entry of the map.
const KEY: [u8; 4] = [0; 4];

/// Searches again and again: processes end, and give sockets to others. A search stops when it has
/// to, and goes on later: with many open files it takes longer than an interval.
pub struct OwnerSearch {
    next: Instant,
    number: u32,
    /// The search that is under way.
    pass: Option<Pass>,
    /// CPU time that it has taken so far.
    spent: Duration,
    holders: Holders,
}

/// The tables of open files are read once, and again if an owner has to be replaced.
struct Pass {
    map: Map,
    progress: Progress,
    owners: Vec<RecordReader>,
    listeners: Vec<RecordReader>,
    holders: Holders,
}

impl OwnerSearch {
    /// The first search may begin at once.
    pub fn new() -> Self {
        let (next, spent) = (Instant::now(), Duration::ZERO);
        Self { next, number: 0, pass: None, spent, holders: Holders::default() }
    }

    /// Asks the tables of open files who owns which socket, at most until `end`, or goes on with it.
    /// It takes time with many processes, so the next search comes the later the longer it took.
    ///
    /// # Errors
    /// The iterator cannot be read.
    pub fn advance(&mut self, session: &Session, end: Option<Instant>) -> Result<()> {
        if !self.is_under_way() && !self.begin(session)? {
            return Ok(());
        }
        let before = own_cpu_ns();
        let over = self.go_on(session, end)?;
        self.spent += Duration::from_nanos(own_cpu_ns() - before);
        if over {
            self.next = Instant::now() + (self.spent * CPU_SHARE).max(PAUSE);
        }
        Ok(())
    }

    /// Whether a search has begun and is not over.
    pub fn is_under_way(&self) -> bool {
        self.pass.is_some()
    }

    /// What the last search has found.
    pub fn holders(&self) -> &Holders {
        &self.holders
    }

    /// False: no search is due, or the plan has none.
    fn begin(&mut self, session: &Session) -> Result<bool> {
        let plan = session.plan();
        let none = [&OWNERS, &FIND_LISTENERS].iter().all(|hook| plan.method_of(hook).is_none());
        if Instant::now() < self.next || none {
            return Ok(false);
        }
        self.number += 1;
        self.spent = Duration::ZERO;
        let progress = Progress { number: self.number, ..Progress::default() };
        let map = session.map(maps::OWNER_SEARCH)?;
        self.pass = Some(Pass::begin(session, map, progress)?);
        Ok(true)
    }

    /// True: the search is over.
    fn go_on(&mut self, session: &Session, end: Option<Instant>) -> Result<bool> {
        while let Some(mut pass) = self.pass.take() {
            if pass.step()? {
                self.pass = Some(pass);
            } else if pass.progress.replaces == 0 {
                let replaces = pass.found_wrong()?;
                let Pass { map, progress, holders, .. } = pass;
                self.holders = holders;
                if replaces {
                    let progress = Progress { replaces: 1, ..progress };
                    self.pass = Some(Pass::begin(session, map, progress)?);
                }
            }
            if self.is_under_way() && end.is_some_and(|end| Instant::now() >= end) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Pass {
    fn begin(session: &Session, map: Map, progress: Progress) -> Result<Self> {
        map.update(&KEY, progress.as_bytes())?;
        Ok(Self {
            owners: session.readers(&OWNERS, 1, 1).context("cannot find owners")?,
            listeners: session
                .readers(&FIND_LISTENERS, size_of::<Holder>(), 1)
                .context("cannot find listeners")?,
            holders: Holders::since(monotonic_now()),
            map,
            progress,
        })
    }

    /// Reads a stretch; false: nothing is left.
    fn step(&mut self) -> Result<bool> {
        if let Some(reader) = self.owners.last_mut() {
            if !reader.advance(|_| ()).context("cannot find owners")? {
                self.owners.pop();
            }
            return Ok(true);
        }
        let Some(reader) = self.listeners.last_mut() else { return Ok(false) };
        let add = |bytes: &[u8]| self.holders.add(bytes);
        if !reader.advance(add).context("cannot find listeners")? {
            self.listeners.pop();
        }
        Ok(true)
    }

    /// Whether an owner is to be replaced by a process that the search has met before it.
    fn found_wrong(&self) -> Result<bool> {
        let found = self.map.lookup(&KEY)?.unwrap_or_default();
        Ok(Progress::read(&found).is_some_and(|found| found.wrong > 0))
    }
}
