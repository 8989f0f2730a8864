//! tcpdash: segments that the kernel drops, by connection and reason, with their process.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcpscope::drop::Reasons;

use crate::Test;
use crate::netns::{FAR, Netns};
use crate::segment::{ACK, PSH, Raw, SYN, Segment};
use crate::setting::path_of;
use crate::shared::fit_the_schema;
use crate::tool::{Tool, number, output};

pub const TESTS: &[(&str, Test)] = &[
    ("drops_have_the_owner_of_their_socket_and_are_replayed", owners),
    ("drops_of_other_processes_are_filtered", filtered),
];

/// Remote ports of segments with a wrong checksum, and to a closed port.
const DAMAGED: u16 = 4000;
const STRAY: u16 = 4001;

/// A listener with a connection, and the namespaces of both ends.
struct Made {
    far: Netns,
    near: Netns,
    listener: TcpListener,
    connection: (TcpStream, TcpStream),
}

impl Made {
    fn new() -> Result<Self> {
        let (near, far) = Netns::pair()?;
        let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
        let address = listener.local_addr()?;
        let client = near.within(|| Ok(TcpStream::connect(address)?))?;
        let server = listener.accept()?.0;
        Ok(Self { far, near, listener, connection: (client, server) })
    }

    /// What the connection does makes its owner known.
    fn talk(&mut self) -> Result<()> {
        let (client, server) = &mut self.connection;
        client.write_all(b"known")?;
        Ok(server.read_exact(&mut [0; 5])?)
    }

    fn client_port(&self) -> Result<u16> {
        Ok(self.connection.0.local_addr()?.port())
    }

    /// `times` segments of each kind.
    fn drop_segments(&self, times: usize) -> Result<()> {
        let address = self.listener.local_addr()?;
        let closed = self.far.within(|| Ok(TcpListener::bind((FAR, 0))?.local_addr()?))?;
        let (raw, stray) = (Raw::new(&self.near, address)?, Raw::new(&self.near, closed)?);
        let outside = Segment { data: 10, ..Segment::new(self.client_port()?, PSH | ACK) };
        for _ in 0..times {
            raw.send(&Segment { damaged: true, ..Segment::new(DAMAGED, SYN) })?;
            raw.send(&Segment { damaged: true, ..outside.clone() })?;
            raw.send(&outside)?;
            stray.send(&Segment::new(STRAY, SYN))?;
        }
        Ok(())
    }
}

fn rows(lines: &[String]) -> Vec<Value> {
    let rows = lines.iter().filter(|line| line.contains("\"kind\":\"drop_sum\""));
    rows.filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn total(rows: &[Value]) -> u64 {
    rows.iter().filter(|row| row["total"] == true).map(|row| number(&row["drops"])).sum()
}

/// By remote port and reason: buffers, and who owns them.
fn by_port(rows: &[Value]) -> BTreeMap<(u64, String), (u64, Option<u64>)> {
    let mut sums = BTreeMap::new();
    for row in rows.iter().filter(|row| row["total"] == false) {
        let reason = row["drop_reason"].as_str().unwrap_or("-").to_owned();
        let (drops, pid) = sums.entry((number(&row["rport"]), reason)).or_insert((0, None));
        *drops += number(&row["drops"]);
        *pid = row["pid"].as_u64();
    }
    sums
}

fn owners() -> Result<()> {
    const TIMES: usize = 7;
    // Without reasons, what TCP refuses is freed past the tracepoint.
    if !Reasons::of_kernel()?.any() {
        return Ok(());
    }
    let mut made = Made::new()?;
    let tool = Tool::start("tcpdash", &format!("--netns {} -i 0.2", made.far.path()))?;
    made.talk()?;
    made.drop_segments(TIMES)?;
    tool.wait_for("all drops", |lines| total(&rows(lines)) >= 4 * TIMES as u64)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let rows = rows(&ended.lines);
    ensure!(total(&rows) == 4 * TIMES as u64, "{rows:#?}");
    let (client, own) = (u64::from(made.client_port()?), Some(u64::from(std::process::id())));
    let seen = by_port(&rows);
    let of = |port: u64| seen.iter().filter(move |((of, _), _)| *of == port);
    let times = TIMES as u64;
    let sum: u64 = seen.values().map(|(drops, _)| drops).sum();
    ensure!(sum == 4 * times, "{seen:?}");
    let damaged = |port: u64| seen.get(&(port, "TCP_CSUM".to_owned()));
    // Of the listener, as there is no connection; of the connection by its flow.
    for port in [DAMAGED.into(), client] {
        ensure!(damaged(port) == Some(&(times, own)), "{port}: {seen:?}");
    }
    ensure!(
        made.far.counter("TcpInCsumErrors")? == 2 * times,
        "{} wrong checksums",
        made.far.counter("TcpInCsumErrors")?
    );
    let all = of(client).map(|(_, (drops, _))| drops).sum::<u64>();
    ensure!(all == 2 * times && of(client).all(|(_, (_, pid))| *pid == own), "{seen:?}");
    let stray = seen.get(&(STRAY.into(), "NO_SOCKET".to_owned()));
    ensure!(stray == Some(&(times, None)), "{seen:?}");
    let inode = made.far.inode()?;
    let wrong = rows.iter().find(|row| row["total"] == false && number(&row["netns"]) != inode);
    ensure!(wrong.is_none(), "{wrong:?}");
    replayed(&ended.lines, made.client_port()?, 2 * times, 3 * times)
}

/// The recording shows the drops of the connection, with their reasons, and of the process.
fn replayed(lines: &[String], client: u16, of_client: u64, of_process: u64) -> Result<()> {
    fit_the_schema(lines.iter().map(String::as_str))?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("recording.jsonl");
    std::fs::write(&path, lines.join("\n"))?;
    let screen = |view: &str| {
        let mut replay = Command::new(path_of("tcpdash"));
        replay.arg("--replay").arg(&path).args(["--snapshot", view, "--size", "250x40", "--ascii"]);
        output(&mut replay)
    };
    let own = format!("{FAR}:");
    let remote = format!(":{client} ");
    for (view, who, expected) in [
        ("connections", [own.as_str(), remote.as_str()], of_client),
        ("processes", [&std::process::id().to_string(), "live"], of_process),
    ] {
        let screen = screen(view)?;
        let heading = screen.lines().find(|line| line.contains("DROPS/MIN")).context("heading")?;
        let end = heading.find("DROPS/MIN").context("column")? + "DROPS/MIN".len();
        let row = screen.lines().find(|line| who.iter().all(|part| line.contains(part)));
        let row = row.with_context(|| format!("no {who:?}:\n{screen}"))?;
        let cell = row.get(..end).and_then(|row| row.split_whitespace().next_back());
        ensure!(cell == Some(&expected.to_string()), "{cell:?}, not {expected}:\n{screen}");
    }
    Ok(())
}

fn filtered() -> Result<()> {
    const TIMES: usize = 3;
    if !Reasons::of_kernel()?.any() {
        return Ok(());
    }
    let mut made = Made::new()?;
    let watch = |pid: u32| {
        Tool::start("tcpdash", &format!("--netns {} -i 0.2 --pid {pid}", made.far.path()))
    };
    let (own, other) = (watch(std::process::id())?, watch(1)?);
    made.talk()?;
    made.drop_segments(TIMES)?;
    let times = TIMES as u64;
    own.wait_for("own drops", |lines| total(&rows(lines)) >= 3 * times)?;
    let [own, other] = [own.finish()?, other.finish()?];
    for (ended, expected) in [(&own, 3 * times), (&other, 0)] {
        ended.complete()?;
        let rows = rows(&ended.lines);
        ensure!(total(&rows) == expected, "{expected}: {rows:#?}");
        let filtered = number(&ended.last_status()?["filtered"]);
        ensure!(filtered >= 4 * times - expected, "{filtered} filtered, {expected} shown");
    }
    Ok(())
}
