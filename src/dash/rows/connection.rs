//! Connections: those that were busy in the last interval, changed their state recently, or have
//! long been in `CLOSE_WAIT`, and those that do not move.

use std::collections::HashMap;

use super::TableRow;
use super::traffic::{Traffic, bytes, calls, retrans, segments};
use crate::count::{Count, heading};
use crate::dash::filter::RowFilter;
use crate::dash::model::{Ends, Model, Step, Who};
use crate::group::Grouping;
use crate::report::{Cell, Key, table};
use crate::stall::{Stall, word_of};
use crate::states::socket_summary::Socket;
use crate::tcp_state::TcpState;

/// One connection.
#[derive(Clone, Debug, Default)]
pub struct ConnectionRow {
    /// Wall-clock ns.
    pub ts: i64,
    /// Its owner and endpoints.
    pub key: Key,
    /// Its state; `None`: unknown.
    pub state: Option<TcpState>,
    /// Time in the state, ns.
    pub age: Option<u64>,
    /// The same, at least.
    pub age_at_least: Option<u64>,
    /// `None` where nothing counts it.
    pub traffic: Option<Traffic>,
    /// Buffers that the kernel dropped in the last minute; `None` where nothing watches drops.
    pub drops: Option<u64>,
    /// Why it does not move, and since when; `None` if it does, or is unknown.
    pub stall: Option<Box<Stall>>,
    /// How it came to its state.
    pub steps: Vec<Step>,
}

table! { "connection" ConnectionRow.key {
    pid;
    comm 11;
    yields 1 local 21;
    remote 21;
    left (Socket::state), "STATE", 11, |r| r.state.map_or(Cell::Missing, |s| Cell::Word(s.name()));
    right (Count::tx_bytes), heading::SENT, 8, |r| bytes(r.traffic.as_ref(), |t| t.tx_bytes);
    right (Count::rx_bytes), heading::RECVD, 9, |r| bytes(r.traffic.as_ref(), |t| t.rx_bytes);
    left (Stall::why), "WHY", 14, |r| word_of(r.stall.as_ref().and_then(|stall| stall.why));
    right "in_state", "IN STATE", 8, |r| Cell::age(r.age, r.age_at_least);
    right (Stall::stalled_at_least_ns), "SINCE", 8, ConnectionRow::stalled;
    right (Count::tx_calls), heading::SENDS, 7, |r| calls(r.traffic.as_ref(), |t| t.tx_calls);
    right (Count::rx_calls), heading::RECVS, 7, |r| calls(r.traffic.as_ref(), |t| t.rx_calls);
    right (Count::segs_in), "SEGS IN/s", 9, |r| segments(r.traffic.as_ref(), |t| t.segs_in);
    right (Count::retrans_segs), heading::RETRANS, 9, |r| retrans(r.traffic.as_ref());
    right "dropped_lately", "DROPS/MIN", 9, |r| Cell::id(r.drops);
    right (Count::errors), "ERRORS/s", 8, |r| calls(r.traffic.as_ref(), |t| t.errors);
    right (Count::eagain), "EAGAIN/s", 8, |r| calls(r.traffic.as_ref(), |t| t.eagain);
} }

impl ConnectionRow {
    fn stalled(&self) -> Cell<'_> {
        let stall = self.stall.as_ref();
        stall.map_or(Cell::Missing, |stall| {
            Cell::age(stall.stalled_ns, Some(stall.stalled_at_least_ns))
        })
    }
}

impl TableRow for ConnectionRow {
    type Id = Option<Ends>;
    const PINNED: usize = 4;
    const SORT: usize = 5;
    const SUM: &'static [usize] = &[5, 6];
    const TREND: bool = true;

    fn id(&self) -> Self::Id {
        Ends::of(&self.key)
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn interval_ns(&self) -> u64 {
        self.traffic.map_or(0, |traffic| traffic.interval_ns)
    }

    fn who(&self) -> Option<Who> {
        Ends::of(&self.key).map(Who::Connection)
    }

    fn busy(&self) -> Option<u64> {
        self.traffic.map(|traffic| traffic.sums.bytes())
    }
}

/// All known connections that match the filter.
pub fn connections(model: &Model, filter: Option<&RowFilter>) -> Vec<ConnectionRow> {
    let mut rows: HashMap<Ends, ConnectionRow> = HashMap::new();
    for known in model.connections.iter() {
        let Some(ends) = Ends::of(&known.key) else { continue };
        let last = known.last();
        // Ports are used again: the later connection is the one that is there.
        if rows.get(&ends).is_some_and(|row| row.steps.last().is_some_and(|s| s.ts > last.ts)) {
            continue;
        }
        let row = ConnectionRow {
            ts: model.now,
            key: known.key.clone(),
            state: last.state,
            age: u64::try_from(model.now - last.ts).ok(),
            steps: known.steps.iter().copied().collect(),
            ..ConnectionRow::default()
        };
        rows.insert(ends, row);
    }
    for socket in model.look.listed() {
        let key = socket.key();
        let Some(ends) = Ends::of(&key) else { continue };
        let row = row_of(&mut rows, model.now, ends, key);
        if row.state.is_none() {
            row.state = socket.state;
            (row.age, row.age_at_least) = (socket.age_ns, socket.age_at_least_ns);
        }
    }
    for held in model.look.held() {
        let key = held.key();
        let Some(ends) = Ends::of(&key) else { continue };
        let row = row_of(&mut rows, model.now, ends, key);
        row.state.get_or_insert(TcpState::CloseWait);
        row.age = row.age.or(held.age_ns);
        row.age_at_least = row.age_at_least.or(held.age_at_least_ns);
    }
    for one in model.counts.get(&Grouping::Connection).iter().flat_map(|interval| &interval.rows) {
        let key = one.key();
        let Some(ends) = Ends::of(&key) else { continue };
        row_of(&mut rows, model.now, ends, key).traffic = Some(Traffic::of(one));
    }
    if model.segments.watched() {
        let drops = model.segments.by_connection();
        for (ends, row) in &mut rows {
            row.drops = Some(drops.get(ends).copied().unwrap_or(0));
        }
    }
    for stall in model.look.stalls() {
        let key = stall.key();
        let Some(ends) = Ends::of(&key) else { continue };
        let row = row_of(&mut rows, model.now, ends, key);
        row.state = row.state.or(stall.state);
        row.stall = Some(Box::new(stall.clone()));
    }
    let passes = |row: &ConnectionRow| filter.is_none_or(|f| f.passes(&row.key, row.state));
    rows.into_values().filter(passes).collect()
}

/// The row of a connection, new or not; what is known of its owner by any source is known.
fn row_of(
    rows: &mut HashMap<Ends, ConnectionRow>,
    ts: i64,
    ends: Ends,
    key: Key,
) -> &mut ConnectionRow {
    let row = rows.entry(ends).or_insert_with(|| ConnectionRow {
        ts,
        key: key.clone(),
        ..ConnectionRow::default()
    });
    if row.key.pid.is_none() {
        (row.key.pid, row.key.comm) = (key.pid, key.comm);
    }
    row
}
