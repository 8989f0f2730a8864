//! tcpports in ranges of ten ports: used, held and failed are what a script did and `ss` says.

use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::net::sockopt::set_socket_linger;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use serde_json::Value;

use crate::Test;
use crate::load::Running;
use crate::netns::Netns;
use crate::setting::scaled;
use crate::tool::{Ended, Tool, number, output};

pub const TESTS: &[(&str, Test)] = &[
    ("ten_ports_as_the_script_used_them", ten),
    ("each_failure_is_an_event", events),
    ("namespaces_and_families_have_pools_of_their_own", apart),
    ("ports_that_bind_took_are_held", held),
    ("time_wait_keeps_ports_until_it_is_reused", time_wait),
    ("a_hundred_thousand_sockets", many),
];

/// Holds two clocks against each other.
pub const ALONE: &[(&str, Test)] = &[("ports_last_as_long_as_predicted", forecast)];

const RANGE: &str = "net.ipv4.ip_local_port_range=40000 40009";

/// A namespace with ten ports.
pub fn small(label: &str) -> Result<Netns> {
    let netns = Netns::new(label)?;
    netns.sysctl(&[RANGE, "net.ipv4.tcp_tw_reuse=0"])?;
    Ok(netns)
}

pub fn watch(netns: &Netns, flags: &str) -> Result<Tool> {
    Tool::start("tcpports", &format!("--netns {} -i 0.2 {flags}", netns.path()))
}

pub fn fresh(to: IpAddr) -> Result<OwnedFd> {
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    Ok(socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, None)?)
}

/// Connects `count` times; the sockets that found a port. The others must have found none.
pub fn open(
    netns: &Netns,
    to: SocketAddr,
    from: Option<IpAddr>,
    count: usize,
) -> Result<Vec<TcpStream>> {
    netns.within(|| {
        let mut opened = Vec::new();
        for _ in 0..count {
            let socket = fresh(to.ip())?;
            if let Some(from) = from {
                match bind(&socket, &SocketAddr::new(from, 0)) {
                    Ok(()) => {}
                    Err(Errno::ADDRINUSE) => continue,
                    Err(error) => return Err(error.into()),
                }
            }
            match connect(&socket, &to) {
                Ok(()) => opened.push(socket.into()),
                Err(Errno::ADDRNOTAVAIL) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(opened)
    })
}

pub fn listen(netns: &Netns, address: &str) -> Result<(TcpListener, SocketAddr)> {
    // Not a port of the range.
    let listener = netns.within(|| Ok(TcpListener::bind(address)?))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// Rows of a kind about a remote end, in order.
pub fn rows(lines: &[String], kind: &str, to: SocketAddr) -> Vec<Value> {
    let all = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|row| {
        row["kind"] == kind && row["raddr"] == to.ip().to_string() && row["rport"] == to.port()
    })
    .collect()
}

/// The last row of a destination, and how many connects of all rows failed and succeeded.
pub fn last(ended: &Ended, to: SocketAddr) -> Result<(Value, u64, u64)> {
    let rows = rows(&ended.lines, "ports", to);
    let sum = |key: &str| rows.iter().map(|row| number(&row[key])).sum();
    Ok((rows.last().context("no row")?.clone(), sum("no_port"), sum("opens")))
}

/// Ports of the range that `ss` shows towards a remote end.
fn ss(netns: &Netns, to: SocketAddr) -> Result<u64> {
    let mut command = netns.command("ss");
    let filter = format!("dport = :{} and sport >= :40000 and sport <= :40009", to.port());
    Ok(output(command.args(["-tanH", &filter]))?.lines().count() as u64)
}

pub fn wait_for(
    tool: &Tool,
    what: &str,
    to: SocketAddr,
    is: impl Fn(&Value) -> bool,
) -> Result<()> {
    tool.wait_for(what, |lines| rows(lines, "ports", to).last().is_some_and(&is))
}

fn ten() -> Result<()> {
    let netns = small("ten")?;
    netns.sysctl(&["net.ipv4.ip_local_reserved_ports=40003,40008-40020"])?;
    let (_first, to) = listen(&netns, "127.0.0.1:7018")?;
    let (_second, other) = listen(&netns, "127.0.0.1:7019")?;
    let tool = watch(&netns, "--all --advise")?;
    let opened = open(&netns, to, None, 15)?;
    ensure!(opened.len() == 7, "{} found a port", opened.len());
    let few = open(&netns, other, None, 3)?;
    wait_for(&tool, "row of seven", to, |row| row["used"] == 7)?;
    wait_for(&tool, "row of three", other, |row| row["used"] == 3)?;
    let (ss_to, ss_other) = (ss(&netns, to)?, ss(&netns, other)?);
    drop(few);
    let ended = tool.finish()?;
    ended.complete()?;
    let (row, failed, opens) = last(&ended, to)?;
    ensure!(failed == 8 && opens == 7, "{failed} failed, {opens} did not: {row}");
    ensure!(number(&row["used"]) == ss_to && row["established"] == 7, "{row}");
    ensure!(row["ports"] == 7 && row["taken"] == 7 && row["held"] == 0, "{row}");
    ensure!(row["range_first"] == 40_000 && row["range_last"] == 40_009, "{row}");
    ensure!(row["empty_in_ns"] == 0 && row["pid"] == std::process::id(), "{row}");
    let before = rows(&ended.lines, "ports", other);
    ensure!(
        before.iter().any(|row| number(&row["used"]) == ss_other && row["taken"] == 3),
        "{before:#?}"
    );
    let advice = rows(&ended.lines, "port_advice", to);
    let text = advice.first().context("no advice")?["text"].to_string();
    ensure!(text.contains("ip_local_port_range = 40000 40009"), "{text}");
    Ok(())
}

fn events() -> Result<()> {
    let netns = small("events")?;
    let (_listener, to) = listen(&netns, "127.0.0.1:7018")?;
    let tool = Tool::start("tcpports", &format!("--events --netns {}", netns.path()))?;
    let opened = open(&netns, to, None, 15)?;
    ensure!(opened.len() == 10, "{} found a port", opened.len());
    // No port can be bound either.
    ensure!(open(&netns, to, Some(to.ip()), 2)?.is_empty(), "bound");
    tool.wait_for_kind("port_fail", 5)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("port_fail")?;
    let seen = |call: &str| lines.iter().filter(|line| line["call"] == call).count();
    let binds = if ended.last_status()?["attach"]["bind"] == "-" { 0 } else { 2 };
    ensure!(seen("connect") == 5 && seen("bind") == binds, "{lines:#?}");
    for line in &lines {
        let connects = line["call"] == "connect";
        ensure!(line["errno"] == if connects { 99 } else { 98 }, "{line}");
        ensure!(line["pid"] == std::process::id() && line["laddr"] == "127.0.0.1", "{line}");
        ensure!(line["lport"].is_null() && line["netns"] == netns.inode()?, "{line}");
        ensure!(!connects || (line["raddr"] == "127.0.0.1" && line["rport"] == 7018), "{line}");
    }
    Ok(())
}

fn apart() -> Result<()> {
    let (one, two) = (small("one")?, small("two")?);
    let mut kept = Vec::new();
    for (netns, address, count) in
        [(&one, "127.0.0.1:7018", 4), (&two, "127.0.0.1:7018", 6), (&two, "[::1]:7018", 5)]
    {
        let (listener, to) = listen(netns, address)?;
        kept.push((listener, open(netns, to, None, count)?));
    }
    let tool = Tool::start("tcpports", "--all -i 0.2")?;
    tool.wait_for_kind("ports", 1)?;
    let ended = tool.finish()?;
    for (netns, address, used) in [(&one, "127.0.0.1", 4), (&two, "127.0.0.1", 6), (&two, "::1", 5)]
    {
        let inode = netns.inode()?;
        let rows = ended.of_kind("ports")?;
        let of = |row: &&Value| row["netns"] == inode && row["raddr"] == address;
        let row = rows.iter().rev().find(of).with_context(|| format!("{address}: {rows:#?}"))?;
        ensure!(row["used"] == used && row["taken"] == used && row["ports"] == 10, "{row}");
    }
    Ok(())
}

fn held() -> Result<()> {
    let netns = small("held")?;
    let (_listener, to) = listen(&netns, "127.0.0.1:7018")?;
    let idle = netns.within(|| {
        let socket = fresh(to.ip())?;
        bind(&socket, &SocketAddr::new(to.ip(), 0))?;
        Ok(socket)
    })?;
    let bound = open(&netns, to, Some(to.ip()), 3)?;
    let plain = open(&netns, to, None, 15)?;
    ensure!(bound.len() == 3 && plain.len() == 6, "{} and {}", bound.len(), plain.len());
    let tool = watch(&netns, "--all")?;
    wait_for(&tool, "row of nine", to, |row| row["used"] == 9)?;
    tool.wait_for_kind("port_pool", 1)?;
    let ended = tool.finish()?;
    let (row, ..) = last(&ended, to)?;
    ensure!(
        row["held"] == 1 && row["taken"] == 10 && number(&row["used"]) == ss(&netns, to)?,
        "{row}"
    );
    let pools = ended.of_kind("port_pool")?;
    let pool = pools.last().context("no pool")?;
    ensure!(pool["laddr"] == "127.0.0.1" && pool["used"] == 10 && pool["by_bind"] == 4, "{pool}");
    ensure!(pool["bound"] == 1 && pool["ports"] == 10, "{pool}");
    drop(idle);
    Ok(())
}

fn time_wait() -> Result<()> {
    let netns = small("wait")?;
    let (listener, to) = listen(&netns, "127.0.0.1:7018")?;
    let tool = watch(&netns, "--all")?;
    for _ in 0..4 {
        let opened = open(&netns, to, None, 1)?;
        let server = listener.accept()?.0;
        drop(opened);
        drop(server);
    }
    // Those that the peer closes first leave nothing here.
    let peers = open(&netns, to, None, 1)?;
    let server = listener.accept()?.0;
    set_socket_linger(&server, Some(Duration::ZERO))?;
    drop(server);
    drop(peers);
    wait_for(&tool, "row of TIME_WAIT", to, |row| row["time_wait"] == 4 && row["used"] == 4)?;
    netns.sysctl(&["net.ipv4.tcp_tw_reuse=2"])?;
    wait_for(&tool, "row of reusable ports", to, |row| row["reusable"] == 4)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let rows = rows(&ended.lines, "ports", to);
    let sum = |key: &str| rows.iter().map(|row| number(&row[key])).sum::<u64>();
    ensure!((sum("opens"), sum("freed"), sum("closed_us")) == (5, 1, 4), "{rows:#?}");
    let last = rows.last().context("no row")?;
    ensure!(last["taken"] == 4, "{last}");
    ensure!(rows.iter().all(|row| row["pid"] == std::process::id()), "{rows:#?}");
    Ok(())
}

fn many() -> Result<()> {
    let netns = Netns::new("many")?;
    let conns = scaled(50_000, 500);
    let hold = Running::hold(&netns, &format!("--conns {conns}"))?;
    let tool = watch(&netns, "--all --by netns -n 2")?;
    let ended = tool.wait()?;
    ensure!(ended.status.success(), "{}", ended.errors);
    let rows = ended.of_kind("ports")?;
    let row = rows.last().context("no row")?;
    ensure!(row["used"] == conns && row["established"] == conns, "{row}");
    let cpu = number(&ended.last_status()?["cpu_ns"]);
    eprintln!("two looks at {} sockets, start included: {} ms of CPU", 2 * conns, cpu / 1_000_000);
    hold.release()
}

/// Opens connections at a steady rate until there is no port left; when that was, wall-clock ns.
fn use_up(netns: &Netns, to: SocketAddr) -> Result<(Vec<TcpStream>, u64)> {
    const PAUSE: Duration = Duration::from_millis(25);
    let mut kept = Vec::new();
    loop {
        let opened = open(netns, to, None, 1)?;
        if opened.is_empty() {
            let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
            return Ok((kept, u64::try_from(since.as_nanos())?));
        }
        kept.extend(opened);
        // This is the rate.
        thread::sleep(PAUSE);
    }
}

fn forecast() -> Result<()> {
    let netns = small("forecast")?;
    netns.sysctl(&["net.ipv4.ip_local_port_range=40000 40399"])?;
    let (listener, to) = listen(&netns, "127.0.0.1:7018")?;
    netns.sysctl(&["net.core.somaxconn=1000"])?;
    rustix::net::listen(&listener, 1000)?;
    let tool = watch(&netns, "--all")?;
    let (kept, moment) = use_up(&netns, to)?;
    wait_for(&tool, "failure", to, |row| row["taken"] == 400)?;
    let ended = tool.finish()?;
    let mut checked = 0;
    for row in rows(&ended.lines, "ports", to) {
        let Some(left) = row["empty_in_ns"].as_u64().filter(|left| *left > 2_000_000_000) else {
            continue;
        };
        // The first second is no steady rate yet.
        if number(&row["used"]) < 40 {
            continue;
        }
        let ts = row["ts"].as_str().context("no time")?;
        let ts = ts.parse::<jiff::Timestamp>()?.as_nanosecond();
        let truth = i128::from(moment) - ts;
        let off = (i128::from(left) - truth).abs();
        ensure!(off * 5 <= truth, "predicted {left} ns, it was {truth} ns: {row}");
        checked += 1;
    }
    ensure!(checked > 3 && kept.len() == 400, "{checked} predictions, {} ports", kept.len());
    Ok(())
}
