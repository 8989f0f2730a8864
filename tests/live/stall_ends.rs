//! tcpstall: stalls as they end, threads that wait in `send()`, a process that reads little.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_recv_buffer_size;
use serde_json::Value;

use crate::Test;
use crate::netns::{FAR, Netns};
use crate::retrans::NO_HARDWARE;
use crate::setting::{confidential, delay_ns, emulated};
use crate::stall::{EXACT_NS, connect, fill, listen, now, rows, time_of, wait_for, watch};
use crate::tool::{Tool, number, until};

pub const TESTS: &[(&str, Test)] = &[
    ("a_thread_that_waits_in_send", blocked),
    ("a_thread_that_waited_before_the_tool_began", blocked_before),
    ("a_process_that_reads_little", slow_reader),
    ("each_stall_says_how_long_it_was_and_how_it_ended", ends),
    ("a_vanished_peer_times_out_as_an_event", times_out),
];

/// A thread that writes until its connection ends, and when its last write began.
struct Writer {
    began: Arc<AtomicU64>,
    thread: thread::JoinHandle<ErrorKind>,
}

impl Writer {
    fn new(mut stream: TcpStream) -> Self {
        let began = Arc::new(AtomicU64::new(0));
        let last = Arc::clone(&began);
        let write = move || loop {
            last.store(now().unwrap_or(0), Ordering::Relaxed);
            if let Err(error) = stream.write_all(&[7; 16_384]) {
                return error.kind();
            }
        };
        Self { began, thread: thread::spawn(write) }
    }

    /// Waits until it waits; since when.
    fn blocked(&self) -> Result<u64> {
        let mut seen = (0, Instant::now());
        until("the writer waits", || {
            let began = self.began.load(Ordering::Relaxed);
            if began != seen.0 {
                seen = (began, Instant::now());
            }
            Ok((began > 0 && seen.1.elapsed() > Duration::from_millis(500)).then_some(began))
        })
    }
}

fn blocked() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = listen(&far, FAR)?;
    let (client, server, port) = connect(&near, &listener)?;
    let tool = watch(&near, "")?;
    let all = watch(&near, "--all")?;
    let writer = Writer::new(client);
    let began = writer.blocked()?;
    let stalls = wait_for(&tool, port, "zero_window", 4)?;
    let waits = |row: &Value| {
        row["lport"] == port && row["limited_by"] == "receive_window" && row["blocked"] == true
    };
    all.wait_for("a connection with a thread that waits", |lines| {
        let mut rows = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        rows.any(|row| waits(&row))
    })?;
    drop(server);
    writer.thread.join().expect("no panic");
    let ended = tool.finish()?;
    ended.complete()?;
    let all = all.finish()?;
    all.complete()?;
    // The tracepoint of `send()` is younger than some kernels; there a wait is as long as it was seen.
    let hooked = ended.last_status()?["attach"]["send-wait"] != "-";
    for row in all.of_kind("conn")?.iter().filter(|row| waits(row)) {
        ensure!((number(&row["blocked_ns"]) > 0) == hooked, "{row}");
    }
    for row in &stalls {
        // Limited by the peer, and blocked: two facts.
        ensure!(row["blocked"] == true && row["blocked_ns"].is_u64() == hooked, "{row}");
        let least = number(&row["blocked_at_least_ns"]);
        ensure!(!hooked || number(&row["blocked_ns"]) == least, "{row}");
        let since = time_of(row)?.saturating_sub(least);
        let late = if hooked { 0 } else { 2 * EXACT_NS };
        let off = since.abs_diff(began);
        ensure!(off <= EXACT_NS + late + delay_ns(), "{} ms off: {row}", off / 1_000_000);
    }
    Ok(())
}

fn blocked_before() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = listen(&far, FAR)?;
    let (client, server, port) = connect(&near, &listener)?;
    let writer = Writer::new(client);
    let began = writer.blocked()?;
    let started = now()?;
    let tool = watch(&near, "")?;
    let stalls = wait_for(&tool, port, "zero_window", 5)?;
    for row in &stalls {
        ensure!(row["blocked"] == true && row["blocked_ns"].is_null(), "{row}");
        let since = time_of(row)?.saturating_sub(number(&row["blocked_at_least_ns"]));
        ensure!(since > began && since >= started, "{row}");
    }
    let last = stalls.last().context("no row")?;
    let waited = number(&last["blocked_at_least_ns"]);
    ensure!(waited > 0 && number(&last["stalled_ns"]) >= waited, "it grows: {last}");
    drop(server);
    writer.thread.join().expect("no panic");
    tool.finish()?.complete()
}

fn slow_reader() -> Result<()> {
    let netns = Netns::new("slow")?;
    let listener = listen(&netns, "127.0.0.1")?;
    let reads = listener.local_addr()?.port();
    set_socket_recv_buffer_size(&listener, 65_536)?;
    let (mut client, mut server, port) = connect(&netns, &listener)?;
    fill(&mut client, &server)?;
    let tool = watch(&netns, "--longer 500ms")?;
    // So little that the window stays closed. When it first and last read, and the longest pause.
    let reader = thread::spawn(move || -> Result<(TcpStream, [u64; 3])> {
        server.read_exact(&mut [0; 16])?;
        let first = now()?;
        let (mut last, mut longest) = (first, 0);
        for _ in 0..60 {
            thread::sleep(Duration::from_millis(50));
            server.read_exact(&mut [0; 16])?;
            let read = now()?;
            longest = longest.max(read.saturating_sub(last));
            last = read;
        }
        Ok((server, [first, last, longest]))
    });
    wait_for(&tool, port, "zero_window", 10)?;
    let (server, [first, last, longest]) = reader.join().expect("no panic")?;
    tool.wait_for("a process that has stopped reading", |lines| {
        let mut rows = rows(lines, reads, "reader").into_iter();
        rows.any(|row| time_of(&row).is_ok_and(|time| time > last))
    })?;
    let ended = tool.finish()?;
    ended.complete()?;
    // While it read, only the sender stalled; before and after it, it did not read. A busy machine
    // may have kept it from reading.
    let mut wrong = Vec::new();
    for row in rows(&ended.lines, reads, "reader") {
        if (first + EXACT_NS..last + 500_000_000).contains(&time_of(&row)?) {
            wrong.push(row);
        }
    }
    let kept = longest >= 500_000_000 - EXACT_NS;
    ensure!(wrong.is_empty() || kept, "it read every {longest} ns: {wrong:#?}");
    drop(server);
    Ok(())
}

/// The end of the stall of a port.
fn end_of(tool: &Tool, port: u16) -> Result<Value> {
    let found = std::cell::RefCell::new(Value::Null);
    tool.wait_for("the end of a stall", |lines| {
        let all = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut ends = all.filter(|row| row["kind"] == "stall_end" && row["lport"] == port);
        *found.borrow_mut() = ends.next().unwrap_or_default();
        !found.borrow().is_null()
    })?;
    Ok(found.into_inner())
}

/// Expects the length of a stall and its end.
fn lasted(row: &Value, (began, ended): (u64, u64), outcome: &str) -> Result<()> {
    ensure!(row["stall_outcome"] == outcome, "{row}");
    let off = number(&row["lasted_at_least_ns"]).abs_diff(ended - began);
    // What is not exact is at least as long as it was seen.
    let late = if row["lasted_ns"].is_null() { 5 * EXACT_NS } else { EXACT_NS };
    ensure!(off <= late + 3 * delay_ns(), "{} ms off: {row}", off / 1_000_000);
    let off = time_of(row)?.abs_diff(ended);
    ensure!(off <= 2 * EXACT_NS + 3 * delay_ns(), "its end is {} ms off: {row}", off / 1_000_000);
    // There it is not known who accepts.
    ensure!(confidential() || row["pid"] == std::process::id(), "{row}");
    Ok(())
}

fn ends() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = listen(&far, FAR)?;
    let reads = listener.local_addr()?.port();
    let watch = |netns: &Netns| {
        let flags = format!("--netns {} --events --longer 300ms", netns.path());
        Tool::start_in(netns, "tcpstall", &flags)
    };
    let (of_near, of_far) = (watch(&near)?, watch(&far)?);
    let (mut client, mut server, port) = connect(&near, &listener)?;
    let (mut second, unread, other) = connect(&near, &listener)?;
    // The process reads at last, and so the peer's window opens.
    let began = fill(&mut client, &server)?;
    // So long is the stall that is made; both clocks are read around it.
    thread::sleep(Duration::from_millis(300));
    let read = now()?;
    server.set_nonblocking(true)?;
    let mut buffer = vec![0; 1 << 20];
    let mut idle = Instant::now();
    while idle.elapsed() < Duration::from_millis(200) {
        if server.read(&mut buffer).is_ok() {
            idle = Instant::now();
        }
    }
    lasted(&end_of(&of_near, port)?, (began, read), "acknowledged")?;
    let row = end_of(&of_far, reads)?;
    // It began when the first data came, with that which fills the window.
    ensure!(row["stall_outcome"] == "read" && row["why"] == "reader", "{row}");
    // The peer closes with data that it has not read: an RST.
    let began = fill(&mut second, &unread)?;
    // As above.
    thread::sleep(Duration::from_millis(300));
    drop(unread);
    let row = end_of(&of_near, other)?;
    lasted(&row, (began, now()?.min(time_of(&row)?)), "reset")?;
    ensure!(row["errno"] == 104 && row["why"] == "zero_window", "{row}");
    of_near.finish()?.complete()?;
    of_far.finish()?.complete()
}

fn times_out() -> Result<()> {
    let (near, far) = Netns::pair()?;
    near.sysctl(&["net.ipv4.tcp_retries2=3"])?;
    let listener = listen(&far, FAR)?;
    let (mut client, _server, port) = connect(&near, &listener)?;
    let tool = Tool::start_in(
        &near,
        "tcpstall",
        &format!("--netns {} --events --longer 500ms -n 1", near.path()),
    )?;
    near.ip(&["neighbour", "replace", FAR, "lladdr", NO_HARDWARE, "dev", "far"])?;
    client.write_all(b"request")?;
    let began = now()?;
    let error = client.read(&mut [0; 1]).err().context("the peer answered")?;
    let died = now()?;
    ensure!(error.kind() == ErrorKind::TimedOut, "{error}");
    let row = end_of(&tool, port)?;
    lasted(&row, (began, died), "timed_out")?;
    ensure!(row["errno"] == 110 && row["why"] == "peer_gone", "{row}");
    ensure!(emulated() || !row["lasted_ns"].is_null(), "{row}");
    // -n 1
    let ended = tool.wait()?;
    ensure!(ended.status.success() && ended.of_kind("stall_end")?.len() == 1, "{}", ended.errors);
    Ok(())
}
