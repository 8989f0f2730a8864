//! tcplife beside what iperf3 and nginx say of the same connections, to the byte.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::life::{ends_of, lives, watch};
use crate::load::Running;
use crate::netns::Netns;
use crate::tool::{number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("iperf3_reports_the_same_bytes", || iperf3("")),
    ("iperf3_reports_the_same_bytes_in_both_directions", || iperf3("--bidir -P 2")),
    ("nginx_logs_the_same_bytes", nginx),
];

const PORT: u16 = 5201;

/// Each stream begins with a cookie of the client that names the test, and is in no sum of iperf3's.
const COOKIE: u64 = 37;

fn iperf3(flags: &str) -> Result<()> {
    let netns = Netns::new("life")?;
    let port = PORT.to_string();
    let mut server = netns.command("iperf3");
    let _server = Running::server(&netns, server.args(["-s", "-p", &port]), PORT)?;
    let tool = watch(&netns, "")?;
    let mut client = netns.command("iperf3");
    client.args(["-J", "-c", "127.0.0.1", "-p", &port, "-n", "50M"]);
    let report: Value = serde_json::from_str(&output(client.args(flags.split_whitespace()))?)?;
    let streams = report["end"]["streams"].as_array().context("no streams")?;
    let connected = report["start"]["connected"].as_array().context("no connections")?;
    ensure!(!connected.is_empty() && streams.len() == connected.len(), "{}", report["start"]);
    // The control connection has two ends, too.
    tool.wait_for_kind("life", 2 * (connected.len() + 1))?;
    let lines = lives(&tool.finish()?)?;
    for connection in connected {
        let stream = streams.iter().find(|one| one["sender"]["socket"] == connection["socket"]);
        let stream = stream.context("a connection without stream")?;
        let local = u16::try_from(number(&connection["local_port"]))?;
        let (client, server) = ends_of(&lines, local)?;
        let from_client = stream["sender"]["sender"] == true;
        let (sender, receiver) = if from_client { (client, server) } else { (server, client) };
        let cookie = if from_client { COOKIE } else { 0 };
        let sent = number(&sender["tx_bytes"]);
        let read = number(&receiver["rx_bytes"]) - number(&receiver["unread_bytes"]);
        let want = [&stream["sender"]["bytes"], &stream["receiver"]["bytes"]].map(number);
        ensure!(
            [sent, read] == want.map(|bytes| bytes + cookie),
            "sent and read {sent}, {read}; iperf3 says {want:?} on port {local}"
        );
        let retransmits = &stream["sender"]["retransmits"];
        ensure!(retransmits.is_null() || sender["retrans"] == *retransmits, "{stream} {sender}");
    }
    Ok(())
}

/// Some connections, some with several requests.
fn nginx() -> Result<()> {
    let netns = Netns::new("life")?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().display();
    for (name, size) in [("small", 7), ("large", 3_000_001)] {
        std::fs::write(folder.path().join(name), vec![7; size])?;
    }
    let configuration = folder.path().join("nginx.conf");
    std::fs::write(
        &configuration,
        format!(
            "user root; daemon off; master_process off; worker_processes 1; pid {root}/pid;\n\
             error_log {root}/errors; events {{}}\n\
             http {{ log_format sizes '$remote_port $bytes_sent $request_length';\n\
             access_log {root}/access sizes; client_body_temp_path {root}/body;\n\
             server {{ listen 127.0.0.1:{PORT}; root {root}; }} }}\n"
        ),
    )?;
    let mut server = netns.command("nginx");
    let server = Running::server(
        &netns,
        server.arg("-c").arg(&configuration).arg("-p").arg(folder.path()),
        PORT,
    )?;
    let tool = watch(&netns, &format!("--lport {PORT}"))?;
    let url = |name: &str| format!("http://127.0.0.1:{PORT}/{name}");
    let mut requests = 0;
    for (names, flags) in [
        (vec!["small"], vec![]),
        (vec!["large", "small", "none", "small"], vec![]),
        (vec!["small", "large"], vec!["-H", "X-Padding: twenty-nine bytes of header"]),
    ] {
        requests += names.len();
        let mut curl = netns.command("curl");
        curl.arg("-s").args(flags);
        for name in names {
            curl.args(["-o", "/dev/null", &url(name)]);
        }
        output(&mut curl)?;
    }
    tool.wait_for_kind("life", 3)?;
    let log = until("nginx has written its log", || {
        let log = std::fs::read_to_string(folder.path().join("access"))?;
        Ok((log.lines().count() >= requests).then_some(log))
    })?;
    let mut logged: BTreeMap<u64, [u64; 2]> = BTreeMap::new();
    for line in log.lines() {
        let words: Vec<u64> = line.split(' ').map(str::parse).collect::<Result<_, _>>()?;
        let [port, sent, received] = words[..] else { anyhow::bail!("{line:?}") };
        let sums = logged.entry(port).or_default();
        (sums[0], sums[1]) = (sums[0] + sent, sums[1] + received);
    }
    let lines = lives(&tool.finish()?)?;
    ensure!((logged.len(), lines.len()) == (3, 3), "{log}\n{lines:#?}");
    for line in &lines {
        let bytes = [number(&line["tx_bytes"]), number(&line["rx_bytes"])];
        let truth = logged.get(&number(&line["rport"]));
        ensure!(truth == Some(&bytes), "nginx says {truth:?}: {line}");
        ensure!(line["pid"] == server.pid() && line["role"] == "server", "{line}");
    }
    Ok(())
}
