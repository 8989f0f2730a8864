//! What the kernel itself has counted of each socket.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::hooks::SOCKET_COUNTERS;
use crate::kernel::session::Session;
use crate::states::socket_summary::SocketReader;

/// The kernel finds out within a few round trips whether a retransmit was needless.
const UNSURE: Duration = Duration::from_secs(10);
/// Interval of looks at the sockets meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// Looking takes at most this part of the time.
const SHARE: u32 = 25;

/// Visits all sockets: programs then count what each has sent, and report needless retransmits.
#[derive(Debug)]
pub struct SocketCounters {
    reader: SocketReader,
    due: Instant,
    unsure_until: Option<Instant>,
    entered: bool,
    closed: bool,
    said: bool,
}

impl Default for SocketCounters {
    fn default() -> Self {
        Self::new()
    }
}

impl SocketCounters {
    /// None was visited.
    pub fn new() -> Self {
        let (entered, closed, said) = (false, false, false);
        let reader = SocketReader::default();
        Self { reader, due: Instant::now(), unsure_until: None, entered, closed, said }
    }

    /// Visits the sockets of all namespaces that can be entered, or of the one that is `asked` for, if it is there.
    ///
    /// # Errors
    /// The iterator fails, or a namespace that was entered cannot be any more.
    #[allow(clippy::option_option, reason = "asked for, and there")]
    pub fn visit(&mut self, session: &Session, asked: Option<Option<u32>>) -> Result<()> {
        if asked == Some(None) || (asked.is_some() && self.closed) {
            return Ok(());
        }
        let walk = || session.iterate(&SOCKET_COUNTERS, 1, |_| ());
        match self.reader.each_namespace(asked.flatten(), walk) {
            Ok(extent) => self.closed |= extent.closed > 0,
            // It takes CAP_SYS_ADMIN, which the rest does without.
            Err(_) if asked.is_some() && !self.entered => self.closed = true,
            Err(error) => return Err(error),
        }
        self.entered = true;
        Ok(())
    }

    /// Whether all could be visited so far.
    pub fn all_seen(&self) -> bool {
        !self.closed
    }

    /// What is missing, the first time that it is known.
    pub fn take_remark(&mut self) -> Option<&'static str> {
        let new = self.closed && !std::mem::replace(&mut self.said, self.closed);
        new.then_some(
            "segments sent and needless retransmits are not known: a network namespace cannot be entered",
        )
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
        if begun < self.due || self.unsure_until.is_none_or(|end| begun > end) {
            return Ok(());
        }
        self.visit(session, asked)?;
        self.due = begun + PAUSE.max(begun.elapsed() * SHARE);
        Ok(())
    }
}
