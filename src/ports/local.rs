//! The ports of a local address, for sockets that `bind()` before `connect()`.

use foldhash::HashMap;

use super::destinations::{Destinations, User};
use super::{Pool, PortPool, PortSet};
use crate::flow::ip;
use crate::report::{Comm, Ts, pid_inside};
use crate::wire::{ADDR_LEN, PORT_MATCHES, PORT_V6ONLY, PortEntry};

/// What uses the ports of a local address.
#[derive(Debug, Default)]
pub struct Local {
    /// Ports with a socket at this address, whatever its remote end.
    ports: PortSet,
    /// Of these, ports of sockets that do not take IPv4 connections.
    v6only: PortSet,
    /// Ports that `bind()` took for a socket that does not listen.
    by_bind: PortSet,
    /// Sockets that are bound, and neither connected nor listening.
    bound: u64,
    /// Whose `bind()` it was.
    users: HashMap<u32, User>,
    matches: bool,
}

/// A local address with its `bind()` calls that failed in an interval; `None`: nothing shows them.
pub type BindFailures = Option<HashMap<(u32, [u8; ADDR_LEN]), u64>>;

const V4_ANY: [u8; ADDR_LEN] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0];
const V6_ANY: [u8; ADDR_LEN] = [0; ADDR_LEN];

impl Local {
    /// Adds a socket.
    pub fn add(&mut self, entry: &PortEntry, by_bind: bool, bound: bool) {
        let port = entry.flow.lport;
        self.ports.insert(port);
        if u32::from(entry.flags) & PORT_V6ONLY != 0 {
            self.v6only.insert(port);
        }
        self.bound += u64::from(bound);
        if by_bind {
            self.by_bind.insert(port);
            let user = self.users.entry(entry.pid).or_default();
            user.comm = entry.comm;
            user.uses[0] += 1;
            self.matches |= u32::from(entry.flags) & PORT_MATCHES != 0;
        }
    }
}

fn within(set: &PortSet, pool: Pool, offered: impl Fn(u16) -> bool) -> PortSet {
    let mut found = PortSet::default();
    set.iter()
        .filter(|port| (pool.first..=pool.last).contains(port) && offered(*port))
        .for_each(|port| found.insert(port));
    found
}

/// A row for each local address whose ports `bind()` took, or where it failed.
pub fn pools(
    look: &Destinations,
    failures: &BindFailures,
    (ts, interval_ns): (i64, u64),
) -> Vec<PortPool> {
    let empty = Local::default();
    let failed_at = failures.iter().flat_map(HashMap::keys);
    let mut keys: Vec<_> = look.locals.keys().chain(failed_at).copied().collect();
    keys.sort_unstable();
    keys.dedup();
    let row = |(netns, laddr): (u32, [u8; ADDR_LEN])| {
        let local = look.locals.get(&(netns, laddr)).unwrap_or(&empty);
        let failed = failures.as_ref().map(|all| all.get(&(netns, laddr)).copied().unwrap_or(0));
        let settings = look.netns.get(&netns)?.settings.as_ref()?;
        let pool = settings.pool(0);
        let by_bind = within(&local.by_bind, pool, |port| settings.offers(pool, port));
        let by_bind = by_bind.iter().count() as u64;
        if by_bind == 0 && failed.unwrap_or(0) == 0 || (!local.matches && failed.unwrap_or(0) == 0)
        {
            return None;
        }
        let mut used = within(&local.ports, pool, |port| settings.offers(pool, port));
        for any in [V4_ANY, V6_ANY] {
            // A wildcard socket uses its port at every address that it serves.
            let v4 = ip(&laddr).is_ipv4();
            let Some(wild) = look.locals.get(&(netns, any)).filter(|_| any == V6_ANY || v4) else {
                continue;
            };
            wild.ports
                .iter()
                .filter(|port| settings.offers(pool, *port))
                .filter(|port| !(v4 && any == V6_ANY && wild.v6only.contains(*port)))
                .for_each(|port| used.insert(port));
        }
        let largest =
            local.users.iter().max_by_key(|(pid, user)| (**pid != 0, user.uses[0], **pid));
        let (pid, comm) = largest.map_or((0, Default::default()), |(pid, user)| (*pid, user.comm));
        let address = ip(&laddr);
        Some(PortPool {
            ts: Ts(ts),
            netns: Some(netns),
            laddr: Some(address),
            family: Some(if address.is_ipv4() { 4 } else { 6 }),
            range_first: Some(pool.first),
            range_last: Some(pool.last),
            ports: Some(pool.ports),
            used: Some(used.iter().count() as u64),
            by_bind: Some(by_bind),
            bound: Some(local.bound),
            no_port: failed,
            pid: pid_inside(pid),
            comm: Comm::of(pid, comm),
            interval_ns: Some(interval_ns),
            ..PortPool::default()
        })
    };
    let mut rows: Vec<_> = keys.into_iter().filter_map(row).collect();
    rows.sort_by_key(|row| std::cmp::Reverse((row.no_port, row.used)));
    rows
}
