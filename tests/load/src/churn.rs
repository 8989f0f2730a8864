//! Short connections: connect, one byte there, one byte back, the client closes first.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::{Deserialize, Serialize};

use crate::actor::{self, Peer, Ready};
use crate::{Target, sock};

/// Transitions of a connection at each end; they are the same with a FIN …
const FIN_STEPS: u64 = 5;
/// … and fewer with a reset.
const RST_STEPS: u64 = 3;

#[derive(Args)]
#[group(id = "bound", required = true, multiple = false)]
struct Bound {
    /// Make this many connections
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    conns: Option<u64>,
    /// Make connections for this long
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
}

/// Arguments of `tcpload churn`.
#[derive(Args)]
pub struct Churn {
    #[command(flatten)]
    bound: Bound,
    #[command(flatten)]
    target: Target,
    /// Client threads, and as many server threads
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=64))]
    threads: u64,
    /// End each connection with a reset
    #[arg(long)]
    rst: bool,
}

/// Arguments of the server process.
#[derive(Args)]
pub struct Server {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    threads: u64,
}

#[derive(Serialize, Deserialize)]
struct Served {
    connections: u64,
}

#[derive(Serialize)]
struct Transitions {
    client: u64,
    server: u64,
    listener: u64,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    connections: u64,
    seconds: f64,
    per_second: f64,
    family: u8,
    port: u16,
    client_pid: u32,
    server_pid: u32,
    /// State changes of all connections; the listener's are its start and its end.
    transitions: Transitions,
    /// Successful sends (and as many bytes) of each side.
    sends: u64,
}

impl Churn {
    /// Runs client and server and prints the report.
    pub fn run(self) -> Result<()> {
        actor::rename(b"churn-client")?;
        let ip = self.target.ip();
        let mut server = Peer::start(
            actor::actor("churn-server")?
                .args(self.target.args())
                .args(["--threads", &self.threads.to_string()]),
        )?;
        let Ready { port } = server.line()?;
        let begin = Instant::now();
        let connections = self.connect_all(SocketAddr::new(ip, port), begin)?;
        let seconds = begin.elapsed().as_secs_f64();
        server.release();
        let Served { connections: seen } = server.line()?;
        ensure!(seen == connections, "the server saw {seen} connections of {connections}");
        let steps = connections * if self.rst { RST_STEPS } else { FIN_STEPS };
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_second = (connections as f64 / seconds).round();
        let server_pid = server.pid();
        server.finish()?;
        actor::say(&Report {
            kind: "churn",
            connections,
            seconds,
            per_second,
            family: if ip.is_ipv4() { 4 } else { 6 },
            port,
            client_pid: std::process::id(),
            server_pid,
            transitions: Transitions { client: steps, server: steps, listener: 2 },
            sends: connections,
        })
    }

    /// Connects until the bound is met; returns the number of connections.
    fn connect_all(&self, to: SocketAddr, begin: Instant) -> Result<u64> {
        let wanted = self.bound.conns.unwrap_or(u64::MAX);
        let time = self.bound.seconds.map_or(Duration::MAX, Duration::from_secs);
        let next = AtomicU64::new(0);
        let client = || -> Result<u64> {
            let mut done = 0;
            while begin.elapsed() < time {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= wanted {
                    break;
                }
                self.one(sock::spread(to, n))?;
                done += 1;
            }
            Ok(done)
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.threads).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_fold(0, |sum, client| {
                let done = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
                Ok(sum + done?)
            })
        })
    }

    fn one(&self, to: SocketAddr) -> Result<()> {
        let mut stream = TcpStream::connect(to).with_context(|| format!("connect {to}"))?;
        stream.write_all(b"q")?;
        stream.read_exact(&mut [0])?;
        if self.rst { sock::reset(stream) } else { Ok(()) }
    }
}

impl Server {
    /// Answers until standard input ends, then prints the number of connections.
    pub fn run(self) -> Result<()> {
        actor::rename(b"churn-server")?;
        let listener = sock::listen(sock::spread_listen(self.target.socket_addr()), false)?;
        let served = &*Box::leak(Box::new(AtomicU64::new(0)));
        for _ in 0..self.threads {
            let listener = listener.try_clone()?;
            thread::spawn(move || {
                if let Err(e) = serve(&listener, served) {
                    eprintln!("tcpload: churn server: {e:#}");
                    std::process::exit(1);
                }
            });
        }
        Ready::say(&listener)?;
        actor::until_stdin_ends()?;
        // The last connections may still be between the client's FIN and ours.
        let mut connections = served.load(Ordering::SeqCst);
        loop {
            thread::sleep(Duration::from_millis(100));
            let now = served.load(Ordering::SeqCst);
            if now == connections {
                return actor::say(&Served { connections });
            }
            connections = now;
        }
    }
}

/// Accepts connections until stopped. The server closes last, so that every path is the same.
fn serve(listener: &TcpListener, served: &AtomicU64) -> Result<()> {
    loop {
        let (mut stream, _) = listener.accept().context("accept")?;
        stream.read_exact(&mut [0])?;
        stream.write_all(b"a")?;
        match stream.read(&mut [0]) {
            Ok(0) => {}
            Err(e) if e.kind() == ErrorKind::ConnectionReset => {}
            other => anyhow::bail!("expected the end, got {other:?}"),
        }
        drop(stream);
        served.fetch_add(1, Ordering::SeqCst);
    }
}
