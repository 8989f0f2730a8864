//! Looks at sockets and counts, one interval after the other.

use anyhow::Result;

use super::hooks::{BIND, PORT_REUSE};
use super::local::pools;
use super::{
    BindFailures, Choice, DestinationRow, Destinations, PortModel, PortPool, PortSource, PortsShape,
};
use crate::clock::{monotonic_now, wall_now};
use crate::kernel::netns_list::Extent;
use crate::kernel::session::Session;

/// Where the numbers of a session come from, and what is remembered of one interval for the next.
#[derive(Debug)]
pub struct PortMonitor {
    /// Maps and iterators.
    pub source: PortSource,
    model: PortModel,
    /// Ports taken from `TIME_WAIT` are counted.
    pub reuse: bool,
    cost: bool,
    began: Option<u64>,
}

/// One look.
#[derive(Debug)]
pub struct PortLook {
    /// All sockets with a local port.
    pub sockets: Destinations,
    /// Where they are.
    pub extent: Extent,
    binds: BindFailures,
    /// The interval.
    pub shape: PortsShape,
}

impl PortMonitor {
    /// That of a session, without a look; `cost`: searches are timed.
    ///
    /// # Errors
    /// A map is missing.
    pub fn new(session: &Session, cost: bool) -> Result<Self> {
        let served = |hook| session.plan().method_of(hook).is_some();
        Ok(Self {
            source: PortSource::new(session, served(&BIND))?,
            model: PortModel::default(),
            reuse: served(&PORT_REUSE),
            cost,
            began: None,
        })
    }

    /// The same, and begins the first interval with a look.
    ///
    /// # Errors
    /// Those of [`PortMonitor::new`] and [`PortMonitor::look`].
    pub fn begin(session: &Session, asked: Option<u32>, cost: bool) -> Result<Self> {
        let mut monitor = Self::new(session, cost)?;
        monitor.look(session, asked, &mut Choice { most: 1, wanted: &mut |_| false })?;
        let (counted, _) = monitor.source.counted(session, monotonic_now())?;
        monitor.model.begin_with(&counted);
        Ok(monitor)
    }

    /// Ends an interval with a look at one namespace or at all: the destinations of choice, the worst first.
    ///
    /// # Errors
    /// A map or an iterator cannot be read.
    pub fn look(
        &mut self,
        session: &Session,
        asked: Option<u32>,
        choice: &mut Choice<'_>,
    ) -> Result<(PortLook, Vec<DestinationRow>)> {
        // First the counts: a connect that they have not is among the sockets or is over.
        let now = monotonic_now();
        let (counted, binds) = self.source.counted(session, now)?;
        let (sockets, extent) = self.source.sockets(session, asked)?;
        let shape = PortsShape {
            ts: wall_now(),
            now,
            interval_ns: self.began.map(|began| now - began),
            reuse: self.reuse,
            cost: self.cost,
        };
        self.began = Some(now);
        let rows = self.model.rows(&sockets, &counted, shape, choice);
        Ok((PortLook { sockets, extent, binds, shape }, rows))
    }
}

impl PortLook {
    /// A row for each local address whose ports `bind()` took, or where it failed.
    pub fn pools(&self) -> Vec<PortPool> {
        let PortsShape { ts, interval_ns, .. } = self.shape;
        pools(&self.sockets, &self.binds, (ts, interval_ns.unwrap_or(0)))
    }
}
