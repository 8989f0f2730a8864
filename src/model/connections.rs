//! Connections from their state changes.

use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;

use crate::report::{Device, Key};
use crate::states::StateChange;
use crate::tcp_state::TcpState;
use crate::wire::LifeEnd;

/// Connections that are stored.
const ROOM: usize = 20_000;
/// Steps of one connection that are stored, the last ones.
const STEPS: usize = 12;
/// How long a closed connection is shown, ns.
const LINGER: i64 = 10_000_000_000;

/// Both ends and the network namespace: what a connection is called where no cookie is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ends {
    /// This side.
    pub local: (IpAddr, u16),
    /// The other side.
    pub remote: (IpAddr, u16),
    /// The device that it is bound to, and the zone of link-local addresses.
    pub device: Option<Device>,
    /// Inode of the network namespace.
    pub netns: Option<u32>,
}

impl Ends {
    /// The ends of a key; `None` unless both are known.
    pub fn of(key: &Key) -> Option<Self> {
        Some(Self {
            local: (key.laddr?, key.lport?),
            remote: (key.raddr?, key.rport?),
            device: key.device,
            netns: key.netns,
        })
    }
}

/// A change of state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Wall-clock ns.
    pub ts: i64,
    /// The state entered.
    pub state: Option<TcpState>,
    /// Time in the state before, ns.
    pub after: Option<u64>,
    /// How the connection ended with it.
    pub cause: Option<LifeEnd>,
}

/// What is known of one.
#[derive(Clone, Debug)]
pub struct Connection {
    /// Its owner and endpoints.
    pub key: Key,
    /// How it came to its state, the last steps.
    pub steps: VecDeque<Step>,
}

impl Connection {
    /// The last step.
    pub fn last(&self) -> Step {
        self.steps.back().copied().unwrap_or(Step { ts: 0, state: None, after: None, cause: None })
    }

    fn is_closed(&self) -> bool {
        self.last().state == Some(TcpState::Close)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Name {
    Cookie(u64),
    Ends(Ends),
}

/// All that are stored.
#[derive(Clone, Debug, Default)]
pub struct Connections {
    known: HashMap<Name, Connection>,
    /// In the order in which they closed.
    closed: VecDeque<(i64, Name)>,
    /// Changes of connections that did not fit.
    pub left_out: u64,
}

impl Connections {
    /// Takes in a change.
    pub fn take(&mut self, change: &StateChange) {
        let key = change.key();
        let ends = Ends::of(&key);
        let Some(name) = change.cookie.map(Name::Cookie).or_else(|| ends.map(Name::Ends)) else {
            // A listener, or a connect that has no port yet and no name.
            return;
        };
        if self.known.len() >= ROOM && !self.known.contains_key(&name) && !self.make_room() {
            self.left_out += 1;
            return;
        }
        let fresh = || Connection { key: key.clone(), steps: VecDeque::new() };
        let known = self.known.entry(name).or_insert_with(fresh);
        // The last line of a socket may have less than those before: its port is released.
        known.key.pid = key.pid.or(known.key.pid);
        known.key.comm = key.comm.clone().or(known.key.comm.take());
        known.key.lport = key.lport.or(known.key.lport);
        (known.key.laddr, known.key.cgroup) = (key.laddr, key.cgroup);
        if known.steps.len() == STEPS {
            known.steps.pop_front();
        }
        let step = Step {
            ts: change.ts.0,
            state: change.new,
            after: change.duration_ns,
            cause: change.cause,
        };
        known.steps.push_back(step);
        if known.is_closed() {
            self.closed.push_back((change.ts.0, name));
        }
    }

    /// Forgets the connection that closed first; `false` if all are open.
    fn make_room(&mut self) -> bool {
        while let Some((_, name)) = self.closed.pop_front() {
            if self.known.get(&name).is_some_and(Connection::is_closed) {
                self.known.remove(&name);
                return true;
            }
        }
        false
    }

    /// Forgets those that closed long before `now`.
    pub fn forget(&mut self, now: i64) {
        while self.closed.front().is_some_and(|(ts, _)| *ts < now - LINGER) {
            self.make_room();
        }
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.known.values()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Ts;

    fn change(cookie: u64, ts: i64, new: TcpState) -> StateChange {
        let key = ([127, 0, 0, 1].into(), 80);
        StateChange {
            ts: Ts(ts),
            cookie: Some(cookie),
            new: Some(new),
            laddr: Some(key.0),
            lport: (new != TcpState::Close).then_some(key.1),
            ..StateChange::default()
        }
    }

    #[test]
    fn closed_connections_expire_and_keep_their_port() {
        let mut connections = Connections::default();
        connections.take(&change(1, 5, TcpState::Established));
        connections.take(&change(1, 9, TcpState::Close));
        let one = connections.iter().next().unwrap();
        assert_eq!((one.key.lport, one.steps.len(), one.last().ts), (Some(80), 2, 9));
        connections.forget(9 + LINGER);
        assert_eq!(connections.iter().count(), 1);
        connections.forget(10 + LINGER);
        assert_eq!(connections.iter().count(), 0);
    }

    #[test]
    fn only_closed_connections_are_evicted() {
        let mut connections = Connections::default();
        let room = u64::try_from(ROOM).unwrap();
        for cookie in 1..=room {
            connections.take(&change(cookie, 1, TcpState::Established));
        }
        connections.take(&change(room + 1, 1, TcpState::Established));
        assert_eq!((connections.known.len(), connections.left_out), (ROOM, 1));
        connections.take(&change(3, 2, TcpState::Close));
        connections.take(&change(room + 2, 2, TcpState::Established));
        assert_eq!((connections.known.len(), connections.left_out), (ROOM, 1));
        assert!(!connections.known.contains_key(&Name::Cookie(3)));
    }
}
