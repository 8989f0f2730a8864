//! tcpcount --light, which reads TCP's own counters: against what scripts sent and received, and
//! beside the count of their calls.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::{connect, connect_unspec, sockopt};
use serde_json::Value;

use crate::Test;
use crate::count::{counter, finish, sum};
use crate::load;
use crate::netns::Netns;
use crate::setting::{emulated, scaled};
use crate::tool::{Tool, number, until};

pub const TESTS: &[(&str, Test)] = &[
    ("requests_v4", || requests("")),
    ("requests_v6", || requests("-6")),
    ("short_connections_are_counted_at_their_end", churn),
    ("ends_of_every_manner_as_scripted_and_as_by_calls", ends),
    ("a_long_life_as_by_calls", life),
    ("older_connections_count_from_the_first_reading", older),
];

/// Not known where no program sees the calls.
const CALLS: [&str; 4] = ["tx_calls", "rx_calls", "errors", "eagain"];

fn requests(family: &str) -> Result<()> {
    let netns = Netns::new("light")?;
    let tool = counter(&netns, "--light --by process")?;
    let report = load::run(&netns, &format!("reqresp --seconds 1 --conns 3 {family}"))?;
    let (requests, bytes) = (number(&report["requests"]), number(&report["bytes"]));
    let (rows, ended) = finish(tool, "rx_bytes", 2 * bytes)?;
    for (pid, comm) in [(&report["client_pid"], "rr-client"), (&report["server_pid"], "rr-server")]
    {
        let counts = |key| sum(&rows, key, |row| row["pid"] == *pid && row["comm"] == comm);
        let found = ["tx_bytes", "rx_bytes"].map(counts);
        ensure!(found == [bytes; 2] && requests > 0, "{comm}: {found:?} instead of {bytes}");
        ensure!(counts("segs_in") >= requests, "{comm}: {} segments", counts("segs_in"));
    }
    let called = rows.iter().find(|row| CALLS.iter().any(|key| !row[*key].is_null()));
    ensure!(called.is_none(), "calls are not known: {called:?}");
    ended.complete()
}

/// Most connections begin and end between two readings.
fn churn() -> Result<()> {
    const KEYS: [&str; 4] = ["tx_bytes", "rx_bytes", "segs_in", "retrans_segs"];
    let netns = Netns::new("lightchurn")?;
    let all = ["total", "process", "connection", "port", "remote:24", "netns"];
    let groups = if emulated() { &all[..2] } else { &all };
    for by in groups {
        let tool = counter(&netns, &format!("--light --by {by}"))?;
        let churn = format!("churn --conns {} --threads 2", scaled(2000, 50));
        let report = load::run(&netns, &churn)?;
        let bytes = number(&report["sends"]);
        // Both ends are here.
        let of_total = |rows: &[Value], key| -> u64 {
            rows.iter().filter(|row| row["total"] == true).map(|row| number(&row[key])).sum()
        };
        tool.wait_for("all bytes", |lines| {
            let rows: Vec<_> =
                lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
            of_total(&rows, "rx_bytes") >= 2 * bytes
        })?;
        let ended = tool.finish()?;
        let rows = ended.of_kind("count")?;
        let found = ["tx_bytes", "rx_bytes"].map(|key| of_total(&rows, key));
        ensure!(found == [2 * bytes; 2], "--by {by}: {found:?} of {bytes} at each end");
        for key in KEYS.iter().filter(|_| *by != "total") {
            let (parts, total) = (sum(&rows, key, |_| true), of_total(&rows, key));
            ensure!(parts == total, "--by {by}, {key}: rows {parts}, total {total}");
        }
        ended.complete().context(*by)?;
    }
    Ok(())
}

/// A connection over loopback: the accepted end, and the client's.
fn pair(listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((listener.accept()?.0, client))
}

/// Sends until the socket is full; how much it took.
fn fill(socket: &mut TcpStream) -> Result<u64> {
    socket.set_nonblocking(true)?;
    let mut sent = 0;
    loop {
        match socket.write(&[7; 4096]) {
            Ok(bytes) => sent += bytes as u64,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(sent),
            Err(error) => bail!(error),
        }
    }
}

/// Each way to end once; bytes sent and received.
fn one_of_each(listener: &TcpListener) -> Result<[u64; 2]> {
    let mut buffer = [0; 2000];
    // The server leaves data unread, which resets the connection.
    let (mut server, mut client) = pair(listener)?;
    client.write_all(&[1; 1000])?;
    server.read_exact(&mut buffer[..400])?;
    drop(server);
    until("the reset arrives", || Ok(client.write(&[1]).is_err().then_some(())))
        .context("a write after the reset")?;
    drop(client);
    // Half closed: an answer follows the client's FIN, and both read to the end.
    let (mut server, mut client) = pair(listener)?;
    client.write_all(&[1; 500])?;
    client.shutdown(Shutdown::Write)?;
    ensure!(server.read_to_end(&mut Vec::new())? == 500, "500 bytes");
    server.write_all(&[1; 300])?;
    drop(server);
    ensure!(client.read_to_end(&mut Vec::new())? == 300, "300 bytes");
    drop(client);
    // The client resets the connection instead of closing it.
    let (mut server, mut client) = pair(listener)?;
    client.write_all(&[1; 700])?;
    server.read_exact(&mut buffer[..700])?;
    sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
    drop(client);
    let error = server.read(&mut buffer).err().context("a read after a reset")?;
    ensure!(error.kind() == ErrorKind::ConnectionReset, "{error}");
    drop(server);
    // What the server never reads, and what was not even sent, was accepted all the same.
    let (server, mut client) = pair(listener)?;
    let accepted = fill(&mut client)?;
    sockopt::set_socket_linger(&client, Some(Duration::ZERO))?;
    drop(client);
    drop(server);
    // Two connections of one socket, and a FIN that is not read.
    let (mut server, mut client) = pair(listener)?;
    client.write_all(&[1; 40])?;
    server.read_exact(&mut buffer[..40])?;
    connect_unspec(&client)?;
    connect(&client, &listener.local_addr()?)?;
    let mut again = listener.accept()?.0;
    client.write_all(&[1; 50])?;
    again.read_exact(&mut buffer[..50])?;
    drop(client);
    drop(again);
    Ok([1000 + 500 + 300 + 700 + accepted + 40 + 50, 400 + 500 + 300 + 700 + 40 + 50])
}

/// What both tools say of the same traffic, all of it.
fn beside(netns: &Netns, traffic: impl FnOnce() -> Result<()>) -> Result<[[u64; 2]; 2]> {
    let tools = [counter(netns, "--light --by total")?, counter(netns, "--by total")?];
    traffic()?;
    let of = |tool: Tool| -> Result<[u64; 2]> {
        let ended = tool.finish()?;
        ended.complete()?;
        let rows = ended.of_kind("count")?;
        Ok(["tx_bytes", "rx_bytes"].map(|key| rows.iter().map(|row| number(&row[key])).sum()))
    };
    let [light, calls] = tools;
    Ok([of(light)?, of(calls)?])
}

fn ends() -> Result<()> {
    let netns = Netns::new("lightends")?;
    let listener = netns.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
    let mut truth = [0; 2];
    let [light, calls] = beside(&netns, || {
        for _ in 0..scaled(20, 3) {
            let bytes = netns.within(|| one_of_each(&listener))?;
            truth = [truth[0] + bytes[0], truth[1] + bytes[1]];
        }
        Ok(())
    })?;
    // A write finds out that the connection was reset: one byte more each time may be accepted.
    let [found, least, most] = [light[0], truth[0], truth[0] + 20 * 100];
    ensure!((least..=most).contains(&found) && light[1] == truth[1], "{light:?}, sent {truth:?}");
    ensure!(light == calls, "light {light:?}, by calls {calls:?}");
    Ok(())
}

fn life() -> Result<()> {
    let netns = Netns::new("lightlife")?;
    let [light, calls] = beside(&netns, || {
        load::run(&netns, &format!("life --conns {}", scaled(400, 40)))?;
        load::run(&netns, "nbsend --bytes 5000000").map(drop)
    })?;
    ensure!(light == calls && light[0] >= 5_000_000, "light {light:?}, by calls {calls:?}");
    Ok(())
}

fn older() -> Result<()> {
    let netns = Netns::new("lightold")?;
    let listener = netns.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
    let port = listener.local_addr()?.port();
    let mut buffer = [0; 5000];
    let mut pairs = Vec::new();
    for _ in 0..3 {
        let (mut server, mut client) = netns.within(|| pair(&listener))?;
        client.write_all(&[1; 5000])?;
        server.read_exact(&mut buffer[..3000])?;
        pairs.push((server, client));
    }
    let tool = counter(&netns, &format!("--light --by port --lport {port}"))?;
    tool.wait_for_kind("count", 1)?;
    for (server, client) in &mut pairs {
        server.read_exact(&mut buffer[..2000])?;
        server.write_all(&[1; 600])?;
        client.read_exact(&mut buffer[..600])?;
    }
    // One ends, the others live on to the end of the tool.
    drop(pairs.pop());
    let of_server = |row: &Value| number(&row["lport"]) == u64::from(port);
    let (rows, ended) = finish(tool, "rx_bytes", 3 * 2000)?;
    let found = ["tx_bytes", "rx_bytes"].map(|key| sum(&rows, key, of_server));
    ensure!(found == [3 * 600, 3 * 2000], "{found:?} since the start of the tool");
    drop(pairs);
    ended.complete()
}
