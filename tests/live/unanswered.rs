//! tcplatency: requests that got no answer, as the scripts that sent them waited for it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;

use crate::Test;
use crate::latency::{MS, ONE_INTERVAL, rows, start, sum};
use crate::netns::{FAR, Netns};
use crate::setting::delay_ns;
use crate::tool::{Tool, number, until};

pub const TESTS: &[(&str, Test)] = &[
    ("requests_without_an_answer", unanswered),
    ("connects_that_fail_are_split_by_errno", connects),
];

/// A request, what became of it, and since when its process waited.
struct Asked {
    port: u16,
    outcome: &'static str,
    errno: Option<i32>,
    begin: Instant,
}

/// How long a process waits for an answer.
const PATIENCE: Duration = Duration::from_millis(50);

struct Place<'a> {
    netns: &'a Netns,
    listener: TcpListener,
}

impl Place<'_> {
    fn pair(&self) -> Result<(TcpStream, TcpStream)> {
        let address: SocketAddr = self.listener.local_addr()?;
        let client = self.netns.within(|| Ok(TcpStream::connect(address)?))?;
        Ok((client, self.listener.accept()?.0))
    }

    /// A connection that was answered once.
    fn answered(&self) -> Result<(TcpStream, TcpStream)> {
        let (mut client, mut server) = self.pair()?;
        client.write_all(b"request")?;
        server.read_exact(&mut [0; 7])?;
        server.write_all(b"answer")?;
        client.read_exact(&mut [0; 6])?;
        Ok((client, server))
    }
}

/// Sends a request that `server` reads, lets `end` end it, and waits for that; what is left of the
/// connection.
fn ask(
    (mut client, mut server): (TcpStream, TcpStream),
    outcome: &'static str,
    end: impl FnOnce(TcpStream) -> Result<Option<TcpStream>>,
) -> Result<(Asked, TcpStream, Option<TcpStream>)> {
    let port = client.local_addr()?.port();
    let begin = Instant::now();
    client.write_all(b"request")?;
    server.read_exact(&mut [0; 7])?;
    let server = end(server)?;
    client.set_read_timeout(Some(PATIENCE))?;
    let errno = match client.read(&mut [0; 10]) {
        Ok(0) => None,
        Ok(_) => anyhow::bail!("answered"),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        Err(error) => error.raw_os_error(),
    };
    Ok((Asked { port, outcome, errno, begin }, client, server))
}

/// What is sent right before `close()` waits for no answer; the ports of attempts that took long, of
/// which this is not certain.
fn goodbye(place: &Place<'_>) -> Result<Vec<u16>> {
    let mut slow = Vec::new();
    loop {
        let (mut client, server) = place.answered()?;
        let (port, begin) = (client.local_addr()?.port(), Instant::now());
        client.write_all(b"goodbye")?;
        drop(client);
        if begin.elapsed() < Duration::from_millis(1) {
            return Ok(slow);
        }
        slow.push(port);
        ensure!(slow.len() < 100, "this machine never closes within a millisecond");
        drop(server);
    }
}

fn unanswered() -> Result<()> {
    let netns = Netns::new("unanswered")?;
    let listener = netns.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
    let place = Place { netns: &netns, listener };
    let events = start(&netns, "--events --kind response")?;
    let sums = start(&netns, &format!("--kind response {ONE_INTERVAL}"))?;
    let mut all = Vec::new();
    // The first request of a connection, and one after an answer.
    for fresh in [true, false] {
        let pair = || if fresh { place.pair() } else { place.answered() };
        let closed = ask(pair()?, "peer_closed", |server| {
            server.shutdown(Shutdown::Write)?;
            Ok(Some(server))
        })?;
        let reset = ask(pair()?, "reset", |server| {
            set_socket_linger(&server, Some(Duration::ZERO))?;
            Ok(None)
        })?;
        all.extend([closed.0, reset.0]);
        let (asked, client, server) = ask(pair()?, "given_up", |server| Ok(Some(server)))?;
        drop(client);
        drop(server);
        all.push(asked);
    }
    // The peer has closed already: the request itself is answered with a reset.
    let (mut client, server) = place.answered()?;
    drop(server);
    ensure!(client.read(&mut [0; 1])? == 0, "no FIN came");
    let (port, begin) = (client.local_addr()?.port(), Instant::now());
    client.write_all(b"request")?;
    until("the reset has come", || Ok(client.take_error()?))?;
    all.push(Asked { port, outcome: "reset", errno: Some(32), begin });
    // A half-closed connection whose peer closes without an answer.
    let (client, server) = place.pair()?;
    let half = client.try_clone()?;
    let (asked, client, server) = ask((client, server), "peer_closed", move |server| {
        half.shutdown(Shutdown::Write)?;
        Ok(Some(server))
    })?;
    drop(server);
    all.push(asked);
    let slow = goodbye(&place)?;
    let checked = check(events, sums, &all, &slow);
    drop(client);
    checked
}

fn check(events: Tool, sums: Tool, all: &[Asked], slow: &[u16]) -> Result<()> {
    let seen = |lines: &[String]| {
        let lost = |line: &&String| line.contains("\"exchange\"") && !line.contains("\"done\"");
        lines.iter().filter(lost).count()
    };
    events.wait_for("each request", |lines| seen(lines) >= all.len())?;
    let ended = events.finish()?;
    ended.complete()?;
    let events = ended.of_kind("exchange")?;
    let lost: Vec<_> = events.iter().filter(|event| event["outcome"] != "done").collect();
    let certain = |event: &&&Value| slow.iter().all(|port| event["lport"] != *port);
    ensure!(lost.iter().filter(certain).count() == all.len(), "{lost:#?}");
    for asked in all {
        let event = lost.iter().find(|event| event["lport"] == asked.port);
        let event = event.with_context(|| format!("no event of {}: {lost:#?}", asked.port))?;
        ensure!(event["outcome"] == asked.outcome && event["tx_bytes"] == 7, "{event}");
        let errno = event["errno"].as_i64().and_then(|errno| i32::try_from(errno).ok());
        ensure!(errno == asked.errno, "{:?}: {event}", asked.errno);
        let most = u64::try_from(asked.begin.elapsed().as_nanos())? + delay_ns();
        let waited = number(&event["duration_ns"]);
        ensure!(waited > 0 && waited <= most, "waited {most} ns at most: {event}");
        ensure!(asked.outcome != "given_up" || waited >= 50 * MS, "{event}");
    }
    let (rows, ended) = rows(sums)?;
    ended.complete()?;
    let count = |key: &str| sum(&rows, "response", "client", key);
    ensure!(count("unanswered") == lost.len() as u64, "{rows:#?}");
    for key in ["peer_closed", "reset", "given_up", "failed", "timed_out", "unreachable"] {
        let events = lost.iter().filter(|event| event["outcome"] == key).count();
        ensure!(count(key) == events as u64, "{key}: {rows:#?}");
    }
    // Those that were answered before, and those that said goodbye.
    ensure!(count("count") == 5 + slow.len() as u64, "{rows:#?}");
    Ok(())
}

fn connects() -> Result<()> {
    const BEYOND: (&str, u16) = ("10.118.0.1", 80);
    const NOBODY: (&str, u16) = ("10.117.0.9", 80);
    let (near, far) = Netns::pair()?;
    far.sysctl(&["net.ipv4.ip_forward=1"])?;
    near.ip(&["route", "add", "10.118.0.0/16", "via", FAR])?;
    near.sysctl(&["net.ipv4.tcp_syn_retries=1"])?;
    let hardware = ["lladdr", "02:00:00:00:00:09", "dev", "far"];
    near.ip(&[&["neighbour", "replace", NOBODY.0][..], &hardware].concat())?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let events = start(&near, "--events --kind connect")?;
    let sums = start(&near, &format!("--kind connect {ONE_INTERVAL}"))?;
    let errno = |result: std::io::Result<TcpStream>| {
        result.err().and_then(|error| error.raw_os_error()).context("connected")
    };
    let connect = |to: SocketAddr| near.within(|| Ok(TcpStream::connect(to)));
    let to = |(host, port): (&str, u16)| -> Result<SocketAddr> {
        Ok(SocketAddr::new(host.parse()?, port))
    };
    let mut failed = vec![
        ("refused", errno(connect(SocketAddr::new(FAR.parse()?, 1))?)?),
        ("unreachable", errno(connect(to(BEYOND)?)?)?),
        ("timed_out", errno(connect(to(NOBODY)?)?)?),
    ];
    near.sysctl(&["net.ipv4.ip_local_port_range=40000 40000"])?;
    let held = connect(address)??;
    failed.push(("no_port", errno(connect(address)?)?));
    drop(held);
    let ended = events.finish()?;
    ended.complete()?;
    let events = ended.of_kind("exchange")?;
    ensure!(events.len() == failed.len() + 1, "{events:#?}");
    let (rows, ended) = rows(sums)?;
    ended.complete()?;
    for (outcome, errno) in failed {
        let event = events.iter().find(|event| event["outcome"] == outcome);
        let event = event.with_context(|| format!("no {outcome}: {events:#?}"))?;
        ensure!(event["errno"] == errno, "{errno}: {event}");
        ensure!(sum(&rows, "connect", "client", outcome) == 1, "{outcome}: {rows:#?}");
    }
    let done = ["count", "failed", "given_up"].map(|key| sum(&rows, "connect", "client", key));
    ensure!(done == [1, 0, 0], "{rows:#?}");
    Ok(())
}
