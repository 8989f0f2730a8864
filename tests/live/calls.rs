//! Calls in progress while other tools come and go. Many kernels then skip the fexit programs of these
//! calls: what is not counted must be reported, and is an error with `--strict`.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::Signal;
use rustix::thread::gettid;
use serde_json::Value;

use crate::Test;
use crate::netns::Netns;
use crate::setting::scaled;
use crate::tool::{Tool, number, until};

pub const TESTS: &[(&str, Test)] = &[
    ("sends_and_receives_in_progress_while_tools_come_and_go", traffic),
    ("accepts_in_progress_while_tools_come_and_go", accepts),
];

/// Threads that wait in each call; few, because kernels without preemption have few kretprobes.
const WAITING: usize = 4;
const REQUEST: &[u8] = b"0123456789";
const REPLY: &[u8] = b"ok";

/// A thread that has begun a call which cannot end yet.
struct Waiting<T> {
    thread: JoinHandle<Result<T>>,
    id: i32,
}

impl<T: Send + 'static> Waiting<T> {
    fn start(call: impl FnOnce() -> Result<T> + Send + 'static) -> Result<Self> {
        let (ready, begins) = mpsc::channel();
        let thread = thread::spawn(move || {
            ready.send(gettid().as_raw_nonzero().get())?;
            call()
        });
        let waiting = Self { thread, id: begins.recv()? };
        waiting.sleeps()?;
        Ok(waiting)
    }

    fn sleeps(&self) -> Result<()> {
        until("a thread waits", || {
            let stat = fs::read_to_string(format!("/proc/self/task/{}/stat", self.id))?;
            let (_, state) = stat.rsplit_once(") ").context("no state")?;
            Ok(state.starts_with('S').then_some(()))
        })
    }

    /// What the call gave; the kernel has no such thread any more.
    fn join(self) -> Result<T> {
        let result = self.thread.join().map_err(|_| anyhow!("a panic"))??;
        let path = format!("/proc/self/task/{}", self.id);
        until("the thread is gone", || Ok((!fs::exists(&path)?).then_some(())))?;
        Ok(result)
    }
}

fn listener(netns: &Netns) -> Result<(TcpListener, SocketAddr)> {
    netns.within(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    })
}

fn connect(netns: &Netns, to: SocketAddr) -> Result<TcpStream> {
    netns.within(|| Ok(TcpStream::connect(to)?))
}

/// Another copy, of all connections, which attaches to the same places.
fn visit(tool: &str) -> Result<()> {
    Tool::start(tool, "-i 0.2")?.finish()?;
    Ok(())
}

/// Ends a tool with `--strict`: it counted all of `made`, or says that it did not.
fn judge(
    tool: Tool,
    made: u64,
    counted: impl Fn(&[Value]) -> Option<u64>,
    kind: &str,
) -> Result<()> {
    tool.signal(Signal::INT)?;
    let ended = tool.wait()?;
    let status = ended.last_status()?;
    let Some(counted) = counted(&ended.of_kind(kind)?) else { return Ok(()) };
    let left_out = number(&status["unreturned"]).max(number(&status["missed"]));
    let strict = if left_out > 0 { 9 } else { 0 };
    ensure!(
        counted <= made && counted + left_out >= made,
        "counted {counted} calls of {made}, reports {left_out} as left out: {status}"
    );
    ensure!(ended.status.code() == Some(strict), "{}: {status}", ended.status);
    Ok(())
}

/// Reads everything until the other end closes; how many calls that took, and the bytes.
fn drain(stream: &mut TcpStream) -> Result<(u64, usize)> {
    let mut buffer = vec![0; 1 << 20];
    let (mut calls, mut bytes) = (0, 0);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok((calls, bytes)),
            read => bytes += read,
        }
        calls += 1;
    }
}

fn traffic() -> Result<()> {
    let netns = Netns::new("calls")?;
    let flags = format!("--strict --by process -i 0.2 --netns {}", netns.path());
    let tool = Tool::start("tcpcount", &flags)?;
    let (listener, address) = listener(&netns)?;
    let mut clients = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..WAITING {
        clients.push(connect(&netns, address)?);
        let (mut server, _) = listener.accept()?;
        readers.push(Waiting::start(move || {
            let mut buffer = [0; REQUEST.len()];
            let read = server.read(&mut buffer)?;
            server.write_all(REPLY)?;
            Ok(read)
        })?);
    }
    let mut slow = connect(&netns, address)?;
    let (mut server, _) = listener.accept()?;
    let size = usize::try_from(scaled(40_000_000, 10_000_000))?;
    let sender = Waiting::start(move || {
        let sent = server.write(&vec![7; size])?;
        server.shutdown(Shutdown::Write)?;
        Ok(sent)
    })?;
    // It reads once and never calls again.
    let (read, has_read) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let mut asks = connect(&netns, address)?;
    let (mut answers, _) = listener.accept()?;
    let silent = Waiting::start(move || {
        read.send(answers.read(&mut [0; REQUEST.len()])?)?;
        // Until the other end of the channel is gone.
        Ok(ends.recv().is_err())
    })?;
    visit("tcpcount")?;
    asks.write_all(REQUEST)?;
    ensure!(has_read.recv()? == REQUEST.len(), "a request came in parts");
    silent.sleeps()?;
    for client in &mut clients {
        client.write_all(REQUEST)?;
    }
    for reader in readers {
        ensure!(reader.join()? == REQUEST.len(), "a request came in parts");
    }
    for client in &mut clients {
        client.read_exact(&mut [0; REPLY.len()])?;
    }
    let (drains, bytes) = drain(&mut slow)?;
    ensure!(sender.join()? == size && bytes == size, "{bytes} of {size} bytes");
    // Each client and each reader has sent once and received once; the silent pair one each.
    let made = 4 * WAITING as u64 + 2 + 1 + drains;
    let calls = |row: &Value| number(&row["tx_calls"]) + number(&row["rx_calls"]);
    let total =
        |rows: &[Value]| Some(rows.iter().filter(|row| row["total"] == true).map(calls).sum());
    judge(tool, made, total, "count")?;
    drop(end);
    silent.join()?;
    Ok(())
}

fn accepts() -> Result<()> {
    let netns = Netns::new("accepts")?;
    let flags = format!("--strict --all -i 0.2 --netns {}", netns.path());
    let tool = Tool::start_in(&netns, "listenoverflow", &flags)?;
    let (listener, address) = listener(&netns)?;
    let mut accepters = Vec::new();
    for _ in 0..WAITING {
        let listener = listener.try_clone()?;
        accepters.push(Waiting::start(move || Ok(listener.accept()?.0))?);
    }
    visit("listenoverflow")?;
    for _ in 0..WAITING {
        connect(&netns, address)?;
    }
    for accepter in accepters {
        accepter.join()?;
    }
    let accepted = |rows: &[Value]| rows.iter().map(|row| row["accepts"].as_u64()).sum();
    judge(tool, WAITING as u64, accepted, "listener")
}
