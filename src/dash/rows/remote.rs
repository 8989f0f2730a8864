//! Remotes: what their connections add up to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::TableRow;
use super::connection::connections;
use super::traffic::{Traffic, bytes, retrans};
use crate::count::{Count, heading};
use crate::dash::filter::RowFilter;
use crate::dash::model::{Model, Who, sum};
use crate::group::Grouping;
use crate::latency::LatencyKind;
use crate::report::{Cell, Device, Key, table};
use crate::tcp_state::TcpState;

/// One remote address.
#[derive(Clone, Debug, Default)]
pub struct RemoteRow {
    /// Wall-clock ns.
    pub ts: i64,
    /// Its address.
    pub key: Key,
    /// `None` where nothing counts it.
    pub traffic: Option<Traffic>,
    /// Known connections.
    pub connections: u64,
    /// These are all there are.
    pub complete: bool,
    /// Processes that have them.
    pub processes: BTreeSet<u32>,
    /// 99 % of its responses came within, ns.
    pub response_p99: Option<u64>,
}

table! { "remote" RemoteRow.key {
    left "remote_address", "REMOTE", 20, |r| Cell::addr(r.key.raddr, r.key.device);
    right (Count::tx_bytes), heading::SENT, 8, |r| bytes(r.traffic.as_ref(), |t| t.tx_bytes);
    right (Count::rx_bytes), heading::RECVD, 9, |r| bytes(r.traffic.as_ref(), |t| t.rx_bytes);
    right "connections", "CONNS", 6, RemoteRow::connections;
    right "processes", "PROCS", 5, |r| Cell::Id(r.processes.len() as u64);
    right (Count::retrans_segs), heading::RETRANS, 9, |r| retrans(r.traffic.as_ref());
    right "response_p99_ns", "RESP P99", 8, |r| Cell::nanos(r.response_p99);
} }

impl RemoteRow {
    fn connections(&self) -> Cell<'_> {
        if self.complete {
            Cell::Id(self.connections)
        } else {
            Cell::CountAtLeast(self.connections)
        }
    }
}

impl TableRow for RemoteRow {
    type Id = (Option<IpAddr>, Option<Device>);
    const PINNED: usize = 1;
    const SORT: usize = 1;
    const SUM: &'static [usize] = &[1, 2];
    const TREND: bool = true;

    fn id(&self) -> Self::Id {
        (self.key.raddr, self.key.device)
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn interval_ns(&self) -> u64 {
        self.traffic.map_or(0, |traffic| traffic.interval_ns)
    }

    fn who(&self) -> Option<Who> {
        Some(Who::Remote(self.key.raddr?, self.key.device))
    }

    fn busy(&self) -> Option<u64> {
        self.traffic.map(|traffic| traffic.sums.bytes())
    }
}

type Rows = BTreeMap<(IpAddr, Option<Device>), RemoteRow>;

/// All remotes of the connections that match the filter; of a recording by remote those that do.
pub fn remotes(model: &Model, filter: Option<&RowFilter>) -> Vec<RemoteRow> {
    let mut rows = Rows::new();
    let known = connections(model, filter);
    let complete = filter.is_none() && open(model).is_some_and(|open| open <= known.len() as u64);
    for one in known {
        let Some(row) = row(&mut rows, model.now, &one.key) else { continue };
        row.connections += 1;
        row.complete = complete;
        row.processes.extend(one.key.pid);
        if let Some(traffic) = &one.traffic {
            row.traffic = Some(row.traffic.map_or(*traffic, |sum| sum.with(traffic)));
        }
    }
    let passes = |key: &Key| filter.is_none_or(|filter| filter.passes(key, None));
    for one in model.counts.get(&Grouping::Remote).iter().flat_map(|interval| &interval.rows) {
        let key = one.key();
        if passes(&key)
            && let Some(row) = row(&mut rows, model.now, &key)
        {
            row.traffic = Some(Traffic::of(one));
        }
    }
    let responses = (Some(LatencyKind::Response), Grouping::Remote);
    for one in model.latency.get(&responses).iter().flat_map(|interval| &interval.rows) {
        if let Some(raddr) = one.raddr
            && let Some(row) = rows.get_mut(&(raddr, one.device))
        {
            row.response_p99 = one.p99_ns;
        }
    }
    rows.into_values().collect()
}

/// The connections that there are, without those in `TIME_WAIT`; `None`: unknown.
fn open(model: &Model) -> Option<u64> {
    let states = model.look.states()?;
    let open = TcpState::LIFECYCLE.into_iter().filter(|state| {
        !matches!(state, TcpState::Listen | TcpState::TimeWait | TcpState::NewSynRecv)
    });
    Some(sum(open.filter_map(|state| states[usize::from(state.number())])))
}

fn row<'a>(rows: &'a mut Rows, ts: i64, key: &Key) -> Option<&'a mut RemoteRow> {
    let raddr = key.raddr?;
    let fresh = || {
        let key = Key { raddr: Some(raddr), device: key.device, ..Key::default() };
        RemoteRow { ts, key, ..RemoteRow::default() }
    };
    Some(rows.entry((raddr, key.device)).or_insert_with(fresh))
}
