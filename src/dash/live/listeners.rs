//! Listeners and what they lose, through the model of listenoverflow.

use std::time::Duration;

use anyhow::Result;

use crate::filter::Filter;
use crate::hooks::SYNACK_RETRANS;
use crate::kernel::session::Session;
use crate::listen::{ListenerRow, Listeners, Source, Spaces, Ways, rows};

/// So often queues are looked at where no program sees them change.
pub const SAMPLE: Duration = Duration::from_millis(50);
/// Listeners shown one by one, those that lose most first.
const SHOWN: usize = 2_000;

/// All listeners of a running session.
pub struct Watch {
    source: Source,
    model: Listeners,
    ways: Ways,
}

impl Watch {
    /// Takes stock of what there is, and of what the namespaces have counted so far.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn begin(session: &Session, filter: &Filter) -> Result<Self> {
        let ways = Ways::of(session.plan(), session.may_copy());
        let mut source = Source::new(session)?;
        source.find(session)?;
        source.expect(filter.netns.map_or_else(Spaces::all, |netns| vec![netns]));
        let (_, entries, readings) = source.interval(session)?;
        let retransmits = session.plan().kind_of(SYNACK_RETRANS.name).is_some();
        let mut model = Listeners::new(ways, retransmits);
        model.begin(&entries, &readings);
        Ok(Self { source, model, ways })
    }

    /// Whether peaks show to those alone who look every [`SAMPLE`].
    pub fn is_sampled(&self) -> bool {
        !self.ways.syn || !self.ways.children
    }

    /// Takes in who has ended and, where only looking tells, how full the queues are.
    ///
    /// # Errors
    /// The ring buffer or the iterator cannot be read.
    pub fn glance(&mut self, session: &Session) -> Result<()> {
        self.source.drain()?;
        if self.is_sampled() {
            self.source.listeners(session)?;
        }
        Ok(())
    }

    /// Ends an interval at wall-clock `ts` that took so many ns: its listeners, and the drops that
    /// nobody explains.
    ///
    /// # Errors
    /// As of [`Watch::glance`].
    pub fn interval(
        &mut self,
        session: &Session,
        time: (i64, u64),
    ) -> Result<(Vec<ListenerRow>, Option<u64>)> {
        let (epoch, entries, readings) = self.source.interval(session)?;
        let waits =
            if self.ways.accepts { self.source.waits(session, &entries)? } else { Vec::new() };
        let interval = self.model.interval(epoch, &entries, &waits, &readings);
        let spaces = &mut self.source.spaces;
        let mut rows = rows(&interval, time, self.ways, true, |netns| spaces.name(netns));
        rows.sort_by_key(ListenerRow::order);
        rows.truncate(SHOWN);
        Ok((rows, interval.unexplained))
    }
}
