//! A listener with queues that fill up in a known manner, because it has more clients than it accepts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{self, sockopt};
use serde::Serialize;

use crate::raw::{self, RawClients};
use crate::{Target, actor, sock};

/// A SYN that is not dropped is answered at once over loopback.
const ANSWER: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// Arguments of `tcpload listen`.
#[derive(Args)]
pub struct Listen {
    /// What `listen()` is called with
    #[arg(long)]
    backlog: i32,
    /// Listeners of one address, or with --spread of ports that follow one another
    #[arg(long, default_value_t = 1)]
    listeners: u16,
    /// A port of its own for each listener
    #[arg(long)]
    spread: bool,
    /// Clients, each from an address of its own
    #[arg(long, default_value_t = 0)]
    connects: u32,
    /// SYNs from unused addresses that begin here and have a route
    #[arg(long, requires = "syns")]
    raw: Option<Ipv4Addr>,
    /// How many
    #[arg(long, default_value_t = 0)]
    syns: u32,
    /// `listen()` again with this when all SYNs were answered
    #[arg(long, requires = "raw")]
    shrink: Option<i32>,
    /// Then finish all handshakes of raw clients
    #[arg(long, requires = "raw")]
    finish: bool,
    /// Accept so many at last …
    #[arg(long, default_value_t = 0)]
    accept: u32,
    /// … each after this pause in ms
    #[arg(long, default_value_t = 0)]
    pause: u64,
    /// Say what was done, then wait for the end of the standard input
    #[arg(long)]
    hold: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    pid: u32,
    port: u16,
    connects: u32,
    /// Clients that were connected soon after they asked for it.
    connected: u32,
    /// Raw clients that got a SYN-ACK.
    answered: u32,
    accepted: u32,
    /// ns from the end of `connect()` to the end of `accept()`, in order.
    waits: Vec<u64>,
}

impl Listen {
    /// Does it and prints what was done.
    pub fn run(self) -> Result<()> {
        actor::rename(b"listen-server")?;
        let listeners = self.listen()?;
        let first = listeners.first().context("no listener")?;
        let port = first.local_addr()?.port();
        let to = SocketAddr::new(self.target.ip(), port);
        let (mut clients, mut times) = (Vec::new(), Vec::new());
        for nth in 0..self.connects {
            let (client, answered) = connect(to, nth)?;
            times.extend(answered.then(Instant::now));
            clients.push(client);
        }
        let answered = self.raw_clients(to, first)?;
        let waits = self.accept(first, &times)?;
        actor::say(&Report {
            kind: "listen",
            pid: std::process::id(),
            port,
            connects: self.connects,
            connected: u32::try_from(times.len())?,
            answered,
            accepted: u32::try_from(waits.len())?,
            waits,
        })?;
        if self.hold { actor::until_stdin_ends() } else { Ok(()) }
    }

    fn listen(&self) -> Result<Vec<TcpListener>> {
        let mut listeners: Vec<TcpListener> = Vec::new();
        for nth in 0..self.listeners {
            let mut addr = sock::spread_listen(SocketAddr::new(self.target.ip(), self.target.port));
            if self.spread {
                addr.set_port(self.target.port + nth);
            } else if let Some(first) = listeners.first() {
                addr.set_port(first.local_addr()?.port());
            }
            let socket = sock::fresh(addr)?;
            sockopt::set_socket_reuseaddr(&socket, true)?;
            sockopt::set_socket_reuseport(&socket, self.listeners > 1 && !self.spread)?;
            net::bind(&socket, &addr).with_context(|| format!("bind {addr}"))?;
            net::listen(&socket, self.backlog).context("listen")?;
            listeners.push(TcpListener::from(socket));
        }
        Ok(listeners)
    }

    fn raw_clients(&self, to: SocketAddr, listener: &TcpListener) -> Result<u32> {
        let Some(first) = self.raw else { return Ok(0) };
        let IpAddr::V4(ip) = to.ip() else { bail!("raw clients speak IPv4") };
        let mut clients = RawClients::new(SocketAddrV4::new(ip, to.port()), first)?;
        for nth in 0..self.syns {
            clients.syn(nth)?;
        }
        let answered = clients.answered()?;
        if let Some(backlog) = self.shrink {
            net::listen(listener, backlog).context("listen again")?;
        }
        if self.finish {
            raw::expect(answered, self.syns)?;
            for nth in 0..self.syns {
                clients.ack(nth)?;
            }
        }
        Ok(answered)
    }

    fn accept(&self, listener: &TcpListener, connected: &[Instant]) -> Result<Vec<u64>> {
        let mut waits = Vec::new();
        let mut accepted: Vec<TcpStream> = Vec::new();
        for nth in 0..self.accept {
            thread::sleep(Duration::from_millis(self.pause));
            accepted.push(listener.accept()?.0);
            let since = connected.get(nth as usize).map(Instant::elapsed);
            waits.extend(since.and_then(|time| u64::try_from(time.as_nanos()).ok()));
        }
        Ok(waits)
    }
}

/// The n-th client; whether it is connected.
fn connect(to: SocketAddr, nth: u32) -> Result<(OwnedFd, bool)> {
    let from = sock::spread(SocketAddr::new(to.ip(), 0), u64::from(nth) + 1);
    let socket = sock::fresh(from)?;
    net::bind(&socket, &from).with_context(|| format!("bind {from}"))?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    match net::connect(&socket, &to) {
        Ok(()) => return Ok((socket, true)),
        Err(rustix::io::Errno::INPROGRESS) => {}
        Err(error) => return Err(error).context("connect"),
    }
    let ready = poll(&mut [PollFd::new(&socket, PollFlags::OUT)], Some(&ANSWER))?;
    Ok((socket, ready > 0))
}
