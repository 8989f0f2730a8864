//! Beside other observers of the same traffic: libbpf-tools' tcpstates and the kernel's counters.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::load;
use crate::netns::Netns;
use crate::setting::scaled;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[("same_counts_as_nstat", beside_nstat)];

pub const ALONE: &[(&str, Test)] = &[
    // The peer sees all namespaces and does not distinguish them.
    ("same_transitions_as_libbpf_tools", beside_libbpf_tools),
];

/// Both ends of a socket, canonical.
type Tuple = (IpAddr, u64, IpAddr, u64);

/// The transitions of each socket in order.
type Paths = BTreeMap<Tuple, Vec<(String, String)>>;

fn beside_libbpf_tools() -> Result<()> {
    const CONNS: usize = 300;
    let netns = Netns::new("peer")?;
    let mut peer = Command::new("unshare");
    // It finds its tracepoint in tracefs, which is not mounted everywhere.
    peer.args(["-m", "sh", "-c"]);
    peer.arg("mount -t tracefs t /sys/kernel/tracing; exec stdbuf -oL /usr/sbin/tcpstates -w");
    let peer = Tool::spawn(&mut peer)?;
    peer.wait_for("heading of the peer", |lines| !lines.is_empty())?;
    let tool = Tool::start("tcpstates", &format!("--netns {}", netns.path()))?;
    let life = load::run(&netns, &format!("life --seed 11 --conns {CONNS}"))?;
    let ends = life["connections"].as_array().context("no connections")?;
    let steps = |end: &Value| end["transitions"].as_array().map_or(0, Vec::len);
    let all = |one: &Value| one["ends"].as_array().into_iter().flatten().map(steps).sum::<usize>();
    let count = ends.iter().map(all).sum::<usize>();
    tool.wait_for_kind("state", count)?;
    let ours = our_paths(&tool.finish()?.of_kind("state")?)?;
    peer.wait_for("transitions of the peer", |lines| {
        peer_paths(lines, &ours).values().map(Vec::len).sum::<usize>() >= count
    })?;
    let theirs = peer_paths(&peer.finish()?.lines, &ours);
    ensure!(ours.len() > CONNS, "only {} sockets", ours.len());
    // The peer prints what each CPU saw in turn, not what happened in turn: sets are compared.
    let sorted = |path: &Vec<_>| {
        let mut path = path.clone();
        path.sort();
        path
    };
    for (tuple, path) in &ours {
        let other = theirs.get(tuple);
        let same = other.is_some_and(|other| sorted(other) == sorted(path));
        ensure!(same, "{tuple:?}: {path:?}, the peer: {other:?}");
    }
    Ok(())
}

/// Connections only: a listener's tuple has no remote end.
fn our_paths(lines: &[Value]) -> Result<Paths> {
    let mut paths = Paths::new();
    for line in lines {
        let addr = |key: &str| -> Result<IpAddr> {
            Ok(line[key].as_str().with_context(|| format!("no {key}: {line}"))?.parse()?)
        };
        if number(&line["rport"]) == 0 {
            continue;
        }
        let tuple =
            (addr("laddr")?, number(&line["lport"]), addr("raddr")?, number(&line["rport"]));
        let text = |key: &str| line[key].as_str().unwrap_or_default().to_owned();
        // The peer knows full sockets only: theirs closes where TIME_WAIT begins.
        match (text("old"), text("new")) {
            (old, _) if old == "TIME_WAIT" => {}
            (old, new) if new == "TIME_WAIT" => {
                paths.entry(tuple).or_default().push((old, "CLOSE".to_owned()));
            }
            step => paths.entry(tuple).or_default().push(step),
        }
    }
    Ok(paths)
}

/// The peer's lines about sockets that we have seen too; it watches the whole machine.
fn peer_paths(lines: &[String], ours: &Paths) -> Paths {
    let mut paths = Paths::new();
    for line in lines {
        let Some((tuple, step)) = peer_line(line) else { continue };
        if ours.contains_key(&tuple) {
            paths.entry(tuple).or_default().push(step);
        }
    }
    paths
}

/// `SKADDR PID COMM IP LADDR LPORT RADDR RPORT OLD -> NEW MS`
fn peer_line(line: &str) -> Option<(Tuple, (String, String))> {
    let words: Vec<_> = line.split_whitespace().collect();
    let [.., laddr, lport, raddr, rport, old, "->", new, _] = words[..] else { return None };
    let addr = |word: &str| word.parse::<IpAddr>().ok().map(|addr| addr.to_canonical());
    let tuple = (addr(laddr)?, lport.parse().ok()?, addr(raddr)?, rport.parse().ok()?);
    Some((tuple, (old.to_owned(), new.to_owned())))
}

/// In a namespace of its own every counter is made of transitions (`tcp_set_state`, `tcp_done`).
fn beside_nstat() -> Result<()> {
    let netns = Netns::new("nstat")?;
    let tool = Tool::start("tcpstates", &format!("--netns {}", netns.path()))?;
    let life = load::run(&netns, &format!("life --seed 5 --conns {}", scaled(300, 60)))?;
    let listeners = life["listening_ports"].as_array().map_or(0, Vec::len);
    tool.wait_for("the listeners' end", |lines| {
        lines.iter().filter(|line| line.contains("\"old\":\"LISTEN\",\"new\":\"CLOSE\"")).count()
            == listeners
    })?;
    let ended = tool.finish()?;
    let found = ended.of_kind("state")?;
    let count = |olds: &[&str], new: &str| {
        let step = |line: &&Value| line["new"] == new && olds.iter().any(|old| line["old"] == *old);
        found.iter().filter(step).count() as u64
    };
    let checks = [
        ("TcpActiveOpens", count(&["CLOSE"], "SYN_SENT")),
        ("TcpPassiveOpens", count(&["LISTEN"], "SYN_RECV")),
        ("TcpEstabResets", count(&["ESTABLISHED", "CLOSE_WAIT"], "CLOSE")),
        ("TcpAttemptFails", count(&["SYN_SENT", "SYN_RECV"], "CLOSE")),
    ];
    for (name, seen) in checks {
        let truth = netns.counter(name)?;
        ensure!(seen == truth && truth > 0, "{name} is {truth}, transitions show {seen}");
    }
    ended.complete()
}
