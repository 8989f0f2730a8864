//! tcpports: how long `connect()` searches for a port, and sockets with a range of their own.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::Test;
use crate::ports::{last, listen, open, rows, small, wait_for, watch};
use crate::stall_path::{DELAY, FAR, Path};
use crate::tool::number;

pub const TESTS: &[(&str, Test)] = &[
    ("each_search_for_a_port_is_timed_once", searches),
    ("a_search_is_not_the_answer_of_a_far_peer", far),
    ("sockets_with_a_range_of_their_own", own_range),
];

fn searches() -> Result<()> {
    let netns = small("search")?;
    let (_listener, to) = listen(&netns, "127.0.0.1:7018")?;
    let tool = watch(&netns, "--all --cost")?;
    // These have a port before connect().
    let bound = open(&netns, to, Some(to.ip()), 2)?;
    let begun = Instant::now();
    let plain = open(&netns, to, None, 15)?;
    let longest = begun.elapsed();
    ensure!(bound.len() == 2 && plain.len() == 8, "{} and {}", bound.len(), plain.len());
    wait_for(&tool, "row of ten", to, |row| row["used"] == 10)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let (_, failed, opens) = last(&ended, to)?;
    ensure!(failed == 7 && opens == 10, "{failed} failed, {opens} did not");
    let rows = rows(&ended.lines, "ports", to);
    let timed: u64 = rows.iter().map(|row| number(&row["searches"])).sum();
    ensure!(timed == 15, "{timed} searches: {rows:#?}");
    for row in rows.iter().filter(|row| number(&row["searches"]) > 0) {
        let (p50, p99) = (number(&row["search_p50_ns"]), number(&row["search_p99_ns"]));
        ensure!(0 < p50 && p50 <= p99 && u128::from(p99) <= longest.as_nanos(), "{row}");
    }
    Ok(())
}

fn far() -> Result<()> {
    let path = Path::new()?;
    let (_listener, to) = listen(&path.far, &format!("{FAR}:7018"))?;
    let tool = watch(&path.near, "--all --cost")?;
    let begun = Instant::now();
    let opened = path.near.within(|| Ok(TcpStream::connect(to)?))?;
    ensure!(begun.elapsed().as_millis() >= u128::from(2 * DELAY), "no delay");
    let timed = |row: &serde_json::Value| row["searches"] == 1;
    tool.wait_for("a search", |lines| rows(lines, "ports", to).iter().any(timed))?;
    let ended = tool.finish()?;
    ended.complete()?;
    let row = rows(&ended.lines, "ports", to).into_iter().find(timed).context("no row")?;
    let longest = number(&row["search_p99_ns"]);
    ensure!(longest > 0 && longest < DELAY * 1_000_000, "the answer is no part of it: {row}");
    drop(opened);
    Ok(())
}

/// Opens `count` connections with `IP_LOCAL_PORT_RANGE` until its input ends; says how many it has.
const OWN_RANGE: &str = "
import socket, struct, sys
opened = []
for _ in range(int(sys.argv[2])):
    one = socket.socket()
    one.setsockopt(socket.IPPROTO_IP, 51, struct.pack('=I', 40002 | 40005 << 16))
    try:
        one.connect(('127.0.0.1', int(sys.argv[1])))
        opened.append(one)
    except OSError as error:
        assert error.errno == 99, error
print(len(opened), flush=True)
sys.stdin.read()
";

fn own_range() -> Result<()> {
    let netns = small("range")?;
    let (_listener, to): (_, SocketAddr) = listen(&netns, "127.0.0.1:7018")?;
    let tool = watch(&netns, "--all")?;
    let others = open(&netns, to, None, 1)?;
    let mut script = netns.command("python3");
    let script = script.args(["-c", OWN_RANGE, &to.port().to_string(), "6"]);
    let mut script = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    BufReader::new(script.stdout.take().context("stdout")?).read_line(&mut line)?;
    let opened: u64 = line.trim().parse().context("how many found a port")?;
    let of_range = |row: &serde_json::Value| row["range_first"] == 40_002;
    let full = |row: &serde_json::Value| of_range(row) && row["taken"] == 4;
    tool.wait_for("a row of the range", |lines| rows(lines, "ports", to).iter().any(full))?;
    drop(script.stdin.take());
    script.wait()?;
    let ended = tool.finish()?;
    ended.complete()?;
    let all = rows(&ended.lines, "ports", to);
    let own: Vec<_> = all.iter().filter(|row| of_range(row)).collect();
    let row = own.iter().find(|row| full(row)).context("no row")?;
    ensure!(row["range_last"] == 40_005 && row["ports"] == 4 && row["empty_in_ns"] == 0, "{row}");
    let failed: u64 = own.iter().map(|row| number(&row["no_port"])).sum();
    ensure!(failed == 6 - opened, "{opened} of 6 found a port: {own:#?}");
    // The others have the range of the namespace.
    let wide = all.iter().find(|row| row["range_first"] == 40_000).context("no other row")?;
    ensure!(wide["range_last"] == 40_009 && wide["ports"] == 10, "{wide}");
    drop(others);
    Ok(())
}
