//! tcplatency against clocks on both sides of what it measures.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcpscope::kernel::facts::Facts;
use tcpscope::registry::wanted;

use crate::Test;
use crate::load;
use crate::netns::Netns;
use crate::setting::{emulated, scaled};
use crate::tool::{Ended, Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("conversations_of_every_shape", || conversations("")),
    ("conversations_that_take_seconds", || conversations("--slow")),
    ("requests_crossed_over_threads", crossed),
    ("connects_that_fail_or_succeed_late", connects),
    ("older_sockets_have_roles", older),
    ("older_sockets_of_unknown_roles", older_unknown),
];

pub const ALONE: &[(&str, Test)] = &[
    // What the tool, the client and the sleep took is compared.
    ("a_server_that_sleeps_before_it_answers", sleeping_server),
    // What the tool and the sleep took is compared.
    ("a_wait_for_accept", accept),
];

pub const MS: u64 = 1_000_000;
/// Nothing is printed before the end: the last interval has everything.
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
pub fn sum(rows: &[Value], what: &str, role: &str, key: &str) -> u64 {
    let mine = rows.iter().filter(|row| row["latency_kind"] == what && row["role"] == role);
    mine.map(|row| number(&row[key])).sum()
}

/// The only row of a kind, role and process.
pub fn row<'a>(rows: &'a [Value], what: &str, role: &str, pid: &Value) -> Result<&'a Value> {
    let mut mine = rows
        .iter()
        .filter(|row| row["latency_kind"] == what && row["role"] == role && row["pid"] == *pid);
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
    let by_tracepoint = ended.last_status()?["attach"]["send-begin"] == "tracepoint";
    let at_return =
        by_tracepoint && !Facts::read(&wanted())?.tracepoints.contains("tcp_sendmsg_locked");
    for one in [response, service] {
        ensure!(number(&one["count"]) == requests, "{requests} requests: {one}");
        ensure!(one["untimed"] == 0, "{one}");
        // It cannot be faster than the sleep, nor slower than its client saw. A send that is seen as
        // it returns may be seen late.
        let late = at_return && one["latency_kind"] == "response";
        ensure!(late || number(&one["min_ns"]) >= 20 * MS, "{one}");
        let p50 = number(&one["p50_ns"]);
        ensure!(p50 >= 20 * MS * 968 / 1000 && p50 <= seen * 1032 / 1000, "{seen}: {one}");
        ensure!(emulated() || close(p50, 20 * MS), "{one}");
    }
    ensure!(emulated() || close(number(&response["p50_ns"]), seen), "{seen}: {response}");
    ensure!(sum(&rows, "connect", "client", "count") == requests / 20, "connects: {rows:#?}");
    // Every request and every answer was acknowledged. What is sent again gives no sample (Karn), and on a
    // busy machine tail loss probes send some again.
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
    let attach = &ended.last_status()?["attach"];
    // What tcp_probe shows ends with the first FIN.
    let deaf = attach["segment"] == "tracepoint";
    for case in report["cases"].as_array().context("no cases")? {
        for (what, key, port) in
            [("response", "responses", "lport"), ("service", "services", "rport")]
        {
            let mut bounds = case[key].as_array().context("no bounds")?.clone();
            let last_unseen = deaf && what == "response" && case["half_closed"] == true;
            if last_unseen {
                bounds.pop();
            }
            let mine = |one: &&Value| {
                let of = one["latency_kind"] == what && one[port] == case["client_port"];
                of && one["outcome"] == "done"
            };
            let (found, unseen): (Vec<_>, Vec<_>) =
                events.iter().filter(mine).partition(|one| one["duration_ns"].is_u64());
            let fits = |(one, bounds): (&&Value, &Value)| {
                let (least, most) = (number(&bounds[0]), number(&bounds[1]));
                one["duration_ns"].as_u64().is_some_and(|took| took >= least && took <= most)
            };
            // That there was an answer shows at the end.
            ensure!(unseen.len() == usize::from(last_unseen), "{}: {unseen:#?}", case["name"]);
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
/// what is stored by thread is overwritten ten times.
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
    let report = load::run(&netns, "connects --refused 10 --full")?;
    let (rows, ended) = rows(tool)?;
    let one = row(&rows, "connect", "client", &report["pid"])?;
    for (key, truth) in [
        ("count", "connected"),
        ("refused", "refused"),
        ("timed_out", "timed_out"),
        ("given_up", "given_up"),
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
    let attach = status["attach"].as_object().context("no attach")?;
    Ok(!attach.contains_key("send-begin") && !attach.contains_key("segment"))
}

/// Requests on a connection older than the tool: what the load says, and the rows. The tool starts
/// when it is there, and with `unlisten`, when the listener is closed.
fn on_older_socket(netns: &Netns, unlisten: bool) -> Result<(Value, Vec<Value>, Ended)> {
    let load = if unlisten { "reqresp --seconds 3 --unlisten" } else { "reqresp --seconds 3" };
    std::thread::scope(|scope| {
        let load = scope.spawn(|| load::run(netns, load));
        let shown = |state| -> Result<bool> {
            Ok(!output(netns.command("ss").args(["-Htn", "state", state]))?.is_empty())
        };
        until("the connection is there", || {
            let there = shown("established")? && !(unlisten && shown("listening")?);
            Ok(there.then_some(()))
        })?;
        let tool = start(netns, &format!("--kind response,service {ONE_INTERVAL}"))?;
        let report = load.join().map_err(|_| anyhow::anyhow!("load"))??;
        let (rows, ended) = rows(tool)?;
        Ok((report, rows, ended))
    })
}

fn older() -> Result<()> {
    let netns = Netns::new("older")?;
    let (report, rows, ended) = on_older_socket(&netns, false)?;
    ensure!(number(&report["requests"]) > 0, "{report}");
    let response = row(&rows, "response", "client", &report["client_pid"])?;
    let service = row(&rows, "service", "server", &report["server_pid"])?;
    let difference = number(&response["count"]).abs_diff(number(&service["count"]));
    ensure!(difference <= 1 && number(&service["count"]) > 0, "{response}\n{service}");
    ensure!(rows.iter().all(|row| !row["role"].is_null()), "{rows:#?}");
    ended.complete()
}

/// Without a listener the server end is unknown: both ends are measured as either.
fn older_unknown() -> Result<()> {
    let netns = Netns::new("unknown")?;
    let (report, rows, ended) = on_older_socket(&netns, true)?;
    ensure!(rows.iter().all(|row| row["role"].is_null()), "{rows:#?}");
    for (what, end) in [("response", "client_pid"), ("service", "server_pid")] {
        let mut mine =
            rows.iter().filter(|row| row["latency_kind"] == what && row["pid"] == report[end]);
        ensure!(mine.next().is_some_and(|row| number(&row["count"]) > 0), "{what}: {rows:#?}");
    }
    ensure!(rows.len() == 4, "two kinds at two ends: {rows:#?}");
    ended.complete()
}
