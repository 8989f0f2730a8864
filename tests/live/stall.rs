//! tcpstall: why a connection does not move, and since when, by the script that holds it up.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, ensure};
use rustix::io::ioctl_fionread;
use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_cork, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
};
use serde_json::Value;

use crate::Test;
use crate::load::Running;
use crate::netns::{FAR, Netns, PREFIX};
use crate::retrans::NO_HARDWARE;
use crate::setting::{confidential, delay_ns, emulated, scaled};
use crate::tool::{Tool, number, output};

pub const TESTS: &[(&str, Test)] = &[
    ("a_peer_that_does_not_read_closes_its_window", zero_window),
    ("a_process_that_does_not_read", reader),
    ("a_peer_that_vanished_dies_as_predicted", vanished),
    ("keepalive_probes_without_an_answer", keepalive),
    ("a_corked_segment_waits", corked),
    ("connections_that_move_or_idle_are_not_shown", moving),
];

/// How far a time may be from that of the script.
pub const EXACT_NS: u64 = 100_000_000;

/// From inside, for an ordinary user may not visit the sockets of another namespace.
pub fn watch(netns: &Netns, flags: &str) -> Result<Tool> {
    let interval = if flags.contains("-i ") { "" } else { "-i 0.1" };
    Tool::start_in(netns, "tcpstall", &format!("--netns {} {interval} {flags}", netns.path()))
}

/// Wall-clock ns.
pub fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(u64::try_from(since.as_nanos())?)
}

pub fn time_of(row: &Value) -> Result<u64> {
    let ts = row["ts"].as_str().context("no time")?.parse::<jiff::Timestamp>()?;
    Ok(u64::try_from(ts.as_nanosecond())?)
}

/// Rows of a socket with this reason, in order.
pub fn rows(lines: &[String], port: u16, why: &str) -> Vec<Value> {
    let all = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    all.filter(|row| row["lport"] == port && row["why"] == why).collect()
}

pub fn wait_for(tool: &Tool, port: u16, why: &str, count: usize) -> Result<Vec<Value>> {
    let mut found = std::cell::RefCell::new(Vec::new());
    tool.wait_for(&format!("{count} rows of {why}"), |lines| {
        *found.borrow_mut() = rows(lines, port, why);
        found.borrow().len() >= count
    })?;
    Ok(std::mem::take(found.get_mut()))
}

/// Expects that each row says that it began at `began`.
pub fn began_at(rows: &[Value], began: u64) -> Result<()> {
    for row in rows {
        let since = time_of(row)?.saturating_sub(number(&row["stalled_at_least_ns"]));
        let off = since.abs_diff(began);
        // What is not exact is a lower bound, from the pass on that saw it first.
        let late = if row["stalled_ns"].is_null() { 2 * EXACT_NS } else { 0 };
        ensure!(off <= EXACT_NS + late + delay_ns(), "{} ms off: {row}", off / 1_000_000);
    }
    Ok(())
}

/// A connection: its near and its far end.
pub fn connect(near: &Netns, listener: &TcpListener) -> Result<(TcpStream, TcpStream, u16)> {
    let address = listener.local_addr()?;
    let client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let port = client.local_addr()?.port();
    Ok((client, listener.accept()?.0, port))
}

pub fn listen(netns: &Netns, host: &str) -> Result<TcpListener> {
    netns.within(|| Ok(TcpListener::bind((host, 0))?))
}

/// Writes until nothing has come to the other end for a while; when something last did.
pub fn fill(stream: &mut TcpStream, other: &TcpStream) -> Result<u64> {
    stream.set_nonblocking(true)?;
    let (mut last, mut idle, mut came) = (now()?, Instant::now(), 0);
    while idle.elapsed() < Duration::from_millis(600) {
        match stream.write(&[7; 16_384]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                thread::sleep(Duration::from_millis(2));
            }
            Err(error) => return Err(error.into()),
        }
        let waits = ioctl_fionread(other)?;
        if waits != came {
            (last, idle, came) = (now()?, Instant::now(), waits);
        }
    }
    Ok(last)
}

/// What `ss` says of a socket, in one line.
pub fn ss(netns: &Netns, port: u16) -> Result<String> {
    let mut command = netns.command("ss");
    output(command.args(["-tinOH", &format!("sport = :{port}")]))
}

/// A value of `ss -i` like `cwnd:10` or `busy:3016ms`.
pub fn value(line: &str, name: &str) -> Option<u64> {
    let word = line.split_whitespace().find_map(|word| word.strip_prefix(name))?;
    let digits = word.find(|c: char| !c.is_ascii_digit()).unwrap_or(word.len());
    word[..digits].parse().ok()
}

fn zero_window() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = listen(&far, FAR)?;
    // Older than the tool.
    let (mut client, server, port) = connect(&near, &listener)?;
    let began = fill(&mut client, &server)?;
    let tool = watch(&near, "")?;
    let all = watch(&near, "--all")?;
    let sums = watch(&near, "--by remote")?;
    wait_for(&tool, port, "zero_window", 5)?;
    let line = ss(&near, port)?;
    all.wait_for("ten connections", |lines| {
        lines.iter().filter(|line| line.contains("\"kind\":\"conn\"")).count() >= 10
    })?;
    let ended = tool.finish()?;
    ended.complete()?;
    let stalls = rows(&ended.lines, port, "zero_window");
    began_at(&stalls, began)?;
    let queued: u64 = line.split_whitespace().nth(2).context("no Send-Q")?.parse()?;
    for row in &stalls {
        ensure!(number(&row["unacked_bytes"]) == queued, "Send-Q is {queued}: {row}");
        ensure!(row["rwnd_bytes"] == 0 && row["raddr"] == FAR, "{row}");
        ensure!(row["stalled_ns"] == row["stalled_at_least_ns"], "not exact: {row}");
        ensure!(row["pid"] == std::process::id() && row["attempt"].is_null(), "{row}");
        ensure!(row["blocked"] == false && row["blocked_ns"].is_null(), "no thread waits: {row}");
    }
    sums.wait_for_kind("stall_share", 3)?;
    let sums = sums.finish()?.of_kind("stall_share")?;
    let sum = sums.last().context("no sum")?;
    ensure!(sum["raddr"] == FAR && sum["connections"] == 1 && sum["stalled"] == 1, "{sum}");
    ensure!(sum["queued_total_bytes"] == queued && sum["by"] == "remote", "{sum}");
    // It was limited all the time, but to a tick.
    let (busy, limited) = (number(&sum["busy_ns"]), number(&sum["rwnd_limited_ns"]));
    ensure!(busy > 0 && busy == limited && !sum["interval_ns"].is_null(), "{sum}");
    let conn = all.finish()?.of_kind("conn")?;
    let conn = conn.iter().rfind(|row| row["lport"] == port).context("no connection")?;
    // Guests have no tcp_diag: there ss knows of /proc/net/tcp only.
    if !emulated() {
        let (busy, rwnd) = (value(&line, "busy:"), value(&line, "rwnd_limited:"));
        let share = |part: u64, whole: u64| part * 100 / whole.max(1);
        let shown = share(number(&conn["rwnd_limited_ns"]), number(&conn["busy_ns"]));
        let (rwnd, busy) = rwnd.zip(busy).with_context(|| format!("not limited: {line}"))?;
        let truth = share(rwnd, busy);
        ensure!(shown.abs_diff(truth) <= 5, "{shown} %, of {truth}: {line} {conn}");
        for (key, name) in [("cwnd", "cwnd:"), ("mss", "mss:")] {
            ensure!(conn[key].as_u64() == value(&line, name), "{key}: {line} {conn}");
        }
    }
    ensure!(conn["limited_by"] == "receive_window" && number(&conn["unacked_bytes"]) == queued);
    drop(server);
    Ok(())
}

fn reader() -> Result<()> {
    let netns = Netns::new("reader")?;
    let listener = listen(&netns, "127.0.0.1")?;
    let port = listener.local_addr()?.port();
    let tool = watch(&netns, "")?;
    let (mut client, mut server, _) = connect(&netns, &listener)?;
    client.write_all(b"abc")?;
    server.read_exact(&mut [0; 3])?;
    client.write_all(b"defgh")?;
    let began = now()?;
    let stalls = wait_for(&tool, port, "reader", 3)?;
    // What comes later does not make it younger.
    client.write_all(b"ij")?;
    tool.wait_for("more bytes", |lines| {
        rows(lines, port, "reader").iter().any(|row| row["unread_bytes"] == 7)
    })?;
    server.read_exact(&mut [0; 7])?;
    let read = now()?;
    ensure!(stalls[0]["unread_bytes"] == 5, "{stalls:#?}");
    let ended = tool.finish()?;
    ended.complete()?;
    let stalls = rows(&ended.lines, port, "reader");
    began_at(&stalls, began)?;
    for row in &stalls {
        ensure!(time_of(row)? <= read + EXACT_NS + delay_ns(), "it has read: {row}");
        // There it is not known who accepts.
        let owned = confidential() || row["pid"] == std::process::id();
        ensure!(row["unacked_bytes"] == 0 && owned, "{row}");
    }
    Ok(())
}

/// Waits for the end of a connection whose peer is gone; when it came.
fn death(stream: &mut TcpStream) -> Result<u64> {
    stream.set_nonblocking(false)?;
    let error = stream.read(&mut [0; 1]).err().context("the peer answered")?;
    ensure!(error.kind() == ErrorKind::TimedOut, "{error}");
    now()
}

/// Expects that each row predicts the end: the kernel's timers may be an eighth late.
fn died_at(rows: &[Value], died: u64) -> Result<()> {
    for row in rows {
        let dies_in = row["dies_in_ns"].as_u64().with_context(|| format!("no end: {row}"))?;
        let off = (time_of(row)? + dies_in).abs_diff(died);
        let allowed = EXACT_NS + delay_ns() + (dies_in + number(&row["rto_ns"])) / 8;
        ensure!(off <= allowed, "{} ms off: {row}", off / 1_000_000);
    }
    Ok(())
}

fn vanished() -> Result<()> {
    let (near, far) = Netns::pair()?;
    near.sysctl(&["net.ipv4.tcp_retries2=3"])?;
    // The kernel gives up with the first timer that expires 3 s or more after the first retransmit. With timeouts
    // from 200 ms on that is one at 2.9 s if it is late; with 300 ms they expire at 1.8 and 4.2 s.
    let subnet = format!("{PREFIX}0/24");
    near.ip(&["route", "replace", &subnet, "dev", "far", "rto_min", "300ms"])?;
    let listener = listen(&far, FAR)?;
    let (mut client, _server, port) = connect(&near, &listener)?;
    let tool = watch(&near, "--longer 500ms")?;
    near.ip(&["neighbour", "replace", FAR, "lladdr", NO_HARDWARE, "dev", "far"])?;
    client.write_all(b"request")?;
    let began = now()?;
    let died = death(&mut client)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let stalls = rows(&ended.lines, port, "peer_gone");
    ensure!(stalls.len() > 2, "{:#?}", ended.lines);
    began_at(&stalls, began)?;
    died_at(&stalls, died)?;
    let attempts: Vec<_> = stalls.iter().map(|row| number(&row["attempt"])).collect();
    ensure!(attempts.is_sorted() && attempts[0] == 2, "{attempts:?}");
    for row in &stalls {
        ensure!(row["attempts"].as_u64() == attempts.last().copied(), "{attempts:?}: {row}");
        ensure!(row["unacked_bytes"] == 7 && row["unsent_bytes"] == 0, "{row}");
    }
    Ok(())
}

fn keepalive() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = listen(&far, FAR)?;
    let (mut client, _server, port) = connect(&near, &listener)?;
    let second = Duration::from_secs(1);
    set_tcp_keepidle(&client, second)?;
    set_tcp_keepintvl(&client, second)?;
    set_tcp_keepcnt(&client, 3)?;
    let opened = now()?;
    near.ip(&["neighbour", "replace", FAR, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let tool = watch(&near, "")?;
    set_socket_keepalive(&client, true)?;
    let died = death(&mut client)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let stalls = rows(&ended.lines, port, "keepalive");
    ensure!(stalls.len() > 5, "{:#?}", ended.lines);
    began_at(&stalls, opened)?;
    died_at(&stalls, died)?;
    ensure!(stalls.iter().all(|row| row["attempts"] == 3 && row["unacked_bytes"] == 0));
    Ok(())
}

fn corked() -> Result<()> {
    let netns = Netns::new("cork")?;
    let listener = listen(&netns, "127.0.0.1")?;
    let (mut client, server, port) = connect(&netns, &listener)?;
    set_tcp_cork(&client, true)?;
    let tool = Tool::start(
        "tcpstall",
        &format!("--netns {} -i 0.02 --longer 40ms --lport {port}", netns.path()),
    )?;
    // The kernel lets it wait for 200 ms.
    let end = Instant::now() + crate::setting::patience();
    while tool.lines() < 2 && Instant::now() < end {
        client.write_all(b"0123456789")?;
        thread::sleep(Duration::from_millis(400));
    }
    let stalls = wait_for(&tool, port, "cork", 1)?;
    for row in &stalls {
        ensure!(row["unsent_bytes"] == 10 && row["unacked_bytes"] == 10, "{row}");
        ensure!(number(&row["stalled_ns"]) < 400_000_000 + delay_ns(), "{row}");
    }
    drop(server);
    tool.finish()?.complete()
}

fn moving() -> Result<()> {
    let netns = Netns::new("moving")?;
    let held = Running::hold(&netns, "--conns 50")?;
    let tool = watch(&netns, "")?;
    let listener = listen(&netns, "127.0.0.1")?;
    let address: SocketAddr = listener.local_addr()?;
    let reader = thread::spawn(move || -> Result<u64> {
        let mut server = listener.accept()?.0;
        Ok(std::io::copy(&mut server, &mut std::io::sink())?)
    });
    let mut client = netns.within(|| Ok(TcpStream::connect(address)?))?;
    let begin = Instant::now();
    let mut bytes = 0;
    while begin.elapsed() < Duration::from_secs(2) {
        let part = scaled(1_000_000, 10_000);
        client.write_all(&vec![7; usize::try_from(part)?])?;
        bytes += part;
    }
    drop(client);
    ensure!(reader.join().expect("no panic")? == bytes, "bytes were lost");
    held.release()?;
    let ended = tool.finish()?;
    ended.complete()?;
    let stalls = ended.of_kind("stall")?;
    ensure!(stalls.is_empty(), "{stalls:#?}");
    Ok(())
}
