//! A proxy that joins sockets by a sockmap: no process receives what comes, and kernel threads send it.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::netns::Netns;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[("bytes_that_a_sockmap_passes_on_are_the_proxys", bytes)];

fn bytes() -> Result<()> {
    let netns = Netns::new("sockmap")?;
    let watch =
        |by: &str| Tool::start("tcpcount", &format!("--by {by} -i 3600 --netns {}", netns.path()));
    let (by_process, by_connection) = (watch("process")?, watch("connection")?);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/sockmap_proxy.py");
    let mut command = netns.command("python3");
    let mut proxy = command.arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut lines = BufReader::new(proxy.stdout.take().context("stdout")?).lines();
    let mut line = || -> Result<Value> {
        Ok(serde_json::from_str(&lines.next().context("the proxy ended")??)?)
    };
    let port = u16::try_from(number(&line()?["port"]))?;
    let mut stream = netns.within(|| Ok(TcpStream::connect(("127.0.0.1", port))?))?;
    let ready = line()?;
    let [asked, answered] = ["asked", "answered"].map(|key| number(&ready[key]));
    stream.write_all(&vec![b'q'; usize::try_from(asked)?])?;
    stream.read_exact(&mut vec![0; usize::try_from(answered)?])?;
    drop(stream);
    drop(proxy.stdin.take());
    proxy.wait()?;

    let of_proxy = |row: &&Value| row["pid"] == ready["pid"];
    let sums = |row: &Value| ["rx_bytes", "tx_bytes"].map(|key| number(&row[key]));
    let rows = by_process.finish()?.of_kind("count")?;
    let found: Vec<_> = rows.iter().filter(of_proxy).map(sums).collect();
    ensure!(found == [[asked + answered; 2]], "{found:?} of {ready}: {rows:#?}");
    let strange = rows
        .iter()
        .find(|row| row["comm"].as_str().is_some_and(|comm| comm.starts_with("kworker")));
    ensure!(strange.is_none(), "{strange:#?}");

    let rows = by_connection.finish()?.of_kind("count")?;
    let found: BTreeMap<_, _> = rows
        .iter()
        .filter(of_proxy)
        .map(|row| (row["lport"] == ready["port"], sums(row)))
        .collect();
    let expected = [(true, [asked, answered]), (false, [answered, asked])].into();
    ensure!(found == expected, "{found:?} of {ready}: {rows:#?}");
    Ok(())
}
