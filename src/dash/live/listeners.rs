//! Listeners and their drops, with the model of listenoverflow.

use anyhow::Result;

use crate::drop::SocketOwners;
use crate::filter::Filter;
use crate::kernel::session::Session;
use crate::listen::{self, ListenerRecord, ListenerRowOptions, rows};
use crate::tool::Running;

/// Listeners shown one by one, those that lose most first.
const SHOWN: usize = 2_000;

/// All listeners of a running session.
pub struct LiveListeners(listen::ListenMonitor);

impl LiveListeners {
    /// Those of [`listen::ListenMonitor::begin`].
    ///
    /// # Errors
    /// As above.
    pub fn begin(session: &Session, filter: &Filter) -> Result<Self> {
        listen::ListenMonitor::begin(session, filter).map(|(watch, _)| Self(watch))
    }

    /// Whether peaks need sampling every [`listen::SAMPLE`].
    pub fn is_sampled(&self) -> bool {
        self.0.is_sampled()
    }

    /// Reads which listeners have closed and, where sampled, how full the queues are.
    ///
    /// # Errors
    /// The ring buffer or the iterator cannot be read.
    pub fn glance(&mut self, session: &Session) -> Result<()> {
        self.0.source.drain()?;
        if self.is_sampled() {
            self.0.source.listeners(session)?;
        }
        Ok(())
    }

    /// Ends an interval at wall-clock `ts` of this length in ns: its listeners, and the
    /// unexplained drops.
    ///
    /// # Errors
    /// Those of [`LiveListeners::glance`].
    pub fn interval(
        &mut self,
        running: &Running,
        time: (i64, u64),
    ) -> Result<(Vec<ListenerRecord>, Option<u64>)> {
        let (_, interval) = self.0.interval(&running.session, running.holders())?;
        let namespaces = &mut self.0.source.namespaces;
        let shape = ListenerRowOptions { time, coverage: self.0.coverage, all: true, group: false };
        let mut rows = rows(&interval, shape, |netns| namespaces.names.name(netns));
        rows.sort_by_key(ListenerRecord::order);
        rows.truncate(SHOWN);
        Ok((rows, interval.unexplained))
    }

    /// A note on unreadable namespaces and the reason, once.
    pub fn remark(&mut self) -> Option<String> {
        self.0.remark()
    }
}

/// Whose segments are dropped that reach a listener, or would have.
pub fn offer(row: &ListenerRecord, sockets: &mut SocketOwners) {
    if let (Some(laddr), Some(lport), Some(netns), Some(pid), false) =
        (row.laddr, row.lport, row.netns, row.pid, row.closed)
    {
        let v6only = row.v6only == Some(true);
        sockets.offer_listener((laddr, lport, netns), v6only, (pid, row.comm.as_ref()));
    }
}
