//! tcplife: how connections end on one host is what scripts did, to the byte, and what the counters of
//! the namespace say.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::{set_socket_linger, set_socket_reuseaddr};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, connect_unspec, getsockname, socket_with,
};
use serde_json::Value;

use crate::Test;
use crate::netns::Netns;
use crate::setting::hides;
use crate::tool::{Ended, Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("every_end_at_both_ends_as_nstat_counts_them", every_end),
    ("connects_that_fail_have_the_errno_of_the_call", failures),
];

const ECONNABORTED: i32 = 103;
const ECONNRESET: i32 = 104;
const ENODATA: i32 = 0;

/// What a script did, and what each end must show: its end and errno.
pub struct Ending {
    what: &'static str,
    port: u16,
    client: (&'static str, i32),
    server: (&'static str, i32),
}

/// A listener in a namespace, and connections to it.
pub struct Place<'a> {
    netns: &'a Netns,
    listener: TcpListener,
    pub endings: Vec<Ending>,
}

/// The errno of a read; 0 if it returned anything.
pub fn read_error(stream: &mut TcpStream) -> i32 {
    let error = loop {
        match stream.read(&mut [0; 512]) {
            Ok(0) => return ENODATA,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => break error,
        }
    };
    error.raw_os_error().unwrap_or(-1)
}

impl<'a> Place<'a> {
    /// A listener on the loopback.
    pub fn new(netns: &'a Netns) -> Result<Self> {
        let listener = netns.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
        Ok(Self { netns, listener, endings: Vec::new() })
    }

    fn address(&self) -> Result<SocketAddr> {
        Ok(self.listener.local_addr()?)
    }

    /// Both ends of a connection.
    pub fn pair(&self) -> Result<(TcpStream, TcpStream)> {
        let address = self.address()?;
        let client = self.netns.within(|| Ok(TcpStream::connect(address)?))?;
        Ok((client, self.listener.accept()?.0))
    }

    fn note(
        &mut self,
        what: &'static str,
        port: u16,
        client: (&'static str, i32),
        server: (&'static str, i32),
    ) {
        self.endings.push(Ending { what, port, client, server });
    }
}

fn linger_zero(stream: &TcpStream) -> Result<()> {
    Ok(set_socket_linger(stream, Some(Duration::ZERO))?)
}

/// Ends in good order; the side that closes first is `first`, its end `us`.
pub fn closed(place: &mut Place<'_>) -> Result<()> {
    for client_first in [true, false] {
        let (mut client, mut server) = place.pair()?;
        let port = client.local_addr()?.port();
        client.write_all(b"request")?;
        server.read_exact(&mut [0; 7])?;
        let (first, mut second) = if client_first { (client, server) } else { (server, client) };
        drop(first);
        ensure!(read_error(&mut second) == 0, "no FIN came");
        drop(second);
        let (us, peer) = (("closed_by_us", 0), ("closed_by_peer", 0));
        let (client, server) = if client_first { (us, peer) } else { (peer, us) };
        place.note("closed", port, client, server);
    }
    Ok(())
}

pub fn aborted_by_process(place: &mut Place<'_>) -> Result<()> {
    let (client, mut server) = place.pair()?;
    let port = client.local_addr()?.port();
    linger_zero(&client)?;
    drop(client);
    let got = read_error(&mut server);
    ensure!(got == ECONNRESET, "{got}");
    place.note("linger 0", port, ("reset_sent_linger_0", 0), ("reset_received", got));

    let (mut client, server) = place.pair()?;
    let port = client.local_addr()?.port();
    client.write_all(b"unread")?;
    unread(&server, 6)?;
    drop(server);
    let got = read_error(&mut client);
    ensure!(got == ECONNRESET, "{got}");
    place.note("unread", port, ("reset_received", got), ("reset_sent_unread_data", 0));

    let (mut client, server) = place.pair()?;
    let port = client.local_addr()?.port();
    connect_unspec(&server)?;
    let got = read_error(&mut client);
    ensure!(got == ECONNRESET, "{got}");
    place.note("disconnect", port, ("reset_received", got), ("reset_sent_disconnect", 0));

    // After shutdown() a close() with unread data resets, too.
    let (client, mut server) = place.pair()?;
    let port = client.local_addr()?.port();
    client.shutdown(Shutdown::Write)?;
    ensure!(read_error(&mut server) == 0, "no FIN came");
    server.write_all(b"unread")?;
    unread(&client, 6)?;
    drop(client);
    until("the server is reset", || {
        Ok(server.write(b"x").err().map(|error| error.raw_os_error()))
    })?;
    place.note("half closed", port, ("reset_sent_unread_data", 0), ("reset_received", 32));
    Ok(())
}

/// Waits until so many bytes are in the receive queue.
fn unread(stream: &TcpStream, count: usize) -> Result<()> {
    let mut buffer = vec![0; count];
    until("the data is there", || Ok((stream.peek(&mut buffer)? >= count).then_some(())))
}

pub fn killed(place: &mut Place<'_>) -> Result<()> {
    let (mut client, server) = place.pair()?;
    let port = client.local_addr()?.port();
    client.write_all(b"unread")?;
    unread(&server, 6)?;
    // The child has the socket as its standard input, and never reads it.
    let mut child = Command::new("sleep").arg("600").stdin(OwnedFd::from(server)).spawn()?;
    child.kill()?;
    child.wait()?;
    let got = read_error(&mut client);
    ensure!(got == ECONNRESET, "{got}");
    place.note("killed", port, ("reset_received", got), ("reset_sent_killed", 0));
    Ok(())
}

pub fn aborted_by_ss(place: &mut Place<'_>) -> Result<()> {
    let (mut client, mut server) = place.pair()?;
    let port = client.local_addr()?.port();
    let port_text = port.to_string();
    let mut ss = place.netns.command("ss");
    output(ss.args(["-K", "dst", "127.0.0.1", "sport", "=", &port_text]))?;
    let mut listed = place.netns.command("ss");
    let left = output(listed.args(["-Htn", "state", "established", "sport", "=", &port_text]))?;
    if !left.trim().is_empty() {
        eprintln!("not tried: this kernel lets nobody end connections (INET_DIAG_DESTROY)");
        drop(client);
        drop(server);
        place.note("no ss -K", port, ("closed_by_us", ENODATA), ("closed_by_peer", ENODATA));
        return Ok(());
    }
    let (own, other) = (read_error(&mut client), read_error(&mut server));
    ensure!((own, other) == (ECONNABORTED, ECONNRESET), "{own} {other}");
    place.note("ss -K", port, ("reset_sent_aborted", own), ("reset_received", other));
    Ok(())
}

pub fn listener_closes(place: &mut Place<'_>) -> Result<()> {
    let other = Place::new(place.netns)?;
    let address = other.address()?;
    let mut client = place.netns.within(|| Ok(TcpStream::connect(address)?))?;
    let port = client.local_addr()?.port();
    // The final ACK may still be on its way.
    client.write_all(b"x")?;
    until("the child has the data", || {
        let mut ss = place.netns.command("ss");
        let listed =
            output(ss.args(["-Htn", "state", "established", "dport", "=", &port.to_string()]))?;
        Ok(listed.trim().starts_with('1').then_some(()))
    })?;
    drop(other);
    let got = read_error(&mut client);
    ensure!(got == ECONNRESET, "{got}");
    place.note("listener closed", port, ("reset_received", got), ("reset_sent_listener_closed", 0));
    Ok(())
}

/// The server still sends when the client has closed with data in its own queue.
pub fn data_after_close(place: &mut Place<'_>) -> Result<()> {
    let (mut client, mut server) = place.pair()?;
    let port = client.local_addr()?.port();
    client.set_nonblocking(true)?;
    let block = vec![0; 65_536];
    while client.write(&block).is_ok() {}
    drop(client);
    server.write_all(b"late")?;
    let got = read_error(&mut server);
    ensure!(got == ECONNRESET, "{got}");
    place.note("late data", port, ("reset_sent_data_after_close", 0), ("reset_received", got));
    Ok(())
}

/// The lines of each end of a connection, by the port of the client.
pub fn ends_of(lines: &[Value], port: u16) -> Result<(&Value, &Value)> {
    let find = |key: &str| {
        let mut found = lines.iter().filter(|line| number(&line[key]) == u64::from(port));
        let line = found.next().with_context(|| format!("no line with {key} {port}"))?;
        ensure!(found.next().is_none(), "two lines with {key} {port}: {lines:#?}");
        Ok(line)
    };
    Ok((find("lport")?, find("rport")?))
}

pub fn shows(line: &Value, what: &str, (end, errno): (&str, i32)) -> Result<()> {
    ensure!(line["end"] == end, "{what}: not {end}: {line}");
    ensure!(i64::try_from(number(&line["errno"]))? == i64::from(errno), "{what}: {line}");
    Ok(())
}

/// How many lines have one of these ends.
pub fn with_end(lines: &[Value], ends: &[&str]) -> u64 {
    lines.iter().filter(|line| ends.iter().any(|end| line["end"] == *end)).count() as u64
}

/// The counters of the namespace are what the lines say, to the unit.
fn agree(netns: &Netns, lines: &[Value]) -> Result<()> {
    let open = ["ESTABLISHED", "CLOSE_WAIT"];
    let reset = lines.iter().filter(|line| open.iter().any(|state| line["state"] == *state));
    for (name, seen) in [
        (
            "TcpExtTCPAbortOnClose",
            with_end(lines, &["reset_sent_unread_data", "reset_sent_killed"]),
        ),
        (
            "TcpExtTCPAbortOnData",
            with_end(lines, &["reset_sent_linger_0", "reset_sent_data_after_close"]),
        ),
        ("TcpEstabResets", reset.count() as u64),
        (
            "TcpOutRsts",
            lines.iter().filter(|line| line["end"].as_str().is_some_and(sends_reset)).count()
                as u64,
        ),
    ] {
        let truth = netns.counter(name)?;
        ensure!(seen == truth, "{name} is {truth}, shown are {seen}: {lines:#?}");
    }
    Ok(())
}

fn sends_reset(end: &str) -> bool {
    end.starts_with("reset_sent")
}

pub fn watch(netns: &Netns, flags: &str) -> Result<Tool> {
    Tool::start("tcplife", &format!("--netns {} {flags}", netns.path()))
}

pub fn lives(ended: &Ended) -> Result<Vec<Value>> {
    ended.complete()?;
    ended.of_kind("life")
}

fn every_end() -> Result<()> {
    if hides("on 5.10 it is not known that a process was killed") {
        return Ok(());
    }
    let netns = Netns::new("life")?;
    let mut place = Place::new(&netns)?;
    let tool = watch(&netns, "")?;
    closed(&mut place)?;
    aborted_by_process(&mut place)?;
    killed(&mut place)?;
    aborted_by_ss(&mut place)?;
    listener_closes(&mut place)?;
    data_after_close(&mut place)?;
    tool.wait_for_kind("life", 2 * place.endings.len())?;
    let lines = lives(&tool.finish()?)?;
    ensure!(lines.len() == 2 * place.endings.len(), "{lines:#?}");
    for ending in &place.endings {
        let (client, server) = ends_of(&lines, ending.port)?;
        shows(client, ending.what, ending.client)?;
        shows(server, ending.what, ending.server)?;
        ensure!(client["role"] == "client" && server["role"] == "server", "{client} {server}");
        ensure!(number(&client["opened_ns"]) > 0 && number(&client["life_ns"]) > 0, "{client}");
        let killed = ending.what == "killed";
        ensure!(server["signal"] == if killed { Value::from(9) } else { Value::Null }, "{server}");
    }
    agree(&netns, &lines)
}

/// A socket whose port others may have too.
fn sharing_socket(netns: &Netns, port: u16) -> Result<OwnedFd> {
    netns.within(|| {
        let (domain, kind) = (AddressFamily::INET, SocketType::STREAM);
        let socket = socket_with(domain, kind, SocketFlags::CLOEXEC, None)?;
        set_socket_reuseaddr(&socket, true)?;
        bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        Ok(socket)
    })
}

/// An end in a word, and the errno of the call.
type EndOf = (&'static str, Option<i32>);

/// Connects that fail: the end of each with the errno of its call. And how many connections there
/// were in all: two that hold ports, one that shares its own, each with two ends.
pub fn failed_connects(netns: &Netns, place: &Place<'_>) -> Result<([EndOf; 3], usize)> {
    let address = place.address()?;
    // A listener that is closed may be open for a while still, in a child that another test forks.
    let bound = sharing_socket(netns, 0)?;
    let closed = SocketAddr::try_from(getsockname(&bound)?)?;
    let attempt = |to: SocketAddr| netns.within(|| Ok(TcpStream::connect(to)));
    let errno = |result: io::Result<TcpStream>| result.err().and_then(|error| error.raw_os_error());
    let refused = errno(attempt(closed)?);
    // From one port two connections to the same peer.
    let first = sharing_socket(netns, 0)?;
    let port = SocketAddr::try_from(getsockname(&first)?)?.port();
    let second = sharing_socket(netns, port)?;
    connect(&first, &address)?;
    let used = connect(&second, &address).err().map(rustix::io::Errno::raw_os_error);
    netns.sysctl(&["net.ipv4.ip_local_port_range=40000 40001"])?;
    let held = [attempt(address)??, attempt(address)??];
    let no_port = errno(attempt(address)?);
    drop((first, held));
    Ok(([("refused", refused), ("no_local_port", no_port), ("address_in_use", used)], 9))
}

fn failures() -> Result<()> {
    let netns = Netns::new("life")?;
    let place = Place::new(&netns)?;
    let tool = watch(&netns, "")?;
    let (failed, all) = failed_connects(&netns, &place)?;
    drop(place);
    tool.wait_for_kind("life", all)?;
    let ended = tool.finish()?;
    let (lines, status) = (lives(&ended)?, ended.last_status()?);
    for (end, errno) in failed {
        let found: Vec<_> = lines.iter().filter(|line| line["end"] == end).collect();
        ensure!(found.len() == 1, "{end}: {status} {lines:#?}");
        shows(found[0], end, (end, errno.context("it succeeded")?))?;
        ensure!(found[0]["opened_ns"].is_null() && found[0]["tx_bytes"] == 0, "{}", found[0]);
        ensure!(found[0]["state"] == "SYN_SENT" && found[0]["pid"] == std::process::id());
    }
    let attempts = netns.counter("TcpAttemptFails")?;
    ensure!(attempts == with_end(&lines, &["refused"]), "{attempts}: {lines:#?}");
    Ok(())
}
