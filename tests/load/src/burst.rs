//! Bursts of clients at a server that accepts at a known pace.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Args;
use rustix::net;
use serde::Serialize;

use crate::{Target, actor, sock};

/// Arguments of `tcpload burst`.
#[derive(Args)]
pub struct Burst {
    /// What `listen()` is called with
    #[arg(long)]
    backlog: i32,
    /// Clients of a burst, which connect at the same moment
    #[arg(long)]
    clients: u32,
    /// Bursts
    #[arg(long)]
    bursts: u32,
    /// Time between two bursts in ms
    #[arg(long)]
    gap: u64,
    /// Pause of the server before each `accept()` in ms
    #[arg(long, default_value_t = 0)]
    pause: u64,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    pid: u32,
    accepted: u32,
}

impl Burst {
    /// Does it and prints what was done. Clients that were not accepted by then are reset.
    pub fn run(self) -> Result<()> {
        actor::rename(b"burst-server")?;
        let addr = self.target.socket_addr();
        let socket = sock::fresh(addr)?;
        net::bind(&socket, &addr).with_context(|| format!("bind {addr}"))?;
        net::listen(&socket, self.backlog).context("listen")?;
        let listener = TcpListener::from(socket);
        let to = listener.local_addr()?;
        let (over, accepted) = (AtomicBool::new(false), AtomicU32::new(0));
        thread::scope(|scope| {
            scope.spawn(|| self.serve(&listener, &over, &accepted));
            let done = self.bursts(to);
            over.store(true, Ordering::Release);
            // Whatever accept() waits for is over.
            let _ = net::shutdown(&listener, net::Shutdown::Both);
            done
        })?;
        let accepted = accepted.into_inner();
        actor::say(&Report { kind: "burst", pid: std::process::id(), accepted })
    }

    fn serve(&self, listener: &TcpListener, over: &AtomicBool, accepted: &AtomicU32) {
        while !over.load(Ordering::Acquire) {
            thread::sleep(Duration::from_millis(self.pause));
            if listener.accept().is_ok() {
                accepted.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn bursts(&self, to: SocketAddr) -> Result<()> {
        let mut clients = Vec::new();
        let begin = Instant::now();
        for nth in 1..=self.bursts {
            for _ in 0..self.clients {
                clients.push(connect(to)?);
            }
            let next = begin + Duration::from_millis(self.gap) * nth;
            thread::sleep(next.saturating_duration_since(Instant::now()));
        }
        Ok(())
    }
}

/// A client that does not wait for the answer.
fn connect(to: SocketAddr) -> Result<OwnedFd> {
    let socket = sock::fresh(to)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    match net::connect(&socket, &to) {
        Ok(()) | Err(rustix::io::Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error).context("connect"),
    }
}
