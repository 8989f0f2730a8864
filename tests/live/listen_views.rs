//! listenoverflow's views of drops: by event, client and group, with advice, and of
//! many listeners and namespaces at once.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::listen::{CLIENTS, SERVER, agree, explained, sum, watch, with_raw_clients};
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[
    ("v6_and_dual_stack", families),
    ("thousand_listeners", thousand),
    ("groups_add_up", groups),
    ("events_and_clients_tell_who", events),
    ("advice_knows_the_bound", advice),
    ("a_fast_server_is_told_to_lengthen_its_queue", fast_server),
    ("a_slow_server_is_told_to_accept_faster", slow_server),
    ("a_flood_is_no_full_accept_queue", flood),
    ("nginx_under_wrk", nginx),
];

pub const ALONE: &[(&str, Test)] = &[
    // Its tool watches all namespaces.
    ("two_namespaces_at_once", namespaces),
];

fn families() -> Result<()> {
    // The kernel has a listener of one IPv6 address take no IPv4 anyway.
    for (flags, laddr, v6only) in [("-6", "::1", true), ("--addr ::", "::", false)] {
        let netns = Netns::new("v6")?;
        let tool = watch(&netns, "")?;
        load::run(&netns, &format!("listen --backlog 2 --connects 8 {flags}"))?;
        let drops = netns.counter("TcpExtListenDrops")?;
        ensure!(drops >= 5, "{drops} drops");
        let (rows, ended) = explained(tool)?;
        agree(&rows, &ended, &[("drops_accept_syn", drops), ("drops_total", drops)])?;
        let named = |row: &Value| row["laddr"] == laddr && row["v6only"] == v6only;
        ensure!(rows.iter().all(|row| named(row) && row["family"] == 6), "{rows:#?}");
    }
    Ok(())
}

fn thousand() -> Result<()> {
    let netns = Netns::new("many")?;
    let tool = watch(&netns, "--all")?;
    let script = "--listeners 1000 --spread --port 20000 --backlog 2 --connects 12 --hold";
    let mut held = Running::listen(&netns, script)?;
    let pid = held.ready["pid"].clone();
    tool.wait_for_kind("listener", 2000)?;
    let seen = tool.lines();
    held.stop()?;
    let drops = netns.counter("TcpExtListenDrops")?;
    let (rows, ended) = explained(tool)?;
    agree(&rows, &ended, &[("drops_accept_syn", drops), ("drops_total", drops)])?;
    let mut ports: Vec<_> = rows.iter().map(|row| number(&row["lport"])).collect();
    ports.sort_unstable();
    ports.dedup();
    ensure!(ports.len() == 1000 && ports[0] == 20_000, "{} ports", ports.len());
    ensure!(rows.iter().all(|row| row["pid"] == pid), "a wrong owner");
    ensure!(seen >= 2000, "{seen} lines");
    Ok(())
}

fn groups() -> Result<()> {
    let netns = Netns::new("group")?;
    let tool = watch(&netns, "--group")?;
    load::run(&netns, "listen --listeners 4 --backlog 2 --connects 60 --port 5555")?;
    let drops = netns.counter("TcpExtListenDrops")?;
    ensure!(drops > 0, "nothing was lost");
    let (rows, ended) = explained(tool)?;
    agree(&rows, &ended, &[("drops_accept_syn", drops), ("drops_total", drops)])?;
    ensure!(rows.iter().any(|row| row["listeners"] == 4), "{rows:#?}");
    Ok(())
}

fn namespaces() -> Result<()> {
    let both = [Netns::new("one")?, Netns::new("two")?];
    let tool = Tool::start("listenoverflow", "-i 0.2")?;
    for (netns, connects) in both.iter().zip([10, 25]) {
        load::run(netns, &format!("listen --backlog 2 --connects {connects}"))?;
    }
    let (rows, ended) = explained(tool)?;
    for netns in &both {
        let inode = netns.inode()?;
        let own: Vec<Value> =
            rows.iter().filter(|row| number(&row["netns"]) == inode).cloned().collect();
        let drops = netns.counter("TcpExtListenDrops")?;
        agree(&own, &ended, &[("drops_accept_syn", drops), ("drops_total", drops)])?;
        let name = netns.name();
        ensure!(own.iter().all(|row| row["netns_name"] == name), "{own:#?} is not {name}");
    }
    Ok(())
}

fn events() -> Result<()> {
    let netns = with_raw_clients("events")?;
    let script = format!(
        "listen --backlog 16 --addr {SERVER} --port 5556 --raw {CLIENTS} --syns 6 --shrink 1 \
         --finish"
    );
    let tool = watch(&netns, "--events")?;
    load::run(&netns, &script)?;
    let drops = netns.counter("TcpExtListenDrops")?;
    let ended = tool.finish()?;
    ended.complete()?;
    let rows = ended.of_kind("listen_event")?;
    // The first two clients found room, and were reset at the end.
    let (reset, rows): (Vec<_>, Vec<_>) =
        rows.into_iter().partition(|row| row["cause"] == "listener_closed");
    ensure!(sum(&reset, "count") == Some(2), "{reset:#?}");
    ensure!(sum(&rows, "count") == Some(drops), "{drops} drops: {rows:#?}");
    // Each drop is an event, also where samples found it.
    let status = ended.last_status()?;
    ensure!(number(&status["delivered"]) >= drops, "{drops} drops: {status}");
    let causes = ["accept_queue_ack", "accept_queue_syn"];
    let named = rows.iter().filter_map(|row| row["cause"].as_str());
    ensure!(named.clone().all(|cause| cause == causes[0]), "{rows:#?}");
    ensure!(rows.iter().all(|row| row["limit"].is_null() || row["limit"] == 1), "{rows:#?}");

    let tool = watch(&netns, "--clients")?;
    load::run(&netns, &script)?;
    let drops = netns.counter("TcpExtListenDrops")? - drops;
    let ended = tool.finish()?;
    let rows = ended.of_kind("listen_client")?;
    ensure!(sum(&rows, "drops_total") == Some(drops), "{drops} drops: {rows:#?}");
    if named.count() > 0 {
        // The first two found room.
        for nth in 3..=6 {
            let client = format!("198.51.100.{nth}");
            let found = rows.iter().find(|row| row["raddr"] == client.as_str());
            ensure!(
                found.is_some_and(|row| number(&row["drops_total"]) > 0),
                "{client}: {rows:#?}"
            );
        }
    }
    Ok(())
}

fn advice() -> Result<()> {
    for (somaxconn, bound, limit) in [(2, "somaxconn", 2), (4096, "backlog", 3)] {
        let netns = Netns::new("advice")?;
        netns.sysctl(&[&format!("net.core.somaxconn={somaxconn}")])?;
        let tool = watch(&netns, "--advise")?;
        load::run(&netns, "listen --backlog 3 --connects 9")?;
        let (_, ended) = explained(tool)?;
        let rows = ended.of_kind("advice")?;
        ensure!(!rows.is_empty(), "no advice");
        for row in rows {
            ensure!(row["bound_by"] == bound && row["accept_limit"] == limit, "{row}");
            ensure!(row["verdict"] == "no_accept", "{row}");
            ensure!(row["somaxconn"] == somaxconn && row["abort_on_overflow"] == false, "{row}");
        }
    }
    Ok(())
}

/// Advice given while a server takes bursts of clients at a known pace.
fn verdicts(load: &str, flags: &str) -> Result<(Vec<Value>, bool)> {
    let netns = Netns::new("burst")?;
    let flags = format!("--netns {} -i 1 --advise {flags}", netns.path());
    let tool = Tool::start_in(&netns, "listenoverflow", &flags)?;
    load::run(&netns, &format!("burst --backlog 2 --clients 40 {load}"))?;
    let ended = tool.finish()?;
    ended.complete()?;
    let advice = ended.of_kind("advice")?;
    ensure!(!advice.is_empty(), "no advice");
    for one in &advice {
        let text = one["text"].as_str().context("no text")?;
        ensure!(text.matches("remedy:").count() == 1, "{text}");
    }
    Ok((advice, ended.last_status()?["attach"]["accept-return"] != "-"))
}

/// It accepts at once, but 40 come at the same moment to a queue of 3.
fn fast_server() -> Result<()> {
    for flags in ["", "--wait"] {
        let (advice, sees_accept) = verdicts("--bursts 6 --gap 500", flags)?;
        let short = |one: &Value| one["verdict"] == "short_queue";
        ensure!(!sees_accept || advice.iter().any(short), "{flags}: {advice:#?}");
        // In a short last interval, and where accept() is not seen, the pace may be unknown.
        let fits = |one: &Value| short(one) || one["verdict"].is_null();
        ensure!(advice.iter().all(fits), "{flags}: {advice:#?}");
    }
    Ok(())
}

/// It takes one in 100 ms, and always has some waiting.
fn slow_server() -> Result<()> {
    for flags in ["", "--wait"] {
        let (advice, _) = verdicts("--bursts 8 --gap 500 --pause 100", flags)?;
        let slow = |one: &&Value| one["verdict"] == "slow_accept";
        ensure!(advice.iter().any(|one| slow(&one)), "{flags}: {advice:#?}");
        // In a short last interval the pace may be unknown.
        let fits = |one: &Value| slow(&one) || one["verdict"].is_null();
        ensure!(advice.iter().all(fits), "{flags}: {advice:#?}");
        let mut pace = advice.iter().filter(slow).map(|one| number(&one["accept_ns"]));
        ensure!(pace.all(|ns| ns >= 50_000_000), "{flags}: {advice:#?}");
    }
    Ok(())
}

/// Clients that never finish their handshakes.
fn flood() -> Result<()> {
    for cookies in [0, 1] {
        let netns = with_raw_clients("flood")?;
        netns.sysctl(&[&format!("net.ipv4.tcp_syncookies={cookies}")])?;
        let tool = watch(&netns, "--advise")?;
        let script = format!("--backlog 8 --addr {SERVER} --port 5556 --raw {CLIENTS} --syns 60");
        load::run(&netns, &format!("listen {script}"))?;
        let ended = tool.finish()?;
        ended.complete()?;
        let advice = ended.of_kind("advice")?;
        ensure!(!advice.is_empty(), "no advice");
        let remedy = ["set net.ipv4.tcp_syncookies = 1", "find the clients"][cookies];
        for one in &advice {
            let text = one["text"].as_str().context("no text")?;
            ensure!(one["verdict"] == "syn_queue" && text.contains(remedy), "{one}");
        }
    }
    Ok(())
}

/// A server that does nothing wrong but to be asked too much at once.
fn nginx() -> Result<()> {
    let netns = Netns::new("wrk")?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().display();
    let configuration = folder.path().join("nginx.conf");
    std::fs::write(
        &configuration,
        format!(
            "user root; daemon off; master_process off; worker_processes 1; pid {root}/pid;\n\
             error_log {root}/errors; events {{ worker_connections 4096; }}\n\
             http {{ access_log off; keepalive_timeout 0;\n\
             server {{ listen 127.0.0.1:5201 backlog=4; return 200 ok; }} }}\n"
        ),
    )?;
    let mut server = netns.command("nginx");
    server.arg("-c").arg(&configuration).arg("-p").arg(folder.path());
    let server = Running::server(&netns, &mut server, 5201)?;
    let tool = watch(&netns, "--advise")?;
    let mut client = netns.command("wrk");
    client.args(["-t", "2", "-c", "200", "-d", "2s", "-H", "Connection: close"]);
    crate::tool::output(client.arg("http://127.0.0.1:5201/"))?;
    let before = netns.counter("TcpExtListenDrops")?;
    let (rows, _) = {
        let pid = u64::from(server.pid());
        let (rows, ended) = explained(tool)?;
        ensure!(rows.iter().all(|row| number(&row["pid"]) == pid), "{rows:#?}");
        let advice = ended.of_kind("advice")?;
        ensure!(!advice.is_empty(), "no advice");
        // It takes all that wait at once; where only arrivals are seen, that may look like nothing.
        let blind = ended.last_status()?["attach"]["accept-return"] == "-";
        let fits = |verdict: &Value| verdict == "short_queue" || blind && verdict.is_null();
        ensure!(advice.iter().all(|row| fits(&row["verdict"])), "{advice:#?}");
        (rows, ended)
    };
    // The tool ends between two readings of the counter.
    let after = netns.counter("TcpExtListenDrops")?;
    let total = sum(&rows, "drops_total").context("an unknown sum")?;
    ensure!(
        before > 0 && (before..=after).contains(&total),
        "{total} of {before} to {after} drops"
    );
    ensure!(
        rows.iter().any(|row| row["accept_limit"] == 4 && number(&row["accept_peak"]) == 5),
        "{rows:#?}"
    );
    Ok(())
}
