//! MPTCP: the application's socket, and the TCP sockets that are its subflows.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use rustix::net::{self, AddressFamily, Protocol, SocketFlags, SocketType, ipproto};

use crate::Test;
use crate::count::{counter, finish, sum};
use crate::listen::{self, explained, watch};
use crate::netns::Netns;
use crate::setting::confidential;
use crate::tool::{Tool, number};

/// The listener is this process's own: whoever it starts holds it until its exec, and can be found as its owner.
pub const ALONE: &[(&str, Test)] = &[("an_older_listener_has_its_owner_and_accepts", listener)];

pub const TESTS: &[(&str, Test)] = &[
    ("bytes_and_calls_count_once_at_the_socket_of_the_application", counts),
    ("transitions_of_subflows_are_marked", transitions),
];

const PLAIN: Option<Protocol> = None;
const MPTCP: Option<Protocol> = Some(ipproto::MPTCP);

/// Whether there is none.
fn missing() -> bool {
    let missing = !std::path::Path::new("/proc/sys/net/mptcp/enabled").exists();
    if missing {
        eprintln!("skipped: this kernel has no MPTCP");
    }
    missing
}

fn listen() -> Result<TcpListener> {
    let socket =
        net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, MPTCP)?;
    net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    net::listen(&socket, 64)?;
    Ok(TcpListener::from(socket))
}

/// A connection: the accepted end, and the client's.
fn pair(listener: &TcpListener, protocol: Option<Protocol>) -> Result<(TcpStream, TcpStream)> {
    let socket =
        net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, protocol)?;
    net::connect(&socket, &listener.local_addr()?)?;
    Ok((listener.accept()?.0, TcpStream::from(socket)))
}

fn listener() -> Result<()> {
    if missing() {
        return Ok(());
    }
    let netns = Netns::new("mptcp")?;
    let listener = netns.within(listen)?;
    let port = listener.local_addr()?.port();
    for flags in ["--all", "--all --wait"] {
        let tool = watch(&netns, flags)?;
        netns.within(|| {
            for protocol in [PLAIN, MPTCP, MPTCP] {
                pair(&listener, protocol)?;
            }
            Ok(())
        })?;
        tool.wait_for("3 accepts", |lines| {
            let rows = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
            rows.map(|row: serde_json::Value| number(&row["accepts"])).sum::<u64>() >= 3
        })?;
        let (rows, _) = explained(tool)?;
        ensure!(listen::sum(&rows, "accepts") == Some(3), "{flags}: {rows:#?}");
        let row = rows.first().context("no row")?;
        // Nothing leads from a process to its subflows where memory cannot be copied.
        let owned = row["pid"] == std::process::id() || (confidential() && row["pid"].is_null());
        ensure!(owned && row["lport"] == port, "{flags}: {row}");
    }
    Ok(())
}

fn counts() -> Result<()> {
    const BYTES: usize = 100_000;
    if missing() {
        return Ok(());
    }
    let netns = Netns::new("mptcp")?;
    for by in ["process", "connection"] {
        let listener = netns.within(listen)?;
        let tool = counter(&netns, &format!("--by {by}"))?;
        let mut reads = 0;
        netns.within(|| {
            let (mut server, mut client) = pair(&listener, MPTCP)?;
            server.write_all(&vec![7; BYTES])?;
            let (mut got, mut bytes) = (0, vec![0; BYTES]);
            while got < BYTES {
                got += client.read(&mut bytes)?;
                reads += 1;
            }
            Ok(())
        })?;
        let (rows, ended) = finish(tool, "rx_bytes", BYTES as u64)?;
        let found = ["tx_calls", "tx_bytes", "rx_calls", "rx_bytes"]
            .map(|key| sum(&rows, key, |row| row["pid"] == std::process::id()));
        let truth = [1, BYTES as u64, reads, BYTES as u64];
        ensure!(found == truth, "--by {by}: {found:?} instead of {truth:?}: {rows:#?}");
        ended.complete()?;
    }
    Ok(())
}

fn transitions() -> Result<()> {
    if missing() {
        return Ok(());
    }
    for (protocol, subflows) in [(PLAIN, false), (MPTCP, true)] {
        let netns = Netns::new("mptcp")?;
        let tool = Tool::start("tcpstates", &format!("--netns {}", netns.path()))?;
        netns.within(|| {
            let listener = listen()?;
            let (server, client) = pair(&listener, protocol)?;
            drop(client);
            drop(server);
            Ok(())
        })?;
        tool.wait_for("the end of a socket", |lines| {
            let ends = ["\"new\":\"CLOSE\"", "\"new\":\"TIME_WAIT\""];
            lines.iter().any(|line| ends.iter().any(|end| line.contains(end)))
        })?;
        let ended = tool.finish()?;
        for line in ended.of_kind("state")? {
            let listens = [&line["old"], &line["new"]].map(|state| state == "LISTEN");
            let listener = listens == [false, true] || (listens[0] && line["new"] == "CLOSE");
            ensure!(line["old"] != line["new"], "no change: {line}");
            ensure!(line["mptcp"] == (subflows || listener), "{line}");
            ensure!(line["pid"] == std::process::id(), "{line}");
        }
    }
    Ok(())
}
