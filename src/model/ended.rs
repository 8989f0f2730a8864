//! Connections that have ended in the last minutes, one by one.

use std::collections::VecDeque;

use crate::life::Life;
use crate::report::Key;
use crate::tcp_state::TcpState;
use crate::wire::LifeEnd;

/// Endings that are stored, newest last.
const ROOM: usize = 10_000;
/// How long they are stored, ns.
const WINDOW: i64 = 300_000_000_000;

/// A connection that has ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Ending {
    /// Wall-clock ns.
    pub ts: i64,
    /// Whose it was, and between whom.
    pub key: Key,
    /// How it ended.
    pub end: Option<LifeEnd>,
    /// How old it was, ns.
    pub life_ns: Option<u64>,
    /// Since it was last used, ns.
    pub idle_ns: Option<u64>,
    /// Nothing has come since data was sent.
    pub waiting: bool,
}

/// The newest last. Connects that failed have their own room: a client may try again and again.
#[derive(Clone, Debug, Default)]
pub struct Ended {
    ended: VecDeque<Ending>,
    failed: VecDeque<Ending>,
}

impl Ended {
    /// Takes in one.
    pub fn take(&mut self, row: &Life) {
        // It is open.
        if row.end == Some(LifeEnd::Open) {
            return;
        }
        let (life_ns, idle_ns) = (row.life_ns, row.idle_ns);
        let ending = Ending {
            ts: row.ts.0,
            key: row.key(),
            end: row.end,
            life_ns,
            idle_ns,
            waiting: row.waiting,
        };
        let failed = row.state == Some(TcpState::SynSent);
        super::remember(if failed { &mut self.failed } else { &mut self.ended }, ROOM, ending);
    }

    /// Forgets what is long over.
    pub fn forget(&mut self, now: i64) {
        for endings in [&mut self.ended, &mut self.failed] {
            endings.retain(|ending| ending.ts > now - WINDOW);
        }
    }

    /// All of them.
    pub fn rows(&self) -> impl Iterator<Item = &Ending> {
        self.ended.iter().chain(&self.failed)
    }

    /// Whether none is known.
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.failed.is_empty()
    }
}
