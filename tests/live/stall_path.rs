//! tcpstall on a path with a delay and losses: what holds a sender up that the peer would read from.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path as File;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_socket_send_buffer_size;
use serde_json::Value;

use crate::Test;
use crate::netns::Netns;
use crate::stall::{began_at, connect, listen, now, rows, ss, time_of, value, wait_for, watch};
use crate::tool::{number, until};

pub const TESTS: &[(&str, Test)] = &[
    ("a_lost_segment_is_repaired", loss),
    ("a_small_send_buffer_limits_a_long_path", send_buffer),
    ("a_congestion_window_that_is_full", congestion),
    ("nagle_waits_for_an_acknowledgement", nagle),
];

/// The far end of a path.
pub const FAR: &str = "10.118.0.2";
/// One way, ms.
pub const DELAY: u64 = 100;

/// Two namespaces with a delay between them.
pub struct Path {
    pub near: Netns,
    pub far: Netns,
    relay: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Path {
    pub fn new() -> Result<Self> {
        let (near, far) = (Netns::new("path-near")?, Netns::new("path-far")?);
        let script = File::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/path.py");
        let mut command = std::process::Command::new("python3");
        command.arg(script).args([near.path(), far.path(), DELAY.to_string()]);
        let mut relay = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let orders = relay.stdin.take();
        let answers = BufReader::new(relay.stdout.take().context("stdout")?);
        let mut path = Self { near, far, relay, orders, answers };
        path.answered()?;
        Ok(path)
    }

    fn answered(&mut self) -> Result<()> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(line == "ok\n", "the relay says {line:?}");
        Ok(())
    }

    /// Drops the next packets with data from the near end.
    fn drop_next(&mut self, packets: u32) -> Result<()> {
        writeln!(self.orders.as_mut().context("no relay")?, "drop {packets}")?;
        self.answered()
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        // It ends with its orders.
        drop(self.orders.take());
        let _ = self.relay.wait();
    }
}

/// A connection over the path whose far end reads everything.
struct Reading {
    client: TcpStream,
    port: u16,
}

fn read_all(path: &Path) -> Result<Reading> {
    let listener: TcpListener = listen(&path.far, FAR)?;
    let (client, mut server, port) = connect(&path.near, &listener)?;
    thread::spawn(move || std::io::copy(&mut server, &mut std::io::sink()));
    Ok(Reading { client, port })
}

fn loss() -> Result<()> {
    let mut path = Path::new()?;
    let Reading { mut client, port } = read_all(&path)?;
    let tool = watch(&path.near, "--longer 100ms -i 0.03")?;
    // The segment, the probe for the tail of the flight, and the first timeout.
    path.drop_next(3)?;
    client.write_all(b"request")?;
    let began = now()?;
    let stalls = wait_for(&tool, port, "loss", 3)?;
    began_at(&stalls, began)?;
    for row in &stalls {
        ensure!(row["attempt"] == 1 && row["unacked_bytes"] == 7, "{row}");
        ensure!(row["unsent_bytes"] == 0 && row["in_flight"] == 1, "{row}");
    }
    // It arrives in the end.
    until("nothing is queued", || {
        Ok(ss(&path.near, port)?
            .split_whitespace()
            .nth(2)
            .filter(|queued| *queued == "0")
            .map(drop))
    })?;
    tool.finish()?.complete()
}

/// Writes for as long as the flag says.
fn writer(mut client: TcpStream, goes_on: &Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let goes_on = Arc::clone(goes_on);
    thread::spawn(
        move || {
            while goes_on.load(Ordering::Relaxed) && client.write_all(&[7; 4096]).is_ok() {}
        },
    )
}

fn send_buffer() -> Result<()> {
    let path = Path::new()?;
    let Reading { client, port } = read_all(&path)?;
    set_socket_send_buffer_size(&client, 8192)?;
    let goes_on = Arc::new(AtomicBool::new(true));
    let writes = writer(client, &goes_on);
    let tool = watch(&path.near, "--longer 30ms -i 0.02")?;
    let all = watch(&path.near, "--all")?;
    let stalls = wait_for(&tool, port, "send_buffer", 20)?;
    for row in &stalls {
        ensure!(row["unsent_bytes"] == 0 && number(&row["unacked_bytes"]) > 0, "{row}");
        // A round trip later an answer comes.
        ensure!(number(&row["stalled_ns"]) <= 3 * DELAY * 1_000_000, "{row}");
    }
    // A thread waits for room meanwhile, and not longer than the connection.
    let blocked = stalls.iter().filter(|row| row["blocked"] == true).count();
    ensure!(blocked * 2 > stalls.len(), "{blocked} of {}", stalls.len());
    shares_are_those_of_ss(&path.near, port, &all, "sndbuf_limited")?;
    goes_on.store(false, Ordering::Relaxed);
    tool.finish()?.complete()?;
    all.finish()?.complete()?;
    writes.join().expect("no panic");
    Ok(())
}

/// Compares the share of the busy time with that of `ss -ti`, read just before or after.
fn shares_are_those_of_ss(
    netns: &Netns,
    port: u16,
    all: &crate::tool::Tool,
    limit: &str,
) -> Result<()> {
    let line = ss(netns, port)?;
    let asked = now()?;
    let after = std::cell::RefCell::new(Value::Null);
    all.wait_for("a look after ss", |lines| {
        let found = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut found = found.filter(|row| row["kind"] == "conn" && row["lport"] == port);
        let row = found.find(|row| time_of(row).is_ok_and(|time| time >= asked));
        *after.borrow_mut() = row.unwrap_or_default();
        !after.borrow().is_null()
    })?;
    let conn = after.into_inner();
    let share = |part: u64, whole: u64| part * 100 / whole.max(1);
    let shown = share(number(&conn[&format!("{limit}_ns")]), number(&conn["busy_ns"]));
    let of_ss = value(&line, &format!("{limit}:")).zip(value(&line, "busy:"));
    let (limited, busy) = of_ss.with_context(|| format!("no {limit}: {line}"))?;
    let truth = share(limited, busy);
    ensure!(shown > 0 && shown.abs_diff(truth) <= 5, "{shown} %, of {truth}: {line} {conn}");
    Ok(())
}

fn congestion() -> Result<()> {
    let path = Path::new()?;
    let Reading { mut client, port } = read_all(&path)?;
    set_socket_send_buffer_size(&client, 1 << 20)?;
    let tool = watch(&path.near, "--longer 20ms -i 0.02")?;
    client.write_all(&vec![7; 400_000])?;
    let began = now()?;
    let stalls = wait_for(&tool, port, "congestion", 4)?;
    for row in &stalls {
        ensure!(row["in_flight"].as_u64() >= row["cwnd"].as_u64(), "{row}");
        ensure!(number(&row["unsent_bytes"]) > 0 && row["blocked"] == false, "{row}");
    }
    // In the first round trip nothing is acknowledged.
    let first = began + DELAY * 1_000_000;
    let early: Vec<_> =
        stalls.iter().filter(|row| time_of(row).is_ok_and(|time| time < first)).cloned().collect();
    ensure!(!early.is_empty(), "{stalls:#?}");
    began_at(&early, began)?;
    tool.finish()?.complete()
}

fn nagle() -> Result<()> {
    let path = Path::new()?;
    let Reading { mut client, port } = read_all(&path)?;
    let tool = watch(&path.near, "--longer 20ms -i 0.02")?;
    client.write_all(b"first")?;
    let began = now()?;
    client.write_all(b"and second")?;
    let stalls = wait_for(&tool, port, "nagle", 3)?;
    began_at(&stalls, began)?;
    for row in &stalls {
        ensure!(row["unacked_bytes"] == 15 && row["unsent_bytes"] == 10, "{row}");
    }
    // With TCP_NODELAY both go at once.
    client.set_nodelay(true)?;
    until("nothing is queued", || {
        Ok(ss(&path.near, port)?
            .split_whitespace()
            .nth(2)
            .filter(|queued| *queued == "0")
            .map(drop))
    })?;
    let seen = tool.lines();
    client.write_all(b"third")?;
    client.write_all(b"and fourth")?;
    thread::sleep(Duration::from_millis(2 * DELAY));
    let ended = tool.finish()?;
    ended.complete()?;
    let later = rows(&ended.lines[seen..], port, "nagle");
    ensure!(later.is_empty(), "{later:#?}");
    Ok(())
}
