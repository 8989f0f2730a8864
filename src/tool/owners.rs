//! The search for the owners of sockets that no program has seen in use yet.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::hooks::OWNERS;
use crate::kernel::session::Session;

/// The search takes at most this part of a CPU.
const CPU_SHARE: u32 = 100;
/// Minimum time between two searches.
const PAUSE: Duration = Duration::from_secs(1);

/// Reads the tables of open files, not too often.
pub struct OwnerSearch {
    next: Instant,
}

impl OwnerSearch {
    /// The first search may begin at once.
    pub fn new() -> Self {
        Self { next: Instant::now() }
    }

    /// Asks the tables of open files who owns which socket, unless the last search was just now. It
    /// takes time with many processes, so the next one comes the later the longer it took.
    ///
    /// # Errors
    /// The iterator cannot be read.
    pub fn search(&mut self, session: &Session) -> Result<()> {
        let before = Instant::now();
        if before < self.next || session.plan().programs_of(&OWNERS).next().is_none() {
            return Ok(());
        }
        session.iterate(&OWNERS, 1, |_| ()).context("cannot find owners")?;
        self.next = Instant::now() + (before.elapsed() * CPU_SHARE).max(PAUSE);
        Ok(())
    }
}
