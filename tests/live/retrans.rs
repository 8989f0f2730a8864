//! tcpretrans: what was sent again is what the counters of the namespace say, to the segment.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_linger;
use serde_json::Value;

use crate::Test;
use crate::netns::{FAR, NEAR, Netns, PREFIX};
use crate::setting::{emulated, scaled};
use crate::tool::{Ended, Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("every_type_as_nstat_counts_it", lossy),
    ("a_lost_peer_shows_attempts_and_timeouts", vanished),
    ("a_connect_into_the_void", void),
    ("syn_acks_belong_to_the_listener", syn_acks),
];

/// An address without a host, and a hardware address that no interface has.
const NOBODY: &str = "10.117.0.9";
pub const NO_HARDWARE: &str = "02:00:00:00:00:09";

/// Loses one of 30 packets that `from` sends to `to`.
pub fn lose(from: &Netns, to: &Netns) -> Result<()> {
    if emulated() {
        let netem = ["qdisc", "add", "dev", "far", "root", "netem", "loss", "3.3%"];
        return output(from.command("tc").args(netem)).map(drop);
    }
    let rules = "add table inet t
        add chain inet t in { type filter hook input priority 0; }
        add rule inet t in meta l4proto tcp numgen random mod 30 == 0 drop";
    output(to.command("nft").arg(rules)).map(drop)
}

pub fn watch(netns: &Netns, flags: &str) -> Result<Tool> {
    Tool::start("tcpretrans", &format!("--netns {} {flags}", netns.path()))
}

/// Sums of segments by type; a type that is unknown is called "-".
fn segments(lines: &[Value], kind: Option<&str>) -> u64 {
    let again = |line: &&Value| !line["segs"].is_null();
    let wanted =
        |line: &&Value| again(line) && kind.is_none_or(|kind| line["type"].as_str() == Some(kind));
    lines.iter().filter(wanted).map(|line| number(&line["segs"])).sum()
}

/// Each type against the counters of the namespace.
pub fn agree(netns: &Netns, ended: &Ended) -> Result<Vec<Value>> {
    agree_but(netns, ended, 0)
}

/// The same, where the kernel has not reported so many SYNs that it sent again.
fn agree_but(netns: &Netns, ended: &Ended, unreported: u64) -> Result<Vec<Value>> {
    ended.complete()?;
    let lines = ended.of_kind("retrans")?;
    let of = |kind| segments(&lines, Some(kind));
    let counter = |name| netns.counter(name);
    let typed: u64 = ["rto", "fast", "tlp", "syn", "synack", "slow_start"].map(of).iter().sum();
    ensure!(typed == segments(&lines, None), "some have no type: {lines:#?}");
    for (name, seen) in [
        ("TcpRetransSegs", typed + unreported),
        ("TcpExtTCPFastRetrans", of("fast")),
        ("TcpExtTCPSlowStartRetrans", of("slow_start")),
        ("TcpExtTCPSynRetrans", of("syn") + of("synack") + unreported),
    ] {
        let truth = counter(name)?;
        let status = ended.last_status()?;
        // Counted, but the own host dropped them: no event.
        let failed = counter("TcpExtTCPRetransFail")?;
        let sums = format!("{name} is {truth}, shown are {seen}, TCPRetransFail is {failed}");
        ensure!(seen == truth, "{sums}: {status} {lines:#?}");
    }
    // A probe with new data is no retransmit.
    ensure!(of("tlp") <= counter("TcpExtTCPLossProbes")?, "{lines:#?}");
    // Without the hook, the owner of a connection that is older than the tool is unknown.
    let unknown = ended.last_status()?["attach"]["owners"] == "-";
    let own =
        |line: &Value| line["pid"] == std::process::id() || (unknown && line["pid"].is_null());
    let other = lines.iter().find(|line| !own(line));
    ensure!(other.is_none(), "not by this process: {other:?}");
    Ok(lines)
}

fn lossy() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    lose(&near, &far)?;
    let tool = watch(&near, "")?;
    let sums = watch(&near, "--summary --by remote:24")?;
    let reader = thread::spawn(move || -> Result<u64> {
        let mut server = listener.accept()?.0;
        Ok(std::io::copy(&mut server, &mut std::io::sink())?)
    });
    let mut client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let bytes = scaled(30_000_000, 3_000_000);
    for _ in 0..bytes / 100_000 {
        client.write_all(&vec![7; 100_000])?;
    }
    client.shutdown(Shutdown::Write)?;
    let read = reader.join().expect("no panic")?;
    ensure!(read == bytes, "{read} of {bytes} bytes came");
    // The server has closed: everything is acknowledged.
    ensure!(client.read(&mut [0; 1])? == 0, "the server sent something");
    let ended = tool.finish()?;
    let lines = agree(&near, &ended)?;
    let timeouts = near.counter("TcpExtTCPTimeouts")?;
    let (rto, syn) = (segments(&lines, Some("rto")), segments(&lines, Some("syn")));
    ensure!(rto + syn == timeouts, "{timeouts} timeouts: {lines:#?}");
    ensure!(segments(&lines, Some("fast")) > 0, "the script lost too little: {lines:#?}");
    let sums = sums.finish()?;
    sums.complete()?;
    let rows = sums.of_kind("retrans_sum")?;
    for (total, who) in [(true, "the total"), (false, "the network")] {
        let rows = rows.iter().filter(|row| row["total"] == total);
        let sum: u64 = rows.map(|row| number(&row["retrans_segs"])).sum();
        ensure!(sum == segments(&lines, None), "{who} has {sum} segments: {lines:#?}");
    }
    let network = rows.iter().find(|row| row["total"] == false).context("no network")?;
    ensure!(network["raddr"] == format!("{PREFIX}0"), "{network}");
    Ok(())
}

fn vanished() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let mut client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let _server = listener.accept()?;
    near.ip(&["neighbour", "replace", FAR, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let tool = watch(&near, "")?;
    client.write_all(b"anybody?")?;
    tool.wait_for("four timeouts", |lines| {
        lines.iter().filter(|line| line.contains("\"type\":\"rto\"")).count() >= 4
    })?;
    let port = u64::from(client.local_addr()?.port());
    // A reset ends the connection: nothing more is sent again.
    set_socket_linger(&client, Some(Duration::ZERO))?;
    drop(client);
    let ended = tool.finish()?;
    let lines = agree(&near, &ended)?;
    ensure!(segments(&lines, Some("rto")) == near.counter("TcpExtTCPTimeouts")?, "{lines:#?}");
    let attempts: Vec<_> = lines.iter().map(|line| number(&line["attempt"])).collect();
    ensure!(attempts.iter().copied().eq(1..=lines.len() as u64), "{attempts:?}");
    let timeouts: Vec<_> = lines
        .iter()
        .filter(|line| line["type"] == "rto")
        .map(|line| number(&line["rto_ns"]))
        .collect();
    ensure!(timeouts.windows(2).all(|pair| pair[1] == 2 * pair[0]), "{timeouts:?}");
    let wrong = lines.iter().find(|line| line["raddr"] != FAR || number(&line["lport"]) != port);
    ensure!(wrong.is_none(), "another connection: {wrong:?}");
    Ok(())
}

/// What the kernel's tracepoint reports, as tracefs shows it.
struct Trace(PathBuf);

impl Trace {
    const EVENT: &str = "events/tcp/tcp_retransmit_skb/enable";

    /// `None`: this kernel has no trace.
    fn begin() -> Option<Self> {
        let folder = format!("/sys/kernel/tracing/instances/tcpscope-test-{}", std::process::id());
        fs::create_dir(&folder).ok()?;
        let trace = Self(folder.into());
        fs::write(trace.0.join(Self::EVENT), "1").ok()?;
        Some(trace)
    }

    /// Segments from a port that were sent.
    fn count(&self, port: &Value) -> Result<u64> {
        let text = fs::read_to_string(self.0.join("trace"))?;
        let from = format!(" sport={port} dport=80 ");
        let sent = |line: &&str| line.contains(&from) && !line.contains(" err=-");
        Ok(text.lines().filter(sent).count() as u64)
    }
}

impl Drop for Trace {
    fn drop(&mut self) {
        // A failure here cannot be handled; the name shows the owner.
        let _ = fs::remove_dir(&self.0);
    }
}

fn void() -> Result<()> {
    let (near, _far) = Netns::pair()?;
    // Newer kernels begin with timeouts of one length.
    let linear = std::fs::exists("/proc/sys/net/ipv4/tcp_syn_linear_timeouts")?;
    if linear {
        near.sysctl(&["net.ipv4.tcp_syn_retries=2", "net.ipv4.tcp_syn_linear_timeouts=4"])?;
    } else {
        near.sysctl(&["net.ipv4.tcp_syn_retries=1"])?;
    }
    near.ip(&["neighbour", "replace", NOBODY, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let trace = Trace::begin();
    let tool = watch(&near, "")?;
    let late = watch(&near, "--attempt 2 --type syn")?;
    let error = near.within(|| Ok(TcpStream::connect((NOBODY, 80)).err()))?;
    ensure!(error.is_some_and(|error| error.kind() == ErrorKind::TimedOut), "connected");
    let ended = tool.finish()?;
    // Some that 6.18 counts, and that the interface sends, its tracepoint does not report, to bpftrace neither.
    let port = &ended.of_kind("retrans")?[0]["lport"];
    let counted = near.counter("TcpRetransSegs")?;
    let reported = trace.map_or(Ok(counted), |trace| trace.count(port))?;
    ensure!(reported <= counted, "{reported} of {counted}");
    let lines = agree_but(&near, &ended, counted - reported)?;
    let attempts: Vec<_> = lines.iter().map(|line| number(&line["attempt"])).collect();
    ensure!(attempts.iter().copied().eq(1..=lines.len() as u64), "{lines:#?}");
    if linear {
        ensure!(counted == 5, "{counted}: {lines:#?}");
        ensure!(lines.iter().all(|line| number(&line["rto_ns"]) == 1_000_000_000), "{lines:#?}");
    }
    ensure!(
        lines.iter().all(|line| line["state"] == "SYN_SENT" && line["type"] == "syn"),
        "{lines:#?}"
    );
    let late = late.finish()?;
    late.complete()?;
    let shown: Vec<_> =
        late.of_kind("retrans")?.iter().map(|line| number(&line["attempt"])).collect();
    ensure!(shown == attempts[1..], "{shown:?} of {attempts:?}");
    Ok(())
}

fn syn_acks() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    far.sysctl(&["net.ipv4.tcp_synack_retries=1"])?;
    near.sysctl(&["net.ipv4.tcp_syn_retries=1"])?;
    far.ip(&["neighbour", "replace", NEAR, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let tool = watch(&far, "")?;
    let error = near.within(|| Ok(TcpStream::connect(address).err()))?;
    ensure!(error.is_some(), "connected");
    // The half-open connection ends after its last SYN-ACK.
    until("no half-open connection", || {
        let mut ss = far.command("ss");
        let left = output(ss.args(["-Htn", "state", "syn-recv"]))?;
        Ok(left.trim().is_empty().then_some(()))
    })?;
    let lines = agree(&far, &tool.finish()?)?;
    ensure!(!lines.is_empty(), "none was sent again");
    let port = u64::from(address.port());
    for line in &lines {
        ensure!(line["type"] == "synack" && line["state"] == "NEW_SYN_RECV", "{line}");
        ensure!(number(&line["lport"]) == port && line["raddr"] == NEAR, "{line}");
    }
    Ok(())
}
