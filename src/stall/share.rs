//! Sums of connections: how many do not move, and what limited those that send.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;

use super::record::share;
use super::{StallBy, Stalled};
use crate::report::{Cell, Comm, Device, Ts, key, pid_inside, record, table};
use crate::wire::{COMM_LEN, ConnEntry, Flow};

record! {
    /// tcpstall --by: connections of a process or to a remote address, together
    "stall_share" StallShare known(by connections stalled queued_total_bytes unread_total_bytes busy_ns rwnd_limited_ns sndbuf_limited_ns retrans) {
        /// with `--by process`; null: owner unknown
        pid,
        comm,
        /// with `--by remote`
        raddr,
        /// with `--by remote` the zone of a link-local address
        device,
        /// of `raddr`
        family,
        /// `process` or `remote`
        by,
        /// null in the first look: its times are of the connections' whole life
        interval_ns,
        /// how many there are
        connections: u64,
        /// of these, those that do not move
        stalled: u64,
        /// of these, the longest: a lower bound; null: there is none
        longest_at_least_ns: Option<u64>,
        /// bytes that peers have not acknowledged, or that were not sent
        queued_total_bytes: u64,
        /// bytes that processes have not read
        unread_total_bytes: u64,
        /// time in the interval in which something was queued, all connections added up
        busy_ns,
        rwnd_limited_ns,
        sndbuf_limited_ns,
        /// segments retransmitted in the interval
        retrans,
    }
}

table! { "stall_share" StallShare {
    yields 7 time;
    yields 8 pid;
    left comm, "COMM", 15, |r| Cell::comm(r.comm.as_ref());
    left raddr, "RADDR", 39, |r| Cell::addr(r.raddr, r.device);
    yields 9 right connections, "CONNS", 6, |r| Cell::Id(r.connections);
    right stalled, "STALLED", 7, |r| Cell::Id(r.stalled);
    right longest_at_least_ns, "LONGEST", 7, |r| Cell::nanos(r.longest_at_least_ns);
    yields 5 right queued_total_bytes, "QUEUED", 7, |r| Cell::Bytes(r.queued_total_bytes);
    yields 2 right unread_total_bytes, "UNREAD", 7, |r| Cell::Bytes(r.unread_total_bytes);
    yields 6 right busy_ns, "BUSY", 7, |r| Cell::Nanos(r.busy_ns);
    yields 4 right rwnd_limited_ns, "BY RWND", 7, |r| share(r.rwnd_limited_ns, r.busy_ns);
    yields 3 right sndbuf_limited_ns, "BY SNDBUF", 9, |r| share(r.sndbuf_limited_ns, r.busy_ns);
    yields 1 right retrans, "RETRANS", 7, |r| Cell::id(r.retrans);
} }

impl StallShare {
    /// Columns that the table of a grouping leaves out.
    pub fn hidden(by: StallBy) -> &'static [&'static str] {
        match by {
            StallBy::Process => &[key!(StallShare::raddr)],
            StallBy::Remote => &[key!(StallShare::pid), key!(StallShare::comm)],
        }
    }
}

/// What the kernel has counted of a connection.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    busy: u64,
    rwnd: u64,
    sndbuf: u64,
    retrans: u64,
}

impl Counted {
    fn of(conn: &ConnEntry) -> Self {
        Self {
            busy: conn.busy,
            rwnd: conn.rwnd_limited,
            sndbuf: conn.sndbuf_limited,
            retrans: conn.total_retrans.into(),
        }
    }
}

/// What a row is about.
type GroupId = (u32, Option<IpAddr>, Option<Device>);

/// Sums up the connections of each pass.
#[derive(Debug)]
pub struct StallShares {
    by: StallBy,
    past: HashMap<(u64, Flow), Counted>,
    seen: HashMap<(u64, Flow), Counted>,
    groups: HashMap<GroupId, StallShare>,
    last: Option<u64>,
}

impl StallShares {
    /// Nothing was seen yet.
    pub fn new(by: StallBy) -> Self {
        let (past, seen, groups) = Default::default();
        Self { by, past, seen, groups, last: None }
    }

    fn group(&mut self, conn: &ConnEntry) -> &mut StallShare {
        let id: GroupId = match self.by {
            StallBy::Process => (conn.pid, None, None),
            StallBy::Remote => (0, conn.flow.remote_ip(), conn.flow.remote_zone()),
        };
        let by = self.by.grouping();
        self.groups.entry(id).or_insert_with(|| StallShare {
            pid: pid_inside(id.0),
            comm: Comm::of(id.0, if id.0 == 0 { [0; COMM_LEN] } else { conn.comm }),
            raddr: id.1,
            device: id.2,
            family: id.1.map(|_| conn.flow.family()),
            by: Some(by),
            retrans: Some(0),
            ..StallShare::default()
        })
    }

    /// Adds a connection of the pass.
    pub fn see(&mut self, conn: &ConnEntry, stalled: Option<&Stalled>) {
        let (id, now) = ((conn.sk, conn.flow), Counted::of(conn));
        let before = self.past.get(&id).copied().unwrap_or_default();
        self.seen.insert(id, now);
        let row = self.group(conn);
        row.connections += 1;
        row.queued_total_bytes += u64::from(conn.unacked) + u64::from(conn.unsent);
        row.unread_total_bytes += u64::from(conn.unread);
        // The kernel's clock of a limit that has just begun may be a tick behind.
        row.busy_ns += now.busy.saturating_sub(before.busy);
        row.rwnd_limited_ns += now.rwnd.saturating_sub(before.rwnd);
        row.sndbuf_limited_ns += now.sndbuf.saturating_sub(before.sndbuf);
        if let Some(retrans) = &mut row.retrans {
            *retrans += now.retrans.saturating_sub(before.retrans);
        }
        if let Some(stalled) = stalled {
            row.stalled += 1;
            row.longest_at_least_ns = row.longest_at_least_ns.max(Some(stalled.age.least));
        }
    }

    /// The rows of the pass at wall-clock `ts` and monotonic time `now`, most stalled first.
    pub fn rows(&mut self, ts: i64, now: u64) -> Vec<StallShare> {
        let interval_ns = self.last.map(|last| now.saturating_sub(last));
        self.last = Some(now);
        self.past = std::mem::take(&mut self.seen);
        let groups = std::mem::take(&mut self.groups);
        let row = |row| StallShare { ts: Ts(ts), interval_ns, ..row };
        let mut rows: Vec<_> = groups.into_values().map(row).collect();
        rows.sort_by_cached_key(|row| {
            let worst = (row.stalled, row.longest_at_least_ns, row.queued_total_bytes);
            (Reverse((worst, row.busy_ns)), row.key())
        });
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stall::{Age, Blocked};

    fn conn(sk: u64, pid: u32, busy: u64) -> ConnEntry {
        ConnEntry { sk, pid, busy, rwnd_limited: busy / 2, unsent: 10, ..ConnEntry::default() }
    }

    #[test]
    fn the_first_look_has_the_whole_life_and_later_ones_the_interval() {
        let mut shares = StallShares::new(StallBy::Process);
        let age = Age { least: 7, exact: true };
        let stalled = Stalled { why: None, age, deadline: None, blocked: Blocked::No };
        shares.see(&conn(1, 5, 100), Some(&stalled));
        shares.see(&conn(2, 5, 60), None);
        shares.see(&conn(3, 6, 40), None);
        let rows = shares.rows(1, 1000);
        let seen = |row: &StallShare| {
            (row.pid, row.connections, row.stalled, row.busy_ns, row.rwnd_limited_ns)
        };
        assert_eq!(
            rows.iter().map(seen).collect::<Vec<_>>(),
            [(Some(5), 2, 1, 160, 80), (Some(6), 1, 0, 40, 20)]
        );
        assert_eq!((rows[0].interval_ns, rows[0].longest_at_least_ns), (None, Some(7)));
        // The third is gone, the fourth is new.
        shares.see(&conn(1, 5, 130), None);
        shares.see(&conn(4, 6, 8), None);
        let rows = shares.rows(2, 1500);
        assert_eq!(
            rows.iter().map(seen).collect::<Vec<_>>(),
            [(Some(5), 1, 0, 30, 15), (Some(6), 1, 0, 8, 4)]
        );
        assert_eq!(rows[0].interval_ns, Some(500));
    }
}
