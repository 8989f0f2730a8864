//! tcplatency against what load generators print.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::latency::{MS, ONE_INTERVAL, rows, start};
use crate::load;
use crate::netns::Netns;
use crate::tool::{number, output};

/// What the tools and the generators took is compared.
pub const ALONE: &[(&str, Test)] = &[("redis_benchmark", redis), ("wrk_and_nginx", wrk)];

/// A number in ms as peers print it, in ns.
fn ns_of_ms(text: &str) -> Result<u64> {
    let (whole, rest) = text.trim().split_once('.').unwrap_or((text.trim(), "0"));
    let rest = format!("{rest:0<6}");
    Ok(whole.parse::<u64>()? * MS + rest.get(..6).context("digits")?.parse::<u64>()?)
}

/// The row with the most of a kind.
fn most<'a>(rows: &'a [Value], what: &str) -> Result<&'a Value> {
    let mine = rows.iter().filter(|row| row["latency_kind"] == what);
    mine.max_by_key(|row| number(&row["count"])).with_context(|| format!("no {what}: {rows:#?}"))
}

fn within_15_percent(found: u64, reported: u64) -> bool {
    found.abs_diff(reported) * 100 <= reported * 15
}

const PORT: u16 = 5201;

fn redis() -> Result<()> {
    // A script that takes a millisecond or so: beside it, what redis-benchmark takes to wake up, which
    // is in its own numbers and not in ours, is little.
    const REQUESTS: u64 = 1_000;
    const SCRIPT: &str = "local n = 0; for i = 1, 200000 do n = n + i end; return n";
    let netns = Netns::new("latency-redis")?;
    let mut server = netns.command("redis-server");
    server.args(["--port", "5201", "--save", "", "--appendonly", "no", "--dir", "/tmp"]);
    let server = load::Running::server(&netns, &mut server, PORT)?;
    let tool = start(&netns, &format!("--by connection --kind response,service {ONE_INTERVAL}"))?;
    let mut client = netns.command("redis-benchmark");
    client.args(["-p", "5201", "-n", &REQUESTS.to_string(), "-c", "1", "--csv"]);
    let said = output(client.args(["eval", SCRIPT, "0"]))?;
    let (rows, ended) = rows(tool)?;
    // "test","rps","avg_latency_ms","min_latency_ms","p50_latency_ms",…
    // The script has commas of its own, so the fields are counted from the end.
    let line = said.lines().last().context("it said nothing")?;
    let p50 = line.rsplit(',').nth(3).context("no p50")?.trim_matches('"');
    let reported = ns_of_ms(p50)?;
    for what in ["response", "service"] {
        let row = most(&rows, what)?;
        ensure!(number(&row["count"]) == REQUESTS, "{what}: {row}");
    }
    let (response, service) = (most(&rows, "response")?, most(&rows, "service")?);
    let found = number(&response["p50_ns"]);
    ensure!(within_15_percent(found, reported), "redis-benchmark says {reported} ns: {response}");
    ensure!(number(&service["pid"]) == u64::from(server.pid()), "{service}");
    ended.complete()
}

/// nginx holds back each request for some milliseconds: beside them, what wrk takes to wake up is
/// little.
fn wrk() -> Result<()> {
    let netns = Netns::new("latency-wrk")?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().display();
    std::fs::write(folder.path().join("file"), vec![7; 1000])?;
    let configuration = folder.path().join("nginx.conf");
    std::fs::write(
        &configuration,
        format!(
            "user root; daemon off; master_process off; worker_processes 1; pid {root}/pid;\n\
             error_log {root}/errors; events {{}}\n\
             http {{ access_log off; keepalive_requests 10000000;\n\
             limit_req_zone $binary_remote_addr zone=all:32k rate=200r/s; limit_req zone=all burst=9;\n\
             server {{ listen 127.0.0.1:{PORT}; root {root}; }} }}\n"
        ),
    )?;
    let mut server = netns.command("nginx");
    server.arg("-c").arg(&configuration).arg("-p").arg(folder.path());
    let server = load::Running::server(&netns, &mut server, PORT)?;
    let tool = start(&netns, &format!("--by process --kind response,service {ONE_INTERVAL}"))?;
    let mut client = netns.command("wrk");
    client.args(["-t1", "-c1", "-d2", "--latency", &format!("http://127.0.0.1:{PORT}/file")]);
    let said = output(&mut client)?;
    let (rows, ended) = rows(tool)?;
    let count = said.lines().find_map(|line| line.trim().split_once(" requests in "));
    let count: u64 = count.with_context(|| said.clone())?.0.parse()?;
    let p50 = said.lines().find_map(|line| line.trim().strip_prefix("50%"));
    let p50 = p50.with_context(|| said.clone())?.trim();
    let reported = match p50.strip_suffix("us") {
        Some(us) => ns_of_ms(us)? / 1000,
        None => ns_of_ms(p50.trim_end_matches("ms"))?,
    };
    let response = most(&rows, "response")?;
    let service = most(&rows, "service")?;
    for row in [response, service] {
        // wrk does not count what it asked for last, when its time was over.
        ensure!((count..=count + 1).contains(&number(&row["count"])), "wrk says {count}: {row}");
    }
    ensure!(
        within_15_percent(number(&response["p50_ns"]), reported),
        "wrk says {reported} ns: {response}"
    );
    ensure!(number(&service["pid"]) == u64::from(server.pid()), "{service}");
    ended.complete()
}
