//! Listeners that close with connections that wait for `accept()`, accepts that no system call shows, and drops
//! that no program sees.

use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use rustix::net::{self, AddressFamily, SocketFlags, SocketType, sockopt};
use rustix::process::Signal;
use serde_json::Value;

use crate::Test;
use crate::listen::{by_functions, explained, sum, watch};
use crate::load;
use crate::netns::{FAR, NEAR, Netns};
use crate::segment::{Raw, SYN, Segment};
use crate::tool::{Tool, number, until};

pub const TESTS: &[(&str, Test)] = &[
    ("connections_that_wait_are_lost_with_their_listener", lost),
    ("connections_that_move_are_accepted_by_the_heir", moved),
    ("accepts_of_io_uring_count_with_and_without_wait", ring),
    ("unexplained_drops_name_their_namespace", unexplained),
];

/// A listener that others can share its port with.
fn listener(port: u16) -> Result<TcpListener> {
    let socket =
        net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_reuseport(&socket, true)?;
    net::bind(&socket, &SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
    net::listen(&socket, 64)?;
    Ok(TcpListener::from(socket))
}

fn clients(listener: &TcpListener, count: usize) -> Result<Vec<TcpStream>> {
    let to = listener.local_addr()?;
    (0..count).map(|_| Ok(TcpStream::connect(to)?)).collect()
}

/// Waits until that many connections are in the listener's accept queue. A client is connected before the
/// kernel has handled its last ACK where that waits for ksoftirqd.
fn queued(listener: &TcpListener, count: usize) -> Result<()> {
    let end = format!(":{:04X}", listener.local_addr()?.port());
    until(&format!("{count} connections are queued"), || {
        let sockets = std::fs::read_to_string("/proc/thread-self/net/tcp")?;
        Ok(sockets.lines().find_map(|line| {
            let words: Vec<_> = line.split_whitespace().collect();
            let [_, local, _, "0A", queues, ..] = words[..] else { return None };
            let (_, waiting) = queues.split_once(':')?;
            let waiting = usize::from_str_radix(waiting, 16).ok()?;
            (local.ends_with(&end) && waiting == count).then_some(())
        }))
    })
}

/// Waits until the tool has seen a key add up.
fn seen(tool: &Tool, key: &str, least: u64) -> Result<()> {
    tool.wait_for(&format!("{least} {key}"), |lines| {
        let rows = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        rows.map(|row| number(&row[key])).sum::<u64>() >= least
    })
}

fn lost() -> Result<()> {
    const WAIT: usize = 5;
    let netns = Netns::new("closes")?;
    for (flags, key) in
        [("--all", "drops_closed"), ("--events", "count"), ("--clients", "drops_closed")]
    {
        let tool = watch(&netns, flags)?;
        let mut streams = netns.within(|| {
            let listener = listener(0)?;
            let streams = clients(&listener, WAIT + 2)?;
            queued(&listener, WAIT + 2)?;
            let accepted = [listener.accept()?, listener.accept()?];
            drop(listener);
            drop(accepted);
            Ok(streams)
        })?;
        // Those that were accepted see an end of file.
        let reset = streams.iter_mut().filter_map(|stream| stream.read(&mut [0]).err());
        let reset = reset.filter(|error| error.kind() == ErrorKind::ConnectionReset).count();
        ensure!(reset == WAIT, "{reset} clients were reset");
        seen(&tool, key, WAIT as u64)?;
        let (rows, ended) = explained(tool)?;
        if flags == "--all" {
            let sums = ["drops_closed", "drops_total", "accepts"].map(|key| sum(&rows, key));
            // Without the hook, accepts between two samples are unknown.
            let unknown = ended.last_status()?["attach"]["accept-return"] == "-";
            let accepts = if unknown && sums[2].is_none() { None } else { Some(2) };
            ensure!(sums == [Some(5), Some(0), accepts], "{sums:?}: {rows:#?}");
        }
        let events = ended.of_kind("listen_event")?;
        ensure!(events.iter().all(|event| event["cause"] == "listener_closed"), "{events:#?}");
    }
    Ok(())
}

fn moved() -> Result<()> {
    const CLIENTS: usize = 20;
    let netns = Netns::new("migrate")?;
    if netns.sysctl(&["net.ipv4.tcp_migrate_req=1"]).is_err() {
        eprintln!("skipped: this kernel moves no connections between listeners");
        return Ok(());
    }
    let tool = watch(&netns, "--all")?;
    netns.within(|| {
        let old = listener(0)?;
        let first = clients(&old, CLIENTS / 2)?;
        let heir = listener(old.local_addr()?.port())?;
        let second = clients(&heir, CLIENTS / 2)?;
        drop(old);
        for _ in 0..CLIENTS {
            heir.accept()?;
        }
        seen(&tool, "accepts", CLIENTS as u64)?;
        drop((first, second));
        Ok(())
    })?;
    let (rows, _) = explained(tool)?;
    ensure!(sum(&rows, "accepts") == Some(CLIENTS as u64), "accepts: {rows:#?}");
    ensure!(sum(&rows, "drops_total") == Some(0), "drops: {rows:#?}");
    let old = rows.iter().find(|row| row["closed"] == true).context("no closed listener")?;
    let left = ["accept_now", "accepts", "drops_closed"].map(|key| number(&old[key]));
    ensure!(left == [0; 3], "the old listener: {old}");
    Ok(())
}

fn ring() -> Result<()> {
    let netns = Netns::new("ring")?;
    for flags in ["--all", "--all --wait"] {
        let tool = watch(&netns, flags)?;
        let report = load::run(&netns, "ring --conns 10")?;
        let accepted = number(&report["accepted"]);
        tool.wait_for("the listener's end", |lines| {
            lines.iter().any(|line| line.contains("\"closed\":true"))
        })?;
        let (rows, _) = explained(tool)?;
        ensure!(sum(&rows, "accepts") == Some(accepted), "{flags}: {rows:#?}");
    }
    Ok(())
}

/// A router answers the SYN-ACK that it knows no way for: the kernel drops the request, and counts that.
fn unexplained() -> Result<()> {
    /// A router sends five such errors to a host at once, then fewer.
    const CLIENTS: u16 = 3;
    let (router, far) = Netns::pair()?;
    router.sysctl(&["net.ipv4.ip_forward=1"])?;
    far.ip(&["route", "add", "203.0.113.0/24", "via", NEAR])?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let to = listener.local_addr()?;
    let tool = watch(&far, "--all --strict")?;
    tool.wait_for_kind("listener", 1)?;
    let raw = Raw::new(&router, to)?;
    for port in 1..=CLIENTS {
        raw.send(&Segment::of(SocketAddr::from(([203, 0, 113, 7], port)), SYN))?;
    }
    let drops = u64::from(CLIENTS);
    until("requests dropped", || Ok((far.counter("TcpExtListenDrops")? == drops).then_some(())))?;
    let said = tool.lines();
    tool.wait_for("four more intervals", |lines| {
        lines[said..].iter().filter(|line| line.contains("\"kind\":\"listener\"")).count() >= 4
    })?;
    tool.signal(Signal::INT)?;
    let ended = tool.wait()?;
    let (status, notes) = (ended.last_status()?, ended.of_kind("note")?);
    let rows = ended.of_kind("listener")?;
    if by_functions(&ended)? {
        let place = format!("unexplained drops in network namespace {}", far.inode()?);
        let names_it = |note: &&Value| {
            let text = note["text"].as_str().unwrap_or_default();
            text.contains(&place) && text.contains(far.name())
        };
        ensure!(notes.iter().filter(names_it).count() == 1, "{notes:#?}");
        ensure!(status["unexplained"] == drops && ended.status.code() == Some(9), "{status}");
    } else {
        // The listener's own counter has them: it is only unknown why.
        ensure!(status["unexplained"] == 0 && ended.status.success(), "{notes:?} {status}");
        ensure!(sum(&rows, "drops_total") == Some(drops), "{rows:#?}");
    }
    Ok(())
}
