//! Troubles made on purpose, and what tcpdoctor says of each: the right finding about the right process or
//! destination, and no other of high severity.

use std::io::{ErrorKind, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use tcpscope::findings::{Finding, page};

use crate::Test;
use crate::listen::{CLIENTS, SERVER, with_raw_clients};
use crate::load::Running;
use crate::netns::Netns;
use crate::setting::{recordings, tool_command};
use crate::shared::{fit_the_schema, full_listener};
use crate::tool::{Tool, number, output, path_of, until};

pub const TESTS: &[(&str, Test)] = &[
    ("used_up_local_ports", no_ports),
    ("connections_that_are_not_closed", close_wait),
    ("a_full_accept_queue", accept_queue),
    ("a_full_syn_queue", syn_queue),
    ("a_flood_and_cookies", cookies),
    ("a_peer_that_does_not_read", zero_window),
    ("many_connections_in_time_wait", many_in_time_wait),
    ("settings_are_judged_before_anything_is_loaded", settings_first),
    ("a_process_without_free_file_descriptors", out_of_files),
    ("a_port_that_is_bound_and_not_used", bound_port),
    ("a_page_and_an_exit_code", page),
];

/// A tool that prints findings as they begin, and what it has printed.
pub struct Doctor(Tool);

impl Doctor {
    pub fn watch(netns: &Netns) -> Result<Self> {
        // From inside, for an ordinary user may not visit the sockets of another namespace.
        Tool::start_in(netns, "tcpdoctor", &format!("--watch --netns {}", netns.path())).map(Self)
    }

    /// Waits until a finding of this rule has begun.
    pub fn sees(&self, rule: &str) -> Result<()> {
        let mark = format!("\"rule\":\"{rule}\"");
        self.0.wait_for(rule, |lines| lines.iter().any(|line| line.contains(&mark)))
    }

    /// Waits for a finding of this rule, ends the tool, and returns the finding. No other may be of high
    /// severity.
    pub fn finds(self, rule: &str) -> Result<Value> {
        let [found] = self.finds_all([rule])?;
        Ok(found)
    }

    /// The same with several rules.
    pub fn finds_all<const N: usize>(self, rules: [&str; N]) -> Result<[Value; N]> {
        rules.iter().try_for_each(|rule| self.sees(rule))?;
        let ended = self.0.finish()?;
        fit_the_schema(ended.lines.iter().map(String::as_str))?;
        let all = ended.of_kind("finding")?;
        let expected = |one: &Value| one["rule"].as_str().is_some_and(|id| rules.contains(&id));
        let other = all.iter().find(|one| one["severity"] == "high" && !expected(one));
        ensure!(other.is_none(), "another finding: {other:?}");
        let last = |rule| all.iter().rfind(|one| one["rule"] == rule).cloned().unwrap_or_default();
        let found = rules.map(last);
        found.iter().try_for_each(keep)?;
        Ok(found)
    }
}

/// Writes a finding as people see it into the folder of [`recordings`], if there is one.
pub fn keep(found: &Value) -> Result<()> {
    let Some(folder) = recordings() else { return Ok(()) };
    let finding: Finding = serde_json::from_value(found.clone())?;
    let text = page::finding(&finding, COLUMNS);
    Ok(std::fs::write(folder.join(format!("{}.txt", finding.rule)), text)?)
}

/// Columns of the recorded pages.
const COLUMNS: usize = 100;

/// Whether a finding is about this process.
pub fn is_ours(found: &Value) -> bool {
    number(&found["pid"]) == u64::from(std::process::id())
}

pub fn listener(netns: &Netns, address: &str) -> Result<(TcpListener, SocketAddr)> {
    let listener = netns.within(|| Ok(TcpListener::bind(address)?))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A connection that its client closes first.
pub fn open_and_close(netns: &Netns, listener: &TcpListener, address: SocketAddr) -> Result<()> {
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
    netns.sysctl(&["net.ipv4.tcp_abort_on_overflow=1"])?;
    let doctor = Doctor::watch(&netns)?;
    let (listener, _clients) = full_listener(&netns)?;
    let [found, abort] = doctor.finds_all(["accept-queue-full", "abort-on-overflow"])?;
    ensure!(abort["severity"] == "low" && number(&abort["netns"]) == netns.inode()?, "{abort}");
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
    let [peer, reader] = doctor.finds_all(["peer-window-zero", "reader-stuck"])?;
    ensure!(is_ours(&peer) && peer["raddr"] == "127.0.0.1", "{peer}");
    ensure!(is_ours(&reader), "{reader}");
    Ok(())
}

/// Half of the ports towards a destination and more wait, and few are not left yet.
fn many_in_time_wait() -> Result<()> {
    let netns = Netns::new("prober")?;
    netns.sysctl(&["net.ipv4.ip_local_port_range=40000 40099", "net.ipv4.tcp_tw_reuse=0"])?;
    let (listener, address) = listener(&netns, "127.0.0.1:5000")?;
    (0..60).try_for_each(|_| open_and_close(&netns, &listener, address))?;
    // A busy machine handles the last segments later.
    until("all are in TIME_WAIT", || {
        let ss = output(netns.command("ss").args(["-Htan", "state", "time-wait"]))?;
        Ok((ss.lines().count() == 60).then_some(()))
    })?;
    let found = Doctor::watch(&netns)?.finds("time-wait-many")?;
    ensure!(number(&found["evidence"]["local_ports_time_wait"]) == 60, "{found}");
    ensure!(found["raddr"] == "127.0.0.1" && number(&found["rport"]) == 5000, "{found}");
    Ok(())
}

/// What needs no program is said before there is one: the status of the programs comes later.
fn settings_first() -> Result<()> {
    let netns = Netns::new("reuse")?;
    netns.sysctl(&["net.ipv4.tcp_tw_reuse=1", "net.ipv4.tcp_timestamps=0"])?;
    let Doctor(tool) = Doctor::watch(&netns)?;
    let ended = tool.finish()?;
    let first: Value = serde_json::from_str(&ended.lines[0])?;
    ensure!(first["rule"] == "tw-reuse-without-timestamps", "{:?}", ended.lines);
    ensure!(number(&first["netns"]) == netns.inode()?, "{first}");
    let all = ended.of_kind("finding")?;
    ensure!(all.len() == 1, "it begins once: {all:?}");
    keep(&first)
}

/// It may not open a file more: `accept()` fails with EMFILE.
fn out_of_files() -> Result<()> {
    let netns = Netns::new("emfile")?;
    let script = "--backlog 8 --connects 3 --port 5557 --hold";
    let server = Running::listen(&netns, script)?;
    let pid = i32::try_from(number(&server.ready["pid"]))?;
    let least = rustix::process::Rlimit { current: Some(3), maximum: Some(3) };
    let process = rustix::process::Pid::from_raw(pid);
    rustix::process::prlimit(process, rustix::process::Resource::Nofile, least)?;
    let found = Doctor::watch(&netns)?.finds("accept-out-of-files")?;
    ensure!(found["pid"] == server.ready["pid"] && number(&found["lport"]) == 5557, "{found}");
    ensure!(number(&found["evidence"]["files_max"]) == 3, "{found}");
    ensure!(number(&found["evidence"]["accept_now"]) == 3, "{found}");
    Ok(())
}

fn bound_port() -> Result<()> {
    let netns = Netns::new("bound")?;
    let address: SocketAddr = "127.0.0.1:8088".parse()?;
    let bound = netns.within(|| {
        let flags = rustix::net::SocketFlags::CLOEXEC;
        let (family, kind) = (rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM);
        let socket = rustix::net::socket_with(family, kind, flags, None)?;
        rustix::net::bind(&socket, &address)?;
        Ok(socket)
    })?;
    let error = netns.within(|| Ok(TcpListener::bind(address).err()))?;
    ensure!(error.is_some_and(|error| error.kind() == ErrorKind::AddrInUse), "the port is free");
    let found = Doctor::watch(&netns)?.finds("port-bound-not-listening")?;
    ensure!(is_ours(&found) && number(&found["lport"]) == 8088, "{found}");
    drop(bound);
    Ok(())
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
