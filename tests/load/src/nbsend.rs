//! A non-blocking sender against a slow reader: sends cut short, and sends refused (`EAGAIN`).

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde::{Deserialize, Serialize};

use crate::actor::{self, Peer, Ready};
use crate::{Target, sock};

/// What one send asks for, in bytes.
const CHUNK: usize = 64 * 1024;

/// The reader's pace: this many bytes …
const SIP: usize = 64 * 1024;
/// … and then this pause.
const PAUSE: Duration = Duration::from_millis(2);

/// Arguments of `tcpload nbsend`.
#[derive(Args)]
pub struct Nbsend {
    /// Bytes to send
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=1 << 30))]
    bytes: u64,
    #[command(flatten)]
    target: Target,
}

/// Arguments of the reading process.
#[derive(Args)]
pub struct Reader {
    #[command(flatten)]
    target: Target,
}

/// What the reader got.
#[derive(Serialize, Deserialize)]
struct Received {
    bytes: u64,
    /// Reads that returned bytes; one more returned 0 at the end.
    calls: u64,
}

/// What the sender gave.
#[derive(Default, Serialize)]
struct Sent {
    bytes: u64,
    /// Sends that took bytes, all of them or a part.
    calls: u64,
    /// Sends refused because the buffer was full.
    eagain: u64,
}

#[derive(Serialize)]
struct Report {
    kind: &'static str,
    client_pid: u32,
    server_pid: u32,
    port: u16,
    lport: u16,
    sent: Sent,
    received: Received,
}

impl Nbsend {
    /// Sends everything and prints what both sides counted.
    pub fn run(self) -> Result<()> {
        actor::rename(b"nb-sender")?;
        let ip = self.target.ip();
        let mut reader = Peer::start(actor::actor("nbsend-reader")?.args(self.target.args()))?;
        let Ready { port } = reader.line()?;
        let stream = TcpStream::connect(SocketAddr::new(ip, port))?;
        let lport = stream.local_addr()?.port();
        let sent = send_all(&stream, self.bytes)?;
        drop(stream);
        let received: Received = reader.line()?;
        let server_pid = reader.pid();
        reader.finish()?;
        let client_pid = std::process::id();
        actor::say(&Report { kind: "nbsend", client_pid, server_pid, port, lport, sent, received })
    }
}

fn send_all(mut stream: &TcpStream, bytes: u64) -> Result<Sent> {
    stream.set_nonblocking(true)?;
    let chunk = vec![0; CHUNK];
    let mut sent = Sent::default();
    while sent.bytes < bytes {
        let left = usize::try_from(bytes - sent.bytes)?.min(CHUNK);
        match stream.write(&chunk[..left]) {
            Ok(taken) => {
                sent.bytes += taken as u64;
                sent.calls += 1;
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                sent.eagain += 1;
                let limit = Timespec { tv_sec: 60, tv_nsec: 0 };
                poll(&mut [PollFd::new(stream, PollFlags::OUT)], Some(&limit)).context("poll")?;
            }
            Err(e) => return Err(e).context("send"),
        }
    }
    Ok(sent)
}

impl Reader {
    /// Reads one connection to its end, slowly.
    pub fn run(self) -> Result<()> {
        actor::rename(b"nb-reader")?;
        let listener = sock::listen(self.target.socket_addr(), false)?;
        Ready::say(&listener)?;
        let (mut stream, _) = listener.accept()?;
        let mut received = Received { bytes: 0, calls: 0 };
        let mut sip = vec![0; SIP];
        loop {
            let got = stream.read(&mut sip)?;
            if got == 0 {
                return actor::say(&received);
            }
            received.bytes += got as u64;
            received.calls += 1;
            thread::sleep(PAUSE);
        }
    }
}
