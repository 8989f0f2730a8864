//! The accepting process.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr as UnixAddr, UnixDatagram};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use rustix::event::{PollFd, PollFlags, poll};

use super::manner::Manner;
use super::{Accepted, Marks, stamp};
use crate::actor::{self, now_ns};
use crate::sock;

/// How long a late worker lets a connection wait to be accepted.
const LATE: Duration = Duration::from_millis(80);

/// Arguments of a worker.
#[derive(Args)]
pub struct Worker {
    /// Let each connection wait before it is accepted
    #[arg(long)]
    late: bool,
}

/// Side channel from a client to the worker `pid`.
pub fn side_door(pid: u32) -> io::Result<UnixAddr> {
    UnixAddr::from_abstract_name(format!("tcpload-life-{pid}"))
}

impl Worker {
    /// Accepts from the listener on standard input until it is killed.
    pub fn run(self) -> Result<()> {
        actor::rename(b"life-worker")?;
        let listener = TcpListener::from(io::stdin().as_fd().try_clone_to_owned()?);
        let door = UnixDatagram::bind_addr(&side_door(std::process::id())?)?;
        loop {
            let mut marks = Marks::default();
            if self.late {
                wait_readable(&listener)?;
                marks.seen = Some(now_ns());
                thread::sleep(LATE);
            }
            let (stream, peer) = listener.accept().context("accept")?;
            marks.seen.get_or_insert_with(now_ns);
            sock::patience(&stream)?;
            let ports = (peer.port(), stream.local_addr()?.port());
            serve(stream, &door, &mut marks)?;
            actor::say(&Accepted { pid: std::process::id(), ports, marks })?;
        }
    }
}

/// Plays the worker's side; it ends with the connection's.
fn serve(mut stream: TcpStream, door: &UnixDatagram, marks: &mut Marks) -> Result<()> {
    let mut hello = [0; 2];
    stream.read_exact(&mut hello)?;
    let [manner, sleep_ms] = hello;
    let manner = Manner::from_byte(manner).context("unknown manner")?;
    stream.write_all(&std::process::id().to_le_bytes())?;
    match manner {
        Manner::Refused => {}
        Manner::FinClient | Manner::LateFin | Manner::LateAccept | Manner::SleepEstablished => {
            read_fin(&stream, marks)?;
            marks.fin = Some(stamp(|| {
                drop(stream);
                Ok(())
            })?);
        }
        Manner::SleepCloseWait => {
            read_fin(&stream, marks)?;
            thread::sleep(Duration::from_millis(sleep_ms.into()));
            marks.fin = Some(stamp(|| {
                drop(stream);
                Ok(())
            })?);
        }
        Manner::HalfClient => {
            read_fin(&stream, marks)?;
            stream.write_all(b"a")?;
        }
        Manner::FinServer => {
            stream.read_exact(&mut [0])?;
        }
        Manner::HalfServer | Manner::SleepFinWait => {
            stream.read_exact(&mut [0])?;
            marks.fin = Some(stamp(|| stream.shutdown(Shutdown::Write))?);
            sock::drain(&stream)?;
            marks.eof = Some(now_ns());
        }
        Manner::Closing => {
            sock::stall(&stream)?;
            stream.shutdown(Shutdown::Write)?;
            // The client is in CLOSING once it has read all of that: then let its data in.
            door.recv(&mut [0])?;
            sock::drain(&stream)?;
        }
        Manner::RstClient => sock::until_reset(&stream)?,
        Manner::RstServer => {
            stream.read_exact(&mut [0])?;
            sock::reset(stream)?;
        }
        Manner::Unread => wait_readable(&stream)?,
    }
    Ok(())
}

/// Waits for the client's FIN and acknowledges it.
fn read_fin(stream: &TcpStream, marks: &mut Marks) -> Result<()> {
    sock::drain(stream)?;
    marks.eof = Some(now_ns());
    sock::acknowledge(stream)?;
    marks.acked = Some(now_ns());
    Ok(())
}

fn wait_readable(socket: impl AsFd) -> Result<()> {
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], None).context("poll")?;
    Ok(())
}
