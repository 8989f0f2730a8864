//! Many sockets that stay in one state until standard input ends.

use std::collections::BTreeMap;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;

use anyhow::{Context, Result, ensure};
use clap::{Args, ValueEnum};
use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::{Deserialize, Serialize};

use crate::actor::{self, Peer};
use crate::{Target, sock};

/// Descriptors a process keeps for itself.
const SPARE: u64 = 64;

/// Local ports one address has for its connections to one other, with room for other users.
const PORTS: u64 = 20_000;

/// What the connections are held in. The other end is named where it differs.
#[derive(Clone, Copy, ValueEnum)]
enum State {
    Established,
    /// The other end: `FIN_WAIT2`
    CloseWait,
    TimeWait,
    /// The other end: `ESTABLISHED`
    FinWait1,
    /// The other end: `FIN_WAIT2`
    LastAck,
    /// The other end: `FIN_WAIT2`
    Closing,
    /// To --addr, which must not answer
    SynSent,
}

/// Arguments of `tcpload hold`.
#[derive(Args, Clone)]
pub struct Hold {
    /// Connections; each has two sockets, but for `time_wait` and `syn_sent`
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=50_000))]
    conns: u64,
    #[arg(long, value_enum, default_value = "established", value_parser = clap::value_parser!(State))]
    state: State,
    #[command(flatten)]
    target: Target,
}

/// A process of the hold: descriptors are limited for each.
#[derive(Args)]
pub struct Part {
    #[command(flatten)]
    hold: Hold,
}

#[derive(Serialize, Deserialize)]
struct Ready {
    kind: String,
    conns: u64,
    pids: Vec<u32>,
    ports: Vec<u16>,
    /// Sockets in each state, listeners included.
    sockets: BTreeMap<String, u64>,
}

/// One held connection: both ends, or what is left of it.
type Held = Vec<OwnedFd>;

impl Hold {
    /// Starts as many processes as the sockets need, says `ready` and waits.
    pub fn run(self) -> Result<()> {
        actor::rename(b"hold")?;
        let most = (descriptors()? - SPARE) / 2;
        let mut parts = Vec::new();
        let mut total = Ready {
            kind: "ready".into(),
            conns: self.conns,
            pids: Vec::new(),
            ports: Vec::new(),
            sockets: BTreeMap::new(),
        };
        let mut left = self.conns;
        while left > 0 {
            let conns = left.min(most);
            left -= conns;
            let mut part = self.part(conns)?;
            let ready: Ready = part.line()?;
            total.pids.extend(ready.pids);
            total.ports.extend(ready.ports);
            for (state, count) in ready.sockets {
                *total.sockets.entry(state).or_default() += count;
            }
            parts.push(part);
        }
        actor::say(&total)?;
        actor::until_stdin_ends()?;
        parts.into_iter().try_for_each(Peer::finish)
    }

    fn part(&self, conns: u64) -> Result<Peer> {
        let state = self.state.to_possible_value().context("a state")?;
        Peer::start(
            actor::actor("hold-part")?
                .args(["--conns", &conns.to_string(), "--state", state.get_name()])
                .args(self.target.args()),
        )
    }
}

impl Part {
    /// Makes the sockets, says `ready`, waits, and resets what is left.
    pub fn run(self) -> Result<()> {
        actor::rename(b"hold-part")?;
        descriptors()?;
        let Hold { conns, state, target } = self.hold;
        let addr = target.socket_addr();
        let mut held = Vec::new();
        let mut sockets = BTreeMap::new();
        let mut count = |name: &str| *sockets.entry(name.to_owned()).or_default() += 1;
        let mut ports = Vec::new();
        if matches!(state, State::SynSent) {
            for _ in 0..conns {
                held.push(syn_sent(addr)?);
                count("SYN_SENT");
            }
        } else {
            let listener = sock::listen(sock::spread_listen(addr), false)?;
            let to = SocketAddr::new(addr.ip(), listener.local_addr()?.port());
            count("LISTEN");
            ports.push(to.port());
            for n in 0..conns {
                held.push(state.make(&listener, sock::spread(to, n / PORTS), &mut count)?);
            }
            held.push(vec![listener.into()]);
        }
        let pids = vec![std::process::id()];
        actor::say(&Ready { kind: "ready".into(), conns, pids, ports, sockets })?;
        actor::until_stdin_ends()?;
        held.into_iter().flatten().try_for_each(|socket| sock::reset(socket.into()))
    }
}

impl State {
    /// One connection in this state; `count` gets the states of its sockets.
    fn make(
        self,
        listener: &TcpListener,
        to: SocketAddr,
        count: &mut impl FnMut(&str),
    ) -> Result<Held> {
        let client = TcpStream::from(sock::fresh(to)?);
        if matches!(self, Self::LastAck | Self::Closing) {
            sock::small_window(&client)?;
        }
        if matches!(self, Self::FinWait1 | Self::Closing) {
            sock::small_window(listener)?;
        }
        sock::connect(&client, to)?;
        let (server, _) = listener.accept()?;
        sock::patience(&server)?;
        let states = match self {
            Self::Established => ["ESTABLISHED", "ESTABLISHED"],
            Self::CloseWait => {
                half_close(&client, &server)?;
                ["FIN_WAIT2", "CLOSE_WAIT"]
            }
            Self::TimeWait => {
                half_close(&client, &server)?;
                drop(server);
                sock::drain(&client)?;
                count("TIME_WAIT");
                return Ok(Vec::new());
            }
            Self::FinWait1 => {
                sock::stall(&client)?;
                client.shutdown(std::net::Shutdown::Write)?;
                ["FIN_WAIT1", "ESTABLISHED"]
            }
            Self::LastAck => {
                half_close(&client, &server)?;
                sock::stall(&server)?;
                server.shutdown(std::net::Shutdown::Write)?;
                ["FIN_WAIT2", "LAST_ACK"]
            }
            Self::Closing => {
                closing(&client, &server)?;
                ["CLOSING", "FIN_WAIT2"]
            }
            Self::SynSent => ["SYN_SENT", "SYN_SENT"],
        };
        states.into_iter().for_each(count);
        Ok(vec![client.into(), server.into()])
    }
}

/// The client's FIN, received and acknowledged.
fn half_close(client: &TcpStream, server: &TcpStream) -> Result<()> {
    client.shutdown(std::net::Shutdown::Write)?;
    sock::drain(server)?;
    sock::acknowledge(server)
}

/// Both have sent a FIN behind data; the client has read everything, the server nothing.
fn closing(client: &TcpStream, server: &TcpStream) -> Result<()> {
    for end in [client, server] {
        sock::stall(end)?;
        end.shutdown(std::net::Shutdown::Write)?;
    }
    sock::drain(client).map(drop)
}

/// A socket that waits for an answer from `to`.
fn syn_sent(to: SocketAddr) -> Result<Held> {
    let socket = sock::fresh(to)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    match rustix::net::connect(&socket, &to) {
        Err(Errno::INPROGRESS) => Ok(vec![socket]),
        other => Err(io::Error::other(format!("{to} answered: {other:?}")).into()),
    }
}

/// Raises the limit of open files as far as allowed and returns it.
fn descriptors() -> Result<u64> {
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum.or(limit.current).context("unlimited descriptors")?;
    setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum })
        .context("RLIMIT_NOFILE")?;
    ensure!(current > 2 * SPARE, "only {current} open files are allowed");
    Ok(current)
}
