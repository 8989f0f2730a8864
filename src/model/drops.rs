//! Drops of listeners in the last minute, by cause.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::listen::{Cause, DropEvent, Drops, ListenerRecord};
use crate::report::Device;

const SECOND: i64 = 1_000_000_000;
/// Seconds that are added up.
const SECONDS: i64 = 60;
/// Listeners that are stored.
const ROOM: usize = 20_000;

/// Which listener: address, port, network namespace, process.
/// Address, device, port, network namespace and PID of a listener.
pub type ListenerKey = (Option<IpAddr>, Option<Device>, Option<u16>, Option<u32>, Option<u32>);

/// Drops of an interval of a listener.
fn drops_of(row: &ListenerRecord) -> Drops {
    // Where nothing was dropped, nothing was for any cause. Older recordings lack the last.
    let closed = row.drops_closed.or(Some(0));
    // Only those that were seen count: they are no loss.
    let cookies = row.cookies.or(Some(0));
    if row.drops_total == Some(0) {
        return Drops { cookies, closed, ..Drops::NONE };
    }
    let parts = row.drops_accept_syn.zip(row.drops_accept_ack);
    Drops {
        total: row.drops_total,
        accept: row.drops_accept.or(parts.map(|(syn, ack)| syn.saturating_add(ack))),
        accept_syn: row.drops_accept_syn,
        accept_ack: row.drops_accept_ack,
        syn: row.drops_syn,
        other: row.drops_other,
        closed,
        cookies,
        discards: None,
    }
}

/// `None` if the event is about something that is no drop.
fn drops_of_event(event: &DropEvent) -> Option<Drops> {
    let mut drops = Drops { total: event.count, ..Drops::NONE };
    match event.cause {
        Some(Cause::AcceptQueueSyn) => {
            (drops.accept, drops.accept_syn) = (event.count, event.count);
        }
        Some(Cause::AcceptQueueAck) => {
            (drops.accept, drops.accept_ack) = (event.count, event.count);
        }
        Some(Cause::AcceptQueue) => {
            drops = Drops { accept_syn: None, accept_ack: None, accept: event.count, ..drops };
        }
        Some(Cause::SynQueue) => drops.syn = event.count,
        Some(Cause::Other) => drops.other = event.count,
        Some(Cause::ListenerClosed) => {
            drops = Drops { closed: event.count, ..Drops::NONE };
        }
        Some(Cause::Cookie) => return None,
        None => drops = Drops { total: event.count, ..Drops::default() },
    }
    Some(drops)
}

/// One listener: its last update, and the seconds in which it dropped.
#[derive(Clone, Debug, Default)]
struct Minute {
    updated: i64,
    seconds: VecDeque<(i64, Drops)>,
}

/// All listeners.
#[derive(Clone, Debug, Default)]
pub struct Minutes(HashMap<ListenerKey, Minute>);

impl Minutes {
    /// Takes in an interval of a listener.
    pub fn take(&mut self, row: &ListenerRecord) {
        self.add((row.laddr, row.device, row.lport, row.netns, row.pid), row.ts.0, drops_of(row));
    }

    /// Adds a drop.
    pub fn event(&mut self, event: &DropEvent) {
        if let Some(drops) = drops_of_event(event) {
            self.add(
                (event.laddr, event.device, event.lport, event.netns, event.pid),
                event.ts.0,
                drops,
            );
        }
    }

    fn add(&mut self, id: ListenerKey, ts: i64, drops: Drops) {
        if self.0.len() >= ROOM && !self.0.contains_key(&id) {
            return;
        }
        let minute = self.0.entry(id).or_default();
        minute.updated = minute.updated.max(ts);
        if drops == Drops::NONE {
            return;
        }
        let second = ts.div_euclid(SECOND);
        match minute.seconds.back_mut() {
            Some((last, sum)) if *last == second => *sum = sum.plus(drops),
            _ => minute.seconds.push_back((second, drops)),
        }
        while minute.seconds.front().is_some_and(|(first, _)| *first <= second - SECONDS) {
            minute.seconds.pop_front();
        }
    }

    /// What a listener has dropped in the minute before `now`.
    pub fn of(&self, row: &ListenerRecord, now: i64) -> Drops {
        let id = (row.laddr, row.device, row.lport, row.netns, row.pid);
        let Some(minute) = self.0.get(&id) else { return Drops::default() };
        let oldest = now.div_euclid(SECOND) - SECONDS;
        let recent = minute.seconds.iter().filter(|(second, _)| *second > oldest);
        recent.fold(Drops::NONE, |sum, (_, drops)| sum.plus(*drops))
    }

    /// Removes those without an update since `oldest`.
    pub fn forget(&mut self, oldest: i64) {
        self.0.retain(|_, minute| minute.updated >= oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Ts;

    fn row(second: i64, total: Option<u64>, syn: Option<u64>) -> ListenerRecord {
        ListenerRecord {
            ts: Ts(second * SECOND),
            lport: Some(80),
            drops_total: total,
            drops_accept_syn: syn,
            ..ListenerRecord::default()
        }
    }

    #[test]
    fn a_minute_sums_each_interval_once_by_cause() {
        let mut minutes = Minutes::default();
        let row = |tenth: i64, drops| ListenerRecord {
            ts: Ts(100 * SECOND + tenth * SECOND / 10),
            ..row(0, Some(drops), Some(drops))
        };
        (0..900).for_each(|tenth| minutes.take(&row(tenth, 1)));
        let now = 190 * SECOND - 1;
        let recent = minutes.of(&row(0, 0), now);
        assert_eq!((recent.total, recent.accept_syn, recent.syn), (Some(600), Some(600), None));
        assert_eq!(recent.worst(), Some("accept queue full at the SYN"));
        assert_eq!(minutes.of(&row(0, 0), now + 70 * SECOND), Drops::NONE);
        minutes.forget(now + SECOND);
        assert_eq!(
            minutes.of(&row(0, 0), now).total,
            None,
            "unknown after a minute without updates"
        );
    }

    #[test]
    fn accept_queue_full_is_a_cause_without_syn_ack_split() {
        let mut minutes = Minutes::default();
        let full = ListenerRecord { drops_accept: Some(9), ..row(1, Some(9), None) };
        minutes.take(&full);
        assert_eq!(minutes.of(&full, SECOND).worst(), Some("accept queue full"));
    }

    #[test]
    fn an_unknown_interval_makes_the_minute_unknown() {
        let mut minutes = Minutes::default();
        minutes.take(&row(1, Some(5), Some(5)));
        minutes.take(&row(2, Some(0), None));
        assert_eq!(minutes.of(&row(2, None, None), 2 * SECOND).accept_syn, Some(5));
        minutes.take(&row(3, Some(7), None));
        let recent = minutes.of(&row(3, None, None), 3 * SECOND);
        assert_eq!((recent.total, recent.accept_syn), (Some(12), None));
    }
}
