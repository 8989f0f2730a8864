//! tcplatency over a slow path between two network namespaces.
//!
//! Delays need `sch_netem`, which the kernels of the lab have. Where it is lacking these tests are
//! ignored; under emulation, which is the lab, they fail.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::latency::{MS, ONE_INTERVAL, row, rows};
use crate::load;
use crate::netns::{FAR, Netns};
use crate::setting::{delay_ns, emulated};
use crate::tool::{Tool, number, output};

/// The tool needs two namespaces, so it watches all; its times and those of the path are compared.
pub const ALONE: &[(&str, Test)] = &[("a_path_of_50_ms_each_way", path)];

/// What netem adds to each packet, in ms.
const DELAY_MS: u64 = 50;
const ROUND_TRIP: u64 = 2 * DELAY_MS * MS;
/// What the server takes to answer the second time, in ms.
const SERVICE_MS: u64 = 60;
/// What the path of a segment through two stacks may add.
const SLACK: u64 = 5 * MS;

/// Why packets cannot be delayed here.
pub fn missing() -> Option<String> {
    if emulated() {
        return None;
    }
    let mut tc = Command::new("unshare");
    tc.args(["--net", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"]);
    let out = tc.stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&out.stderr);
    (!out.status.success()).then(|| said.lines().next().unwrap_or("no netem").to_owned())
}

/// Two namespaces with a link between them that delays every packet.
fn ends() -> Result<(Netns, Netns)> {
    let ends = Netns::pair()?;
    let delay = format!("{DELAY_MS}ms");
    for netns in [&ends.0, &ends.1] {
        let netem = ["qdisc", "add", "dev", "far", "root", "netem", "delay", &delay];
        output(netns.command("tc").args(netem))?;
    }
    Ok(ends)
}

/// Requests with a service time of `service_ms`; the server is in the other namespace.
fn ask(client: &Netns, server: &Netns, service_ms: u64) -> Result<Value> {
    let there = server.name();
    let load = format!("ask --requests 12 --conns 4 --sleep-ms {service_ms}");
    load::run(client, &format!("{load} --server-netns {there} --addr {FAR}"))
}

/// A quantile that is `least`, and not much more.
fn about(row: &Value, key: &str, least: u64) -> Result<()> {
    let found = number(&row[key]);
    let (shortest, longest) = (least * 968 / 1000, (least + SLACK + delay_ns()) * 1032 / 1000);
    ensure!((shortest..=longest).contains(&found), "{key} is not about {least} ns: {row}");
    Ok(())
}

fn path() -> Result<()> {
    let (client, server) = ends()?;
    let tool = Tool::start("tcplatency", ONE_INTERVAL)?;
    let prompt = ask(&client, &server, 0)?;
    let slow = ask(&client, &server, SERVICE_MS)?;
    let (rows, ended) = rows(tool)?;
    for (report, service) in [(&prompt, 0), (&slow, SERVICE_MS * MS)] {
        let connect = row(&rows, "connect", "client", &report["client_pid"])?;
        let response = row(&rows, "response", "client", &report["client_pid"])?;
        ensure!(number(&connect["count"]) == 4 && number(&response["count"]) == 12, "{rows:#?}");
        about(connect, "p50_ns", ROUND_TRIP)?;
        about(response, "p50_ns", ROUND_TRIP + service)?;
        let (seen, reported) = (number(&response["p50_ns"]), number(&report["p50_ns"]));
        ensure!(seen <= reported * 1032 / 1000, "its client saw {reported} ns: {response}");
        let thought = row(&rows, "service", "server", &report["server_pid"])?;
        ensure!(
            number(&thought["count"]) == 12 && number(&thought["min_ns"]) >= service,
            "{thought}"
        );
        ensure!(number(&thought["p50_ns"]) < service + ROUND_TRIP / 2, "{thought}");
        // The handshake's, and of each answer but the last, which FINs may overtake.
        let server_pid = &report["server_pid"];
        let sampled = row(&rows, "rtt", "server", server_pid).context("samples of the server")?;
        ensure!(number(&sampled["count"]) >= 8, "{sampled}");
        about(sampled, "p50_ns", ROUND_TRIP)?;
    }
    // An acknowledgement that waits for its answer makes a round trip longer, no other is there.
    let sampled = row(&rows, "rtt", "client", &prompt["client_pid"])?;
    about(sampled, "min_ns", ROUND_TRIP)?;
    about(sampled, "p50_ns", ROUND_TRIP)?;
    ended.complete()
}
