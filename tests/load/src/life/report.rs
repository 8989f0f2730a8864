//! What an observer of the script must have seen.

use std::net::IpAddr;

use anyhow::{Context, Result};
use serde::Serialize;

use super::manner::Manner;
use super::{Accepted, ByPorts, Family, Played, Ready};

/// One line about everything.
#[derive(Serialize)]
pub struct Report {
    kind: &'static str,
    seed: u64,
    master: u32,
    workers: Vec<u32>,
    clients: Vec<u32>,
    /// Each goes `CLOSE` → `LISTEN` → `CLOSE`, owned by the master.
    listening_ports: Vec<u16>,
    connections: Vec<Connection>,
}

#[derive(Serialize)]
struct Connection {
    manner: Manner,
    family: Family,
    /// The deliberate sleep, which is a little shorter than the stay it makes.
    sleep_ns: Option<u64>,
    /// Both ends; a refused connection has only the client's.
    ends: Vec<End>,
}

#[derive(Serialize)]
struct End {
    side: &'static str,
    laddr: IpAddr,
    lport: u16,
    raddr: IpAddr,
    rport: u16,
    transitions: Vec<Transition>,
}

#[derive(Serialize)]
struct Transition {
    old: &'static str,
    new: &'static str,
    /// The owner at that time.
    pid: u32,
    /// How long the end was in `old`, where that was on purpose.
    #[serde(skip_serializing_if = "Option::is_none")]
    stay: Option<Stay>,
}

/// Bounds of a duration in nanoseconds, from the clock around the calls that begin and end it.
#[derive(Clone, Copy, Serialize)]
struct Stay {
    min_ns: u64,
    max_ns: u64,
}

/// The earliest and the latest moment at which something can have happened.
type Moment = (u64, u64);

impl Report {
    /// Joins the reports of clients and workers for each connection.
    pub fn new(
        seed: u64,
        ready: Ready,
        clients: Vec<u32>,
        played: &[Played],
        accepted: &ByPorts,
    ) -> Result<Self> {
        let l = &ready.listeners;
        let listening_ports = vec![l.v4, l.v6, l.both, l.late_v4, l.late_v6, l.late_both];
        let connection = |one: &Played| {
            let server = accepted.get(&(one.local.port(), one.remote.port()));
            let stays = server.map_or_else(Vec::new, |server| stays(one, server));
            let mut ends = vec![End::client(one, &stays)];
            if one.manner != Manner::Refused {
                let server = server.context("a connection that no worker reported")?;
                ends.push(End::server(one, server, ready.pid, &stays));
            }
            Ok(Connection { manner: one.manner, family: one.family, sleep_ns: one.sleep_ns, ends })
        };
        Ok(Self {
            kind: "life",
            seed,
            master: ready.pid,
            workers: ready.workers,
            clients,
            listening_ports,
            connections: played.iter().map(connection).collect::<Result<_>>()?,
        })
    }
}

impl End {
    fn client(one: &Played, stays: &[(&str, &str, Stay)]) -> Self {
        Self {
            side: "client",
            laddr: one.local.ip().to_canonical(),
            lport: one.local.port(),
            raddr: one.remote.ip().to_canonical(),
            rport: one.remote.port(),
            transitions: steps("client", one.manner.client_path(), |_| one.pid, stays),
        }
    }

    fn server(one: &Played, server: &Accepted, master: u32, stays: &[(&str, &str, Stay)]) -> Self {
        let owner = |at| if at < one.manner.listener_owns() { master } else { server.pid };
        Self {
            side: "server",
            laddr: one.remote.ip().to_canonical(),
            lport: one.remote.port(),
            raddr: one.local.ip().to_canonical(),
            rport: one.local.port(),
            transitions: steps("server", one.manner.server_path(), owner, stays),
        }
    }
}

fn steps(
    side: &str,
    path: &[&'static str],
    owner: impl Fn(usize) -> u32,
    stays: &[(&str, &str, Stay)],
) -> Vec<Transition> {
    let stay = |state| stays.iter().find(|(s, at, _)| *s == side && *at == state);
    path.windows(2)
        .enumerate()
        .map(|(at, step)| Transition {
            old: step[0],
            new: step[1],
            pid: owner(at),
            stay: stay(step[0]).map(|(_, _, stay)| *stay),
        })
        .collect()
}

/// The deliberate stays of a connection: side, state and bounds.
fn stays(one: &Played, server: &Accepted) -> Vec<(&'static str, &'static str, Stay)> {
    let (c, s) = (&one.marks, &server.marks);
    let stay = |begin: Option<Moment>, end: Option<Moment>| {
        let (begin, end) = (begin?, end?);
        let min_ns = end.0.saturating_sub(begin.1);
        Some(Stay { min_ns, max_ns: end.1 - begin.0 })
    };
    // From the call at one end to what the other end, or a later call, saw of it.
    let until = |from: Option<Moment>, seen: Option<u64>| Some((from?.0, seen?));
    let found = match one.manner {
        Manner::SleepEstablished | Manner::LateAccept => [
            ("client", "ESTABLISHED", stay(c.connect, c.fin)),
            ("server", "ESTABLISHED", stay(until(c.connect, s.seen), until(c.fin, s.eof))),
        ],
        Manner::SleepCloseWait => [
            ("server", "CLOSE_WAIT", stay(until(c.fin, s.eof), s.fin)),
            ("client", "FIN_WAIT2", stay(until(c.fin, s.acked), until(s.fin, c.eof))),
        ],
        Manner::SleepFinWait => [
            ("client", "CLOSE_WAIT", stay(until(s.fin, c.eof), c.fin)),
            ("server", "FIN_WAIT2", stay(until(s.fin, c.acked), until(c.fin, s.eof))),
        ],
        _ => return Vec::new(),
    };
    found.into_iter().filter_map(|(side, state, stay)| Some((side, state, stay?))).collect()
}
