//! tcplife between two hosts: peers that vanish, and hosts that are not there.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_user_timeout,
};

use crate::Test;
use crate::netns::{FAR, Netns};
use crate::setting::emulated;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[
    ("peers_that_vanish_time_out", vanished),
    ("hosts_that_are_not_there", nobody),
    ("a_full_table_of_timewait_sockets", timewait_overflow),
];

/// Addresses without a host, one of them with a hardware address that no interface has.
const NOBODY: &str = "10.117.0.9";
const ABSENT: &str = "10.117.0.8";
const NO_HARDWARE: &str = "02:00:00:00:00:09";

const ETIMEDOUT: i32 = 110;
const EHOSTUNREACH: i32 = 113;

fn watch(netns: &Netns) -> Result<Tool> {
    Tool::start("tcplife", &format!("--netns {}", netns.path()))
}

fn vanished() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    near.sysctl(&["net.ipv4.tcp_retries2=2"])?;
    let tool = watch(&near)?;
    let open = || near.within(|| Ok(TcpStream::connect(address)?));
    let (keepalive, user, data) = (open()?, open()?, open()?);
    let _servers = (listener.accept()?, listener.accept()?, listener.accept()?);
    let second = Duration::from_secs(1);
    set_tcp_keepidle(&keepalive, second)?;
    set_tcp_keepintvl(&keepalive, second)?;
    set_tcp_keepcnt(&keepalive, 1)?;
    set_socket_keepalive(&keepalive, true)?;
    set_tcp_user_timeout(&user, 1000)?;
    near.ip(&["neighbour", "replace", FAR, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let mut expected = Vec::new();
    for (end, mut stream, sent) in
        [("timeout_user", user, 5), ("timeout_data", data, 9), ("timeout_keepalive", keepalive, 0)]
    {
        let port = stream.local_addr()?.port();
        stream.write_all(&vec![0; sent])?;
        expected.push((end, port, sent, stream));
    }
    for (end, port, sent, mut stream) in expected {
        let error = stream.read(&mut [0; 1]).err().and_then(|error| error.raw_os_error());
        let error = error.context("the peer answered")?;
        tool.wait_for(end, |lines| lines.iter().any(|line| line.contains(end)))?;
        drop(stream);
        ensure!(error == 110, "{end}: errno {error}");
        expected_line(&tool, end, port, sent)?;
    }
    let lines = {
        let ended = tool.finish()?;
        ended.complete()?;
        ended.of_kind("life")?
    };
    ensure!(lines.len() == 3, "{lines:#?}");
    for line in &lines {
        ensure!(line["errno"] == 110, "{line}");
        let sent = line["tx_bytes"] != 0;
        ensure!(line["waiting"] == sent && line["unacked_bytes"] == line["tx_bytes"], "{line}");
    }
    let aborts = near.counter("TcpExtTCPAbortOnTimeout")?;
    ensure!(aborts == 3, "TCPAbortOnTimeout is {aborts}: {lines:#?}");
    Ok(())
}

/// The line of an end is about this connection.
fn expected_line(tool: &Tool, end: &str, port: u16, sent: usize) -> Result<()> {
    let (port, sent) = (format!("\"lport\":{port},"), format!("\"tx_bytes\":{sent},"));
    tool.wait_for(end, |lines| {
        lines.iter().any(|line| {
            line.contains(&format!("\"end\":\"{end}\""))
                && line.contains(&port)
                && line.contains(&sent)
        })
    })
}

fn nobody() -> Result<()> {
    let (near, _far) = Netns::pair()?;
    near.sysctl(&["net.ipv4.tcp_syn_retries=1", "net.ipv4.neigh.far.mcast_solicit=1"])?;
    near.ip(&["neighbour", "replace", NOBODY, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let tool = watch(&near)?;
    let connect = |to: &'static str| near.within(|| Ok(TcpStream::connect((to, 80)).err()));
    let errno = |error: Option<std::io::Error>| error.and_then(|error| error.raw_os_error());
    let void = errno(connect(NOBODY)?);
    let absent = errno(connect(ABSENT)?);
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("life")?;
    ensure!(lines.len() == 2, "{lines:#?}");
    ensure!(void == Some(ETIMEDOUT), "{void:?}");
    // On 5.10 and 6.1 the call says that it timed out, although nobody answers ARP either.
    let told = absent == Some(EHOSTUNREACH);
    ensure!(told || (emulated() && absent == void), "{absent:?}");
    let unreachable = if told { "unreachable_host" } else { "timeout_connect" };
    for (line, end, errno) in
        [(&lines[0], "timeout_connect", void), (&lines[1], unreachable, absent)]
    {
        let errno = errno.context("connected")?;
        ensure!(line["end"] == end && line["errno"] == errno, "{end}, {errno}: {line}");
        ensure!(line["opened_ns"].is_null() && number(&line["life_ns"]) > 0, "{line}");
    }
    ensure!(near.counter("TcpAttemptFails")? == 2, "{lines:#?}");
    Ok(())
}

/// A timewait socket that the kernel does not make is not said to be there.
fn timewait_overflow() -> Result<()> {
    let netns = Netns::new("life")?;
    let listener = netns.within(|| Ok(TcpListener::bind(("127.0.0.1", 0))?))?;
    let address = listener.local_addr()?;
    netns.sysctl(&["net.ipv4.tcp_max_tw_buckets=3"])?;
    let tool = watch(&netns)?;
    for _ in 0..8 {
        let client = netns.within(|| Ok(TcpStream::connect(address)?))?;
        let mut server = listener.accept()?.0;
        drop(client);
        ensure!(server.read(&mut [0; 1])? == 0, "no FIN came");
    }
    tool.wait_for_kind("life", 16)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("life")?;
    let overflow = netns.counter("TcpExtTCPTimeWaitOverflow")?;
    let count = |value: serde_json::Value| {
        let closers = lines.iter().filter(|line| line["end"] == "closed_by_us");
        closers.filter(|line| line["into_time_wait"] == value).count() as u64
    };
    let (made, unknown) = (count(true.into()), count(serde_json::Value::Null));
    ensure!(overflow > 0 && made <= 8 - overflow, "{overflow} of 8: {lines:#?}");
    ensure!(made + unknown == 8, "{lines:#?}");
    Ok(())
}
