//! Sockets made step by step, so that each state change happens where the script says.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

/// What [`stall`] queues, in bytes: far beyond a window of [`small_window`].
const STALL_BYTES: usize = 32 * 1024;

/// The receive buffer of a socket that is to stall its peer, in bytes.
const SMALL_WINDOW: usize = 4 * 1024;

/// How long a blocking read or write may take before the run is called broken.
const PATIENCE: Duration = Duration::from_mins(1);

/// A TCP socket of the family of `addr`, neither bound nor connected.
pub fn fresh(addr: SocketAddr) -> Result<OwnedFd> {
    let family = if addr.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    net::socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))
        .context("socket")
}

/// A listener on `addr`; `both` lets an IPv6 one take IPv4 connections too.
pub fn listen(addr: SocketAddr, both: bool) -> Result<TcpListener> {
    let socket = fresh(addr)?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if addr.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, !both)?;
    }
    net::bind(&socket, &addr).with_context(|| format!("bind {addr}"))?;
    net::listen(&socket, 4096).context("listen")?;
    Ok(TcpListener::from(socket))
}

/// A socket with a port of its own at `addr`, known before it connects or listens.
pub fn bound(addr: SocketAddr) -> Result<TcpStream> {
    let socket = fresh(addr)?;
    net::bind(&socket, &addr).with_context(|| format!("bind {addr}"))?;
    Ok(TcpStream::from(socket))
}

/// Connects and bounds every later call, so that a broken run ends with an error.
pub fn connect(socket: &TcpStream, to: SocketAddr) -> io::Result<()> {
    net::connect(socket, &to)?;
    patience(socket)
}

/// Bounds every read and write of `socket`.
pub fn patience(socket: &TcpStream) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))
}

/// Closes with a reset instead of a FIN.
pub fn reset(socket: TcpStream) -> Result<()> {
    sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).context("SO_LINGER")?;
    drop(socket);
    Ok(())
}

/// Reads to the peer's FIN and returns the number of bytes before it.
pub fn drain(mut socket: &TcpStream) -> Result<u64> {
    io::copy(&mut socket, &mut io::sink()).context("waiting for the peer's FIN")
}

/// Waits for the peer's reset.
pub fn until_reset(mut socket: &TcpStream) -> Result<()> {
    match socket.read(&mut [0]) {
        Err(e) if e.kind() == ErrorKind::ConnectionReset => Ok(()),
        other => anyhow::bail!("expected a reset, got {other:?}"),
    }
}

/// Waits until the kernel has put the socket to `CLOSE`: from then on it has no peer.
pub fn until_closed(socket: &TcpStream) -> Result<()> {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE {
        match socket.peer_addr() {
            Err(e) if e.kind() == ErrorKind::NotConnected => return Ok(()),
            _ => thread::sleep(Duration::from_micros(100)),
        }
    }
    anyhow::bail!("the socket does not close")
}

/// Sends the acknowledgement that the kernel would hold back for the next answer: without it
/// the peer stays in `FIN_WAIT1` for the 40 ms of a delayed ACK.
pub fn acknowledge(socket: &TcpStream) -> Result<()> {
    sockopt::set_tcp_quickack(socket, true).context("TCP_QUICKACK")
}

/// Fixes the receive buffer, before the socket connects or listens, to a few kilobytes.
pub fn small_window(socket: impl AsFd) -> Result<()> {
    sockopt::set_socket_recv_buffer_size(socket, SMALL_WINDOW).context("SO_RCVBUF")
}

/// Queues more than a small window takes, so that whatever follows, a FIN too, waits behind it.
pub fn stall(mut socket: &TcpStream) -> Result<()> {
    sockopt::set_socket_send_buffer_size(socket, 4 * STALL_BYTES).context("SO_SNDBUF")?;
    socket.set_nonblocking(true)?;
    let sent = socket.write(&vec![0; STALL_BYTES]);
    socket.set_nonblocking(false)?;
    let sent = sent.context("filling the send queue")?;
    ensure!(sent > 4 * SMALL_WINDOW, "the send queue took only {sent} bytes");
    Ok(())
}

/// The `n`-th of many addresses that all reach this machine, so that ports never run out: for an
/// IPv4 loopback address its neighbours in 127.0.0.0/8, else `addr` itself.
pub fn spread(addr: SocketAddr, n: u64) -> SocketAddr {
    let IpAddr::V4(ip) = addr.ip() else { return addr };
    if !ip.is_loopback() {
        return addr;
    }
    let step = u32::try_from(n % 4096).unwrap_or(0);
    let ip = Ipv4Addr::from(0x7f00_0000 | (u32::from(ip) + step) & 0x00ff_ffff);
    SocketAddr::new(ip.into(), addr.port())
}

/// The address to listen on so that every address of [`spread`] is answered.
pub fn spread_listen(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_loopback() => {
            SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), addr.port())
        }
        _ => addr,
    }
}
