//! Dropped segments, with the model of tcpdrop.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::drop::{
    DropRowOptions, DropSource, DropSum, Dropped, Left, Reasons, SocketOwners, Wanted,
};
use crate::filter::Filter;
use crate::kernel::session::Session;
use crate::wire::{DropOptions, Flow};

/// Bytes for events between two looks.
pub const RING: u32 = 1 << 20;
/// Connections with their reasons shown one by one, those with most drops first.
const SHOWN: usize = 2_000;
/// From so many events a second on, the ring buffer is read more often.
const MANY: u128 = 2_000;

/// User space knows the sockets anyway: programs need not find them.
pub fn options() -> DropOptions {
    DropOptions { find_later: 1, ..DropOptions::default() }
}

/// Drops of a running session.
pub struct LiveDrops {
    source: DropSource,
    sums: Dropped,
    /// Only those of sockets whose owner passes the filters, which only such sockets are known by.
    by_owner: bool,
    by_netns: bool,
    left: Left,
    remarks: Vec<&'static str>,
    looked: Instant,
    many: bool,
}

impl LiveDrops {
    /// Learns the names of the kernel's reasons.
    ///
    /// # Errors
    /// A map or the kernel's BTF cannot be read.
    pub fn begin(session: &Session, filter: &Filter) -> Result<Self> {
        let source = DropSource::new(session, Reasons::of_kernel()?)?;
        Ok(Self {
            remarks: source.missing(session),
            source,
            sums: Dropped::by_connection_and_reason(),
            by_owner: filter.by_owner(),
            by_netns: filter.netns.is_some(),
            left: Left::default(),
            looked: Instant::now(),
            many: false,
        })
    }

    /// Whether so many come that the ring buffer fills soon.
    pub fn is_busy(&self) -> bool {
        self.many
    }

    /// Adds up what has come.
    ///
    /// # Errors
    /// The ring buffer cannot be read.
    pub fn glance(&mut self) -> Result<()> {
        let Self { source, sums, .. } = self;
        let mut events: u128 = 0;
        source.drain(|batch, _| {
            for event in batch {
                sums.add(event);
            }
            events += batch.len() as u128;
            Ok(true)
        })?;
        let now = Instant::now();
        let elapsed = now - std::mem::replace(&mut self.looked, now);
        self.many = events * Duration::from_secs(1).as_nanos() > MANY * elapsed.as_nanos();
        Ok(())
    }

    /// The sockets that are looked for.
    pub fn sockets(&self) -> SocketOwners {
        SocketOwners::of(self.sums.flows())
    }

    /// Ends an interval at wall-clock `ts` of this length in ns: connections by reason, and everything.
    ///
    /// # Errors
    /// Counters cannot be read.
    pub fn interval(
        &mut self,
        session: &Session,
        (ts, interval_ns): (i64, u64),
        sockets: &SocketOwners,
    ) -> Result<Vec<DropSum>> {
        let Self { by_owner, by_netns, .. } = *self;
        let wanted =
            move |flow: &Flow, pid: u32| (!by_owner || pid != 0) && (!by_netns || flow.netns != 0);
        let wanted: Option<Wanted<'_>> = (by_owner || by_netns).then_some(&wanted);
        let left = self.sums.settle(|flow, forwarded| sockets.find(flow, forwarded), wanted);
        self.left.filtered += left.filtered;
        self.left.unknown += left.unknown;
        let hidden = Some(self.source.hidden(session)?);
        let shape = DropRowOptions { ts, interval_ns, sort: None, top: SHOWN, hidden };
        Ok(self.sums.rows(&shape, &mut self.source.names))
    }

    /// Events that the sums leave out, since the start.
    pub fn left(&self) -> Left {
        self.left
    }

    /// What this kernel cannot show, once.
    pub fn take_remarks(&mut self) -> Vec<&'static str> {
        self.remarks.extend(self.source.names.remark());
        std::mem::take(&mut self.remarks)
    }
}
