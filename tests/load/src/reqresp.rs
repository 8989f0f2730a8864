//! Requests and answers on kept connections between two processes.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::actor::{self, Peer, Ready};
use crate::{Target, sock};

/// Arguments of `tcpload reqresp`.
#[derive(Args)]
pub struct Reqresp {
    /// How long
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Bytes of a request, and of its answer
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    size: u64,
    /// Connections, each with a thread at both ends
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=256))]
    conns: u64,
    /// The server closes its listener once it has all connections
    #[arg(long)]
    unlisten: bool,
    /// The server reads and never answers: every request is a message
    #[arg(long)]
    one_way: bool,
    #[command(flatten)]
    target: Target,
}

/// Arguments of the server process.
#[derive(Args)]
pub struct Server {
    #[command(flatten)]
    target: Target,
    #[arg(long)]
    size: usize,
    /// Connections to take before the listener is closed
    #[arg(long)]
    take: usize,
    #[arg(long)]
    one_way: bool,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    requests: u64,
    /// Bytes each side sent and received; of messages one way, the client sent and the server received.
    bytes: u64,
    seconds: f64,
    per_second: f64,
    port: u16,
    client_pid: u32,
    server_pid: u32,
}

impl Reqresp {
    /// Runs client and server and prints the report.
    pub fn run(self) -> Result<()> {
        actor::rename(b"rr-client")?;
        let ip = self.target.ip();
        let take = if self.unlisten { self.conns.try_into()? } else { usize::MAX };
        let mut server = Peer::start(
            actor::actor("reqresp-server")?
                .args(self.target.args())
                .args(["--size", &self.size.to_string()])
                .args(["--take", &take.to_string()])
                .args(self.one_way.then_some("--one-way")),
        )?;
        let Ready { port } = server.line()?;
        let begin = Instant::now();
        let requests = self.ask_all(SocketAddr::new(ip, port), begin)?;
        let seconds = begin.elapsed().as_secs_f64();
        let server_pid = server.pid();
        server.finish()?;
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let per_second = (requests as f64 / seconds).round();
        actor::say(&Report {
            kind: "reqresp",
            requests,
            bytes: requests * self.size,
            seconds,
            per_second,
            port,
            client_pid: std::process::id(),
            server_pid,
        })
    }

    fn ask_all(&self, to: SocketAddr, begin: Instant) -> Result<u64> {
        let end = begin + Duration::from_secs(self.seconds);
        let size = usize::try_from(self.size)?;
        let client = || -> Result<u64> {
            let mut stream = TcpStream::connect(to).with_context(|| format!("connect {to}"))?;
            sock::patience(&stream)?;
            stream.set_nodelay(true)?;
            let mut buffer = vec![0; size];
            let mut requests = 0;
            while Instant::now() < end {
                stream.write_all(&buffer)?;
                if !self.one_way {
                    stream.read_exact(&mut buffer)?;
                }
                requests += 1;
            }
            if self.one_way {
                // The server closes once it has read all.
                stream.shutdown(Shutdown::Write)?;
                sock::until_closed(&stream)?;
            }
            Ok(requests)
        };
        thread::scope(|scope| {
            let clients: Vec<_> = (0..self.conns).map(|_| scope.spawn(client)).collect();
            clients.into_iter().try_fold(0, |sum, client| {
                let done = client.join().map_err(|_| anyhow::anyhow!("a client panicked"))?;
                Ok(sum + done?)
            })
        })
    }
}

impl Server {
    /// Answers until standard input ends.
    pub fn run(self) -> Result<()> {
        actor::rename(b"rr-server")?;
        let listener = sock::listen(self.target.socket_addr(), false)?;
        Ready::say(&listener)?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten().take(self.take) {
                thread::spawn(move || serve(stream, self.size, !self.one_way));
            }
        });
        actor::until_stdin_ends()
    }
}

/// Reads one connection to its end, and answers if it shall; a client that left ends it too.
fn serve(mut stream: TcpStream, size: usize, answers: bool) {
    let mut buffer = vec![0; size];
    let nodelay = stream.set_nodelay(true);
    while nodelay.is_ok() && stream.read_exact(&mut buffer).is_ok() {
        if answers && stream.write_all(&buffer).is_err() {
            return;
        }
    }
}
