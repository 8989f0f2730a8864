//! Listeners known only from their drop events.

use std::collections::BTreeMap;

use crate::listen::{Cause, DropEvent, ListenerRecord};
use crate::report::Key;

/// Listeners that are stored.
const ROOM: usize = 2_000;

/// The last drop of each, with what it shows about the listener.
#[derive(Clone, Debug, Default)]
pub struct ListenersByEvent(BTreeMap<Key, (DropEvent, ListenerRecord)>);

impl ListenersByEvent {
    /// Adds a drop.
    pub fn take(&mut self, event: DropEvent) {
        let key = Key { raddr: None, rport: None, ..event.key() };
        if self.0.len() < ROOM || self.0.contains_key(&key) {
            let row = row(&event);
            self.0.insert(key, (event, row));
        }
    }

    /// The listeners.
    pub fn rows(&self) -> impl Iterator<Item = &ListenerRecord> {
        self.0.values().map(|(_, row)| row)
    }

    /// The last loss of each.
    pub fn events(&self) -> impl Iterator<Item = &DropEvent> {
        self.0.values().map(|(event, _)| event)
    }

    /// Forgets those that have lost nothing since `oldest`.
    pub fn forget(&mut self, oldest: i64) {
        self.0.retain(|_, (event, _)| event.ts.0 >= oldest);
    }
}

/// Only the queue that was full is known, at the time of the drop.
fn row(event: &DropEvent) -> ListenerRecord {
    let full = event.cause.is_some_and(Cause::is_accept_queue);
    ListenerRecord {
        ts: event.ts,
        laddr: event.laddr,
        lport: event.lport,
        device: event.device,
        pid: event.pid,
        comm: event.comm.clone(),
        netns: event.netns,
        accept_now: event.queue.filter(|_| full),
        accept_limit: event.limit.filter(|_| full),
        ..ListenerRecord::default()
    }
}
