//! tcpcount after the end of a connection, and of calls that wait.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::{connect_unspec, sockopt};
use serde_json::Value;

use crate::Test;
use crate::count::{counter, finish, sum};
use crate::load;
use crate::netns::Netns;
use crate::setting::scaled;
use crate::tool::{Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("calls_after_a_reset_count_at_their_port", calls_after_reset),
    ("every_connection_leaves_the_map", || leave("")),
    ("every_connection_that_was_read_leaves_the_map", || leave("--light")),
    ("short_intervals_meet_and_none_is_left_out", ticks),
    ("receives_of_io_uring_that_wait_are_no_errors", ring),
];

/// Whatever the tool does in between, such as the search for owners: the intervals are as many as were asked
/// for, each begins where the one before ended, and together they have every call.
fn ticks() -> Result<()> {
    const INTERVALS: usize = 40;
    let netns = Netns::new("ticks")?;
    let begun = std::time::Instant::now();
    let tool = Tool::start_in(
        &netns,
        "tcpcount",
        &format!("--netns {} --by total -i 0.05 -n {INTERVALS}", netns.path()),
    )?;
    let report = load::run(&netns, "reqresp --seconds 1 --conns 1")?;
    let ended = tool.wait()?;
    let elapsed = u64::try_from(begun.elapsed().as_nanos())?;
    let rows = ended.of_kind("count")?;
    ensure!(rows.len() == INTERVALS, "{} intervals", rows.len());
    let all: u64 = rows.iter().map(|row| number(&row["interval_ns"])).sum();
    let least = 50_000_000 * (INTERVALS as u64 - 1);
    ensure!((least..=elapsed).contains(&all), "{all} ns in intervals, {elapsed} ns in all");
    let sent: u64 = rows.iter().map(|row| number(&row["tx_calls"])).sum();
    let requests = number(&report["requests"]);
    ensure!(sent <= 2 * requests, "{sent} sends of {requests} requests");
    ended.complete()
}

/// A connection over loopback: the accepted end, and the client's.
fn pair(listener: &TcpListener) -> Result<(TcpStream, TcpStream)> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (server, _) = listener.accept()?;
    Ok((server, client))
}

/// Resets the peer of `socket`, and waits until it knows.
fn reset(peer: TcpStream, socket: &TcpStream) -> Result<()> {
    sockopt::set_socket_linger(&peer, Some(Duration::ZERO))?;
    drop(peer);
    until("the reset arrives", || {
        let error = socket.peer_addr().err();
        Ok(error.filter(|error| error.kind() == ErrorKind::NotConnected).map(drop))
    })
}

fn calls_after_reset() -> Result<()> {
    let netns = Netns::new("reset")?;
    let conns = scaled(500, 20);
    for by in ["port", "connection"] {
        let listener = netns.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
        let port = listener.local_addr()?.port();
        let tool = counter(&netns, &format!("--by {by} --lport {port}"))?;
        netns.within(|| {
            for _ in 0..conns {
                let (mut server, client) = pair(&listener)?;
                reset(client, &server)?;
                let error = server.read(&mut [0]).err().context("a read after a reset")?;
                ensure!(error.kind() == ErrorKind::ConnectionReset, "{error}");
            }
            Ok(())
        })?;
        let (rows, ended) = finish(tool, "errors", conns)?;
        let errors = sum(&rows, "errors", |row| number(&row["lport"]) == u64::from(port));
        ensure!(errors == conns, "--by {by}: {errors} errors of {conns} at the port");
        ended.complete()?;
    }
    Ok(())
}

/// Connections of which the map of counters has entries.
fn entries(tool: &Tool) -> Result<usize> {
    for (kind, id) in tool.bpf_objects()? {
        let id = id.to_string();
        let bpftool = |what| output(Command::new("bpftool").args(["-j", "map", what, "id", &id]));
        if kind == "map" {
            let map: Value = serde_json::from_str(&bpftool("show")?)?;
            if map["name"] == "counts" {
                let dump: Value = serde_json::from_str(&bpftool("dump")?)?;
                return Ok(dump.as_array().context("no array")?.len());
            }
        }
    }
    anyhow::bail!("no map of counters")
}

/// Connections that end in every manner, also where the socket lives on.
fn leave(flags: &str) -> Result<()> {
    let netns = Netns::new("leave")?;
    let tool = counter(&netns, &format!("--by connection {flags}"))?;
    load::run(&netns, "life --conns 200")?;
    let kept = netns.within(|| {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let mut kept = Vec::new();
        for nth in 0..30 {
            let (mut server, client) = pair(&listener)?;
            server.set_nonblocking(true)?;
            ensure!(server.read(&mut [0]).is_err(), "data from nowhere");
            match nth % 3 {
                // The process calls no more, and keeps the socket.
                0 => reset(client, &server)?,
                // Its addresses are forgotten while it is connected, or later.
                1 => connect_unspec(&server)?,
                _ => {
                    reset(client, &server)?;
                    connect_unspec(&server)?;
                }
            }
            kept.push(server);
        }
        Ok(kept)
    })?;
    until("no entry is left", || Ok((entries(&tool)? == 0).then_some(())))?;
    drop(kept);
    tool.finish()?.complete()
}

/// A receive that finds no data is tried again when there is some.
fn ring() -> Result<()> {
    let netns = Netns::new("ring")?;
    let tool = counter(&netns, "--by process")?;
    let report = load::run(&netns, "ring --conns 5 --requests 20")?;
    let requests = number(&report["requests"]);
    // It is its own client, which receives without a ring.
    let (rows, ended) = finish(tool, "rx_calls", 2 * requests)?;
    let of = |key| sum(&rows, key, |row| row["pid"] == report["pid"]);
    let found = ["rx_calls", "tx_calls", "errors"].map(of);
    ensure!(found == [2 * requests, 2 * requests, 0], "{found:?} of {requests} requests: {rows:?}");
    ensure!(of("eagain") >= requests, "{} of {requests} receives had to wait", of("eagain"));
    ended.complete()
}
