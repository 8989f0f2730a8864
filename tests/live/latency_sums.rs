//! tcplatency's sums against its own events and the true number of exchanges.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::Test;
use crate::latency::{MS, ONE_INTERVAL, rows, start, sum};
use crate::load;
use crate::netns::Netns;
use crate::tool::{Ended, number};

pub const TESTS: &[(&str, Test)] = &[
    ("what_finds_no_room_is_other", other),
    ("groupings_add_up", groupings),
    ("no_interval_loses_or_repeats_anything", intervals),
    ("quantiles_are_those_of_the_events", quantiles),
    ("round_trips_that_end_with_data_are_counted", acks_with_data),
];

pub const ALONE: &[(&str, Test)] = &[
    // What a filter keeps back is counted for all namespaces.
    ("slower_is_filtered_in_the_kernel", slower),
];

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
    Ok(status["attach"]["send-begin"] == "tracepoint" && release.starts_with("6.12."))
}

/// The exact quantile of sorted durations, by nearest rank.
fn exact(durations: &[u64], per_mille: usize) -> u64 {
    let rank = (durations.len() * per_mille).div_ceil(1000).max(1);
    durations[rank - 1]
}

/// Two copies of the tool see the same exchanges; one prints each of them.
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

/// Each grouping has every exchange, under the keys that the script knows.
fn groupings() -> Result<()> {
    const REQUESTS: u64 = 30;
    let netns = Netns::new("groupings")?;
    let groupings = ["process", "remote", "remote:24", "port", "connection", "cgroup", "total"];
    let tools = groupings.map(|by| {
        start(&netns, &format!("--by {by} --kind response,service {ONE_INTERVAL}"))
            .map(|tool| (by, tool))
    });
    let tools = tools.into_iter().collect::<Result<Vec<_>>>()?;
    let report = load::run(&netns, &format!("ask --requests {REQUESTS} --conns 3 --sleep-ms 1"))?;
    for (by, tool) in tools {
        let (rows, ended) = rows(tool)?;
        for (what, role, port) in [("response", "client", "rport"), ("service", "server", "lport")]
        {
            ensure!(sum(&rows, what, role, "count") == REQUESTS, "by {by}, {what}: {rows:#?}");
            let mine = rows.iter().filter(|row| row["latency_kind"] == what);
            let keyed = mine.clone().all(|row| match by {
                "process" => row["pid"] == report[format!("{role}_pid")],
                "remote" => row["raddr"] == "127.0.0.1",
                "remote:24" => row["raddr"] == "127.0.0.0",
                "port" | "connection" => row[port] == report["port"],
                _ => true,
            });
            let expected = if by == "connection" { 3 } else { 1 };
            ensure!(keyed && mine.count() == expected, "by {by}, {what}: {rows:#?}");
        }
        ended.complete()?;
    }
    Ok(())
}

/// Asks `times` times on a connection in a namespace; a slow peer answers, or is silent.
fn talk(netns: &Netns, times: usize, answered: bool) -> Result<()> {
    let (mut ours, mut theirs) = netns.within(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        Ok((client, listener.accept()?.0))
    })?;
    for _ in 0..times {
        ours.write_all(b"ask")?;
        theirs.read_exact(&mut [0; 3])?;
        // Less than the 40 ms for which an acknowledgement is delayed.
        thread::sleep(Duration::from_millis(15));
        if answered {
            theirs.write_all(b"answer")?;
            ours.read_exact(&mut [0; 6])?;
        }
    }
    Ok(())
}

/// On loopback a round trip takes microseconds; what takes 15 ms came with the answer of a slow peer.
fn acks_with_data() -> Result<()> {
    const TIMES: usize = 60;
    const SLOW: u64 = 10 * MS;
    for answered in [true, false] {
        let netns = Netns::new("acks")?;
        let flags = format!("--kind rtt --by total --buckets {ONE_INTERVAL}");
        let tool = start(&netns, &flags)?;
        talk(&netns, TIMES, answered)?;
        let (rows, ended) = rows(tool)?;
        ended.complete()?;
        let marked = sum(&rows, "rtt", "client", "acks_with_data");
        if !answered {
            ensure!(sum(&rows, "rtt", "client", "count") > 0 && marked == 0, "{rows:#?}");
            continue;
        }
        let slots = rows.iter().filter(|row| row["role"] == "client");
        let slots = slots.flat_map(|row| row["buckets"].as_array().into_iter().flatten());
        let slow: u64 = slots
            .filter(|slot| (SLOW..30 * MS).contains(&number(&slot[0])))
            .map(|slot| number(&slot[2]))
            .sum();
        ensure!(slow > 0 && marked >= slow, "{slow} slow samples, {marked} marked: {rows:#?}");
        let all = sum(&rows, "rtt", "client", "count");
        ensure!(marked < all, "the handshake's acknowledgement had no data: {rows:#?}");
    }
    Ok(())
}
