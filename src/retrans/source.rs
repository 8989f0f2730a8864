//! What the kernel itself has counted of each socket.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::count::SocketVisits;
use crate::kernel::session::Session;

/// The kernel finds out within a few round trips whether a retransmit was needless.
const UNSURE: Duration = Duration::from_secs(10);
/// Interval of looks at the sockets meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// Looking takes at most this part of the time.
const SHARE: u32 = 25;

/// Visits all sockets: programs then count what each has sent, and report needless retransmits.
#[derive(Debug)]
pub struct SocketCounters {
    visits: SocketVisits,
    due: Instant,
    unsure_until: Option<Instant>,
}

impl Default for SocketCounters {
    fn default() -> Self {
        Self::new()
    }
}

impl SocketCounters {
    /// None was visited.
    pub fn new() -> Self {
        Self { visits: SocketVisits::default(), due: Instant::now(), unsure_until: None }
    }

    /// As [`SocketVisits::visit`].
    ///
    /// # Errors
    /// As there.
    #[allow(clippy::option_option, reason = "asked for, and there")]
    pub fn visit(&mut self, session: &Session, asked: Option<Option<u32>>) -> Result<()> {
        self.visits.visit(session, asked)
    }

    /// Whether all could be visited so far.
    pub fn all_seen(&self) -> bool {
        self.visits.all_seen()
    }

    /// What is missing, the first time that it is known.
    pub fn take_remark(&mut self) -> Option<String> {
        self.visits.take_remark("segments sent and needless retransmits are not known")
    }

    /// A segment was sent again just now.
    pub fn note_retransmit(&mut self) {
        self.unsure_until = Some(Instant::now() + UNSURE);
    }

    /// The same as [`SocketCounters::visit`] now and then, as long as retransmits are new.
    ///
    /// # Errors
    /// As above.
    #[allow(clippy::option_option, reason = "as above")]
    pub fn visit_if_due(&mut self, session: &Session, asked: Option<Option<u32>>) -> Result<()> {
        let begun = Instant::now();
        if begun < self.due || !self.is_unsure() {
            return Ok(());
        }
        self.visit(session, asked)?;
        self.due = begun + PAUSE.max(begun.elapsed() * SHARE);
        Ok(())
    }

    /// How long it is until a visit is due; for ever where there is no reason for one.
    pub fn left(&self) -> Duration {
        let left = self.due.saturating_duration_since(Instant::now());
        if self.is_unsure() { left } else { Duration::MAX }
    }

    /// Whether retransmits are so new that the kernel may yet find out that they were needless.
    pub fn is_unsure(&self) -> bool {
        self.unsure_until.is_some_and(|end| Instant::now() <= end)
    }
}
