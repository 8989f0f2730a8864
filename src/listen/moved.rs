//! Connections that a closing listener gave to another one (`tcp_migrate_req`).

use std::collections::BTreeMap;

use super::ListenCounters;
use crate::wire::{LISTENER_GONE, LISTENER_V6ONLY, ListenCause, Listener, ListenerEntry};

/// Connections that a listener took over in an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moved {
    /// So many.
    Known(u64),
    /// Others of its address may have taken them: no program sees which.
    Unknown,
}

/// What listeners share that accept the same connections (`SO_REUSEPORT`).
type Address = ([u8; 16], u32, u16, u32);

fn address(listener: &Listener) -> Address {
    let flow = &listener.flow;
    (flow.laddr, flow.device, flow.lport, listener.flags & LISTENER_V6ONLY)
}

/// Connections that waited when it closed and were not reset: moved, or reset by their client before.
fn left(listener: &Listener) -> u64 {
    let reset = listener.dropped[ListenCause::Closed as usize];
    u64::from(listener.accept_now).saturating_sub(reset)
}

/// For each listener of a namespace. `mib` is what the namespace counted in the same time.
pub fn moved(entries: &[&ListenerEntry], mib: Option<&ListenCounters>) -> Vec<Moved> {
    let gone = |entry: &ListenerEntry| entry.listener.flags & LISTENER_GONE != 0;
    let mut addresses: BTreeMap<Address, (u64, usize)> = BTreeMap::new();
    for entry in entries {
        let (left_over, heirs) = addresses.entry(address(&entry.listener)).or_default();
        if gone(entry) {
            *left_over += left(&entry.listener);
        } else {
            *heirs += 1;
        }
    }
    let migrated = |left_over: u64| mib.map(|mib| mib.migrated.min(left_over));
    let of = |entry: &&ListenerEntry| match addresses.get(&address(&entry.listener)) {
        _ if gone(entry) => Moved::Known(0),
        Some((0, _)) | None => Moved::Known(0),
        Some((left_over, heirs)) => match migrated(*left_over) {
            Some(0) => Moved::Known(0),
            Some(count) if *heirs == 1 => Moved::Known(count),
            _ => Moved::Unknown,
        },
    };
    entries.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(lport: u16, waiting: u32, reset: u64, flags: u32) -> ListenerEntry {
        let mut entry = ListenerEntry::default();
        entry.listener.flow.lport = lport;
        entry.listener.accept_now = waiting;
        entry.listener.dropped[ListenCause::Closed as usize] = reset;
        entry.listener.flags = flags;
        entry
    }

    fn moved_to(entries: &[ListenerEntry], migrated: u64) -> Vec<Moved> {
        let mib = ListenCounters { migrated, ..ListenCounters::default() };
        moved(&entries.iter().collect::<Vec<_>>(), Some(&mib))
    }

    #[test]
    fn the_only_other_listener_of_the_address_takes_what_was_not_reset() {
        let entries = [entry(80, 5, 1, LISTENER_GONE), entry(80, 4, 0, 0), entry(81, 0, 0, 0)];
        assert_eq!(moved_to(&entries, 9), [0, 4, 0].map(Moved::Known));
        assert_eq!(moved_to(&entries, 0), [0, 0, 0].map(Moved::Known), "clients had reset them");
    }

    #[test]
    fn which_of_two_took_them_is_unknown() {
        let entries = [entry(80, 5, 0, LISTENER_GONE), entry(80, 3, 0, 0), entry(80, 2, 0, 0)];
        assert_eq!(moved_to(&entries, 5)[1..], [Moved::Unknown; 2]);
        assert_eq!(moved_to(&entries, 0)[1..], [Moved::Known(0); 2]);
    }

    #[test]
    fn without_counters_it_is_unknown() {
        let entries = [entry(80, 5, 0, LISTENER_GONE), entry(80, 3, 0, 0)];
        let entries: Vec<_> = entries.iter().collect();
        assert_eq!(moved(&entries, None), [Moved::Known(0), Moved::Unknown]);
    }
}
