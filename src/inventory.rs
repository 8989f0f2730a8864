//! All sockets at one moment: how many in each state, who holds them, how old they are.

use std::collections::HashMap;
use std::net::IpAddr;

use clap::ValueEnum;

use crate::report::{Cell, Column, Row};
use crate::states::{comm, id, nanos, port, state};
use crate::tcp_state::TcpState;
use crate::wire::{COMM_LEN, DURATION_UNKNOWN, Flow, SockEntry};

/// How many of the oldest `CLOSE_WAIT` sockets are shown.
const OLDEST: usize = 10;

/// How the summary groups sockets of a state.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The process that holds them
    Process,
    /// The remote address
    Remote,
    /// The local port
    Port,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Remote => "remote",
            Self::Port => "port",
        }
    }
}

/// How long a socket has been in its state, in ns; [`DURATION_UNKNOWN`] where not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age {
    /// Exactly: the tool saw the state begin, or the kernel keeps it.
    pub exact: u64,
    /// At least: a segment that cannot be older than the state came so long ago.
    pub at_least: u64,
}

impl Age {
    const UNKNOWN: Self = Self { exact: DURATION_UNKNOWN, at_least: DURATION_UNKNOWN };

    /// What is known for certain, for comparing.
    fn bound(self) -> u64 {
        let known = |ns: u64| if ns == DURATION_UNKNOWN { 0 } else { ns };
        known(self.exact).max(known(self.at_least))
    }

    fn older(self, other: Self) -> Self {
        if other.bound() > self.bound() { other } else { self }
    }

    fn cell(self) -> Cell<'static> {
        match self {
            Self { exact, .. } if exact != DURATION_UNKNOWN => Cell::Nanos(exact),
            Self { at_least, .. } if at_least != DURATION_UNKNOWN => Cell::AtLeast(at_least),
            _ => Cell::Missing,
        }
    }
}

/// Ticks of the kernel's jiffies a second. The kernel does not tell (`CONFIG_HZ`); its two
/// clocks, read twice, do.
#[derive(Debug, Default)]
pub struct Hz {
    first: Option<(u64, u64)>,
    hz: Option<u64>,
}

/// What kernels are built with (kernel/Kconfig.hz, and 1024 of alpha and mips left out).
const HZ_CHOICES: [u64; 4] = [100, 250, 300, 1000];
/// Clock readings less far apart than this cannot tell 250 from 300.
const HZ_SPAN_NS: u64 = 50_000_000;

impl Hz {
    /// Takes in one reading of both clocks: `CLOCK_MONOTONIC` ns and jiffies.
    pub fn observe(&mut self, ktime: u64, jiffies: u64) {
        let (first_ktime, first_jiffies) = *self.first.get_or_insert((ktime, jiffies));
        let span = ktime.saturating_sub(first_ktime);
        if self.hz.is_some() || span < HZ_SPAN_NS {
            return;
        }
        let ticks = u128::from(jiffies.saturating_sub(first_jiffies)) * 1_000_000_000;
        let measured = u64::try_from(ticks / u128::from(span)).unwrap_or(u64::MAX);
        self.hz = HZ_CHOICES.into_iter().min_by_key(|hz| hz.abs_diff(measured));
    }

    /// Jiffies as ns; `None` until the clocks have been seen far enough apart.
    fn nanos(&self, jiffies: u64) -> Option<u64> {
        Some(jiffies.saturating_mul(1_000_000_000) / self.hz?)
    }
}

/// What a row of the summary is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Key {
    All,
    Process(u32, [u8; COMM_LEN]),
    Remote(Option<IpAddr>),
    Port(Option<u16>),
}

/// So many sockets in one state.
#[derive(Debug)]
pub struct SocketsRow {
    ts: i64,
    netns: u32,
    by: Option<By>,
    key: Key,
    state: u8,
    count: Option<u64>,
    oldest: Age,
}

impl SocketsRow {
    /// Kernel number of the state.
    pub fn state(&self) -> u8 {
        self.state
    }

    /// Sockets in it; `None` where this kernel does not show them.
    pub fn count(&self) -> Option<u64> {
        self.count
    }

    fn pid(&self) -> u32 {
        if let Key::Process(pid, _) = self.key { pid } else { 0 }
    }

    fn comm(&self) -> Cell<'_> {
        if let Key::Process(pid, name) = &self.key { comm(*pid, name) } else { Cell::Missing }
    }

    fn raddr(&self) -> Cell<'_> {
        if let Key::Remote(Some(addr)) = self.key { Cell::Addr(addr) } else { Cell::Missing }
    }

    fn lport(&self) -> Cell<'_> {
        if let Key::Port(lport) = self.key { port(lport) } else { Cell::Missing }
    }

    /// Keys of columns that a table of this grouping leaves out.
    pub fn hidden(by: Option<By>) -> &'static [&'static str] {
        match by {
            None => &["pid", "comm", "raddr", "lport"],
            Some(By::Process) => &["raddr", "lport"],
            Some(By::Remote) => &["pid", "comm", "lport"],
            Some(By::Port) => &["pid", "comm", "raddr"],
        }
    }
}

static SOCKETS: [Column<SocketsRow>; 11] = [
    Column::left("state", "STATE", 12, |r| state(r.state), "State of the sockets."),
    Column::json("by", |r| r.by.map_or(Cell::Missing, |by| Cell::Word(by.name())), "The grouping."),
    Column::right("pid", "PID", 7, |r| id(r.pid().into()), "Process that holds them."),
    Column::left("comm", "COMM", 15, SocketsRow::comm, "Its name."),
    Column::left("raddr", "RADDR", 39, SocketsRow::raddr, "Remote address."),
    Column::right("lport", "LPORT", 5, SocketsRow::lport, "Local port."),
    Column::json("netns", |r| Cell::Id(r.netns.into()), "Network namespace's inode."),
    Column::right(
        "count",
        "COUNT",
        8,
        |r| r.count.map_or(Cell::Missing, Cell::Id),
        "How many sockets.",
    ),
    Column::right(
        "oldest",
        "OLDEST",
        8,
        |r: &SocketsRow| r.oldest.cell(),
        "Longest time in the state.",
    )
    .table_only(),
    Column::json("oldest_ns", |r| nanos(r.oldest.exact), "Longest time in the state, exactly."),
    Column::json("oldest_at_least_ns", |r| nanos(r.oldest.at_least), "The same, at least."),
];

impl Row for SocketsRow {
    const KIND: &'static str = "sockets";

    fn columns() -> &'static [Column<Self>] {
        &SOCKETS
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}

/// One of the oldest `CLOSE_WAIT` sockets: the peer has closed, the process has not.
#[derive(Debug)]
pub struct CloseWaitRow {
    ts: i64,
    pid: u32,
    comm: [u8; COMM_LEN],
    flow: Flow,
    age: Age,
}

static CLOSE_WAIT: [Column<CloseWaitRow>; 13] = [
    Column::right("pid", "PID", 7, |r| id(r.pid.into()), "Process that has not closed it."),
    Column::left("comm", "COMM", 15, |r| comm(r.pid, &r.comm), "Its name."),
    Column::left(
        "local",
        "LADDR:LPORT",
        21,
        |r: &CloseWaitRow| Cell::Endpoint(Some(r.flow.local_ip()), r.flow.local_port()),
        "Local address and port.",
    )
    .table_only(),
    Column::left(
        "remote",
        "RADDR:RPORT",
        21,
        |r: &CloseWaitRow| Cell::Endpoint(r.flow.remote_ip(), r.flow.remote_port()),
        "Remote address and port.",
    )
    .table_only(),
    Column::json("laddr", |r| Cell::Addr(r.flow.local_ip()), "Local address."),
    Column::json("lport", |r| port(r.flow.local_port()), "Local port."),
    Column::json("raddr", |r| r.flow.remote_ip().map_or(Cell::Missing, Cell::Addr), "Remote."),
    Column::json("rport", |r| port(r.flow.remote_port()), "Remote port."),
    Column::json("family", |r| Cell::Id(r.flow.family()), "4 or 6."),
    Column::json("netns", |r| Cell::Id(r.flow.netns.into()), "Network namespace's inode."),
    Column::right("age", "AGE", 8, |r: &CloseWaitRow| r.age.cell(), "Time in CLOSE_WAIT.")
        .table_only(),
    Column::json("age_ns", |r| nanos(r.age.exact), "Time in CLOSE_WAIT, exactly."),
    Column::json("age_at_least_ns", |r| nanos(r.age.at_least), "The same, at least."),
];

impl Row for CloseWaitRow {
    const KIND: &'static str = "close_wait";

    fn columns() -> &'static [Column<Self>] {
        &CLOSE_WAIT
    }

    fn ts(&self) -> i64 {
        self.ts
    }
}

/// Sockets of one network namespace at one moment, counted as they are read.
#[derive(Debug)]
pub struct Inventory {
    ts: i64,
    netns: u32,
    by: Option<By>,
    counts: HashMap<(Key, u8), (u64, Age)>,
    close_wait: Vec<(Age, SockEntry)>,
    total: u64,
}

impl Inventory {
    /// An empty one of the namespace with inode `netns`, taken at wall-clock `ts`.
    pub fn new(ts: i64, netns: u32, by: Option<By>) -> Self {
        Self { ts, netns, by, counts: HashMap::new(), close_wait: Vec::new(), total: 0 }
    }

    /// Counts one socket, or takes in the clocks.
    pub fn add(&mut self, entry: &SockEntry, hz: &mut Hz) {
        if entry.state == 0 {
            hz.observe(entry.ktime, entry.jiffies);
            return;
        }
        self.total += 1;
        let idle = (entry.idle_jiffies != 0).then(|| hz.nanos(entry.idle_jiffies)).flatten();
        let age = Age { exact: entry.age, at_least: idle.unwrap_or(DURATION_UNKNOWN) };
        let key = match self.by {
            None => Key::All,
            Some(By::Process) => Key::Process(entry.pid, entry.comm),
            Some(By::Remote) => Key::Remote(entry.flow.remote_ip()),
            Some(By::Port) => Key::Port(entry.flow.local_port()),
        };
        let (count, oldest) = self.counts.entry((key, entry.state)).or_insert((0, Age::UNKNOWN));
        *count += 1;
        *oldest = oldest.older(age);
        if entry.state == TcpState::CloseWait as u8 {
            self.keep_oldest(age, entry);
        }
    }

    fn keep_oldest(&mut self, age: Age, entry: &SockEntry) {
        let place = self.close_wait.partition_point(|(kept, _)| kept.bound() >= age.bound());
        if place < OLDEST {
            self.close_wait.insert(place, (age, *entry));
            self.close_wait.truncate(OLDEST);
        }
    }

    /// How many sockets there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The grouping asked for.
    pub fn by(&self) -> Option<By> {
        self.by
    }

    /// A line to stand above the table.
    pub fn title(&self) -> String {
        format!("{} sockets in network namespace {}", self.total, self.netns)
    }

    /// One row a state, all twelve; or with a grouping one a key and state, most first.
    pub fn sockets(&self) -> Vec<SocketsRow> {
        let row = |key, state, count, oldest| SocketsRow {
            ts: self.ts,
            netns: self.netns,
            by: self.by,
            key,
            state,
            count,
            oldest,
        };
        if self.by.is_none() {
            return (1..=12)
                .map(|state| match self.counts.get(&(Key::All, state)) {
                    Some((count, oldest)) => row(Key::All, state, Some(*count), *oldest),
                    // A closed socket is in none of the tables that the iterator walks.
                    None if state == TcpState::Close as u8 => {
                        row(Key::All, state, None, Age::UNKNOWN)
                    }
                    None => row(Key::All, state, Some(0), Age::UNKNOWN),
                })
                .collect();
        }
        let mut rows: Vec<_> = self
            .counts
            .iter()
            .map(|((key, state), (count, oldest))| row(*key, *state, Some(*count), *oldest))
            .collect();
        rows.sort_by_key(|row| (std::cmp::Reverse(row.count), row.state, row.pid()));
        rows
    }

    /// The oldest `CLOSE_WAIT` sockets, oldest first.
    pub fn close_wait(&self) -> Vec<CloseWaitRow> {
        self.close_wait
            .iter()
            .map(|(age, entry)| CloseWaitRow {
                ts: self.ts,
                pid: entry.pid,
                comm: entry.comm,
                flow: entry.flow,
                age: *age,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(state: TcpState, pid: u32, age: u64, idle_jiffies: u64) -> SockEntry {
        let mut entry = SockEntry::zeroed();
        entry.state = state as u8;
        entry.pid = pid;
        entry.age = age;
        entry.idle_jiffies = idle_jiffies;
        entry
    }

    fn hz_of(hz: u64) -> Hz {
        let mut clocks = Hz::default();
        clocks.observe(1_000_000_000, 7);
        clocks.observe(2_000_000_000, 7 + hz);
        clocks
    }

    #[test]
    fn both_clocks_tell_the_ticks_of_a_second() {
        for hz in HZ_CHOICES {
            assert_eq!(hz_of(hz).nanos(hz), Some(1_000_000_000));
            assert_eq!(hz_of(hz + 1).nanos(hz), Some(1_000_000_000), "one tick off");
        }
        let mut early = Hz::default();
        early.observe(0, 0);
        early.observe(HZ_SPAN_NS - 1, 50);
        assert_eq!(early.nanos(1), None);
    }

    #[test]
    fn all_twelve_states_are_listed_and_closed_ones_are_unknown() {
        let mut inventory = Inventory::new(0, 1, None);
        inventory.add(&entry(TcpState::Listen, 1, DURATION_UNKNOWN, 0), &mut Hz::default());
        let rows = inventory.sockets();
        assert_eq!(rows.len(), 12);
        for row in rows {
            let expected = match row.state() {
                10 => Some(1),
                7 => None,
                _ => Some(0),
            };
            assert_eq!(row.count(), expected, "state {}", row.state());
        }
        assert_eq!(inventory.total(), 1);
    }

    #[test]
    fn the_ten_oldest_come_first_and_a_lower_bound_counts() {
        let mut inventory = Inventory::new(0, 1, Some(By::Process));
        let mut hz = hz_of(1000);
        for pid in 1..=20 {
            let age = u64::from(pid) * 1_000_000_000;
            inventory.add(&entry(TcpState::CloseWait, pid, age, 0), &mut hz);
        }
        // 3 hours of jiffies, begun before the tool
        inventory.add(&entry(TcpState::CloseWait, 99, DURATION_UNKNOWN, 10_800_000), &mut hz);
        let oldest = inventory.close_wait();
        assert_eq!(oldest.len(), OLDEST);
        assert_eq!(oldest[0].pid, 99);
        assert_eq!(oldest[0].age.cell(), Cell::AtLeast(10_800_000_000_000));
        assert_eq!(oldest[1].pid, 20);
        assert_eq!(oldest[1].age.cell(), Cell::Nanos(20_000_000_000));
    }

    #[test]
    fn groups_come_most_first() {
        let mut inventory = Inventory::new(0, 1, Some(By::Process));
        for pid in [7, 8, 8] {
            inventory.add(&entry(TcpState::Established, pid, 5, 0), &mut Hz::default());
        }
        let rows = inventory.sockets();
        let seen: Vec<_> = rows.iter().map(|row| (row.pid(), row.count())).collect();
        assert_eq!(seen, [(8, Some(2)), (7, Some(1))]);
    }
}
