//! Local ports by destination.

use std::net::IpAddr;

use super::TableRow;
use crate::dash::filter::RowFilter;
use crate::dash::model::Model;
use crate::ports::{Ports, share};
use crate::report::{Cell, Device, Key, table};

/// One destination.
#[derive(Clone, Debug, Default)]
pub struct PortRow {
    /// Its largest user, and its addresses.
    pub key: Key,
    /// The line.
    pub row: Ports,
}

table! { "port" PortRow.key {
    yields 1 left (Ports::laddr), "LADDR", 15, |r| Cell::addr(r.key.laddr, r.key.device);
    remote 21;
    comm 11;
    right (Ports::used), "USED", 5, |r| Cell::id(r.row.used);
    right "share", "SHARE", 6, |r| share(r.row.taken, r.row.ports);
    right (Ports::no_port), "FAILED/s", 8, |r| Cell::per_sec(r.row.no_port);
    right (Ports::empty_in_ns), "EMPTY IN", 8, |r| Cell::nanos(r.row.empty_in_ns);
    right (Ports::opens), "OPENS/s", 8, |r| Cell::per_sec(r.row.opens);
    right (Ports::freed), "FREED/s", 8, |r| Cell::per_sec(r.row.freed);
    right (Ports::time_wait), "TIME_WAIT", 9, |r| Cell::Id(r.row.time_wait);
    right (Ports::established), "ESTAB", 6, |r| Cell::Id(r.row.established);
    right (Ports::others), "OTHER", 6, |r| Cell::Id(r.row.others);
    right (Ports::reusable), "REUSABLE", 8, |r| Cell::id(r.row.reusable);
    right (Ports::held), "HELD", 5, |r| Cell::id(r.row.held);
    right (Ports::ports), "PORTS", 6, |r| Cell::id(r.row.ports);
    left "closed_first_by", "CLOSED BY", 9, |r| Cell::word(r.row.closes_first());
    pid;
} }

impl TableRow for PortRow {
    type Id =
        (Option<u32>, Option<IpAddr>, Option<Device>, Option<IpAddr>, Option<u16>, Option<u16>);
    const PINNED: usize = 3;
    const SORT: usize = 4;
    const SUM: &'static [usize] = &[4, 5];

    fn id(&self) -> Self::Id {
        let Key { netns, laddr, device, raddr, rport, .. } = self.key;
        (netns, laddr, device, raddr, rport, self.row.range_first)
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn interval_ns(&self) -> u64 {
        self.row.interval_ns.unwrap_or(0)
    }

    /// The worst first, as tcpports shows them: failures, then the share.
    fn busy(&self) -> Option<u64> {
        let failed = self.row.no_port.unwrap_or(0).min(u64::MAX >> 11);
        self.row.share().map(|share| failed << 10 | share.min(1000))
    }
}

/// Destinations as of the last look; those that the filter asks for.
pub fn ports(model: &Model, filter: Option<&RowFilter>) -> Vec<PortRow> {
    let rows = model.look.ports().map(|row| PortRow { key: row.key(), row: row.clone() });
    rows.filter(|row| filter.is_none_or(|filter| filter.passes(&row.key, None))).collect()
}
