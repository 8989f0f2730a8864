//! A server whose every accept, receive and send goes through `io_uring`. Each accept and each receive is
//! asked for before there is anything, so that it has to wait.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use anyhow::{Context, Result, ensure};
use clap::Args;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use serde::Serialize;

use crate::{Target, actor, sock};

/// Arguments of `tcpload ring`.
#[derive(Args)]
pub struct Ring {
    #[arg(long, default_value_t = 1)]
    conns: u32,
    /// Requests of one byte on each connection, each answered with one byte
    #[arg(long, default_value_t = 1)]
    requests: u32,
    #[command(flatten)]
    target: Target,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    pid: u32,
    port: u16,
    accepted: u32,
    /// Of all connections.
    requests: u32,
}

/// One operation at a time.
struct One(IoUring);

impl One {
    /// Asks for it.
    #[allow(unsafe_code, reason = "the crate has no safe way to ask for an operation")]
    fn ask(&mut self, entry: &squeue::Entry) -> Result<()> {
        // SAFETY: done() waits for it, and every caller calls that while file and memory are there.
        unsafe { self.0.submission().push(entry)? };
        self.0.submit().context("io_uring_enter")?;
        Ok(())
    }

    /// What it returned.
    fn done(&mut self) -> Result<i32> {
        self.0.submit_and_wait(1).context("io_uring_enter")?;
        let done = self.0.completion().next().context("no completion")?;
        ensure!(done.result() >= 0, "{}", std::io::Error::from_raw_os_error(-done.result()));
        Ok(done.result())
    }
}

impl Ring {
    /// Serves a client of its own, and prints how often.
    pub fn run(self) -> Result<()> {
        actor::rename(b"ring-server")?;
        let listener = sock::listen(SocketAddr::new(self.target.ip(), self.target.port), false)?;
        let to = listener.local_addr()?;
        let mut ring = One(IoUring::new(8).context("io_uring_setup")?);
        let mut held = Vec::new();
        for _ in 0..self.conns {
            let accept =
                opcode::Accept::new(Fd(listener.as_raw_fd()), ptr::null_mut(), ptr::null_mut());
            ring.ask(&accept.build())?;
            let client = TcpStream::connect(to)?;
            let server = owned(ring.done()?);
            for _ in 0..self.requests {
                serve(&mut ring, &client, &server)?;
            }
            held.push((client, server));
        }
        actor::say(&Report {
            kind: "ring",
            pid: std::process::id(),
            port: to.port(),
            accepted: self.conns,
            requests: self.conns * self.requests,
        })
    }
}

#[allow(unsafe_code, reason = "the ring returns a number")]
fn owned(fd: i32) -> OwnedFd {
    // SAFETY: accept() has just opened it for us.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// One request and its answer.
fn serve(ring: &mut One, mut client: &TcpStream, server: &OwnedFd) -> Result<()> {
    let fd = Fd(server.as_raw_fd());
    let mut request = [0];
    ring.ask(&opcode::Recv::new(fd, request.as_mut_ptr(), 1).build())?;
    client.write_all(b"q")?;
    ensure!(ring.done()? == 1 && request == *b"q", "no request");
    let answer = *b"a";
    ring.ask(&opcode::Send::new(fd, answer.as_ptr(), 1).build())?;
    ensure!(ring.done()? == 1, "no answer was sent");
    client.read_exact(&mut [0])?;
    Ok(())
}
