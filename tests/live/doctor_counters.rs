//! Troubles that the kernel's own counters tell, and what tcpdoctor says of each.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;

use crate::Test;
use crate::doctor::{Doctor, is_ours, keep, listener, open_and_close};
use crate::netns::{FAR, Netns};
use crate::retrans::{NO_HARDWARE, lose};
use crate::segment::{Raw, SYN, Segment};
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[
    ("connects_that_lose_their_syn", lost_syns),
    ("refused_connects", refused),
    ("loss_on_the_way", loss),
    ("resets", resets),
    ("connections_without_time_wait", time_wait),
    ("segments_that_are_spoiled_or_come_from_the_wrong_side", spoiled),
    ("a_finding_names_its_namespace", namespace),
];

/// An address without a host.
const ABSENT: &str = "10.117.0.9";

fn lost_syns() -> Result<()> {
    let (near, _far) = Netns::pair()?;
    near.sysctl(&["net.ipv4.tcp_syn_retries=3"])?;
    near.ip(&["neighbour", "replace", ABSENT, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let doctor = Doctor::watch(&near)?;
    let connect = || {
        let _ = near.within(|| {
            Ok(TcpStream::connect_timeout(&format!("{ABSENT}:80").parse()?, Duration::from_secs(8)))
        });
    };
    let found = thread::scope(|scope| {
        (0..8).for_each(|_| drop(scope.spawn(connect)));
        doctor.finds("syns-lost")
    })?;
    ensure!(number(&found["evidence"]["retransmitted"]) >= 5, "{found}");
    ensure!(found["raddr"] == ABSENT, "{found}");
    Ok(())
}

fn refused() -> Result<()> {
    let netns = Netns::new("refused")?;
    let doctor = Doctor::watch(&netns)?;
    for _ in 0..20 {
        let error = netns.within(|| Ok(TcpStream::connect("127.0.0.1:9").err()))?;
        ensure!(
            error.is_some_and(|error| error.kind() == ErrorKind::ConnectionRefused),
            "connected"
        );
    }
    let found = doctor.finds("connects-failed")?;
    ensure!(found["raddr"] == "127.0.0.1", "{found}");
    ensure!(is_ours(&found), "{found}");
    Ok(())
}

fn loss() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let (listener, address) = listener(&far, &format!("{FAR}:0"))?;
    lose(&near, &far)?;
    let doctor = Doctor::watch(&near)?;
    let reader =
        thread::spawn(move || std::io::copy(&mut listener.accept()?.0, &mut std::io::sink()));
    let mut client = near.within(|| Ok(TcpStream::connect(address)?))?;
    for _ in 0..100 {
        client.write_all(&vec![7; 100_000])?;
    }
    drop(client);
    reader.join().expect("no panic")?;
    let found = doctor.finds("segments-retransmitted")?;
    let evidence = &found["evidence"];
    ensure!(found["raddr"] == FAR, "{found}");
    ensure!(number(&evidence["retransmitted"]) <= near.counter("TcpRetransSegs")?, "{found}");
    Ok(())
}

/// How a connection is reset, by the other side than the client.
const MANNERS: [fn(&mut TcpStream, TcpStream) -> Result<()>; 3] = [linger_zero, unread, killed];

#[allow(clippy::needless_pass_by_value, reason = "it ends with the function")]
fn linger_zero(_: &mut TcpStream, server: TcpStream) -> Result<()> {
    Ok(set_socket_linger(&server, Some(Duration::ZERO))?)
}

#[allow(clippy::needless_pass_by_value, reason = "it ends with the function")]
fn unread(client: &mut TcpStream, server: TcpStream) -> Result<()> {
    client.write_all(b"unread")?;
    // It has arrived.
    server.peek(&mut [0])?;
    Ok(())
}

/// A process that reads nothing has the only open socket.
fn killed(client: &mut TcpStream, server: TcpStream) -> Result<()> {
    client.write_all(b"unread")?;
    server.peek(&mut [0])?;
    let mut child = Command::new("sleep").arg("600").stdin(OwnedFd::from(server)).spawn()?;
    child.kill()?;
    child.wait()?;
    Ok(())
}

fn resets() -> Result<()> {
    const EACH: u64 = 12;
    let netns = Netns::new("resets")?;
    let (listener, address) = listener(&netns, "127.0.0.1:0")?;
    // At its end the page has what the finding was at its worst.
    let page = Tool::start_in(&netns, "tcpdoctor", &format!("-d 600 --netns {}", netns.path()))?;
    let doctor = Doctor::watch(&netns)?;
    for manner in MANNERS {
        for _ in 0..EACH {
            let mut client = netns.within(|| Ok(TcpStream::connect(address)?))?;
            let (server, _) = listener.accept()?;
            manner(&mut client, server)?;
            let error = client.read(&mut [0]).err();
            ensure!(error.is_some_and(|e| e.kind() == ErrorKind::ConnectionReset), "no reset");
        }
    }
    doctor.finds("resets-sent")?;
    let found = page.finish()?.of_kind("finding")?;
    let found = found.iter().find(|one| one["rule"] == "resets-sent").context("no finding")?;
    let evidence = &found["evidence"];
    ensure!(number(&evidence["resets"]) == 3 * EACH, "{found}");
    ensure!(number(&evidence["linger"]) == EACH, "{found}");
    ensure!(number(&evidence["unread"]) == 2 * EACH, "{found}");
    keep(found)
}

fn time_wait() -> Result<()> {
    let netns = Netns::new("tw")?;
    netns.sysctl(&["net.ipv4.tcp_max_tw_buckets=3"])?;
    let (listener, address) = listener(&netns, "127.0.0.1:0")?;
    let doctor = Doctor::watch(&netns)?;
    (0..10).try_for_each(|_| open_and_close(&netns, &listener, address))?;
    let found = doctor.finds("time-wait-overflow")?;
    let remedy = found["remedy"].as_str().unwrap_or_default();
    ensure!(remedy.contains("net.ipv4.tcp_max_tw_buckets = 3"), "{found}");
    Ok(())
}

/// Segments with a wrong checksum, and some of a host that the routes look for elsewhere.
fn spoiled() -> Result<()> {
    const MANY: u16 = 20;
    let (near, far) = Netns::pair()?;
    let (_listener, address) = listener(&far, &format!("{FAR}:0"))?;
    far.sysctl(&["net.ipv4.conf.all.rp_filter=1"])?;
    far.ip(&["route", "add", "203.0.113.0/24", "dev", "lo"])?;
    let doctor = Doctor::watch(&far)?;
    let raw = Raw::new(&near, address)?;
    for port in 1..=MANY {
        raw.send(&Segment { damaged: true, ..Segment::new(port, SYN) })?;
        raw.send(&Segment::of(([203, 0, 113, 7], port).into(), SYN))?;
    }
    let found = doctor.finds_all(["checksum-errors", "reverse-path-drops"])?;
    for (found, counter) in found.iter().zip(["TcpInCsumErrors", "TcpExtIPReversePathFilter"]) {
        let count = far.counter(counter)?;
        ensure!(count == u64::from(MANY), "{counter} is {count}");
        // A finding has what was there as it began.
        ensure!((5..=count).contains(&number(&found["evidence"]["count"])), "{found}");
        ensure!(number(&found["netns"]) == far.inode()?, "{found}");
    }
    Ok(())
}

/// The counters of two namespaces stay apart.
fn namespace() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let tool = Tool::start("tcpdoctor", "--watch")?;
    for _ in 0..20 {
        let error = near.within(|| Ok(TcpStream::connect(format!("{FAR}:9")).err()))?;
        ensure!(error.is_some_and(|e| e.kind() == ErrorKind::ConnectionRefused), "connected");
    }
    let (near, far) = (near.inode()?, far.inode()?);
    let of = |lines: &[String], rule: &str, netns: u64| {
        let found = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        found.into_iter().any(|one| one["rule"] == rule && number(&one["netns"]) == netns)
    };
    // Those who ask are refused, and the others send the resets.
    let wanted = [("connects-failed", near), ("resets-sent", far)];
    tool.wait_for("a finding about each", |lines| {
        wanted.iter().all(|(rule, netns)| of(lines, rule, *netns))
    })?;
    let lines = tool.finish()?.lines;
    let swapped = [("connects-failed", far), ("resets-sent", near)];
    ensure!(!swapped.iter().any(|(rule, netns)| of(&lines, rule, *netns)), "{lines:#?}");
    Ok(())
}
