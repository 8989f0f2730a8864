//! All sockets at one time: counts by state, owners, ages.

mod age;
mod destination;
mod record;
mod source;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Serialize;

use crate::group::Grouping;
use crate::kernel::netns_list::Extent;
use crate::report::{Comm, Device, Ts, pid_inside};
use crate::tcp_state::TcpState;
use crate::wire::{COMM_LEN, SockEntry};

pub use age::{Age, bound_by_watch};
pub use destination::{Destination, Destinations};
pub use record::{CloseWait, ClosingSocket, Socket, Sockets};
pub use source::{SocketReader, has_sockets};

/// How many of the oldest sockets are shown, in `CLOSE_WAIT` and closing.
const OLDEST: usize = 10;

/// How the summary groups sockets of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum SummaryBy {
    /// The process that owns them.
    Process,
    /// The remote address.
    Remote,
    /// The local port.
    Port,
    /// The network namespace.
    Netns,
}

impl SummaryBy {
    /// As `--by` spells it.
    pub fn name(self) -> &'static str {
        self.grouping().name()
    }

    fn grouping(self) -> Grouping {
        match self {
            Self::Process => Grouping::Process,
            Self::Remote => Grouping::Remote,
            Self::Port => Grouping::Port,
            Self::Netns => Grouping::Netns,
        }
    }
}

/// How long a socket has been in its state.
fn age_of(entry: &SockEntry) -> Age {
    Age { exact: entry.age, at_least: entry.at_least }
}

/// What a row of the summary is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum SummaryKey {
    All,
    Process(u32, [u8; COMM_LEN]),
    Remote(Option<IpAddr>, Option<Device>),
    Port(Option<u16>),
    Netns(u32),
}

/// Sockets at one moment, counted as they are read.
#[derive(Debug)]
pub struct SocketSummary {
    ts: i64,
    by: Option<SummaryBy>,
    extent: Extent,
    names: HashMap<u32, Arc<str>>,
    counts: HashMap<(SummaryKey, u8), (u64, Age)>,
    close_wait: Vec<(Age, SockEntry)>,
    closing: Vec<(Age, SockEntry)>,
    orphans: u64,
    total: u64,
}

/// Whether its process is done with a socket that is not gone: an orphan, or one whose FIN the
/// peer has not acknowledged.
fn is_closing(entry: &SockEntry) -> bool {
    let states = [TcpState::FinWait1, TcpState::LastAck, TcpState::Closing];
    let state = TcpState::from_number(entry.state);
    entry.timewait == 0 && (entry.orphan != 0 || state.is_some_and(|state| states.contains(&state)))
}

/// Adds one to a list of the oldest.
fn keep_oldest(oldest: &mut Vec<(Age, SockEntry)>, age: Age, entry: &SockEntry) {
    let place = oldest.partition_point(|(kept, _)| kept.bound() >= age.bound());
    if place < OLDEST {
        oldest.insert(place, (age, *entry));
        oldest.truncate(OLDEST);
    }
}

impl SocketSummary {
    /// An empty one, taken at wall-clock `ts`.
    pub fn new(ts: i64, by: Option<SummaryBy>) -> Self {
        let (extent, names, counts) = Default::default();
        let (close_wait, closing) = Default::default();
        Self { ts, by, extent, names, counts, close_wait, closing, orphans: 0, total: 0 }
    }

    /// Which namespaces were read. `name` knows the names of those that rows are about.
    pub fn finish(&mut self, extent: Extent, mut name: impl FnMut(u32) -> Option<Arc<str>>) {
        let of_rows = self.counts.keys().filter_map(|(key, _)| match key {
            SummaryKey::Netns(netns) => Some(*netns),
            _ => None,
        });
        let oldest = self.close_wait.iter().chain(&self.closing);
        let oldest = oldest.map(|(_, entry)| entry.flow.netns);
        let inodes: BTreeSet<_> = of_rows.chain(oldest).chain(extent.only).collect();
        self.names = inodes.into_iter().filter_map(|inode| Some((inode, name(inode)?))).collect();
        self.extent = extent;
    }

    fn name(&self, netns: Option<u32>) -> Option<&Arc<str>> {
        self.names.get(&netns?)
    }

    /// Counts one socket.
    pub fn add(&mut self, entry: &SockEntry) {
        self.total += 1;
        let age = age_of(entry);
        let key = match self.by {
            None => SummaryKey::All,
            Some(SummaryBy::Process) => SummaryKey::Process(entry.pid, entry.comm),
            Some(SummaryBy::Remote) => {
                SummaryKey::Remote(entry.flow.remote_ip(), entry.flow.remote_zone())
            }
            Some(SummaryBy::Port) => SummaryKey::Port(entry.flow.local_port()),
            Some(SummaryBy::Netns) => SummaryKey::Netns(entry.flow.netns),
        };
        self.counts
            .entry((key, entry.state))
            .and_modify(|(count, oldest)| (*count, *oldest) = (*count + 1, oldest.older(age)))
            .or_insert((1, age));
        if entry.state == TcpState::CloseWait as u8 {
            keep_oldest(&mut self.close_wait, age, entry);
        }
        self.orphans += u64::from(entry.orphan);
        if is_closing(entry) {
            keep_oldest(&mut self.closing, age, entry);
        }
    }

    /// How many sockets there are, and where.
    pub fn title(&self) -> String {
        let plural = if self.total == 1 { "" } else { "s" };
        format!(
            "{} socket{plural} in {}",
            self.total,
            self.extent.words(self.name(self.extent.only).map(|name| &**name))
        )
    }

    /// How they are grouped.
    pub fn by(&self) -> Option<SummaryBy> {
        self.by
    }

    /// One row a state, all twelve; or with a grouping one a key and state, most first.
    pub fn sockets(&self) -> Vec<Sockets> {
        if self.by.is_none() {
            return (1..=12)
                .map(|state| match self.counts.get(&(SummaryKey::All, state)) {
                    Some((count, oldest)) => {
                        self.row(SummaryKey::All, state, Some(*count), *oldest)
                    }
                    // A closed socket is in none of the tables that the iterator walks.
                    None if state == TcpState::Close as u8 => {
                        self.row(SummaryKey::All, state, None, Age::UNKNOWN)
                    }
                    None => self.row(SummaryKey::All, state, Some(0), Age::UNKNOWN),
                })
                .collect();
        }
        let mut counts: Vec<_> = self.counts.iter().collect();
        // The key settles ties, or rows would swap places between intervals.
        counts.sort_by_key(|((key, state), (count, _))| (Reverse(*count), *state, *key));
        let row = |((key, state), (count, oldest)): (&(SummaryKey, u8), &(u64, Age))| {
            self.row(*key, *state, Some(*count), *oldest)
        };
        counts.into_iter().map(row).collect()
    }

    fn row(&self, key: SummaryKey, state: u8, count: Option<u64>, oldest: Age) -> Sockets {
        let mut row = Sockets {
            ts: Ts(self.ts),
            state: TcpState::from_number(state),
            by: self.by.map(SummaryBy::grouping),
            netns: self.extent.only,
            namespaces: Some(self.extent.read),
            not_entered: Some(self.extent.closed),
            count,
            oldest_ns: oldest.exact(),
            oldest_at_least_ns: oldest.at_least(),
            ..Sockets::default()
        };
        match key {
            SummaryKey::All | SummaryKey::Process(0, _) => {}
            SummaryKey::Process(pid, comm) => {
                (row.pid, row.comm) = (pid_inside(pid), Comm::of(pid, comm));
            }
            SummaryKey::Remote(addr, zone) => (row.raddr, row.device) = (addr, zone),
            SummaryKey::Port(port) => row.lport = port,
            SummaryKey::Netns(netns) => row.netns = Some(netns),
        }
        row.netns_name = self.name(row.netns).cloned();
        row
    }

    /// The oldest `CLOSE_WAIT` sockets, oldest first.
    pub fn close_wait(&self) -> Vec<CloseWait> {
        let row = |(age, entry): &(Age, SockEntry)| CloseWait {
            netns_name: self.name(Some(entry.flow.netns)).cloned(),
            ..CloseWait::new(self.ts, entry, *age)
        };
        self.close_wait.iter().map(row).collect()
    }

    /// The oldest sockets that close, oldest first.
    pub fn closing(&self) -> Vec<ClosingSocket> {
        let row = |(age, entry): &(Age, SockEntry)| ClosingSocket {
            netns_name: self.name(Some(entry.flow.netns)).cloned(),
            orphan_count: Some(self.orphans),
            ..ClosingSocket::new(self.ts, entry, *age)
        };
        self.closing.iter().map(row).collect()
    }

    /// Sockets that no process has any more.
    pub fn orphans(&self) -> u64 {
        self.orphans
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::DURATION_UNKNOWN;

    fn entry(state: TcpState, pid: u32, age: u64, at_least: u64) -> SockEntry {
        let mut entry = SockEntry::default();
        entry.state = state as u8;
        entry.pid = pid;
        entry.age = age;
        entry.at_least = at_least;
        entry
    }

    const THREE_HOURS: u64 = 10_800_000_000_000;

    #[test]
    fn all_twelve_states_are_listed_and_closed_ones_are_unknown() {
        let mut inventory = SocketSummary::new(0, None);
        let mut extent = Extent::default();
        extent.add(Some(1));
        inventory.finish(extent, |_| Some("blue".into()));
        inventory.add(&entry(TcpState::Listen, 1, DURATION_UNKNOWN, DURATION_UNKNOWN));
        let rows = inventory.sockets();
        assert_eq!(rows.len(), 12);
        for row in rows {
            let expected = match row.state {
                Some(TcpState::Listen) => Some(1),
                Some(TcpState::Close) => None,
                _ => Some(0),
            };
            assert_eq!(row.count, expected, "{:?}", row.state);
        }
        assert_eq!(inventory.title(), "1 socket in network namespace 1 (blue)");
    }

    #[test]
    fn the_ten_oldest_come_first_and_a_lower_bound_counts() {
        let mut inventory = SocketSummary::new(0, Some(SummaryBy::Process));
        for pid in 1..=20 {
            let age = u64::from(pid) * 1_000_000_000;
            inventory.add(&entry(TcpState::CloseWait, pid, age, DURATION_UNKNOWN));
        }
        // begun before the tool
        inventory.add(&entry(TcpState::CloseWait, 99, DURATION_UNKNOWN, THREE_HOURS));
        let oldest = inventory.close_wait();
        assert_eq!(oldest.len(), OLDEST);
        assert_eq!(oldest[0].pid, Some(99));
        assert_eq!((oldest[0].age_ns, oldest[0].age_at_least_ns), (None, Some(THREE_HOURS)));
        assert_eq!(oldest[1].pid, Some(20));
        assert_eq!(oldest[1].age_ns, Some(20_000_000_000));
    }

    #[test]
    fn closing_sockets_are_those_whose_process_is_done() {
        let mut summary = SocketSummary::new(0, None);
        let states = [
            (TcpState::FinWait1, 1, 3),
            (TcpState::LastAck, 0, 9),
            (TcpState::FinWait2, 1, 5),
            // Half closed: its process still receives.
            (TcpState::FinWait2, 0, 70),
            (TcpState::Established, 0, 80),
        ];
        for (state, orphan, age) in states {
            summary.add(&SockEntry { orphan, ..entry(state, 7, age, DURATION_UNKNOWN) });
        }
        let timewait = entry(TcpState::FinWait2, 7, 90, DURATION_UNKNOWN);
        summary.add(&SockEntry { timewait: 1, ..timewait });
        let rows = summary.closing();
        let seen: Vec<_> = rows.iter().map(|row| (row.age_ns, row.orphan)).collect();
        assert_eq!(seen, [(Some(9), false), (Some(5), true), (Some(3), true)]);
        assert_eq!((summary.orphans(), rows[0].orphan_count), (2, Some(2)));
    }

    #[test]
    fn groups_come_most_first() {
        let mut inventory = SocketSummary::new(0, Some(SummaryBy::Process));
        for pid in [7, 8, 8] {
            inventory.add(&entry(TcpState::Established, pid, 5, DURATION_UNKNOWN));
        }
        let rows = inventory.sockets();
        let seen: Vec<_> = rows.iter().map(|row| (row.pid, row.count)).collect();
        assert_eq!(seen, [(Some(8), Some(2)), (Some(7), Some(1))]);
    }

    #[test]
    fn groups_of_the_same_size_keep_their_places() {
        let mut inventory = SocketSummary::new(0, Some(SummaryBy::Port));
        for lport in (1..=100).rev() {
            let mut entry = entry(TcpState::Established, 7, 5, DURATION_UNKNOWN);
            entry.flow.lport = lport;
            inventory.add(&entry);
        }
        let ports: Vec<_> = inventory.sockets().iter().map(|row| row.lport).collect();
        assert_eq!(ports, (1..=100).map(Some).collect::<Vec<_>>());
    }
}
