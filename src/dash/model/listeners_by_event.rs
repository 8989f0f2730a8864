//! Listeners of which nothing is told but what they lose, loss by loss.

use std::collections::BTreeMap;

use crate::dash::record::{Key, ListenEvent, Listener};

/// Listeners that are remembered.
const ROOM: usize = 2_000;

/// The last loss of each, and what it tells of the listener.
#[derive(Clone, Debug, Default)]
pub struct ListenersByEvent(BTreeMap<Key, (ListenEvent, Listener)>);

impl ListenersByEvent {
    /// Takes in a loss.
    pub fn take(&mut self, event: ListenEvent) {
        let key = event.key();
        if self.0.len() < ROOM || self.0.contains_key(&key) {
            let row = row(&event);
            self.0.insert(key, (event, row));
        }
    }

    /// The listeners.
    pub fn rows(&self) -> impl Iterator<Item = &Listener> {
        self.0.values().map(|(_, row)| row)
    }

    /// The last loss of each.
    pub fn events(&self) -> impl Iterator<Item = &ListenEvent> {
        self.0.values().map(|(event, _)| event)
    }

    /// Forgets those that have lost nothing since `oldest`.
    pub fn forget(&mut self, oldest: i64) {
        self.0.retain(|_, (event, _)| event.ts.0 >= oldest);
    }
}

/// The queue is known of the moment, and only the one that decided.
fn row(event: &ListenEvent) -> Listener {
    let full = event.cause.as_deref().is_some_and(|cause| cause.starts_with("accept_queue"));
    Listener {
        ts: event.ts,
        laddr: event.laddr,
        lport: event.lport,
        pid: event.pid,
        comm: event.comm.clone(),
        netns: event.netns,
        accept_now: event.queue.filter(|_| full),
        accept_limit: event.limit.filter(|_| full),
        ..Listener::default()
    }
}
