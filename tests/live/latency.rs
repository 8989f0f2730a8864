//! tcplatency against clocks on both sides of what it measures.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::load;
use crate::netns::Netns;
use crate::setting::{emulated, scaled};
use crate::tool::{Ended, Tool, number};

pub const TESTS: &[(&str, Test)] = &[
    ("a_server_that_sleeps_before_it_answers", sleeping_server),
    ("conversations_of_every_shape", || conversations("")),
    ("conversations_that_take_seconds", || conversations("--slow")),
    ("requests_crossed_over_threads", crossed),
    ("a_wait_for_accept", accept),
    ("connects_that_fail_or_succeed_late", connects),
    ("what_finds_no_room_is_other", other),
    ("no_interval_loses_or_repeats_anything", intervals),
    ("older_sockets_have_roles", older),
    ("quantiles_are_those_of_the_events", quantiles),
    ("slower_is_filtered_in_the_kernel", slower),
];

pub const MS: u64 = 1_000_000;
/// Nobody prints before the end: the last interval has everything.
pub const ONE_INTERVAL: &str = "-i 1000";

pub fn start(netns: &Netns, flags: &str) -> Result<Tool> {
    Tool::start("tcplatency", &format!("--netns {} {flags}", netns.path()))
}

/// Ends the tool; the rows of all intervals.
pub fn rows(tool: Tool) -> Result<(Vec<Value>, Ended)> {
    let ended = tool.finish()?;
    Ok((ended.of_kind("latency")?, ended))
}

/// The sum of `key` over the rows of a kind and role.
fn sum(rows: &[Value], what: &str, role: &str, key: &str) -> u64 {
    let mine = rows.iter().filter(|row| row["what"] == what && row["role"] == role);
    mine.map(|row| number(&row[key])).sum()
}

/// The only row of a kind, role and process.
fn row<'a>(rows: &'a [Value], what: &str, role: &str, pid: &Value) -> Result<&'a Value> {
    let mut mine =
        rows.iter().filter(|row| row["what"] == what && row["role"] == role && row["pid"] == *pid);
    let one = mine.next().with_context(|| format!("no row of {what}, {role}, {pid}: {rows:#?}"))?;
    ensure!(mine.next().is_none(), "two rows of {what}, {role}, {pid}: {rows:#?}");
    Ok(one)
}

/// A histogram's error, and what reading a clock takes.
fn close(found: u64, truth: u64) -> bool {
    found.abs_diff(truth) <= truth * 32 / 1000 + MS / 5
}

fn sleeping_server() -> Result<()> {
    let netns = Netns::new("sleeping")?;
    let requests = scaled(1000, 100);
    let tool = start(&netns, ONE_INTERVAL)?;
    let report =
        load::run(&netns, &format!("ask --requests {requests} --conns {}", requests / 20))?;
    let (rows, ended) = rows(tool)?;
    let response = row(&rows, "response", "client", &report["client_pid"])?;
    let service = row(&rows, "service", "server", &report["server_pid"])?;
    let seen = number(&report["p50_ns"]);
    for one in [response, service] {
        ensure!(number(&one["count"]) == requests, "{requests} requests: {one}");
        ensure!(one["untimed"] == 0, "{one}");
        // It cannot be faster than the sleep, nor slower than its client saw.
        ensure!(number(&one["min_ns"]) >= 20 * MS, "{one}");
        let p50 = number(&one["p50_ns"]);
        ensure!(p50 >= 20 * MS * 968 / 1000 && p50 <= seen * 1032 / 1000, "{seen}: {one}");
        ensure!(emulated() || close(p50, 20 * MS), "{one}");
    }
    ensure!(emulated() || close(number(&response["p50_ns"]), seen), "{seen}: {response}");
    ensure!(sum(&rows, "connect", "client", "count") == requests / 20, "connects: {rows:#?}");
    // Every request and every answer was acknowledged.
    for role in ["client", "server"] {
        let samples = sum(&rows, "rtt", role, "count");
        ensure!(samples >= requests * 9 / 10, "{samples} samples of {role}s: {rows:#?}");
    }
    ended.complete()
}

/// Every latency of every conversation lies between its bounds, in order, and there is no other.
fn conversations(flags: &str) -> Result<()> {
    let netns = Netns::new("talk")?;
    let tool = start(&netns, "--events")?;
    let report = load::run(&netns, &format!("talk {flags}"))?;
    let ended = tool.finish()?;
    let events = ended.of_kind("exchange")?;
    let probes = &ended.last_status()?["probes"];
    // What tcp_probe shows ends with the first FIN.
    let deaf = probes["segment"] == "tracepoint";
    for case in report["cases"].as_array().context("no cases")? {
        for (what, key, port) in
            [("response", "responses", "lport"), ("service", "services", "rport")]
        {
            let mut bounds = case[key].as_array().context("no bounds")?.clone();
            if deaf && what == "response" && case["half_closed"] == true {
                bounds.pop();
            }
            let mine = |one: &&Value| one["what"] == what && one[port] == case["client_port"];
            let found: Vec<_> = events.iter().filter(mine).collect();
            let fits = |(one, bounds): (&&Value, &Value)| {
                let (least, most) = (number(&bounds[0]), number(&bounds[1]));
                one["duration_ns"].as_u64().is_some_and(|took| took >= least && took <= most)
            };
            ensure!(
                found.len() == bounds.len() && found.iter().zip(&bounds).all(fits),
                "{what} of {}: {found:#?} instead of {bounds:?}",
                case["name"]
            );
            ensure!(found.iter().all(|one| one["pid"] == report["pid"]), "{found:#?}");
            if what == "response" {
                let sent = case["sent"].as_array().context("no bytes")?;
                let same = found.iter().zip(sent).all(|(one, sent)| one["tx_bytes"] == *sent);
                ensure!(same, "bytes of {}: {found:#?} instead of {sent:?}", case["name"]);
                let again = found.last().map_or(0, |one| number(&one["retrans"]));
                ensure!(again >= number(&case["retrans"]), "{}: {found:#?}", case["name"]);
            }
        }
    }
    ended.complete()
}

/// One thread sends on all connections before the first answer comes, another reads the answers:
/// what is remembered by thread is overwritten ten times.
fn crossed() -> Result<()> {
    let netns = Netns::new("crossed")?;
    let tool = start(&netns, "--events --kind response")?;
    let report = load::run(&netns, "ask --crossed --conns 10")?;
    let ended = tool.finish()?;
    let events = ended.of_kind("exchange")?;
    let connections = report["connections"].as_array().context("no connections")?;
    ensure!(events.len() == connections.len(), "{} of {connections:#?}", events.len());
    for (one, nth) in connections.iter().zip(1..) {
        let mine = events.iter().find(|event| event["lport"] == one["port"]);
        let found = number(&mine.context("no event")?["duration_ns"]);
        let (least, most) = (20 * MS * nth, number(&one["took_ns"][0]));
        // The reader may come late to an answer.
        ensure!(
            (least..=most).contains(&found),
            "connection {nth}: {found}, not {least} to {most}"
        );
    }
    ended.complete()
}

fn accept() -> Result<()> {
    let netns = Netns::new("accept")?;
    let tool = start(&netns, &format!("--kind accept {ONE_INTERVAL}"))?;
    let report = load::run(&netns, "ask --requests 1 --conns 1 --accept-ms 300 --sleep-ms 0")?;
    let (rows, ended) = rows(tool)?;
    let one = row(&rows, "accept", "server", &report["server_pid"])?;
    ensure!(number(&one["count"]) == 1, "{one}");
    let found = number(&one["min_ns"]);
    ensure!(found >= 299 * MS && (emulated() || close(found, 300 * MS)), "{one}");
    ended.complete()
}

fn connects() -> Result<()> {
    let netns = Netns::new("connects")?;
    let tool = start(&netns, &format!("--kind connect {ONE_INTERVAL}"))?;
    let report = load::run(&netns, "knock --refused 10 --full")?;
    let (rows, ended) = rows(tool)?;
    let one = row(&rows, "connect", "client", &report["pid"])?;
    for (key, truth) in [
        ("count", "connected"),
        ("refused", "refused"),
        ("timed_out", "timed_out"),
        ("failed", "given_up"),
    ] {
        ensure!(one[key] == report[truth], "{key}: {one}, truth {report}");
    }
    // The one that was late and the one given up sent their SYN again, once at least.
    ensure!(number(&one["syn_retries"]) >= 2 * number(&report["late_retries"]), "{one}");
    let (found, truth) = (number(&one["max_ns"]), number(&report["late_ns"]));
    ensure!(found >= 900 * MS && found <= truth, "{found} ns, its caller saw {truth}: {one}");
    ensure!(probes_nothing_else(&ended)?, "hooks of other kinds were attached");
    ended.complete()
}

/// What was not asked for costs nothing.
fn probes_nothing_else(ended: &Ended) -> Result<bool> {
    let status = ended.last_status()?;
    let probes = status["probes"].as_object().context("no probes")?;
    Ok(!probes.contains_key("send-begin") && !probes.contains_key("segment"))
}

fn other() -> Result<()> {
    let netns = Netns::new("other")?;
    let tool =
        start(&netns, &format!("--by connection --max-keys 3 --kind response {ONE_INTERVAL}"))?;
    load::run(&netns, "ask --requests 60 --conns 10 --sleep-ms 1")?;
    let (rows, ended) = rows(tool)?;
    let (others, keys): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row["other"] == true);
    ensure!(keys.len() == 3 && others.len() == 1, "{rows:#?}");
    for one in &keys {
        ensure!(number(&one["count"]) == 6, "a row of its own has all of its own: {one}");
    }
    ensure!(number(&others[0]["count"]) == 60 - 3 * 6, "{}", others[0]);
    let status = ended.last_status()?;
    ensure!(number(&status["untracked"]) == 60 - 3 * 6, "{status}");
    Ok(())
}

fn intervals() -> Result<()> {
    let netns = Netns::new("intervals")?;
    let tool = start(&netns, "--by process -i 0.02 --kind response,service")?;
    let report = load::run(&netns, "reqresp --seconds 1 --conns 2")?;
    let (rows, ended) = rows(tool)?;
    for (what, role) in [("response", "client"), ("service", "server")] {
        let found = sum(&rows, what, role, "count");
        let untimed = sum(&rows, what, role, "untimed");
        ensure!(
            found + untimed == number(&report["requests"]),
            "{found} and {untimed} of {what}: {report}"
        );
        ensure!(untimed == 0 || returns_alone(&ended)?, "{untimed} untimed");
    }
    for row in &rows {
        let order = ["min_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns"]
            .map(|key| number(&row[key]));
        ensure!(order.is_sorted() || number(&row["count"]) == 0, "{row}");
    }
    ended.complete()
}

/// Whether sends are seen as they return, so that an answer may come before.
fn returns_alone(ended: &Ended) -> Result<bool> {
    let status = ended.last_status()?;
    let release = status["kernel"].as_str().unwrap_or_default();
    Ok(status["probes"]["send-begin"] == "tracepoint" && release.starts_with("6.12."))
}

fn older() -> Result<()> {
    let netns = Netns::new("older")?;
    let report = std::thread::scope(|scope| -> Result<_> {
        let load = scope.spawn(|| load::run(&netns, "reqresp --seconds 3"));
        let count = || -> Result<Option<()>> {
            let text =
                crate::tool::output(netns.command("ss").args(["-Htn", "state", "established"]))?;
            Ok((!text.is_empty()).then_some(()))
        };
        crate::tool::until("the connection is there", count)?;
        let tool = start(&netns, &format!("--kind response,service {ONE_INTERVAL}"))?;
        let report = load.join().map_err(|_| anyhow::anyhow!("load"))??;
        Ok((report, rows(tool)?))
    });
    let (report, (rows, ended)) = report?;
    ensure!(number(&report["requests"]) > 0, "{report}");
    let response = row(&rows, "response", "client", &report["client_pid"])?;
    let service = row(&rows, "service", "server", &report["server_pid"])?;
    let difference = number(&response["count"]).abs_diff(number(&service["count"]));
    ensure!(difference <= 1 && number(&service["count"]) > 0, "{response}\n{service}");
    ensure!(rows.iter().all(|row| !row["role"].is_null()), "{rows:#?}");
    ended.complete()
}

/// The exact quantile of sorted durations, by nearest rank.
fn exact(durations: &[u64], per_mille: usize) -> u64 {
    let rank = (durations.len() * per_mille).div_ceil(1000).max(1);
    durations[rank - 1]
}

/// Two copies of the tool see the same exchanges; one tells every single one of them.
fn quantiles() -> Result<()> {
    let netns = Netns::new("quantiles")?;
    let events = start(&netns, "--events --kind response")?;
    let sums = start(&netns, &format!("--kind response --by total --buckets {ONE_INTERVAL}"))?;
    load::run(&netns, "ask --crossed --conns 40 --sleep-ms 3")?;
    load::run(&netns, "ask --requests 400 --conns 4 --sleep-ms 0")?;
    let (rows, ended) = rows(sums)?;
    let events = events.finish()?;
    let mut durations: Vec<u64> =
        events.of_kind("exchange")?.iter().map(|one| number(&one["duration_ns"])).collect();
    durations.sort_unstable();
    let [row] = &rows[..] else { anyhow::bail!("{rows:#?}") };
    ensure!(number(&row["count"]) == durations.len() as u64 && durations.len() == 440, "{row}");
    for (key, per_mille) in [("p50_ns", 500), ("p90_ns", 900), ("p99_ns", 990), ("p999_ns", 999)] {
        let (found, truth) = (number(&row[key]), exact(&durations, per_mille));
        // Each copy reads the clock itself.
        ensure!(found.abs_diff(truth) <= truth / 31 + 2_000, "{key}: {found}, exactly {truth}");
    }
    let buckets: BTreeMap<u64, u64> = row["buckets"]
        .as_array()
        .context("no buckets")?
        .iter()
        .map(|one| (number(&one[0]), number(&one[2])))
        .collect();
    ensure!(buckets.values().sum::<u64>() == 440, "{row}");
    ended.complete()?;
    events.complete()
}

fn slower() -> Result<()> {
    let netns = Netns::new("slower")?;
    let tool = start(&netns, "--events --slower 110ms")?;
    load::run(&netns, "ask --crossed --conns 10")?;
    let ended = tool.finish()?;
    let events = ended.of_kind("exchange")?;
    // Of 20, 40 … 200 ms those of 120 and more, at both ends.
    let least = events.iter().map(|one| number(&one["duration_ns"])).min().unwrap_or_default();
    ensure!(events.len() == 10 && least >= 120 * MS, "{events:#?}");
    let status = ended.last_status()?;
    ensure!(number(&status["filtered"]) == 10 && number(&status["delivered"]) == 10, "{status}");
    ended.complete()
}
