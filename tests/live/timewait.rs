//! tcpstates: `TIME_WAIT`, which no full socket has, against `ss` and the kernel's counters.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt;
use serde_json::Value;

use crate::Test;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::tool::{Ended, Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("begins_and_ends_as_ss_lists_it", as_ss_lists),
    ("filters_judge_what_became_of_it", filters),
    ("older_ones_have_an_age_but_no_owner", older),
    ("an_orphan_waits_for_the_fin_of_its_peer", orphan),
    ("an_orphan_that_is_reset_has_its_time_or_none", orphan_reset),
    ("a_new_connection_takes_the_place_of_the_old", reused),
    ("thousands_while_looks_are_under_way", churn),
];

pub const ALONE: &[(&str, Test)] = &[
    // It sees the namespaces of others come and go.
    ("every_namespace_is_looked_at", namespaces),
];

/// How the tool learns of `TIME_WAIT` here.
fn polls(ended: &Ended) -> Result<bool> {
    Ok(ended.last_status()?["attach"]["time-wait"] == "iterator")
}

/// Local and remote port of the lines with such states.
fn ends(lines: &[Value], old: &str, new: &str) -> BTreeSet<(u64, u64)> {
    let step = |line: &&Value| (old == "*" || line["old"] == old) && line["new"] == new;
    lines.iter().filter(step).map(|l| (number(&l["lport"]), number(&l["rport"]))).collect()
}

/// The same for what `ss` lists in `TIME_WAIT`.
fn listed(netns: &Netns) -> Result<BTreeSet<(u64, u64)>> {
    let text = output(netns.command("ss").args(["-Htan", "state", "time-wait"]))?;
    let port = |end: &str| end.rsplit(':').next()?.parse().ok();
    let socket = |line: &str| {
        let words: Vec<_> = line.split_whitespace().collect();
        Some((port(words.get(2)?)?, port(words.get(3)?)?))
    };
    text.lines().map(|line| socket(line).with_context(|| line.to_owned())).collect()
}

/// Ends them before their time. `ss` may complain of those that are gone already.
fn kill_all(netns: &Netns) -> Result<()> {
    netns.command("ss").args(["-K", "-tan", "state", "time-wait"]).output()?;
    let left = listed(netns)?;
    ensure!(left.is_empty(), "this kernel does not end them (INET_DIAG_DESTROY): {left:?}");
    Ok(())
}

/// Waits until all have been there for a second or more; the kernel keeps them for a minute.
fn until_a_second_old(netns: &Netns) -> Result<()> {
    until("each has been in TIME_WAIT for a second", || {
        let text = output(netns.command("ss").args(["-Htano", "state", "time-wait"]))?;
        // The timer has what is left, in whole seconds.
        let young = ["(timewait,1min", "(timewait,59sec"];
        Ok((!young.iter().any(|left| text.contains(left))).then_some(()))
    })
}

/// A connection that gets into `TIME_WAIT` after all that was before: when a tool shows it, it has
/// looked at everything else that was there.
fn mark_time(netns: &Netns) -> Result<()> {
    Running::hold(netns, "--conns 1 --state time-wait")?.release()
}

fn wait_for(tool: &Tool, mark: &str, count: usize) -> Result<()> {
    tool.wait_for(&format!("{count} lines with {mark}"), |lines| {
        lines.iter().filter(|line| line.contains(mark)).count() >= count
    })
}

const BEGINS: &str = "\"new\":\"TIME_WAIT\"";
const ENDS: &str = "\"old\":\"TIME_WAIT\"";

fn as_ss_lists() -> Result<()> {
    let netns = Netns::new("tw")?;
    let tool = Tool::start("tcpstates", &format!("-i 0.3 --netns {}", netns.path()))?;
    let begin = Instant::now();
    load::run(&netns, "life --seed 2 --conns 400")?;
    let truth = listed(&netns)?;
    ensure!(truth.len() > 150 && netns.counter("TcpExtTCPTimeWaitOverflow")? == 0, "{truth:?}");
    wait_for(&tool, BEGINS, truth.len())?;
    kill_all(&netns)?;
    wait_for(&tool, ENDS, truth.len())?;
    let most = begin.elapsed();
    let ended = tool.finish()?;
    ended.complete()?;
    let found = ended.of_kind("state")?;
    ensure!(ends(&found, "*", "TIME_WAIT") == truth, "not those that ss lists: {truth:?}");
    ensure!(ends(&found, "TIME_WAIT", "CLOSE") == truth, "not all have ended");
    let count = |mark: &str| ended.lines.iter().filter(|line| line.contains(mark)).count();
    ensure!([BEGINS, ENDS].map(count) == [truth.len(); 2], "shown more than once");
    let polls = polls(&ended)?;
    for end in found.iter().filter(|line| line["old"] == "TIME_WAIT") {
        let same = |line: &&Value| line["new"] == "TIME_WAIT" && line["cookie"] == end["cookie"];
        let begin = found.iter().find(same).with_context(|| format!("no beginning: {end}"))?;
        for key in ["pid", "comm", "laddr", "raddr", "lport", "rport", "netns", "cgroup"] {
            ensure!(begin[key] == end[key], "{key} differs: {begin}\n{end}");
        }
        ensure!(begin["polled"] == polls && end["polled"] == polls, "{begin}\n{end}");
        ensure!(begin["ts"].as_str() < end["ts"].as_str(), "{begin}\n{end}");
        let time = Duration::from_nanos(number(&end["duration_ns"]));
        ensure!(!time.is_zero() && time < most, "{end}");
        // How `ss` ended it is not reported.
        ensure!(end["ended_by"].is_null() || !polls, "{end}");
    }
    Ok(())
}

fn filters() -> Result<()> {
    type Keep = fn(&Value) -> bool;
    let cases: [(&str, Keep); 7] = [
        ("--from TIME_WAIT", |line| line["old"] == "TIME_WAIT"),
        ("--to TIME_WAIT", |line| line["new"] == "TIME_WAIT"),
        ("--state TIME_WAIT", |line| line["old"] == "TIME_WAIT" || line["new"] == "TIME_WAIT"),
        ("--state CLOSING", |line| line["old"] == "CLOSING" || line["new"] == "CLOSING"),
        ("--state CLOSE", |line| line["old"] == "CLOSE" || line["new"] == "CLOSE"),
        ("--state TIME_WAIT --comm life-client", |line| {
            (line["old"] == "TIME_WAIT" || line["new"] == "TIME_WAIT")
                && line["comm"] == "life-client"
        }),
        ("--slower 700ms", |line| number(&line["duration_ns"]) >= 700_000_000),
    ];
    let netns = Netns::new("twf")?;
    // The tools watch the same connections: the one without a filter shows what the others keep.
    let all = Tool::start("tcpstates", &format!("-i 0.1 --netns {}", netns.path()))?;
    let start = |(flags, _): &(&str, Keep)| {
        Tool::start("tcpstates", &format!("-i 0.1 --netns {} {flags}", netns.path()))
    };
    let tools = cases.iter().map(start).collect::<Result<Vec<_>>>()?;
    load::run(&netns, "life --seed 4 --conns 60")?;
    let count = listed(&netns)?.len();
    wait_for(&all, BEGINS, count)?;
    // Longer than --slower.
    until_a_second_old(&netns)?;
    kill_all(&netns)?;
    wait_for(&all, ENDS, count)?;
    let all = all.finish()?.of_kind("state")?;
    for ((flags, keep), tool) in cases.into_iter().zip(tools) {
        tool.wait_for_kind("state", all.iter().filter(|line| keep(line)).count()).context(flags)?;
        let ended = tool.finish()?;
        ended.complete().context(flags)?;
        // Each polls for itself, so times differ; listeners have no remote end.
        let key = |line: &Value| {
            let keys = ["laddr", "lport", "raddr", "rport", "pid", "old", "new", "cookie"];
            keys.map(|key| line[key].to_string()).join(" ")
        };
        let kept = |lines: &[Value]| {
            let mut lines: Vec<_> = lines.iter().filter(|line| keep(line)).map(key).collect();
            lines.sort();
            lines
        };
        let (expected, found) = (kept(&all), ended.of_kind("state")?);
        ensure!(expected.len() > 2, "{flags}: no test: {expected:?}");
        let shown = kept(&found);
        ensure!(shown == expected, "{flags}: {} instead of {}", shown.len(), expected.len());
        ensure!(found.len() == shown.len(), "{flags} keeps more: {found:#?}");
    }
    Ok(())
}

fn older() -> Result<()> {
    const CONNS: usize = 20;
    let netns = Netns::new("two")?;
    let begin = Instant::now();
    Running::hold(&netns, &format!("--conns {CONNS} --state time-wait"))?.release()?;
    let truth = listed(&netns)?;
    ensure!(truth.len() == CONNS, "{truth:?}");
    let there = Instant::now();
    let tool = Tool::start("tcpstates", &format!("-i 0.2 --netns {}", netns.path()))?;
    // With an owner asked for, what has none is not shown.
    let owned = Tool::start("tcpstates", &format!("-i 0.2 --netns {} -c hold*", netns.path()))?;
    mark_time(&netns)?;
    wait_for(&tool, BEGINS, 1)?;
    wait_for(&owned, BEGINS, 1)?;
    let least = there.elapsed();
    kill_all(&netns)?;
    wait_for(&owned, ENDS, 1)?;
    wait_for(&tool, ENDS, 1)?;
    let ended = tool.finish()?;
    let most = begin.elapsed();
    ended.complete()?;
    if !polls(&ended)? {
        return Ok(());
    }
    let older = |ended: &Ended| -> Result<Vec<Value>> {
        let ports = |line: &Value| (number(&line["lport"]), number(&line["rport"]));
        let lines = ended.of_kind("state")?.into_iter();
        Ok(lines.filter(|line| truth.contains(&ports(line))).collect())
    };
    let found = older(&ended)?;
    ensure!(ends(&found, "TIME_WAIT", "CLOSE") == truth && found.len() == CONNS, "{found:#?}");
    for line in &found {
        let time = Duration::from_nanos(number(&line["duration_ns"]));
        ensure!((least..most).contains(&time), "not within {least:?} to {most:?}: {line}");
        ensure!(line["pid"].is_null() && line["polled"] == true, "{line}");
    }
    let owned = owned.finish()?;
    owned.complete()?;
    ensure!(older(&owned)?.is_empty(), "{:?}", owned.lines);
    Ok(())
}

/// How much too old the start of a timewait socket may seem from its timer: a tick of the
/// slowest kernel (HZ=100).
const TICK: Duration = Duration::from_millis(10);

/// The process closes and its peer does not.
/// Where programs do not see timewait sockets, this one is gone before the next poll.
fn orphan_reset() -> Result<()> {
    let netns = Netns::new("orphan-reset")?;
    let listener = netns.within(|| Ok(TcpListener::bind("127.0.0.1:0")?))?;
    let address = listener.local_addr()?;
    let flags = format!("-i 2 --netns {} --rport {}", netns.path(), address.port());
    let tool = Tool::start_in(&netns, "tcpstates", &flags)?;
    let client = netns.within(|| Ok(TcpStream::connect(address)?))?;
    let (server, _) = listener.accept()?;
    drop(client);
    wait_for(&tool, "\"new\":\"FIN_WAIT2\"", 1)?;
    let waited = Duration::from_millis(50);
    thread::sleep(waited);
    sockopt::set_socket_linger(&server, Some(Duration::ZERO))?;
    drop(server);
    wait_for(&tool, "\"old\":\"FIN_WAIT2\"", 1)?;
    let ended = tool.finish()?;
    let found = ended.of_kind("state")?;
    let line = found.iter().find(|line| line["old"] == "FIN_WAIT2").context("no such line")?;
    let time = line["duration_ns"].as_u64().map(Duration::from_nanos);
    ensure!(time.is_none_or(|time| time >= waited), "{time:?} instead of {waited:?}: {line}");
    ensure!(line["new"] == "CLOSE", "{line}");
    ended.complete()
}

fn orphan() -> Result<()> {
    let netns = Netns::new("orphan")?;
    let listener = netns.within(|| Ok(TcpListener::bind("127.0.0.1:0")?))?;
    let address = listener.local_addr()?;
    let connect = || -> Result<(u16, TcpStream, TcpStream)> {
        let client = netns.within(|| Ok(TcpStream::connect(address)?))?;
        Ok((client.local_addr()?.port(), client, listener.accept()?.0))
    };
    // From inside, for looking at the timewait sockets of another namespace takes more rights.
    let flags = format!("-i 0.1 --netns {} --rport {}", netns.path(), address.port());
    let tool = Tool::start_in(&netns, "tcpstates", &flags)?;
    // When the tool shows a connection that both ends close, it has polled the others.
    let polls = |shown| -> Result<()> {
        let (_, client, server) = connect()?;
        drop((client, server));
        wait_for(&tool, BEGINS, shown)
    };
    let (port, client, server) = connect()?;
    let begin = Instant::now();
    drop(client);
    wait_for(&tool, "\"new\":\"FIN_WAIT2\"", 1)?;
    let (other_port, other_client, other_server) = connect()?;
    drop(other_client);
    wait_for(&tool, "\"new\":\"FIN_WAIT2\"", 2)?;
    let both = Instant::now();
    polls(1)?;
    let least = both.elapsed().saturating_sub(TICK);
    drop(server);
    wait_for(&tool, BEGINS, 2)?;
    let most = begin.elapsed();
    polls(3)?;
    let ended = tool.finish()?;
    ended.complete()?;
    drop(other_server);
    let found = ended.of_kind("state")?;
    let left = |port: u16| -> Vec<&Value> {
        let mine = found.iter().filter(|line| number(&line["lport"]) == u64::from(port));
        mine.filter(|line| line["old"] == "FIN_WAIT2").collect()
    };
    ensure!(left(other_port).is_empty(), "it is still in FIN_WAIT2: {:?}", left(other_port));
    let [line] = left(port)[..] else { anyhow::bail!("left more than once: {:?}", left(port)) };
    let time = Duration::from_nanos(number(&line["duration_ns"]));
    ensure!((least..most).contains(&time), "{time:?} is not within {least:?} to {most:?}: {line}");
    ensure!(line["new"] == "TIME_WAIT" && line["pid"] == std::process::id(), "{line}");
    let status = ended.last_status()?;
    ensure!(number(&status["delivered"]) == found.len() as u64, "{status}");
    Ok(())
}

/// With one local port to choose from, a second connection must reuse the first one's.
fn reused() -> Result<()> {
    let netns = Netns::new("twr")?;
    netns.sysctl(&["net.ipv4.ip_local_port_range=50000 50000", "net.ipv4.tcp_tw_reuse=1"])?;
    let tool = Tool::start_in(&netns, "tcpstates", &format!("-i 0.2 --netns {}", netns.path()))?;
    let begin = Instant::now();
    load::run(&netns, "churn --conns 1 --threads 1 --port 5201")?;
    wait_for(&tool, BEGINS, 1)?;
    let there = Instant::now();
    // The kernel waits up to a second before it reuses a timewait socket; connect() finds no port
    // until then.
    let least = until("the kernel reuses it", || {
        let so_far = there.elapsed();
        let second = load::run(&netns, "churn --conns 1 --threads 1 --port 5201");
        Ok(second.is_ok().then_some(so_far))
    })?;
    let most = begin.elapsed();
    ensure!(netns.counter("TcpExtTWRecycled")? == 1, "the kernel has not reused it");
    wait_for(&tool, BEGINS, 2)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let found = ended.of_kind("state")?;
    let client = found.iter().filter(|line| number(&line["lport"]) == 50_000);
    let mut client: Vec<_> = client.collect();
    client.sort_by_key(|line| line["ts"].as_str());
    let path: Vec<_> = client.iter().filter_map(|line| line["new"].as_str()).collect();
    let life = ["ESTABLISHED", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT"];
    ensure!(path == [&life[..], &["CLOSE"], &life[..]].concat(), "{path:?}: {client:?}");
    let time = Duration::from_nanos(number(&client[4]["duration_ns"]));
    ensure!((least..most).contains(&time), "not within {least:?} to {most:?}: {}", client[4]);
    let cause = &client[4]["ended_by"];
    let known = if polls(&ended)? { cause.is_null() } else { cause == "reused_connect" };
    ensure!(known, "{}", client[4]);
    Ok(())
}

/// More connections than one batch of a poll, created during each poll.
fn churn() -> Result<()> {
    let netns = Netns::new("twc")?;
    // Room for all of it, however late a busy machine lets the tool read.
    let flags = format!("-i 0.05 --buffer 64M --netns {}", netns.path());
    let tool = Tool::start("tcpstates", &flags)?;
    let churn = load::run(&netns, "churn --conns 15000")?;
    wait_for(&tool, "\"old\":\"LISTEN\",\"new\":\"CLOSE\"", 1)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let count = |mark: &str| ended.lines.iter().filter(|line| line.contains(mark)).count() as u64;
    let (made, missed) = (number(&churn["connections"]), number(&ended.last_status()?["missed"]));
    let begins = count(BEGINS);
    ensure!((made - missed..=made).contains(&begins), "{begins} of {made}, {missed} skipped");
    let closed = count("\"old\":\"FIN_WAIT2\",\"new\":\"CLOSE\"");
    ensure!(closed == 0, "{closed} of {made} are said to have closed");
    let (ends, reused) = (count(ENDS), netns.counter("TcpExtTWRecycled")?);
    ensure!(ends.abs_diff(reused) <= missed, "{ends} ends, {reused} were reused");
    Ok(())
}

/// Without --netns, and with a removed one.
fn namespaces() -> Result<()> {
    let (one, other) = (Netns::new("twa")?, Netns::new("twb")?);
    let tool = Tool::start("tcpstates", "-i 0.3")?;
    let mut truth = BTreeSet::new();
    for netns in [&one, &other] {
        load::run(netns, "life --conns 30")?;
        let inode = netns.inode()?;
        truth.extend(listed(netns)?.into_iter().map(|(local, remote)| (inode, local, remote)));
    }
    let inodes = [one.inode()?, other.inode()?];
    let seen = |lines: &[Value]| -> BTreeSet<_> {
        let of_ours = lines.iter().filter(|line| inodes.contains(&number(&line["netns"])));
        let begins = of_ours.filter(|line| line["new"] == "TIME_WAIT");
        begins.map(|l| (number(&l["netns"]), number(&l["lport"]), number(&l["rport"]))).collect()
    };
    wait_for(&tool, BEGINS, truth.len())?;
    // Its sockets go with it; that the tool watches does not keep it.
    drop(other);
    tool.wait_for("a note, or no need to poll", |lines| {
        let note = |line: &String| line.contains("\"note\"") && line.contains("TIME_WAIT");
        !lines[0].contains("\"time-wait\":\"iterator\"") || lines.iter().any(note)
    })?;
    // It is noted once, however often the tool polls.
    mark_time(&one)?;
    truth.extend(listed(&one)?.into_iter().map(|(local, remote)| (inodes[0], local, remote)));
    wait_for(&tool, BEGINS, truth.len())?;
    let ended = tool.finish()?;
    ended.complete()?;
    ensure!(seen(&ended.of_kind("state")?) == truth, "{truth:?}");
    let notes = ended.of_kind("note")?;
    if polls(&ended)? {
        let said = |note: &Value| note["text"].as_str().is_some_and(|t| t.contains("TIME_WAIT"));
        ensure!(notes.iter().filter(|note| said(note)).count() == 1, "{notes:?}");
    }
    Ok(())
}
