//! Accept queues as they are, without any program of ours: within milliseconds of the start.

use anyhow::Result;

use super::ListenerRecord;
use crate::kernel::netns_list::NetnsList;
use crate::kernel::sock_diag::{self, DiagSocket};
use crate::report::Ts;

/// Listeners of all namespaces, or with `only` of one, at wall-clock `ts`; owners and peaks are unknown.
///
/// # Errors
/// There is no way back from a namespace.
pub fn listeners_now(ts: i64, only: Option<u32>) -> Result<Vec<ListenerRecord>> {
    let mut list = NetnsList::default();
    let mut rows = Vec::new();
    for place in list.places(only) {
        let read = || Ok(sock_diag::sockets(sock_diag::LISTEN).unwrap_or_default());
        let Some(sockets) = place.within(read) else { continue };
        // Those with a device get a name from the programs; they would be others' here.
        let plain = sockets?.into_iter().filter(|one| one.device == 0);
        rows.extend(plain.map(|one| row(ts, place.inode, &one)));
    }
    Ok(rows)
}

fn row(ts: i64, netns: Option<u32>, one: &DiagSocket) -> ListenerRecord {
    ListenerRecord {
        ts: Ts(ts),
        netns,
        laddr: Some(one.laddr),
        lport: Some(one.lport),
        listeners: Some(1),
        accept_now: Some(one.queued.into()),
        accept_limit: Some(one.limit.into()),
        ..ListenerRecord::default()
    }
}
