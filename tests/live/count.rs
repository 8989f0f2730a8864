//! tcpcount against the counts of the traffic programs.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::setting::{emulated, scaled};
use crate::tool::{Ended, Tool, number, output};

pub const TESTS: &[(&str, Test)] = &[
    ("requests_v4", || requests("")),
    ("requests_v6", || requests("-6")),
    ("iperf3_v4", || iperf3("127.0.0.1", "")),
    ("iperf3_v6", || iperf3("::1", "")),
    ("iperf3_bidirectional", || iperf3("127.0.0.1", "--bidir")),
    ("redis_benchmark", redis),
    ("nginx_with_sendfile", || nginx("on")),
    ("nginx_without_sendfile", || nginx("off")),
    ("refused_sends_are_eagain", nbsend),
    ("rows_add_up_to_the_total", rows_add_up),
];

/// A port for a server in a namespace of its own.
const PORT: u16 = 5201;

/// Sums of one key over all rows for which `keep` says so.
pub fn sum(rows: &[Value], key: &str, keep: impl Fn(&Value) -> bool) -> u64 {
    rows.iter().filter(|row| row["total"] == false && keep(row)).map(|row| number(&row[key])).sum()
}

/// Starts tcpcount for a namespace; it counts from its start to its end.
pub fn counter(netns: &Netns, flags: &str) -> Result<Tool> {
    Tool::start("tcpcount", &format!("--netns {} -i 0.2 {flags}", netns.path()))
}

/// Ends the counter when it has seen `key` grow to `least`, so that nothing is cut off.
pub fn finish(tool: Tool, key: &str, least: u64) -> Result<(Vec<Value>, Ended)> {
    tool.wait_for(&format!("{least} {key}"), |lines| {
        let rows: Vec<Value> =
            lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        sum(&rows, key, |row| row["kind"] == "count") >= least
    })?;
    let ended = tool.finish()?;
    Ok((ended.of_kind("count")?, ended))
}

/// Requests and answers of one segment: every call and byte at both ends, in both directions.
fn requests(family: &str) -> Result<()> {
    let netns = Netns::new("requests")?;
    let tool = counter(&netns, "--by process")?;
    let report = load::run(&netns, &format!("reqresp --seconds 1 --conns 3 {family}"))?;
    let (requests, bytes) = (number(&report["requests"]), number(&report["bytes"]));
    let (rows, ended) = finish(tool, "rx_bytes", 2 * bytes)?;
    for (pid, comm) in [(&report["client_pid"], "rr-client"), (&report["server_pid"], "rr-server")]
    {
        let counts = |key| sum(&rows, key, |row| row["pid"] == *pid && row["comm"] == comm);
        let found = ["tx_bytes", "rx_bytes", "tx_calls", "rx_calls"].map(counts);
        let truth = [bytes, bytes, requests, requests];
        ensure!(found == truth && requests > 0, "{comm}: {found:?} instead of {truth:?}");
        // Segments of the handshake and bare acknowledgements may add to these.
        ensure!(counts("segs_in") >= requests, "{comm}: {} segments", counts("segs_in"));
    }
    ended.complete()
}

/// The data connections of iperf3: its ends' ports, and bytes it sent and received.
fn iperf3(addr: &str, flags: &str) -> Result<()> {
    let netns = Netns::new("iperf")?;
    let port = PORT.to_string();
    let mut server = netns.command("iperf3");
    let server = Running::server(&netns, server.args(["-s", "-p", &port]), PORT)?;
    let tool = counter(&netns, "--by connection")?;
    let mut client = netns.command("iperf3");
    client.args(["-J", "-c", addr, "-p", &port, "-n", "200M"]);
    let report: Value = serde_json::from_str(&output(client.args(flags.split_whitespace()))?)?;
    let streams = report["end"]["streams"].as_array().context("no streams")?;
    let connected = report["start"]["connected"].as_array().context("no connections")?;
    ensure!(!connected.is_empty() && streams.len() == connected.len(), "{}", report["start"]);
    let received: u64 = streams.iter().map(|one| number(&one["receiver"]["bytes"])).sum();
    let (rows, ended) = finish(tool, "rx_bytes", received)?;
    for connection in connected {
        let stream = streams.iter().find(|one| one["sender"]["socket"] == connection["socket"]);
        let stream = stream.context("a connection without stream")?;
        let local = number(&connection["local_port"]);
        let from_client = stream["sender"]["sender"] == true;
        let of_client = |row: &Value| number(&row["lport"]) == local;
        let of_server = |row: &Value| number(&row["rport"]) == local;
        let (sent, received) = if from_client {
            (sum(&rows, "tx_bytes", of_client), sum(&rows, "rx_bytes", of_server))
        } else {
            (sum(&rows, "tx_bytes", of_server), sum(&rows, "rx_bytes", of_client))
        };
        // Every stream begins with the 37-byte cookie that names the test, sent by the client
        // and not in iperf3's own sums.
        let cookie = if from_client { 37 } else { 0 };
        let want = [&stream["sender"]["bytes"], &stream["receiver"]["bytes"]].map(number);
        ensure!(
            [sent, received] == want.map(|bytes| bytes + cookie),
            "sent and received {sent}, {received}; iperf3 says {want:?} on port {local}"
        );
    }
    drop(server);
    ended.complete()
}

fn redis() -> Result<()> {
    const REQUESTS: u64 = 20_000;
    let netns = Netns::new("redis")?;
    let mut server = netns.command("redis-server");
    server.args(["--port", "5201", "--save", "", "--appendonly", "no", "--dir", "/tmp"]);
    let server = Running::server(&netns, &mut server, PORT)?;
    let tool = counter(&netns, "--by process")?;
    let mut client = netns.command("redis-benchmark");
    client.args(["-p", "5201", "-n", &REQUESTS.to_string(), "-c", "8", "-t", "set", "-q"]);
    output(client.args(["-d", "100"]))?;
    let info = output(netns.command("redis-cli").args(["-p", "5201", "info", "stats"]))?;
    let field = |name: &str| -> Result<u64> {
        let line =
            info.lines().find_map(|line| line.strip_prefix(name)).context("no such field")?;
        Ok(line.trim_start_matches(':').trim().parse()?)
    };
    let (input, replied) = (field("total_net_input_bytes")?, field("total_net_output_bytes")?);
    // The answer to "info" itself is not in its own sum.
    let answer = info.len() as u64 + format!("${}\r\n\r\n", info.len()).len() as u64;
    let (rows, ended) = finish(tool, "tx_bytes", input + replied + answer)?;
    let of_server = |row: &Value| number(&row["pid"]) == u64::from(server.pid());
    let received = sum(&rows, "rx_bytes", of_server);
    let sent = sum(&rows, "tx_bytes", of_server);
    ensure!(received == input, "redis read {input} bytes, counted {received}");
    ensure!(
        (replied..=replied + answer).contains(&sent),
        "redis sent {replied} bytes before its last answer, counted {sent}"
    );
    let clients = sum(&rows, "rx_bytes", |row| !of_server(row));
    ensure!(clients == sent, "the clients read {clients} of {sent} bytes");
    ended.complete()
}

fn nginx(sendfile: &str) -> Result<()> {
    const SIZE: usize = 3_000_001;
    let netns = Netns::new("nginx")?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().display();
    std::fs::write(folder.path().join("file"), vec![7; SIZE])?;
    let configuration = folder.path().join("nginx.conf");
    std::fs::write(
        &configuration,
        format!(
            "user root; daemon off; master_process off; worker_processes 1; pid {root}/pid;\n\
             error_log {root}/errors; events {{}}\n\
             http {{ access_log {root}/access combined; sendfile {sendfile};\n\
             server {{ listen 127.0.0.1:{PORT}; root {root}; }} }}\n"
        ),
    )?;
    let mut server = netns.command("nginx");
    let server = Running::server(
        &netns,
        server.arg("-c").arg(&configuration).arg("-p").arg(folder.path()),
        PORT,
    )?;
    let tool = counter(&netns, "--by process")?;
    let written = "%{size_request} %{size_header} %{size_download}";
    let mut curl = netns.command("curl");
    curl.args(["-s", "-o", "/dev/null", "-w", written, &format!("http://127.0.0.1:{PORT}/file")]);
    let said = output(&mut curl)?;
    let sizes: Vec<u64> = said.split(' ').map(str::parse).collect::<Result<_, _>>()?;
    let [request, header, body] = sizes[..] else { anyhow::bail!("curl says {said:?}") };
    ensure!(body == SIZE as u64, "curl got {body} bytes");
    let (rows, ended) = finish(tool, "rx_bytes", request + header + body)?;
    let of_server = |row: &Value| number(&row["pid"]) == u64::from(server.pid());
    let sent = sum(&rows, "tx_bytes", of_server);
    ensure!(sent == header + body, "nginx sent {} bytes, counted {sent}", header + body);
    let asked = sum(&rows, "rx_bytes", of_server);
    ensure!(asked == request, "nginx read {request} bytes, counted {asked}");
    let got = sum(&rows, "rx_bytes", |row| row["comm"] == "curl");
    ensure!(got == header + body, "curl read {} bytes, counted {got}", header + body);
    ended.complete()
}

fn nbsend() -> Result<()> {
    let netns = Netns::new("nbsend")?;
    let tool = counter(&netns, "--by process")?;
    let report = load::run(&netns, "nbsend --bytes 30000000")?;
    let (sent, received) = (&report["sent"], &report["received"]);
    ensure!(number(&sent["eagain"]) > 0, "the sender never had to wait: {report}");
    let (rows, ended) = finish(tool, "rx_bytes", number(&received["bytes"]))?;
    let of = |pid: &Value| {
        let pid = pid.clone();
        move |row: &Value| row["pid"] == pid
    };
    let sender = of(&report["client_pid"]);
    let reader = of(&report["server_pid"]);
    let checks = [
        ("tx_bytes", sum(&rows, "tx_bytes", &sender), number(&sent["bytes"])),
        ("tx_calls", sum(&rows, "tx_calls", &sender), number(&sent["calls"])),
        ("eagain", sum(&rows, "eagain", &sender), number(&sent["eagain"])),
        ("errors", sum(&rows, "errors", &sender), 0),
        ("rx_bytes", sum(&rows, "rx_bytes", &reader), number(&received["bytes"])),
        ("rx_calls", sum(&rows, "rx_calls", &reader), number(&received["calls"])),
    ];
    for (key, counted, truth) in checks {
        ensure!(counted == truth, "{key}: counted {counted}, truth {truth}");
    }
    ended.complete()
}

/// In every interval and for every grouping, each column adds up to the total row.
fn rows_add_up() -> Result<()> {
    const KEYS: [&str; 7] =
        ["tx_calls", "tx_bytes", "rx_calls", "rx_bytes", "segs_in", "errors", "eagain"];
    let netns = Netns::new("rows")?;
    let all = ["process", "connection", "port", "remote", "remote:24", "cgroup", "netns"];
    // Kernels differ in where a socket has its cgroup and its namespace, and each run takes its time
    // where they are emulated.
    let groups = if emulated() { &all[4..] } else { &all };
    for by in groups {
        let tool = counter(&netns, &format!("--by {by}"))?;
        let churn = format!("churn --conns {} --threads 1", scaled(500, 50));
        let churn = load::run(&netns, &churn)?;
        let bytes = 2 * number(&churn["sends"]);
        let (rows, ended) = finish(tool, "tx_bytes", bytes).context(*by)?;
        let mut sums = [0; 7];
        let mut totals = 0;
        for row in &rows {
            let values = KEYS.map(|key| number(&row[key]));
            if row["total"] == true {
                ensure!(values == sums, "--by {by}: rows add up to {sums:?}, total {row}");
                totals += values[1];
                sums = [0; 7];
            } else {
                for (sum, value) in sums.iter_mut().zip(values) {
                    *sum += value;
                }
            }
        }
        ensure!(totals == bytes, "--by {by}: {totals} of {bytes} bytes");
        ended.complete().context(*by)?;
    }
    Ok(())
}
