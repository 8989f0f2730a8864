//! Connects that fail in every manner, or succeed late.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{self, sockopt};
use serde::Serialize;

use crate::actor::{self, now_ns};
use crate::sock;

/// Longer than any connect here may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the kernel waits for the answer to a SYN before it sends another one, about.
const SYN_TIMEOUT: Duration = Duration::from_secs(1);

/// Arguments of `tcpload connects`.
#[derive(Args)]
pub struct Connects {
    /// Connects to a port without a listener
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(0..=1000))]
    refused: u64,
    /// With connects to a listener with a full queue: one that times out, one that is closed,
    /// and one that succeeds when there is room again
    #[arg(long)]
    full: bool,
}

#[derive(Serialize, Default)]
struct Report {
    kind: &'static str,
    pid: u32,
    connected: u64,
    refused: u64,
    timed_out: u64,
    given_up: u64,
    /// Of the late one.
    late_port: u16,
    /// SYNs it retransmitted, at least.
    late_retries: u64,
    /// From before `connect()` to established, as its caller saw it.
    late_ns: u64,
}

impl Connects {
    /// Knocks and prints the report.
    pub fn run(self) -> Result<()> {
        actor::rename(b"knocker")?;
        let mut report = Report { kind: "connects", pid: std::process::id(), ..Report::default() };
        let free = sock::listen(local(0), false)?.local_addr()?;
        for _ in 0..self.refused {
            match TcpStream::connect(free) {
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    report.refused += 1;
                }
                other => bail!("no listener, yet {other:?}"),
            }
        }
        if self.full {
            full(&mut report)?;
        }
        actor::say(&report)
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

fn full(report: &mut Report) -> Result<()> {
    let (listener, waiting) = full_listener()?;
    report.connected += waiting.len() as u64;
    let to = listener.local_addr()?;

    let hasty = begin(to)?;
    sockopt::set_tcp_user_timeout(&hasty, 100)?;
    let given_up = begin(to)?;
    let before = now_ns();
    let late = begin(to)?;
    report.late_port = late.local_addr()?.port();

    ensure!(outcome(&hasty)? == Some(Errno::TIMEDOUT), "it did not time out");
    report.timed_out += 1;
    // Now the first SYN of the others has been retransmitted, too.
    ensure!(now_ns() - before >= u64::try_from(SYN_TIMEOUT.as_nanos())? * 9 / 10, "too early");
    drop(given_up);
    report.given_up += 1;
    let begin = Instant::now();
    // Room for as many as wait: it goes on with the next SYN.
    for _ in 0..waiting.len() {
        listener.accept()?;
    }
    ensure!(outcome(&late)?.is_none(), "the late one failed");
    ensure!(begin.elapsed() < PATIENCE, "took too long");
    report.late_ns = now_ns() - before;
    report.late_retries = 1;
    report.connected += 1;
    Ok(())
}

/// A listener with as many connections as its queue takes, and those connections.
fn full_listener() -> Result<(TcpListener, Vec<TcpStream>)> {
    let socket = sock::fresh(local(0))?;
    net::bind(&socket, &local(0))?;
    net::listen(&socket, 0)?;
    let listener = TcpListener::from(socket);
    // One more than the backlog fits.
    let one = TcpStream::connect(listener.local_addr()?).context("the first one")?;
    // Until the listener has it: a connect is over before that.
    let mut ready = [PollFd::new(&listener, PollFlags::IN)];
    ensure!(poll(&mut ready, Some(&Timespec::try_from(PATIENCE)?))? == 1, "no connection came");
    Ok((listener, vec![one]))
}

/// Begins to connect.
fn begin(to: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::from(sock::fresh(to)?);
    stream.set_nonblocking(true)?;
    match net::connect(&stream, &to) {
        Err(Errno::INPROGRESS) => Ok(stream),
        other => bail!("connect to a full listener: {other:?}"),
    }
}

/// Waits for a connect to end.
fn outcome(stream: &TcpStream) -> Result<Option<Errno>> {
    let mut ready = [PollFd::new(stream, PollFlags::OUT)];
    ensure!(poll(&mut ready, Some(&Timespec::try_from(PATIENCE)?))? == 1, "no end in sight");
    match sockopt::socket_error(stream)? {
        Ok(()) => Ok(None),
        Err(error) => Ok(Some(error)),
    }
}
