//! The listeners of a running session, interval by interval.

use std::time::Duration;

use anyhow::Result;

use super::{Coverage, Holders, ListenInterval, ListenSource, Listeners, NetnsReader};
use crate::filter::Filter;
use crate::hooks::SYNACK_RETRANS;
use crate::kernel::session::Session;
use crate::wire::ListenerEntry;

/// Sampling interval of queues that no program sees change.
pub const SAMPLE: Duration = Duration::from_millis(50);

/// Where the numbers come from, and what makes intervals of them.
pub struct ListenMonitor {
    /// Where the numbers come from.
    pub source: ListenSource,
    /// What the programs measure.
    pub coverage: Coverage,
    model: Listeners,
}

impl ListenMonitor {
    /// Reads the existing listeners and the counters of their namespaces.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn begin(session: &Session, filter: &Filter) -> Result<(Self, Vec<ListenerEntry>)> {
        let coverage = Coverage::of(session.plan(), session.may_copy());
        let mut source = ListenSource::new(session)?;
        source.find(session)?;
        let asked = filter.netns.as_ref().map(|netns| vec![netns.inode]);
        source.expect(asked.unwrap_or_else(NetnsReader::all));
        let (_, entries, readings) = source.interval(session)?;
        let retransmits = session.plan().method_of(&SYNACK_RETRANS).is_some();
        let mut model = Listeners::new(coverage, retransmits);
        model.begin(&entries, &readings);
        Ok((Self { source, coverage, model }, entries))
    }

    /// Whether peaks need sampling every [`SAMPLE`].
    pub fn is_sampled(&self) -> bool {
        !self.coverage.syn || !self.coverage.children
    }

    /// Ends an interval: all listeners there are or were, and what they did in it.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn interval(
        &mut self,
        session: &Session,
        holders: &Holders,
    ) -> Result<(Vec<ListenerEntry>, ListenInterval)> {
        let (epoch, entries, readings) = self.source.interval(session)?;
        let waits =
            if self.coverage.accepts { self.source.waits(session, &entries)? } else { Vec::new() };
        let mut interval = self.model.interval(epoch, &entries, &waits, &readings);
        for one in &mut interval.listeners {
            one.holders = holders.of(one.id);
        }
        Ok((entries, interval))
    }

    /// A note on unreadable namespaces and the reason, once.
    pub fn remark(&mut self) -> Option<String> {
        let why = self.source.namespaces.remark()?;
        Some(format!("drop causes in other network namespaces are unknown: {why}"))
    }
}
