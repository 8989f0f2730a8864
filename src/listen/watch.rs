//! The listeners of a running session, interval by interval.

use std::time::Duration;

use anyhow::Result;

use super::{Interval, Listeners, Source, Spaces, Ways};
use crate::filter::Filter;
use crate::hooks::SYNACK_RETRANS;
use crate::kernel::session::Session;
use crate::wire::ListenerEntry;

/// So often queues are looked at where no program sees them change.
pub const SAMPLE: Duration = Duration::from_millis(50);

/// Where the numbers come from, and what makes intervals of them.
pub struct Watch {
    /// Where the numbers come from.
    pub source: Source,
    /// What the programs can tell.
    pub ways: Ways,
    model: Listeners,
}

impl Watch {
    /// Takes stock of what there is, and of what the namespaces have counted so far.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn begin(session: &Session, filter: &Filter) -> Result<(Self, Vec<ListenerEntry>)> {
        let ways = Ways::of(session.plan(), session.may_copy());
        let mut source = Source::new(session)?;
        source.find(session)?;
        source.expect(filter.netns.map_or_else(Spaces::all, |netns| vec![netns]));
        let (_, entries, readings) = source.interval(session)?;
        let retransmits = session.plan().kind_of(SYNACK_RETRANS.name).is_some();
        let mut model = Listeners::new(ways, retransmits);
        model.begin(&entries, &readings);
        Ok((Self { source, ways, model }, entries))
    }

    /// Whether peaks show to those alone who look every [`SAMPLE`].
    pub fn is_sampled(&self) -> bool {
        !self.ways.syn || !self.ways.children
    }

    /// Ends an interval: all listeners there are or were, and what they did in it.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn interval(&mut self, session: &Session) -> Result<(Vec<ListenerEntry>, Interval)> {
        let (epoch, entries, readings) = self.source.interval(session)?;
        let waits =
            if self.ways.accepts { self.source.waits(session, &entries)? } else { Vec::new() };
        let interval = self.model.interval(epoch, &entries, &waits, &readings);
        Ok((entries, interval))
    }

    /// What cannot be told of other namespaces and why, once.
    pub fn remark(&mut self) -> Option<String> {
        let why = self.source.spaces.remark()?;
        Some(format!("drop causes in other network namespaces are unknown: {why}"))
    }
}
