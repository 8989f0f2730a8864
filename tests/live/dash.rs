//! tcpdash against the programs that made the traffic, and against `ss`.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::setting::scaled;
use crate::shared::fit_the_schema;
use crate::tool::{Tool, number, output, path_of};

pub const TESTS: &[(&str, Test)] = &[
    ("requests_are_counted_by_process_and_by_connection", || requests("")),
    ("requests_are_counted_without_a_program_for_each", || requests("--light")),
    ("sockets_are_those_that_are_held", held),
    ("exchanges_are_timed_by_process_and_by_remote", exchanges),
    ("a_listener_loses_what_the_kernel_says", drops),
    ("a_recording_shows_what_was_live", recorded),
    ("the_kernels_own_counters", counters),
    ("without_a_terminal_there_is_no_screen", refused),
];

fn dash(netns: &Netns) -> Result<Tool> {
    dash_with(netns, "")
}

fn dash_with(netns: &Netns, flags: &str) -> Result<Tool> {
    Tool::start_in(netns, "tcpdash", &format!("--netns {} -i 0.2 {flags}", netns.path()))
}

/// Sum of one key over the rows of a grouping for which `keep` says so.
fn sum(rows: &[Value], by: &str, key: &str, keep: impl Fn(&Value) -> bool) -> u64 {
    let rows = rows.iter().filter(|row| row["by"] == by && row["total"] == false && keep(row));
    rows.map(|row| number(&row[key])).sum()
}

fn counts(lines: &[String]) -> Vec<Value> {
    let rows = lines.iter().filter(|line| line.contains("\"kind\":\"count\""));
    rows.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// Both groupings are of the same counters: each must be what the programs say.
fn requests(flags: &str) -> Result<()> {
    let netns = Netns::new("dash")?;
    let tool = dash_with(&netns, flags)?;
    let report = load::run(&netns, "reqresp --seconds 1 --conns 3")?;
    let (requests, bytes) = (number(&report["requests"]), number(&report["bytes"]));
    tool.wait_for("everything", |lines| {
        sum(&counts(lines), "connection", "rx_bytes", |_| true) >= 2 * bytes
    })?;
    let ended = tool.finish()?;
    let rows = counts(&ended.lines);
    for by in ["process", "connection"] {
        for (pid, comm) in
            [(&report["client_pid"], "rr-client"), (&report["server_pid"], "rr-server")]
        {
            let of = |keys: [&str; 2]| {
                keys.map(|key| sum(&rows, by, key, |row| row["pid"] == *pid && row["comm"] == comm))
            };
            let found = of(["tx_bytes", "rx_bytes"]);
            ensure!(found == [bytes; 2], "{by} {comm}: {found:?} bytes, truth {bytes}");
            if flags.is_empty() {
                let found = of(["tx_calls", "rx_calls"]);
                ensure!(found == [requests; 2], "{by} {comm}: {found:?} calls of {requests}");
            }
        }
    }
    let unknown = rows.iter().all(|row| row["tx_calls"].is_null() && row["errors"].is_null());
    ensure!(requests > 0 && unknown != flags.is_empty(), "calls are known without --light alone");
    ended.complete()
}

/// All sockets of a namespace by state, and all of them of the process that holds them.
fn held() -> Result<()> {
    const CONNECTIONS: u64 = 100;
    let netns = Netns::new("dash")?;
    let hold = Running::hold(&netns, &format!("--conns {CONNECTIONS}"))?;
    let ss = output(netns.command("ss").args(["-tnH", "state", "established"]))?;
    ensure!(ss.lines().count() as u64 == 2 * CONNECTIONS, "ss: {ss}");
    let tool = dash(&netns)?;
    tool.wait_for_kind("mib", 2)?;
    let ended = tool.finish()?;
    let rows = ended.of_kind("sockets")?;
    let ts = &rows.last().context("no sockets")?["ts"];
    let established = |by: Option<&str>| -> Vec<&Value> {
        let of_state = rows.iter().filter(|row| row["state"] == "ESTABLISHED" && row["ts"] == *ts);
        of_state.filter(|row| row["by"].as_str() == by).collect()
    };
    let count = |rows: &[&Value]| -> u64 { rows.iter().map(|row| number(&row["count"])).sum() };
    for by in [None, Some("process"), Some("remote")] {
        let found = count(&established(by));
        ensure!(found == 2 * CONNECTIONS, "{by:?}: {found}");
    }
    let owned = established(Some("process")).iter().filter(|row| !row["pid"].is_null()).count();
    ensure!(owned > 0, "no known owner holds them");
    hold.release()?;
    ended.complete()
}

/// A server that sleeps for 20 ms: every exchange is in the row of either end, and in its remote's.
fn exchanges() -> Result<()> {
    const SLEEP_NS: u64 = 20_000_000;
    let netns = Netns::new("dash")?;
    let (requests, connections) = (scaled(400, 100), scaled(20, 5));
    let tool = dash(&netns)?;
    let report = load::run(&netns, &format!("ask --requests {requests} --conns {connections}"))?;
    tool.wait_for_kind("mib", 2)?;
    let ended = tool.finish()?;
    let rows = ended.of_kind("latency")?;
    for (what, role, pid, truth) in [
        ("response", "client", &report["client_pid"], requests),
        ("service", "server", &report["server_pid"], requests),
        ("connect", "client", &report["client_pid"], connections),
    ] {
        let of = |by: &str| -> Vec<&Value> {
            let of = rows.iter().filter(|row| row["latency_kind"] == what && row["role"] == role);
            of.filter(|row| row["by"] == by).collect()
        };
        let (processes, remotes) = (of("process"), of("remote"));
        for all in [&processes, &remotes] {
            let count: u64 = all.iter().map(|row| number(&row["count"])).sum();
            ensure!(count == truth, "{count} of {truth} {what}s of {role}s: {all:#?}");
            let fast = all.iter().find(|row| number(&row["min_ns"]) < SLEEP_NS);
            ensure!(what == "connect" || fast.is_none(), "faster than the server: {fast:?}");
        }
        let theirs = processes.iter().all(|row| row["pid"] == *pid);
        ensure!(theirs, "of another process than {pid}: {processes:#?}");
    }
    ended.complete()
}

/// The listener with the full accept queue, and the kernel's counters of its namespace.
fn drops() -> Result<()> {
    let netns = Netns::new("dash")?;
    let tool = dash(&netns)?;
    let connects = scaled(100, 20);
    let report = load::run(&netns, &format!("listen --backlog 4 --connects {connects}"))?;
    let truth = netns.counter("TcpExtListenDrops")?;
    ensure!(truth >= connects - 5, "only {truth} drops");
    let ended = tool.finish()?;
    let rows = ended.of_kind("listener")?;
    let mine: Vec<_> = rows.iter().filter(|row| row["pid"] == report["pid"]).collect();
    let found: u64 = mine.iter().map(|row| number(&row["drops_total"])).sum();
    ensure!(found == truth, "{found} drops instead of {truth}: {mine:#?}");
    let peak = mine.iter().map(|row| number(&row["accept_peak"])).max();
    ensure!(peak == Some(5), "the peak was {peak:?}: {mine:#?}");
    let status = ended.last_status()?;
    ensure!(status["unexplained"] == 0, "{status}");
    ended.complete()
}

/// What was recorded shows the same processes without root and without BPF.
fn recorded() -> Result<()> {
    let netns = Netns::new("dash")?;
    let tool = dash(&netns)?;
    let report = load::run(&netns, "reqresp --seconds 1 --conns 2")?;
    let bytes = number(&report["bytes"]);
    tool.wait_for("everything", |lines| {
        sum(&counts(lines), "connection", "rx_bytes", |_| true) >= 2 * bytes
    })?;
    let ended = tool.finish()?;
    fit_the_schema(ended.lines.iter().map(String::as_str))?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("recording.jsonl");
    std::fs::write(&path, ended.lines.join("\n"))?;
    let mut replay = Command::new(path_of("tcpdash"));
    replay.arg("--replay").arg(&path).args(["--at", "0.6", "--snapshot", "processes"]);
    let screen = output(replay.args(["--size", "120x30"]))?;
    for (pid, comm) in [(&report["client_pid"], "rr-client"), (&report["server_pid"], "rr-server")]
    {
        let named = screen
            .lines()
            .any(|line| line.split_whitespace().take(2).eq([pid.to_string().as_str(), comm]));
        ensure!(named, "no {comm} ({pid}):\n{screen}");
    }
    Ok(())
}

/// The counters of the namespace, as nstat reads them, grow by what has happened in between.
fn counters() -> Result<()> {
    let netns = Netns::new("dash")?;
    let tool = dash(&netns)?;
    load::run(&netns, "reqresp --seconds 1 --conns 7")?;
    let seen = |lines: &[String]| -> [u64; 2] {
        let rows = lines.iter().filter(|line| line.contains("\"kind\":\"mib\""));
        let rows: Vec<Value> = rows.filter_map(|line| serde_json::from_str(line).ok()).collect();
        ["active_opens", "passive_opens"].map(|key| rows.iter().map(|row| number(&row[key])).sum())
    };
    let nstat = output(netns.command("nstat").args(["-asz", "TcpActiveOpens", "TcpPassiveOpens"]))?;
    let truth: Vec<u64> = nstat
        .lines()
        .filter(|line| line.starts_with("Tcp"))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse().ok())
        .collect();
    ensure!(truth.len() == 2 && truth[0] >= 7, "nstat: {nstat}");
    tool.wait_for("all opens", |lines| seen(lines)[..] >= truth[..])?;
    let ended = tool.finish()?;
    ensure!(seen(&ended.lines)[..] == truth[..], "{:?} instead of {truth:?}", seen(&ended.lines));
    Ok(())
}

/// Without a terminal: nothing of a screen is written, and it says why.
fn refused() -> Result<()> {
    let mut command = Command::new(path_of("tcpdash"));
    let out = command.stdin(Stdio::null()).output()?;
    let text = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.code() == Some(2) && text.contains("--snapshot"), "{}: {text}", out.status);
    ensure!(out.stdout.is_empty(), "{:?}", out.stdout);
    Ok(())
}
