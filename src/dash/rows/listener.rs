//! Listeners: their queues, and what they dropped.

use super::TableRow;
use crate::dash::filter::RowFilter;
use crate::dash::model::{ListenerKey, Model};
use crate::listen::{Drops, ListenerRecord, heading};
use crate::report::{Cell, Key, table};

/// One listening socket.
#[derive(Clone, Debug, Default)]
pub struct ListenerRow {
    /// Its owner and address.
    pub key: Key,
    /// The line.
    pub row: ListenerRecord,
    /// Drops in the last minute.
    pub recent: Drops,
    /// The accept queue, drawn.
    pub accept: String,
    /// The SYN queue, drawn.
    pub syn: String,
}

/// Cells of a gauge.
const GAUGE: u64 = 8;

/// `████░░░░ 5/8/10`: now, peak, limit. The bar shows the larger of the first two.
fn gauge(now: Option<u64>, peak: Option<u64>, limit: Option<u64>) -> String {
    let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
    let numbers = format!("{}/{}/{}", number(now), number(peak), number(limit));
    let (Some(level), Some(limit)) = (now.max(peak), limit) else {
        return format!("{:1$} {numbers}", "", usize::try_from(GAUGE).unwrap_or(0));
    };
    // Anything in the queue shows, and only a full one fills the gauge. One with the limit 0 holds a single
    // connection, with which it is full.
    let part = level.min(limit).saturating_mul(GAUGE).checked_div(limit).unwrap_or(GAUGE);
    let filled = if level > 0 { part.max(1) } else { 0 };
    let bar: String = (0..GAUGE).map(|cell| if cell < filled { '█' } else { '░' }).collect();
    format!("{bar} {numbers}")
}

table! { "listener" ListenerRow.key {
    left "listener", "LISTENER", 21, |r| Cell::Endpoint(r.key.laddr, r.key.device, r.key.lport);
    comm 11;
    right "lately", "DROPS/MIN", 9, |r| Cell::id(r.recent.total);
    left "accept", heading::ACCEPT_Q, 24, |r| Cell::Word(&r.accept);
    left "syn", heading::SYN_Q, 24, |r| Cell::Word(&r.syn);
    right (ListenerRecord::drops_total), "DROPS", 6, |r| Cell::id(r.row.drops_total);
    right (ListenerRecord::accepts), "ACCEPTS/s", 9,
        |r| r.row.accepts.map_or(Cell::Missing, Cell::PerSec);
    right (ListenerRecord::drops_accept), heading::ACC_FULL, 8, |r| Cell::id(r.row.drops_accept);
    right (ListenerRecord::drops_accept_syn), heading::FULL_AT_SYN, 8,
        |r| Cell::id(r.row.drops_accept_syn);
    right (ListenerRecord::drops_accept_ack), heading::FULL_AT_ACK, 8,
        |r| Cell::id(r.row.drops_accept_ack);
    right (ListenerRecord::drops_syn), heading::SYN_FULL, 8, |r| Cell::id(r.row.drops_syn);
    right (ListenerRecord::cookies), "COOKIES", 7, |r| Cell::id(r.row.cookies);
    right (ListenerRecord::drops_other), "OTHER", 6, |r| Cell::id(r.row.drops_other);
    right (ListenerRecord::drops_closed), heading::CLOSED, 6, |r| Cell::id(r.row.drops_closed);
    right (ListenerRecord::wait_p50_ns), "WAIT P50", 8, |r| Cell::nanos(r.row.wait_p50_ns);
    right (ListenerRecord::wait_p99_ns), "WAIT P99", 8, |r| Cell::nanos(r.row.wait_p99_ns);
    right (ListenerRecord::synack_retrans), heading::SYNACK_RE, 9,
        |r| Cell::id(r.row.synack_retrans);
    pid;
} }

impl TableRow for ListenerRow {
    type Id = ListenerKey;
    const PINNED: usize = 3;
    const SORT: usize = 2;

    fn id(&self) -> Self::Id {
        (self.key.laddr, self.key.device, self.key.lport, self.key.netns, self.key.pid)
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn interval_ns(&self) -> u64 {
        self.row.interval_ns.unwrap_or(0)
    }
}

/// The last interval of all listeners; those that the filter asks for.
pub fn listeners(model: &Model, filter: Option<&RowFilter>) -> Vec<ListenerRow> {
    let row = |row: &ListenerRecord| ListenerRow {
        key: row.key(),
        recent: model.recent_drops(row),
        accept: gauge(row.accept_now, row.accept_peak, row.accept_limit),
        syn: gauge(row.syn_now, row.syn_peak, row.syn_limit),
        row: row.clone(),
    };
    let rows = model.all_listeners().map(row);
    let passes = |row: &ListenerRow, filter: &RowFilter| {
        filter.passes_listener(&row.key, row.row.v6only == Some(true))
    };
    rows.filter(|row| filter.is_none_or(|filter| passes(row, filter))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_shows_the_peak_and_is_full_only_at_the_limit() {
        assert_eq!(gauge(Some(1), Some(127), Some(128)), "███████░ 1/127/128");
        assert_eq!(gauge(Some(129), None, Some(128)), "████████ 129/-/128");
        assert_eq!(gauge(Some(1), None, Some(4096)), "█░░░░░░░ 1/-/4096");
        assert_eq!(gauge(Some(0), Some(0), Some(5)), "░░░░░░░░ 0/0/5");
        assert_eq!(gauge(None, None, Some(5)), "         -/-/5");
        assert_eq!(gauge(Some(1), Some(1), Some(0)), "████████ 1/1/0");
        assert_eq!(gauge(Some(0), Some(0), Some(0)), "░░░░░░░░ 0/0/0");
    }
}
