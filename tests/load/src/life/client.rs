//! The connecting process.

use std::collections::HashSet;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::manner::{self, Manner, Scene};
use super::{CLIENTS, Listeners, Marks, Played, stamp, worker};
use crate::actor::{self, now_ns};
use crate::sock;

/// Arguments of a client.
#[derive(Args)]
pub struct Client {
    #[arg(long)]
    seed: u64,
    #[arg(long)]
    conns: u64,
    /// Which share of the connections is this client's
    #[arg(long)]
    index: usize,
    /// The master's listeners, in JSON
    #[arg(long, value_parser = |text: &str| serde_json::from_str::<Listeners>(text))]
    listeners: Listeners,
}

impl Client {
    /// Plays its share of the script and prints what it did.
    pub fn run(self) -> Result<()> {
        actor::rename(b"life-client")?;
        let script = manner::script(self.seed, self.conns);
        let share = script.into_iter().skip(self.index).step_by(usize::try_from(CLIENTS)?);
        let mut used = HashSet::new();
        let played: Vec<Played> = share
            .map(|scene| self.play(scene, &mut used).with_context(|| format!("{:?}", scene.manner)))
            .collect::<Result<_>>()?;
        actor::say(&played)
    }

    /// A socket with a port that no connection of the script has had: the port names it.
    fn bound(&self, ip: IpAddr, used: &mut HashSet<u16>) -> Result<(TcpStream, SocketAddr)> {
        loop {
            let socket = sock::bound(SocketAddr::new(ip, 0))?;
            let local = socket.local_addr()?;
            // The kernel gives odd ports to bind(2); each client keeps to its own share of them.
            let share = usize::from(local.port() / 2) % usize::try_from(CLIENTS)?;
            if share == self.index && used.insert(local.port()) {
                return Ok((socket, local));
            }
        }
    }

    fn play(&self, scene: Scene, used: &mut HashSet<u16>) -> Result<Played> {
        let Scene { manner, family, sleep_ms } = scene;
        let remote = self.listeners.target(manner, family);
        let (socket, local) = self.bound(remote.ip(), used)?;
        if manner == Manner::Closing {
            sock::small_window(&socket)?;
        }
        let mut marks = Marks::default();
        let before = now_ns();
        let connected = sock::connect(&socket, remote);
        marks.connect = Some((before, now_ns()));
        if manner == Manner::Refused {
            let refused =
                connected.as_ref().is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused);
            ensure!(refused, "expected a refusal, got {connected:?}");
        } else {
            connected.with_context(|| format!("connect {remote}"))?;
            live(socket, scene, &mut marks)?;
        }
        let sleeps = matches!(
            manner,
            Manner::SleepEstablished | Manner::SleepCloseWait | Manner::SleepFinWait
        );
        let sleep_ns = sleeps.then_some(u64::from(sleep_ms) * 1_000_000);
        Ok(Played { manner, family, pid: std::process::id(), local, remote, sleep_ns, marks })
    }
}

/// Plays the client's side of a connection that is there; it ends with the socket.
fn live(mut stream: TcpStream, scene: Scene, marks: &mut Marks) -> Result<()> {
    let Scene { manner, sleep_ms, .. } = scene;
    let sleep = Duration::from_millis(sleep_ms.into());
    stream.write_all(&[manner.byte(), sleep_ms])?;
    if manner == Manner::LateFin {
        stream.shutdown(Shutdown::Write)?;
    }
    let mut pid = [0; 4];
    stream.read_exact(&mut pid)?;
    match manner {
        Manner::Refused => {}
        Manner::FinClient | Manner::LateAccept => {
            marks.fin = Some(stamp(|| {
                drop(stream);
                Ok(())
            })?);
        }
        Manner::SleepEstablished => {
            thread::sleep(sleep);
            marks.fin = Some(stamp(|| {
                drop(stream);
                Ok(())
            })?);
        }
        Manner::HalfClient | Manner::SleepCloseWait => {
            marks.fin = Some(stamp(|| stream.shutdown(Shutdown::Write))?);
            sock::drain(&stream)?;
            marks.eof = Some(now_ns());
        }
        Manner::LateFin => {
            sock::drain(&stream)?;
        }
        Manner::FinServer => {
            stream.write_all(b"g")?;
            sock::drain(&stream)?;
        }
        Manner::HalfServer | Manner::SleepFinWait => {
            stream.write_all(b"g")?;
            sock::drain(&stream)?;
            marks.eof = Some(now_ns());
            sock::acknowledge(&stream)?;
            marks.acked = Some(now_ns());
            if manner == Manner::SleepFinWait {
                thread::sleep(sleep);
            }
            stream.write_all(b"d")?;
            marks.fin = Some(stamp(|| {
                drop(stream);
                Ok(())
            })?);
        }
        Manner::Closing => {
            sock::stall(&stream)?;
            stream.shutdown(Shutdown::Write)?;
            sock::drain(&stream)?;
            let door = worker::side_door(u32::from_le_bytes(pid))?;
            UnixDatagram::unbound()?.send_to_addr(b"g", &door)?;
            // If closed earlier, the tracepoint would report CLOSING once more.
            sock::until_closed(&stream)?;
        }
        Manner::RstClient => sock::reset(stream)?,
        Manner::RstServer | Manner::Unread => {
            stream.write_all(b"g")?;
            sock::until_reset(&stream)?;
        }
    }
    Ok(())
}
