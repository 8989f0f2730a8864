//! All sockets with a local port at one time, by destination.

use foldhash::{HashMap, HashSet};

use super::local::Local;
use super::small_map::Few;
use super::{PortSet, PortSettings};
use crate::tcp_state::TcpState;
use crate::wire::{
    ADDR_LEN, COMM_LEN, Flow, PORT_HELD, PORT_MATCHES, PORT_TIMESTAMPS, PORT_TIMEWAIT, PortEntry,
};

/// How a socket uses its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// `ESTABLISHED`.
    Established,
    /// `TIME_WAIT`.
    TimeWait,
    /// Any other state.
    Other,
}

/// One port of a destination.
#[derive(Debug, Clone, Copy)]
pub struct PortUse {
    /// The port.
    pub port: u16,
    /// State of its socket.
    pub usage: Use,
    /// `bind()` took it.
    pub held: bool,
    /// ms until a timewait socket ends; `None`: it is none.
    pub left_ms: Option<u32>,
    /// The connection had TCP timestamps.
    pub timestamps: bool,
}

/// Sockets of a process by [`Use`].
#[derive(Debug, Clone, Copy, Default)]
pub struct User {
    /// Its name.
    pub comm: [u8; COMM_LEN],
    /// Sockets.
    pub uses: [u64; 3],
    /// It passes the filters.
    pub matches: bool,
}

/// Connections that differ in their local port alone.
#[derive(Debug, Default)]
pub struct Destination {
    /// Their ports.
    pub uses: Vec<PortUse>,
    /// `IP_LOCAL_PORT_RANGE` of those that live.
    pub ranges: Few<()>,
    /// Who owns them; 0: unknown.
    pub users: Few<User>,
    /// One of them passes the filters.
    pub matches: bool,
}

/// What sockets of a network namespace have in common.
#[derive(Debug, Default)]
pub struct NetnsPorts {
    /// Settings; `None`: unreadable.
    pub settings: Option<PortSettings>,
    /// Ports of listeners.
    pub listeners: PortSet,
    /// Ports that `bind()` took: `connect()` passes over them, whatever their address.
    pub held: PortSet,
}

/// One look at all sockets.
#[derive(Debug, Default)]
pub struct Destinations {
    /// By inode.
    pub netns: HashMap<u32, NetnsPorts>,
    /// By destination; the local port is 0.
    pub all: HashMap<Flow, Destination>,
    /// By namespace and local address.
    pub locals: HashMap<(u32, [u8; ADDR_LEN]), Local>,
    bound: HashSet<u64>,
}

/// A destination as a key.
pub fn destination(flow: &Flow) -> Flow {
    Flow { lport: 0, ..*flow }
}

impl Destinations {
    /// The settings of a namespace.
    pub fn settings(&mut self, netns: u32, settings: Option<PortSettings>) {
        self.netns.entry(netns).or_default().settings = settings;
    }

    /// Adds a socket. Listeners of a namespace come before its connections, as the kernel lists them.
    pub fn add(&mut self, entry: &PortEntry) {
        let port = entry.flow.lport;
        let [held, matches] =
            [PORT_HELD, PORT_MATCHES].map(|flag| u32::from(entry.flags) & flag != 0);
        if port == 0 {
            return;
        }
        let listens = entry.state == TcpState::Listen as u8;
        let netns = self.netns.entry(entry.flow.netns).or_default();
        if held {
            netns.held.insert(port);
        }
        if listens {
            netns.listeners.insert(port);
        }
        let serves = listens || (held && netns.listeners.contains(port));
        let bound = entry.state == TcpState::Close as u8;
        // Several descriptors may lead to it.
        if bound && !self.bound.insert(entry.sk) {
            return;
        }
        let place = self.locals.entry((entry.flow.netns, entry.flow.laddr)).or_default();
        place.add(entry, held && !serves, bound);
        // A server's listener may be gone before its timewait sockets are.
        let outside = netns.settings.as_ref().is_some_and(|settings| {
            held && entry.state == TcpState::TimeWait as u8
                && !settings.offers(settings.pool(0), port)
        });
        if serves || bound || outside || entry.flow.rport == 0 {
            return;
        }
        let one = self.all.entry(destination(&entry.flow)).or_default();
        one.add(entry, held, matches);
    }
}

impl Destination {
    fn add(&mut self, entry: &PortEntry, held: bool, matches: bool) {
        let timewait = u32::from(entry.flags) & PORT_TIMEWAIT != 0;
        let usage = match TcpState::from_number(entry.state) {
            Some(TcpState::Established) => Use::Established,
            Some(TcpState::TimeWait) => Use::TimeWait,
            _ => Use::Other,
        };
        let left_ms = u32::try_from(entry.left / 1_000_000).unwrap_or(u32::MAX);
        self.uses.push(PortUse {
            port: entry.flow.lport,
            usage,
            held,
            left_ms: timewait.then_some(left_ms),
            timestamps: u32::from(entry.flags) & PORT_TIMESTAMPS != 0,
        });
        if !timewait {
            self.ranges.at(entry.range);
        }
        self.matches |= matches;
        let user = self.users.at(entry.pid);
        user.comm = entry.comm;
        user.uses[usage as usize] += 1;
        user.matches |= matches;
    }
}
