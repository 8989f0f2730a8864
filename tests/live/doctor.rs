//! Troubles made on purpose, and what tcpdoctor says of each: the right finding about the right process or
//! destination, and no other of high severity.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;

use crate::Test;
use crate::listen::{CLIENTS, SERVER, with_raw_clients};
use crate::load::{self, Running};
use crate::netns::{FAR, Netns};
use crate::retrans::{NO_HARDWARE, lose};
use crate::setting::{emulated, tool_command};
use crate::shared::{fit_the_schema, full_listener};
use crate::tool::{Tool, number, output, path_of};

pub const TESTS: &[(&str, Test)] = &[
    ("used_up_local_ports", no_ports),
    ("connections_that_are_not_closed", close_wait),
    ("a_full_accept_queue", accept_queue),
    ("a_full_syn_queue", syn_queue),
    ("a_flood_and_cookies", cookies),
    ("connects_that_lose_their_syn", lost_syns),
    ("refused_connects", refused),
    ("loss_on_the_way", loss),
    ("a_peer_that_does_not_read", zero_window),
    ("resets", resets),
    ("connections_without_time_wait", time_wait),
    ("nothing_is_found_where_all_is_well", healthy),
    ("a_page_and_an_exit_code", page),
];

/// An address without a host.
const ABSENT: &str = "10.117.0.9";

/// A tool that prints findings as they begin, and what it has printed.
struct Doctor(Tool);

impl Doctor {
    fn watch(netns: &Netns) -> Result<Self> {
        // From inside, for an ordinary user may not visit the sockets of another namespace.
        Tool::start_in(netns, "tcpdoctor", &format!("--watch --netns {}", netns.path())).map(Self)
    }

    /// Waits for a finding of this rule, ends the tool, and returns the finding. No other may be of high
    /// severity.
    fn finds(self, rule: &str) -> Result<Value> {
        let mark = format!("\"rule\":\"{rule}\"");
        self.0.wait_for(rule, |lines| lines.iter().any(|line| line.contains(&mark)))?;
        let ended = self.0.finish()?;
        fit_the_schema(ended.lines.iter().map(String::as_str))?;
        let all = ended.of_kind("finding")?;
        let other = all.iter().find(|one| one["severity"] == "high" && one["rule"] != rule);
        ensure!(other.is_none(), "another finding: {other:?}");
        all.into_iter().rfind(|one| one["rule"] == rule).context("the finding")
    }
}

fn listener(netns: &Netns, address: &str) -> Result<(TcpListener, SocketAddr)> {
    let listener = netns.within(|| Ok(TcpListener::bind(address)?))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A connection that its client closes first.
fn open_and_close(netns: &Netns, listener: &TcpListener, address: SocketAddr) -> Result<()> {
    let client = netns.within(|| Ok(TcpStream::connect(address)?))?;
    let (server, _) = listener.accept()?;
    drop(client);
    drop(server);
    Ok(())
}

fn no_ports() -> Result<()> {
    let netns = Netns::new("ports")?;
    netns.sysctl(&["net.ipv4.ip_local_port_range=40000 40009", "net.ipv4.tcp_tw_reuse=0"])?;
    let (listener, address) = listener(&netns, "127.0.0.1:5000")?;
    let doctor = Doctor::watch(&netns)?;
    (0..10).try_for_each(|_| open_and_close(&netns, &listener, address))?;
    let full = netns.within(|| Ok(TcpStream::connect(address).err()))?;
    ensure!(full.is_some_and(|error| error.kind() == ErrorKind::AddrNotAvailable), "a free port");
    let found = doctor.finds("local-ports-used-up")?;
    ensure!(found["severity"] == "high" && number(&found["rport"]) == 5000, "{found}");
    ensure!(number(&found["netns"]) == netns.inode()?, "{found}");
    ensure!(number(&found["evidence"]["local_ports_time_wait"]) == 10, "{found}");
    let remedy = found["remedy"].as_str().unwrap_or_default();
    ensure!(remedy.contains("net.ipv4.ip_local_port_range = 40000 40009"), "{found}");
    Ok(())
}

fn close_wait() -> Result<()> {
    let netns = Netns::new("closewait")?;
    let held = Running::hold(&netns, "--conns 20 --state close-wait")?;
    let found = Doctor::watch(&netns)?.finds("close-wait-held")?;
    ensure!(number(&found["evidence"]["sockets"]) == 20, "{found}");
    let pids = held.ready["pids"].as_array().cloned().unwrap_or_default();
    ensure!(pids.contains(&found["pid"]), "{found}: none of {pids:?}");
    Ok(())
}

fn accept_queue() -> Result<()> {
    let netns = Netns::new("accept")?;
    let doctor = Doctor::watch(&netns)?;
    let (listener, _clients) = full_listener(&netns)?;
    let found = doctor.finds("accept-queue-full")?;
    let port = listener.local_addr()?.port();
    ensure!(found["severity"] == "high" && number(&found["lport"]) == u64::from(port), "{found}");
    ensure!(number(&found["pid"]) == u64::from(std::process::id()), "{found}");
    Ok(())
}

fn syn_queue() -> Result<()> {
    flooded(0, "syn-queue-full", "high")
}

fn cookies() -> Result<()> {
    flooded(1, "syn-cookies-sent", "medium")
}

fn flooded(cookies: u32, rule: &str, severity: &str) -> Result<()> {
    let netns = with_raw_clients("synq")?;
    netns.sysctl(&[&format!("net.ipv4.tcp_syncookies={cookies}")])?;
    let doctor = Doctor::watch(&netns)?;
    let script =
        format!("--backlog 8 --addr {SERVER} --port 5556 --raw {CLIENTS} --syns 60 --hold");
    let _flood = Running::listen(&netns, &script)?;
    let found = doctor.finds(rule)?;
    ensure!(found["severity"] == severity && number(&found["lport"]) == 5556, "{found}");
    Ok(())
}

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
    ensure!(number(&found["pid"]) == u64::from(std::process::id()), "{found}");
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

/// Until its sends no longer return.
fn fill(stream: &mut TcpStream) -> Result<()> {
    stream.set_write_timeout(Some(Duration::from_millis(200)))?;
    while stream.write(&[0; 4096]).is_ok() {}
    Ok(())
}

fn zero_window() -> Result<()> {
    let netns = Netns::new("window")?;
    let (listener, address) = listener(&netns, "127.0.0.1:0")?;
    let doctor = Doctor::watch(&netns)?;
    let mut client = netns.within(|| Ok(TcpStream::connect(address)?))?;
    let (_server, _) = listener.accept()?;
    fill(&mut client)?;
    doctor.finds("peer-window-zero").map(drop)
}

fn resets() -> Result<()> {
    let netns = Netns::new("resets")?;
    let (listener, address) = listener(&netns, "127.0.0.1:0")?;
    let doctor = Doctor::watch(&netns)?;
    for _ in 0..20 {
        let client = netns.within(|| Ok(TcpStream::connect(address)?))?;
        let (mut server, _) = listener.accept()?;
        set_socket_linger(&client, Some(Duration::ZERO))?;
        drop(client);
        let error = server.read(&mut [0]).err();
        ensure!(error.is_some_and(|error| error.kind() == ErrorKind::ConnectionReset), "no reset");
    }
    let found = doctor.finds("resets-sent")?;
    ensure!(number(&found["evidence"]["resets"]) >= 10, "{found}");
    Ok(())
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

/// Requests on kept connections: as many as two CPUs can do.
fn healthy() -> Result<()> {
    let netns = Netns::new("well")?;
    let tool = Tool::start_in(&netns, "tcpdoctor", &format!("--netns {} -d 4", netns.path()))?;
    load::run(&netns, "reqresp --seconds 3 --conns 8")?;
    let ended = tool.wait()?;
    ensure!(ended.status.success(), "{}", ended.errors);
    let mut found = ended.of_kind("finding")?;
    if emulated() {
        // Programs are so slow there that softirqs meet them at work: the kernel skips runs.
        found.retain(|one| one["rule"] != "events-lost" || number(&one["evidence"]["lost"]) > 0);
        ensure!(found.is_empty(), "{found:#?}");
        return Ok(());
    }
    ensure!(found.is_empty(), "{found:#?}");
    ended.complete()
}

/// The page is what a person reads; a recording says the same as the machine did.
fn page() -> Result<()> {
    let netns = Netns::new("page")?;
    let (_listener, _clients) = full_listener(&netns)?;
    let record = Tool::start("tcpdash", &format!("--netns {} -i 0.5", netns.path()))?;
    let mut live = tool_command(&[], "tcpdoctor");
    let live = live.args(["-d", "4", "-v", "--exit-code", "--netns", &netns.path()]).output()?;
    let text = String::from_utf8_lossy(&live.stdout);
    ensure!(live.status.code() == Some(13), "{}: {text}", live.status);
    ensure!(text.contains("accept-queue-full") && text.contains("change   "), "{text}");
    ensure!(text.contains("well     ") && text.contains("close-wait-held"), "{text}");
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), record.finish()?.lines.join("\n"))?;
    let replay = output(Command::new(path_of("tcpdoctor")).arg("--replay").arg(file.path()))?;
    ensure!(replay.contains("accept-queue-full"), "{replay}");
    Ok(())
}
