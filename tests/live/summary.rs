//! `tcpstates --summary` against `ss` at the same moment in the same namespace.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::load::Running;
use crate::netns::{FAR, Netns};
use crate::states::knows_older_owners;
use crate::tool::{Ended, Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("every_state_as_ss_counts_it", every_state),
    ("fifty_thousand_sockets", fifty_thousand),
    ("the_ten_oldest_in_close_wait", oldest_close_wait),
    ("grouped_by_process", by_process),
    ("sockets_that_close_and_what_they_have_to_send", closing),
    ("an_older_state_is_at_least_as_old_as_the_tool", watched),
];

/// Segments keep coming, so the last one bounds nothing; but the tool would have seen the state begin.
fn watched() -> Result<()> {
    const BOUND: u64 = 2_000_000_000;
    let netns = Netns::new("watched")?;
    let _traffic = Running::start(&netns, "reqresp --seconds 600")?;
    until("a connection is there", || {
        Ok((ss(&netns)?.get("ESTABLISHED").is_some_and(|&count| count == 2)).then_some(()))
    })?;
    let tool = Tool::start("tcpstates", &format!("--summary -i 0.2 --netns {}", netns.path()))?;
    tool.wait_for("a bound of 2 s", |lines| {
        lines
            .iter()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok())
            .any(|row| row["state"] == "ESTABLISHED" && number(&row["oldest_at_least_ns"]) >= BOUND)
    })?;
    for row in tool.finish()?.of_kind("sockets")? {
        ensure!(row["oldest_ns"].is_null(), "the tool has not seen it begin: {row}");
    }
    Ok(())
}

/// Sockets in each state.
type Counts = BTreeMap<String, u64>;

/// What `ss` says, in the kernel's spelling.
fn ss(netns: &Netns) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in output(netns.command("ss").args(["-tanH"]))?.lines() {
        let state = line.split_whitespace().next().unwrap_or_default();
        let name = match state {
            "ESTAB" => "ESTABLISHED".to_owned(),
            "SYN-RECV" => "NEW_SYN_RECV".to_owned(),
            "FIN-WAIT-1" => "FIN_WAIT1".to_owned(),
            "FIN-WAIT-2" => "FIN_WAIT2".to_owned(),
            other => other.replace('-', "_"),
        };
        *counts.entry(name).or_default() += 1;
    }
    Ok(counts)
}

/// The rows of a kind in the newest complete interval: those with its time.
fn newest(ended: &Ended, kind: &str) -> Result<Vec<Value>> {
    let rows = ended.of_kind(kind)?;
    let ts = rows.last().with_context(|| format!("no {kind} rows"))?["ts"].clone();
    Ok(rows.into_iter().filter(|row| row["ts"] == ts).collect())
}

/// The newest count of every state.
fn by_state(rows: &[Value]) -> Counts {
    let mut counts = Counts::new();
    for row in rows.iter().filter(|row| number(&row["count"]) > 0) {
        let state = row["state"].as_str().unwrap_or_default().to_owned();
        *counts.entry(state).or_default() += number(&row["count"]);
    }
    counts
}

/// Two intervals of the summary, from inside the namespace: no right to enter it is needed.
fn summary(netns: &Netns, flags: &str) -> Result<Ended> {
    let arguments = format!("--summary -i 0.2 -n 2 --netns {} {flags}", netns.path());
    let ended = Tool::start_in(netns, "tcpstates", &arguments)?.wait()?;
    ensure!(ended.status.success(), "{}: {}", ended.status, ended.errors);
    Ok(ended)
}

/// A listener that keeps connections as requests until data comes, and an address that swallows
/// every SYN.
fn unanswered(netns: &Netns, folder: &std::path::Path) -> Result<Running> {
    let ip = |arguments: &str| -> Result<String> {
        output(netns.command("ip").args(arguments.split_whitespace()))
    };
    ip("link add v0 type veth peer name v1")?;
    ip("addr add 10.9.9.1/24 dev v0")?;
    ip("link set v0 up")?;
    ip("link set v1 up")?;
    ip("neigh add 10.9.9.2 lladdr 02:00:00:00:00:09 dev v0")?;
    let root = folder.display();
    let configuration = folder.join("nginx.conf");
    std::fs::write(
        &configuration,
        format!(
            "user root; daemon off; master_process off; pid {root}/pid; error_log {root}/errors;\n\
             events {{}}\n\
             http {{ access_log off; server {{ listen 127.0.0.1:5201 deferred; }} }}\n"
        ),
    )?;
    let mut server = netns.command("nginx");
    Running::server(netns, server.arg("-p").arg(folder).arg("-c").arg(&configuration), 5201)
}

fn every_state() -> Result<()> {
    let netns = Netns::new("all")?;
    let folder = tempfile::tempdir()?;
    let server = unanswered(&netns, folder.path())?;
    let states = [
        "established --conns 7",
        "close-wait --conns 5 -6",
        "time-wait --conns 9",
        "fin-wait1 --conns 3",
        "last-ack --conns 4",
        "closing --conns 2",
        "syn-sent --conns 6 --addr 10.9.9.2 --port 9",
    ];
    let held: Vec<_> = states
        .iter()
        .map(|state| Running::hold(&netns, &format!("--state {state}")))
        .collect::<Result<_>>()?;
    // The kernel keeps a deferred connection a request for as long as a SYN-ACK is worth sending
    // again: new ones are made until they outlive the poll.
    let (clients, ended, after) = until("the namespace keeps still", || {
        let clients = (0..4).map(|_| deferred_client(&netns)).collect::<Result<Vec<_>>>()?;
        let before = ss(&netns)?;
        let ended = summary(&netns, "")?;
        let after = ss(&netns)?;
        Ok((before == after).then_some((clients, ended, after)))
    })?;
    let found = by_state(&newest(&ended, "sockets")?);
    ensure!(found == after, "{found:?}\nss: {after:?}");
    for state in [
        "LISTEN",
        "SYN_SENT",
        "ESTABLISHED",
        "FIN_WAIT1",
        "FIN_WAIT2",
        "TIME_WAIT",
        "CLOSE_WAIT",
        "LAST_ACK",
        "CLOSING",
        "NEW_SYN_RECV",
    ] {
        ensure!(after.contains_key(state), "no socket was in {state}: {after:?}");
    }
    drop((clients, held, server));
    Ok(())
}

/// A client that connects to the deferring listener and says nothing.
fn deferred_client(netns: &Netns) -> Result<Tool> {
    let mut client = netns.command("bash");
    client.args(["-c", "exec 3<>/dev/tcp/127.0.0.1/5201; echo connected; sleep 100"]);
    let client = Tool::spawn(&mut client)?;
    client.wait_for("connection", |lines| !lines.is_empty())?;
    Ok(client)
}

fn fifty_thousand() -> Result<()> {
    let netns = Netns::new("many")?;
    let hold = Running::hold(&netns, "--conns 25000")?;
    let ended = summary(&netns, "")?;
    let found = by_state(&newest(&ended, "sockets")?);
    let expected: Counts = serde_json::from_value(hold.ready["sockets"].clone())?;
    ensure!(found == expected, "{found:?} instead of {expected:?}");
    ensure!(found == ss(&netns)?, "not what ss says");
    let cpu = number(&ended.last_status()?["cpu_ns"]);
    eprintln!("summary of 50,000 sockets, start included: {} ms of CPU", cpu / 1_000_000);
    hold.release()
}

fn oldest_close_wait() -> Result<()> {
    let netns = Netns::new("leak")?;
    // The first are older than the tool: their age is a lower bound.
    let old = Running::hold(&netns, "--conns 4 --state close-wait")?;
    let flags = format!("--summary -i 0.2 --netns {}", netns.path());
    let tool = Tool::start("tcpstates", &flags)?;
    let begin = std::time::Instant::now();
    let new = Running::hold(&netns, "--conns 12 --state close-wait")?;
    tool.wait_for("interval with all 16", |lines| {
        lines.iter().any(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["state"] == "CLOSE_WAIT" && line["count"] == 16
        })
    })?;
    let ended = tool.finish()?;
    let limit = u64::try_from(begin.elapsed().as_nanos())?;
    let rows = newest(&ended, "close_wait")?;
    ensure!(rows.len() == 10, "{} rows instead of the ten oldest", rows.len());
    let owned = |by: &Running| {
        rows.iter().filter(|row| row["pid"] == by.ready["pids"][0]).collect::<Vec<_>>()
    };
    ensure!(owned(&old).len() == 4, "the oldest are missing: {rows:#?}");
    ensure!(owned(&new).len() == 6, "the others are missing: {rows:#?}");
    for row in owned(&old) {
        ensure!(row["age_ns"].is_null(), "this age is unknown: {row}");
    }
    for row in owned(&new) {
        let age = row["age_ns"].as_u64().with_context(|| format!("no age: {row}"))?;
        ensure!(age < limit, "older than the test: {row}");
        ensure!(row["lport"] == new.ready["ports"][0] && row["comm"] == "hold-part", "{row}");
    }
    old.release()?;
    new.release()
}

fn by_process() -> Result<()> {
    let netns = Netns::new("who")?;
    let few = Running::hold(&netns, "--conns 3")?;
    let many = Running::hold(&netns, "--conns 30")?;
    let ended = summary(&netns, "--by process")?;
    let rows = newest(&ended, "sockets")?;
    // Unknown owners are one row, and no socket gets a false owner.
    let owners = if knows_older_owners(&ended)? {
        vec![(&few, 6), (&many, 60)]
    } else {
        let known = rows.iter().find(|row| !row["pid"].is_null());
        ensure!(known.is_none(), "this owner is unknown: {known:?}");
        Vec::new()
    };
    for (hold, count) in owners {
        let held = rows
            .iter()
            .find(|row| row["pid"] == hold.ready["pids"][0] && row["state"] == "ESTABLISHED");
        let held = held.with_context(|| format!("no row of {}: {rows:#?}", hold.ready))?;
        ensure!(held["count"] == count && held["comm"] == "hold-part", "{held}");
    }
    ensure!(by_state(&rows) == ss(&netns)?, "not what ss says: {rows:#?}");
    few.release()?;
    many.release()
}

/// Send-Q of each socket by its local port, without the FIN.
fn send_queues(netns: &Netns, state: &str) -> Result<BTreeMap<u64, u64>> {
    let listed = output(netns.command("ss").args(["-Htn", "state", state]))?;
    let queue = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        let port = words.get(2)?.rsplit(':').next()?.parse().ok()?;
        Some((port, words.get(1)?.parse::<u64>().ok()?.saturating_sub(1)))
    };
    Ok(listed.lines().filter_map(queue).collect())
}

/// The peer is gone: one had data to send, one was closed by the peer before.
fn closing() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let flags = format!("--summary -i 0.2 --netns {}", near.path());
    let tool = Tool::start("tcpstates", &flags)?;
    let open = || near.within(|| Ok(TcpStream::connect(address)?));
    let (mut first, mut second) = (open()?, open()?);
    let _kept = listener.accept()?.0;
    drop(listener.accept()?.0);
    ensure!(second.read(&mut [0; 1])? == 0, "no FIN came");
    first.set_nonblocking(true)?;
    let block = vec![7; 65_536];
    while first.write(&block).is_ok() {}
    near.ip(&["neighbour", "replace", FAR, "lladdr", "02:00:00:00:00:09", "dev", "far"])?;
    drop((first, second));
    let states = [("FIN_WAIT1", "fin-wait-1"), ("LAST_ACK", "last-ack")];
    // By then every ACK that was on its way has come.
    let settled = |row: &Value| number(&row["age_ns"]) > 500_000_000;
    tool.wait_for("both", |lines| {
        let closing = lines.iter().filter(|line| line.contains("\"kind\":\"closing\""));
        let rows: Vec<Value> =
            closing.filter_map(|line| serde_json::from_str(line).ok()).filter(settled).collect();
        states.iter().all(|(state, _)| rows.iter().any(|row| row["state"] == *state))
    })?;
    let queues: Vec<_> =
        states.iter().map(|(_, state)| send_queues(&near, state)).collect::<Result<_>>()?;
    let ended = tool.finish()?;
    let rows = newest(&ended, "closing")?;
    ensure!(rows.len() == 2, "{rows:#?}");
    for ((state, _), queue) in states.iter().zip(queues) {
        let row = rows.iter().find(|row| row["state"] == *state).context("not listed")?;
        ensure!(row["orphan"] == true && row["orphan_count"] == 2, "{row}");
        ensure!(row["pid"] == std::process::id() && row["age_ns"].is_u64(), "{row}");
        let bytes = queue.get(&number(&row["lport"])).context("ss does not list it")?;
        let (unacked, unsent) = (number(&row["unacked_bytes"]), number(&row["unsent_bytes"]));
        ensure!(unacked == *bytes && unsent <= unacked, "{bytes} bytes are queued: {row}");
        ensure!((unsent > 0) == (*state == "FIN_WAIT1"), "{row}");
    }
    Ok(())
}
