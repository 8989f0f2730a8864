//! Requests that a server sleeps over before it answers, with both ends' own measure of it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::actor::{self, Peer, Ready, now_ns};
use crate::{Target, sock};

const BYTES: usize = 64;

/// Arguments of `tcpload ask`.
#[derive(Args)]
pub struct Ask {
    /// Requests in all
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    requests: u64,
    /// Connections that share them
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=256))]
    conns: u64,
    /// What the server sleeps before it answers; with --crossed, times the number of the connection
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    sleep_ms: u64,
    /// What the server sleeps before it accepts a connection
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=10_000))]
    accept_ms: u64,
    /// One thread sends on all connections, another reads the answers
    #[arg(long)]
    crossed: bool,
    /// The network namespace of the server, by its name
    #[arg(long)]
    server_netns: Option<String>,
    #[command(flatten)]
    target: Target,
}

/// Arguments of the server process.
#[derive(Args)]
pub struct Server {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    accept_ms: u64,
}

/// What one connection's client measured, from before a send to after its answer was read.
#[derive(Serialize)]
struct Asked {
    port: u16,
    took_ns: Vec<u64>,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    requests: u64,
    port: u16,
    client_pid: u32,
    server_pid: u32,
    /// The median of what clients measured.
    p50_ns: u64,
    connections: Vec<Asked>,
}

/// The first 8 bytes of a request: how long to sleep over it, in ms.
fn request(sleep_ms: u64) -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    bytes[..8].copy_from_slice(&sleep_ms.to_ne_bytes());
    bytes
}

impl Ask {
    /// Runs client and server and prints the report.
    pub fn run(self) -> Result<()> {
        actor::rename(b"asker")?;
        let ip = self.target.ip();
        let mut server = Peer::start(
            actor::actor_in(self.server_netns.as_deref(), "ask-server")?
                .args(self.target.args())
                .args(["--accept-ms", &self.accept_ms.to_string()]),
        )?;
        let Ready { port } = server.line()?;
        let to = SocketAddr::new(ip, port);
        let connections = if self.crossed { self.crossed(to)? } else { self.side_by_side(to)? };
        let mut all: Vec<u64> = connections.iter().flat_map(|one| one.took_ns.clone()).collect();
        all.sort_unstable();
        let p50_ns = all.get(all.len().saturating_sub(1) / 2).copied().unwrap_or_default();
        let server_pid = server.pid();
        server.finish()?;
        actor::say(&Report {
            kind: "ask",
            requests: all.len().try_into()?,
            port,
            client_pid: std::process::id(),
            server_pid,
            p50_ns,
            connections,
        })
    }

    /// A thread for each connection.
    fn side_by_side(&self, to: SocketAddr) -> Result<Vec<Asked>> {
        let share = |nth| self.requests / self.conns + u64::from(nth < self.requests % self.conns);
        let client = |count: u64| -> Result<Asked> {
            let mut stream = connect(to)?;
            let mut took_ns = Vec::new();
            for _ in 0..count {
                let from = now_ns();
                stream.write_all(&request(self.sleep_ms))?;
                stream.read_exact(&mut [0; BYTES])?;
                took_ns.push(now_ns() - from);
            }
            Ok(Asked { port: stream.local_addr()?.port(), took_ns })
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.conns)
                .filter(|&nth| share(nth) > 0)
                .map(|nth| scope.spawn(move || client(share(nth))))
                .collect();
            clients
                .into_iter()
                .map(|one| one.join().map_err(|_| anyhow::anyhow!("a client panicked"))?)
                .collect()
        })
    }

    /// All requests are sent before the first answer comes, which another thread reads.
    fn crossed(&self, to: SocketAddr) -> Result<Vec<Asked>> {
        let (hand, taken) = mpsc::channel::<(TcpStream, u64)>();
        let reader = thread::spawn(move || -> Result<Vec<Asked>> {
            let mut asked = Vec::new();
            for (mut stream, from) in taken {
                stream.read_exact(&mut [0; BYTES])?;
                asked.push(Asked {
                    port: stream.local_addr()?.port(),
                    took_ns: vec![now_ns() - from],
                });
            }
            Ok(asked)
        });
        let streams = (0..self.conns).map(|_| connect(to)).collect::<Result<Vec<TcpStream>>>()?;
        for (mut stream, nth) in streams.into_iter().zip(1..) {
            let from = now_ns();
            stream.write_all(&request(self.sleep_ms * nth))?;
            hand.send((stream, from))?;
        }
        drop(hand);
        reader.join().map_err(|_| anyhow::anyhow!("the reader panicked"))?
    }
}

fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(to).with_context(|| format!("connect {to}"))?;
    sock::patience(&stream)?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Server {
    /// Answers until standard input ends.
    pub fn run(self) -> Result<()> {
        actor::rename(b"ask-server")?;
        let listener = sock::listen(self.target.socket_addr(), false)?;
        Ready::say(&listener)?;
        thread::spawn(move || accept(&listener, Duration::from_millis(self.accept_ms)));
        actor::until_stdin_ends()
    }
}

fn accept(listener: &TcpListener, delay: Duration) -> Result<()> {
    loop {
        if !delay.is_zero() {
            // Wakes when a connection waits, and lets it wait.
            let mut ready = [rustix::event::PollFd::new(listener, rustix::event::PollFlags::IN)];
            rustix::event::poll(&mut ready, None)?;
            thread::sleep(delay);
        }
        let (stream, _) = listener.accept()?;
        thread::spawn(move || answer(stream));
    }
}

fn answer(mut stream: TcpStream) -> Result<()> {
    let mut buffer = [0; BYTES];
    stream.set_nodelay(true)?;
    loop {
        stream.read_exact(&mut buffer)?;
        let sleep_ms = u64::from_ne_bytes(buffer[..8].try_into()?);
        thread::sleep(Duration::from_millis(sleep_ms));
        stream.write_all(&buffer)?;
    }
}
