//! Local ports, with the model of tcpports.

use anyhow::Result;

use crate::kernel::session::Session;
use crate::ports::{Choice, PortMonitor, PortPool, Ports};

/// Destinations, and local addresses, shown one by one, the worst first.
const SHOWN: usize = 500;

/// Local ports of a running session.
pub struct LivePorts(PortMonitor);

impl LivePorts {
    /// Those of [`PortMonitor::new`].
    ///
    /// # Errors
    /// As above.
    pub fn begin(session: &Session) -> Result<Self> {
        PortMonitor::new(session, false).map(Self)
    }

    /// Ends an interval with a look at one namespace or at all.
    ///
    /// # Errors
    /// Those of [`PortMonitor::look`].
    pub fn look(
        &mut self,
        session: &Session,
        asked: Option<u32>,
    ) -> Result<(Vec<Ports>, Vec<PortPool>)> {
        let mut choice = Choice { most: SHOWN, wanted: &mut |one| one.matches };
        let (look, rows) = self.0.look(session, asked, &mut choice)?;
        let mut rows: Vec<_> = rows.into_iter().map(|one| one.row).collect();
        let mut pools = look.pools();
        pools.truncate(SHOWN);
        let source = &mut self.0.source;
        for row in &mut rows {
            row.netns_name = row.netns.and_then(|netns| source.name(netns));
        }
        for row in &mut pools {
            row.netns_name = row.netns.and_then(|netns| source.name(netns));
        }
        Ok((rows, pools))
    }
}
