//! Troubles made on purpose, and what the dashboard says of each.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::netns::Netns;
use crate::tool::{Ended, Tool, number, output, path_of};

pub const TESTS: &[(&str, Test)] = &[
    ("refused_connects_and_used_up_ports_are_findings", no_ports),
    ("connections_without_time_wait_are_a_finding", time_wait_overflow),
    ("a_peer_that_does_not_read_is_a_finding", zero_window),
    ("a_snapshot_watches_for_a_duration", snapshot_for),
];

const PORTS: u64 = 10;
const REFUSED: u64 = 20;

fn dash(netns: &Netns) -> Result<Tool> {
    Tool::start_in(netns, "tcpdash", &format!("--netns {} -i 0.2", netns.path()))
}

fn rows<'a>(lines: &'a [String], kind: &str) -> impl Iterator<Item = Value> + use<'a> {
    let kind = format!("\"kind\":\"{kind}\"");
    let rows = lines.iter().filter(move |line| line.contains(&kind));
    rows.filter_map(|line| serde_json::from_str(line).ok())
}

/// Counters are judged over half a second or more.
fn judged(lines: &[String]) -> bool {
    let measured = rows(lines, "mib").map(|row| row["interval_ns"].as_u64().unwrap_or(0));
    Duration::from_nanos(measured.sum()) >= Duration::from_millis(500)
}

/// What the tool has counted since its start.
fn counted(lines: &[String], key: &str) -> u64 {
    rows(lines, "mib").map(|row| number(&row[key])).sum()
}

/// The overview at the end of a recording.
fn overview(ended: &Ended) -> Result<String> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), ended.lines.join("\n"))?;
    let mut replay = std::process::Command::new(path_of("tcpdash"));
    let text =
        output(replay.arg("--replay").arg(file.path()).args(["--snapshot", "--size", "300x60"]))?;
    Ok(text)
}

fn listener(netns: &Netns, port: u16) -> Result<(TcpListener, SocketAddr)> {
    let listener = netns.within(|| Ok(TcpListener::bind(("127.0.0.1", port))?))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Connections that the client closes first.
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
    let (listener, address) = listener(&netns, 5000)?;
    let tool = dash(&netns)?;
    for _ in 0..REFUSED {
        let refused = netns.within(|| Ok(TcpStream::connect("127.0.0.1:9")))?;
        let refused = refused.err().context("somebody listens on port 9")?;
        ensure!(refused.kind() == ErrorKind::ConnectionRefused, "{refused}");
    }
    for _ in 0..PORTS {
        open_and_close(&netns, &listener, address)?;
    }
    let full = netns.within(|| Ok(TcpStream::connect(address)))?;
    let full = full.err().context("there is a port more than the range has")?;
    ensure!(full.kind() == ErrorKind::AddrNotAvailable, "{full}");
    let truth = netns.counter("TcpAttemptFails")?;
    ensure!(truth == REFUSED, "nstat counts {truth} failed attempts");
    let used = |row: &Value| number(&row["local_ports_used"]);
    tool.wait_for("all ports", |lines| {
        counted(lines, "attempt_fails") >= truth
            && rows(lines, "destination").any(|row| used(&row) == PORTS)
            && judged(lines)
    })?;
    let ended = tool.finish()?;
    ensure!(counted(&ended.lines, "attempt_fails") == truth);
    let row = rows(&ended.lines, "destination").last().context("no destination")?;
    let found = ["local_ports_used", "local_ports_time_wait", "local_ports", "rport"];
    let found = found.map(|key| number(&row[key]));
    ensure!(found == [PORTS, PORTS, PORTS, 5000], "{row}");
    let text = overview(&ended)?;
    let ports = "10 of 10 local ports in use towards 127.0.0.1:5000, 10 of them in TIME_WAIT";
    ensure!(text.contains(ports), "{text}");
    ensure!(text.contains("20 connects or half-open connections failed"), "{text}");
    Ok(())
}

fn time_wait_overflow() -> Result<()> {
    let netns = Netns::new("tw")?;
    netns.sysctl(&["net.ipv4.tcp_max_tw_buckets=3"])?;
    let (listener, address) = listener(&netns, 0)?;
    let tool = dash(&netns)?;
    for _ in 0..PORTS {
        open_and_close(&netns, &listener, address)?;
    }
    let truth = netns.counter("TcpExtTCPTimeWaitOverflow")?;
    ensure!(truth > 0, "nothing went without TIME_WAIT");
    tool.wait_for("the overflow", |lines| {
        counted(lines, "tcp_time_wait_overflow") >= truth && judged(lines)
    })?;
    let ended = tool.finish()?;
    ensure!(counted(&ended.lines, "tcp_time_wait_overflow") == truth);
    let text = overview(&ended)?;
    ensure!(text.contains(&format!("{truth} connections went without TIME_WAIT")), "{text}");
    ended.complete()
}

/// A process that never reads: the sender probes its window, and is an orphan when its process is gone.
fn zero_window() -> Result<()> {
    let netns = Netns::new("window")?;
    let (listener, address) = listener(&netns, 0)?;
    let tool = dash(&netns)?;
    let mut client = netns.within(|| Ok(TcpStream::connect(address)?))?;
    let (server, _) = listener.accept()?;
    client.set_write_timeout(Some(Duration::from_millis(200)))?;
    while client.write(&[0; 4096]).is_ok() {}
    let probes = |lines: &[String]| counted(lines, "tcp_win_probe");
    tool.wait_for("a probe", |lines| probes(lines) > 0)?;
    tool.wait_for("a stall", |lines| {
        rows(lines, "stall").any(|row| row["why"] == "zero_window" && row["pid"].is_u64())
    })?;
    drop(client);
    let orphan = |row: &Value| number(&row["orphans"]) > 0;
    tool.wait_for("an orphan", |lines| rows(lines, "mib").any(|row| orphan(&row)))?;
    let ended = tool.finish()?;
    let (found, truth) = (probes(&ended.lines), netns.counter("TcpExtTCPWinProbe")?);
    ensure!(found <= truth, "{found} probes of {truth}");
    drop(server);
    let text = overview(&ended)?;
    ensure!(text.contains("the peer's window is zero, its process does not read"), "{text}");
    ensure!(text.contains("Checked: lost events"), "{text}");
    ended.complete()
}

/// `--snapshot -d`: several intervals, and what it did not find it has looked for.
fn snapshot_for() -> Result<()> {
    let netns = Netns::new("quiet")?;
    let arguments =
        ["--netns", &netns.path(), "--snapshot", "-d", "2", "-i", "0.5", "--size", "300x40"]
            .map(str::to_owned);
    let mut command = crate::setting::tool_command(&[], "tcpdash");
    let begun = std::time::Instant::now();
    let text = output(command.args(arguments))?;
    ensure!(begun.elapsed() >= Duration::from_secs(2), "it took {:?}", begun.elapsed());
    ensure!(text.contains("No problems found. Checked: lost events, drops"), "{text}");
    ensure!(text.contains(&format!("filter: --netns {}", netns.path())), "{text}");
    Ok(())
}
