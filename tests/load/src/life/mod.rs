//! A scripted life of connections that end in every manner, each with one possible path.
//!
//! Three kinds of processes play it: the master listens and forks workers that accept, and the
//! clients connect. Both ends of a connection know its manner, because its first byte says it.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;

use anyhow::{Context, Result};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::actor::{self, Peer};

pub mod client;
mod manner;
pub mod master;
mod report;
pub mod worker;

/// Client processes: as many connections are open at a time.
const CLIENTS: u64 = 4;

/// Arguments of `tcpload life`.
#[derive(Args)]
pub struct Life {
    /// Chooses the manners and the sleeps; the same seed gives the same script
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=10_000))]
    conns: u64,
}

/// Which addresses the two ends use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Family {
    V4,
    V6,
    /// An IPv4 client of a listener for both families
    MappedServer,
    /// An IPv6 socket that connects to `::ffff:127.0.0.1`
    MappedClient,
}

/// The listeners of the master, by what reaches them.
#[derive(Clone, Serialize, Deserialize)]
struct Listeners {
    v4: u16,
    v6: u16,
    both: u16,
    late_v4: u16,
    late_v6: u16,
    late_both: u16,
    /// Ports that are taken, but by no listener: a connection is refused.
    refuse_v4: u16,
    refuse_v6: u16,
}

/// The master's first line.
#[derive(Serialize, Deserialize)]
struct Ready {
    pid: u32,
    workers: Vec<u32>,
    listeners: Listeners,
}

/// When one end did its steps, in nanoseconds of `CLOCK_MONOTONIC`; a pair is before and after.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Marks {
    /// The client's connect.
    connect: Option<(u64, u64)>,
    /// The connection is known to be there: seen in the accept queue.
    seen: Option<u64>,
    /// The close or shutdown that sent the FIN.
    fin: Option<(u64, u64)>,
    /// The peer's FIN was read.
    eof: Option<u64>,
    /// The acknowledgement of the peer's FIN had been sent.
    acked: Option<u64>,
}

/// One connection as its client saw it.
#[derive(Serialize, Deserialize)]
struct Played {
    manner: manner::Manner,
    family: Family,
    pid: u32,
    local: SocketAddr,
    remote: SocketAddr,
    /// Nanoseconds of the deliberate sleep.
    sleep_ns: Option<u64>,
    marks: Marks,
}

/// One connection as the worker saw it.
#[derive(Serialize, Deserialize)]
struct Accepted {
    pid: u32,
    /// The client's port and the listener's: they name the connection.
    ports: (u16, u16),
    marks: Marks,
}

impl Listeners {
    /// Where a connection of this kind goes.
    fn target(&self, manner: manner::Manner, family: Family) -> SocketAddr {
        let v4 = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let v6 = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        let mapped = |port| SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
        let port = |plain, late, refuse| match manner {
            manner::Manner::Refused => refuse,
            _ if manner.is_late() => late,
            _ => plain,
        };
        match family {
            Family::V4 => v4(port(self.v4, self.late_v4, self.refuse_v4)),
            Family::V6 => v6(port(self.v6, self.late_v6, self.refuse_v6)),
            Family::MappedServer => v4(port(self.both, self.late_both, self.refuse_v4)),
            Family::MappedClient => mapped(port(self.v4, self.late_v4, self.refuse_v4)),
        }
    }
}

impl Life {
    /// Plays the script and prints what must have been seen.
    pub fn run(self) -> Result<()> {
        actor::rename(b"life")?;
        let mut master = Peer::start(&mut actor::actor("life-master")?)?;
        let ready: Ready = master.line()?;
        let listeners = serde_json::to_string(&ready.listeners)?;
        let mut clients = (0..CLIENTS)
            .map(|index| {
                Peer::start(
                    actor::actor("life-client")?
                        .args(["--seed", &self.seed.to_string()])
                        .args(["--conns", &self.conns.to_string()])
                        .args(["--index", &index.to_string(), "--listeners", &listeners]),
                )
            })
            .collect::<Result<Vec<_>>>()?;
        let script = manner::script(self.seed, self.conns);
        let expected = script.iter().filter(|one| one.manner != manner::Manner::Refused).count();
        // Read meanwhile: workers that can't write would keep the clients waiting.
        let accepted = thread::spawn(move || read_accepted(master, expected));
        let mut played: Vec<Played> = Vec::new();
        for client in &mut clients {
            played.extend(client.line::<Vec<Played>>()?);
        }
        let (master, accepted) =
            accepted.join().map_err(|_| anyhow::anyhow!("the reader panicked"))??;
        let client_pids = clients.iter().map(Peer::pid).collect();
        clients.into_iter().try_for_each(Peer::finish)?;
        master.finish()?;
        actor::say(&report::Report::new(self.seed, ready, client_pids, &played, &accepted)?)
    }
}

/// Accepted connections by their client's and their listener's port.
type ByPorts = HashMap<(u16, u16), Accepted>;

/// The workers' lines, one for each connection.
fn read_accepted(mut master: Peer, count: usize) -> Result<(Peer, ByPorts)> {
    let mut accepted = ByPorts::new();
    for _ in 0..count {
        let one: Accepted = master.line().context("a worker's line")?;
        accepted.insert(one.ports, one);
    }
    Ok((master, accepted))
}

/// Runs `step` and returns its start and end times.
fn stamp(step: impl FnOnce() -> io::Result<()>) -> io::Result<(u64, u64)> {
    let before = actor::now_ns();
    step()?;
    Ok((before, actor::now_ns()))
}
