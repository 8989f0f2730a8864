//! Both ends of one connection, and when its latencies must lie between.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::actor::now_ns;
use crate::sock;

/// What either end waits deliberately.
pub const PAUSE: Duration = Duration::from_millis(20);
pub const BYTES: usize = 100;

/// Between which durations (ns) a latency must lie.
#[derive(Serialize, Clone, Copy)]
pub struct Bounds(pub u64, pub u64);

#[derive(Serialize, Default)]
pub struct Case {
    pub name: &'static str,
    pub client_port: u16,
    pub server_port: u16,
    pub responses: Vec<Bounds>,
    pub services: Vec<Bounds>,
    /// Bytes of each response's request.
    pub sent: Vec<usize>,
    /// Segments of each request retransmitted, at least.
    pub retrans: u64,
    /// The answer comes after the client's FIN.
    pub half_closed: bool,
}

/// When a step began and ended.
#[derive(Clone, Copy)]
pub struct Step {
    pub from: u64,
    pub to: u64,
}

fn step(work: impl FnOnce() -> Result<()>) -> Result<Step> {
    let from = now_ns();
    work()?;
    Ok(Step { from, to: now_ns() })
}

/// Both ends of a connection.
pub struct Pair {
    pub client: TcpStream,
    pub server: TcpStream,
    pub case: Case,
}

pub fn send(mut end: &TcpStream) -> Result<Step> {
    step(|| end.write_all(&[7; BYTES]).context("send"))
}

pub fn recv(mut end: &TcpStream, bytes: usize) -> Result<Step> {
    step(|| end.read_exact(&mut vec![0; bytes]).context("receive"))
}

/// Waits until something can be read, and leaves it there.
pub fn arrived(end: &TcpStream) -> Result<Step> {
    step(|| end.peek(&mut [0]).map(drop).context("wait for data"))
}

pub fn pause() {
    thread::sleep(PAUSE);
}

impl Pair {
    pub fn new(name: &'static str, listener: &TcpListener) -> Result<Self> {
        let to = listener.local_addr()?;
        let client = TcpStream::connect(to).context("connect")?;
        let (server, _) = listener.accept()?;
        for end in [&client, &server] {
            end.set_nodelay(true)?;
            sock::patience(end)?;
        }
        let client_port = client.local_addr()?.port();
        let case = Case { name, client_port, server_port: to.port(), ..Case::default() };
        Ok(Self { client, server, case })
    }

    /// The answer to a request of which `last` was the last send is `answer`, read by `read`.
    pub fn response(&mut self, last: Step, answer: Step, read: Step, sent: usize) {
        let shortest = answer.from.saturating_sub(last.to);
        self.case.responses.push(Bounds(shortest, read.to - last.from));
        self.case.sent.push(sent);
    }

    /// The request with first bytes sent by `first` and read by `read` is answered by `answer`.
    pub fn service(&mut self, first: Step, read: Step, answer: Step) {
        let shortest = answer.from.saturating_sub(read.to);
        self.case.services.push(Bounds(shortest, answer.to - first.from));
    }
}
