//! Who owns a socket that has changed hands: the process that uses it, in every tool, on every
//! attach method. `tcpload pass` says which process that is.

use std::process::Command;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::setting::{hides, ordinary_user, scaled};
use crate::tool::{Ended, Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("a_connection_belongs_to_the_child_that_serves_it", || connection("child", "lport")),
    ("a_connection_belongs_to_the_process_it_was_sent_to", || connection("scm", "lport")),
    ("a_connection_belongs_to_the_child_that_goes_on", || connection("client", "rport")),
    ("a_listener_belongs_to_the_daemon", || listener("daemon")),
    ("a_listener_belongs_to_the_service_that_accepts", || listener("activate")),
    ("a_listener_belongs_to_the_present_program", || listener("exec")),
    ("a_search_goes_on_where_it_was_interrupted", interrupted),
    ("a_master_owns_what_its_workers_hold_too", master),
];

pub const ALONE: &[(&str, Test)] = &[
    // It sets the number of the machine's next process.
    ("a_pid_given_again_is_another_row", pid_again),
];

/// The tools, watching a namespace.
fn watch(netns: &Netns, tool: &str, flags: &str) -> Result<Tool> {
    Tool::start(tool, &format!("--netns {} {flags}", netns.path()))
}

/// Whether a record is about this process.
fn is_of(row: &Value, pid: &Value, comm: &str) -> bool {
    row["pid"] == *pid && row["comm"] == comm
}

/// A sum over the rows of a process. Its name may be that before it took its own.
fn sum(rows: &[Value], key: &str, pid: &Value) -> u64 {
    rows.iter().filter(|row| row["pid"] == *pid).map(|row| number(&row[key])).sum()
}

/// An accepted connection (`lport`: the service's port) or one's own (`rport`) is passed on.
fn connection(how: &str, port: &str) -> Result<()> {
    let netns = Netns::new(how)?;
    let kind = if port == "lport" { "service" } else { "response" };
    let states = watch(&netns, "tcpstates", "")?;
    let named = watch(&netns, "tcpstates", "-c user")?;
    let count = watch(&netns, "tcpcount", "-i 0.2")?;
    let latency = watch(&netns, "tcplatency", &format!("-i 0.2 --kind {kind}"))?;
    let pass = Running::pass(&netns, how)?;
    let ready = pass.ready.clone();
    pass.release()?;
    for tool in [&states, &named] {
        tool.wait_for("the end of the connection", |lines| {
            let mut rows = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            rows.any(|row| row["old"] == "LAST_ACK" && row[port] == ready["port"])
        })?;
    }
    ends_with_its_user(&states.finish()?, &ready, port)?;
    named.finish()?;
    let [count, latency] = [count, latency].map(Tool::finish);
    let (user, giver) = (&ready["user"], &ready["giver"]);
    let rows = count?.of_kind("count")?;
    let bytes = ["tx_bytes", "rx_bytes"].map(|key| sum(&rows, key, user));
    ensure!(bytes == [number(&ready["bytes"]); 2], "{how}: {bytes:?} of {ready}");
    // A client's first request was the giver's.
    let first = u64::from(how == "client");
    let calls = sum(&rows, "tx_calls", giver);
    ensure!(calls == first, "{how}: {calls} sends of the giver");
    let rows = latency?.of_kind("latency")?;
    let exchanges = [user, giver].map(|pid| sum(&rows, "count", pid));
    ensure!(exchanges == [number(&ready["requests"]), first], "{how}: {exchanges:?} of {ready}");
    Ok(())
}

/// All that happens to the connection after its use is the user's.
fn ends_with_its_user(ended: &Ended, ready: &Value, port: &str) -> Result<()> {
    let changes = ended.of_kind("state")?;
    let ends: Vec<_> = changes
        .iter()
        .filter(|row| row[port] == ready["port"] && row["old"] != "LISTEN")
        .filter(|row| !["SYN_RECV", "SYN_SENT", "CLOSE"].iter().any(|old| row["old"] == *old))
        .collect();
    ensure!(ends.len() >= 3, "{changes:#?}");
    let strange = ends.iter().find(|row| !is_of(row, &ready["user"], "user"));
    ensure!(strange.is_none(), "{strange:#?} instead of {ready}");
    Ok(())
}

/// The newest listener of a port in the lines so far.
fn newest(lines: &[String], port: &Value) -> Option<Value> {
    let rows = lines.iter().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    rows.into_iter().find(|row| {
        (row["kind"] == "listener" && row["lport"] == *port)
            || (row["kind"] == "sockets" && row["state"] == "LISTEN" && number(&row["count"]) == 1)
    })
}

/// Tools that were there before find the process that has the listener now; so do later ones.
fn listener(how: &str) -> Result<()> {
    if hides("on 5.10 nothing shows who accepts") {
        return Ok(());
    }
    let netns = Netns::new(how)?;
    let start = || -> Result<Vec<Tool>> {
        let mut tools = vec![watch(&netns, "listenoverflow", "--all -i 0.2")?];
        // An ordinary user may not enter another namespace, which the summary of one takes.
        if !ordinary_user() {
            tools.push(watch(&netns, "tcpstates", "--summary --by process -i 0.2")?);
        }
        Ok(tools)
    };
    let before = start()?;
    let pass = Running::pass(&netns, how)?;
    let after = start()?;
    for tool in before.iter().chain(&after) {
        tool.wait_for(&format!("listener of {}", pass.ready), |lines| {
            newest(lines, &pass.ready["port"])
                .is_some_and(|row| is_of(&row, &pass.ready["user"], "user"))
        })?;
    }
    pass.release()
}

/// With so many open files no search is over at once: it stops for intervals and events.
fn interrupted() -> Result<()> {
    let netns = Netns::new("many-files")?;
    let many = Running::hold(&netns, &format!("--conns {}", scaled(20_000, 5_000)))?;
    listener("daemon")?;
    many.release()
}

/// nginx as it comes: the launcher listens and ends; the master and two workers have the listener.
fn master() -> Result<()> {
    let netns = Netns::new("master")?;
    let tool = watch(&netns, "listenoverflow", "--all --holders -i 0.2")?;
    let folder = tempfile::tempdir()?;
    let (root, file) = (folder.path().display(), folder.path().join("nginx.conf"));
    let server = "server { listen 127.0.0.1:5201; location / { return 200 ok; } }";
    std::fs::write(
        &file,
        format!(
            "user root; worker_processes 2; pid {root}/pid; error_log {root}/errors;\n\
             events {{}}\nhttp {{ access_log off; {server} }}\n"
        ),
    )?;
    output(netns.command("nginx").arg("-p").arg(folder.path()).arg("-c").arg(&file))?;
    let pid: u32 = until("the master is there", || {
        let text = std::fs::read_to_string(folder.path().join("pid")).unwrap_or_default();
        Ok(text.trim().parse().ok())
    })?;
    let found = tool.wait_for("the master and its workers", |lines| {
        newest(lines, &5201.into()).is_some_and(|row| {
            let holders = row["holders"].as_array().map_or(0, Vec::len);
            is_of(&row, &pid.into(), "nginx") && holders == 3
        })
    });
    output(Command::new("kill").arg(pid.to_string()))?;
    found
}

/// Processes one after another get the same number; their connections are not added up.
fn pid_again() -> Result<()> {
    let netns = Netns::new("again")?;
    let tool = watch(&netns, "tcpcount", "-i 3600")?;
    let first = load::run(&netns, "named --comm-hex 6669727374 --conns 3")?;
    let pid = number(&first["pid"]);
    let second = until("the number is given again", || {
        std::fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string())?;
        let again = load::run(&netns, "named --comm-hex 7365636f6e64 --conns 5")?;
        Ok((number(&again["pid"]) == pid).then_some(again))
    })?;
    let rows = tool.finish()?.of_kind("count")?;
    for (comm, report) in [("first", &first), ("second", &second)] {
        let of_name = |row: &&Value| is_of(row, &report["pid"], comm);
        let bytes: u64 = rows.iter().filter(of_name).map(|row| number(&row["tx_bytes"])).sum();
        ensure!(bytes == number(&report["bytes"]), "{comm}: {bytes} of {report} in {rows:#?}");
    }
    Ok(())
}
