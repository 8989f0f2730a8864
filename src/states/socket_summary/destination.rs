//! Local ports in use towards each destination, against those that the kernel chooses from.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::fs;
use std::ops::RangeInclusive;

use crate::report::{Ts, record};
use crate::tcp_state::TcpState;
use crate::wire::{COMM_LEN, Flow, SockEntry};

/// Destinations that are shown: the fullest.
const MOST: usize = 10;

record! {
    /// tcpdash: one of the ten destinations towards which most local ports are in use
    "destination" Destination known(laddr raddr rport netns family local_ports_used local_ports_time_wait) {
        /// the process with most of these sockets
        pid,
        comm,
        laddr,
        raddr,
        rport,
        device,
        family,
        netns,
        /// local ports in use, by sockets of any state
        local_ports_used: Option<u64>,
        /// of these, sockets in `TIME_WAIT`
        local_ports_time_wait: Option<u64>,
        /// ports that the kernel chooses from: `ip_local_port_range` without `ip_local_reserved_ports`; null if unreadable
        local_ports: Option<u64>,
    }
}

impl Destination {
    /// Ports in use of a thousand; `None`: their number is not known.
    pub fn permille(&self) -> Option<u64> {
        let ports = self.local_ports.filter(|ports| *ports > 0)?;
        Some(self.local_ports_used?.saturating_mul(1000) / ports)
    }
}

/// The ports that the kernel of a namespace chooses from.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ports {
    range: RangeInclusive<u16>,
    count: u64,
}

impl Ports {
    /// Those of the thread's namespace.
    fn here() -> Option<Self> {
        let text = |name| fs::read_to_string(format!("/proc/sys/net/ipv4/{name}"));
        let reserved = text("ip_local_reserved_ports").unwrap_or_default();
        Self::parse(&text("ip_local_port_range").ok()?, &reserved)
    }

    /// `32768\t60999`, and `8080,9148-9150`.
    fn parse(range: &str, reserved: &str) -> Option<Self> {
        let mut ends = range.split_whitespace().map(str::parse);
        let (Some(Ok(first)), Some(Ok(last))) = (ends.next(), ends.next()) else { return None };
        let parts = reserved.trim().split(',').filter(|part| !part.is_empty());
        let reserved = parts.filter_map(|part| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            let (from, to) =
                (from.parse::<u16>().ok()?.max(first), to.parse::<u16>().ok()?.min(last));
            Some((u64::from(to) + 1).saturating_sub(from.into()))
        });
        let all = (u64::from(last) + 1).saturating_sub(first.into());
        Some(Self { range: first..=last, count: all.saturating_sub(reserved.sum()) })
    }
}

/// Connections that differ in their local port alone.
#[derive(Debug, Default)]
struct Use {
    ports: u64,
    time_wait: u64,
    users: HashMap<u32, ([u8; COMM_LEN], u64)>,
}

/// All sockets by destination.
#[derive(Debug, Default)]
pub struct Destinations {
    ports: HashMap<u32, Option<Ports>>,
    listening: HashSet<(u32, u16)>,
    /// By destination; its local port is 0.
    all: HashMap<Flow, Use>,
}

impl Destinations {
    /// Adds a socket of the thread's namespace. Listeners come before connections, as the kernel
    /// lists them.
    pub fn add(&mut self, entry: &SockEntry) {
        let flow = &entry.flow;
        let ports = self.ports.entry(flow.netns).or_insert_with(Ports::here);
        if entry.state == TcpState::Listen.number() {
            self.listening.insert((flow.netns, flow.lport));
            return;
        }
        // Connections to a listener share its port.
        let chosen = ports.as_ref().is_none_or(|ports| ports.range.contains(&flow.lport));
        if flow.rport == 0 || !chosen || self.listening.contains(&(flow.netns, flow.lport)) {
            return;
        }
        let one = self.all.entry(Flow { lport: 0, ..*flow }).or_default();
        one.ports += 1;
        one.time_wait += u64::from(entry.state == TcpState::TimeWait.number());
        if entry.pid != 0 {
            one.users.entry(entry.pid).or_insert((entry.comm, 0)).1 += 1;
        }
    }

    /// The fullest, at wall-clock `ts` ns.
    pub fn records(self, ts: i64) -> Vec<Destination> {
        let ports = self.ports;
        let row = |(flow, used): (Flow, Use)| {
            let most = used.users.iter().max_by_key(|(pid, (_, count))| (*count, Reverse(**pid)));
            let (pid, comm) = most.map_or((0, [0; COMM_LEN]), |(pid, (comm, _))| (*pid, *comm));
            Destination {
                ts: Ts(ts),
                family: Some(flow.family()),
                local_ports_used: Some(used.ports),
                local_ports_time_wait: Some(used.time_wait),
                local_ports: ports.get(&flow.netns).and_then(|ports| Some(ports.as_ref()?.count)),
                ..Destination::about(flow.key().owned(pid, comm))
            }
        };
        let mut rows: Vec<_> = self.all.into_iter().map(row).collect();
        rows.sort_by_key(|row| (Reverse((row.permille(), row.local_ports_used)), row.key()));
        rows.truncate(MOST);
        rows
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::ADDR_LEN;

    fn entry(state: TcpState, lport: u16, rport: u16, pid: u32) -> SockEntry {
        let mut flow = Flow { netns: 1, lport, rport, ..Flow::default() };
        (flow.laddr, flow.raddr) = ([1; ADDR_LEN], [2; ADDR_LEN]);
        SockEntry { state: state.number(), flow, pid, ..SockEntry::default() }
    }

    #[test]
    fn ports_are_counted_by_destination_and_those_of_listeners_are_not() {
        let mut all = Destinations::default();
        all.ports.insert(1, Ports::parse("40000 40009", "40002,50000-50009"));
        all.add(&entry(TcpState::Listen, 40_005, 0, 9));
        for port in 40_000..40_010 {
            all.add(&entry(TcpState::TimeWait, port, 443, 0));
        }
        all.add(&entry(TcpState::Established, 40_000, 80, 7));
        all.add(&entry(TcpState::Established, 39_999, 80, 7));
        let rows = all.records(5);
        let said = |row: &Destination| {
            (row.rport, row.local_ports_used, row.local_ports_time_wait, row.local_ports, row.pid)
        };
        assert_eq!(
            rows.iter().map(said).collect::<Vec<_>>(),
            [
                (Some(443), Some(9), Some(9), Some(9), None),
                (Some(80), Some(1), Some(0), Some(9), Some(7)),
            ]
        );
        assert_eq!(rows[0].permille(), Some(1000));
    }

    #[test]
    fn a_range_is_read_as_the_kernel_writes_it() {
        assert_eq!(Ports::parse("32768\t60999\n", "\n").unwrap().count, 28_232);
        assert_eq!(Ports::parse("10 20", "5-12,20").unwrap().count, 7);
        assert_eq!(Ports::parse("", ""), None);
        assert!(Ports::here().is_some());
    }
}
