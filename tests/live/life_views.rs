//! tcplife: bytes, filters, open and older connections, sums.

use std::io::{self, Read, Write};
use std::net::Shutdown;

use anyhow::{Context, Result, ensure};

use crate::Test;
use crate::life::{
    Place, aborted_by_process, closed, data_after_close, ends_of, lives, read_error, shows, watch,
    with_end,
};
use crate::netns::Netns;
use crate::setting::{hides, scaled};
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[
    ("bytes_are_those_of_the_script", bytes),
    ("filters_and_open_connections", filters),
    ("older_connections_show_what_their_socket_knows", older),
    ("sums_are_those_of_the_lines", sums),
];

fn bytes() -> Result<()> {
    let netns = Netns::new("life")?;
    let place = Place::new(&netns)?;
    let tool = watch(&netns, "")?;
    let mut truth = Vec::new();
    let large = scaled(3_000_000, 300_000);
    for (nr, (sent, answered)) in
        [(0, 0), (1, 0), (0, 1), (1460, 100_000), (large, 7), (12, large)].into_iter().enumerate()
    {
        let (client, server) = place.pair()?;
        truth.push((client.local_addr()?.port(), sent, answered));
        let mut server_reads = server.try_clone()?;
        let reader = std::thread::spawn(move || io::copy(&mut server_reads, &mut io::sink()));
        let (mut client, mut server) = (client, server);
        let mut client_reads = client.try_clone()?;
        let taker = std::thread::spawn(move || io::copy(&mut client_reads, &mut io::sink()));
        client.write_all(&vec![7; usize::try_from(sent)?])?;
        server.write_all(&vec![7; usize::try_from(answered)?])?;
        // One or the other closes first.
        let (first, second) = if nr % 2 == 0 { (client, server) } else { (server, client) };
        first.shutdown(Shutdown::Write)?;
        let second_reader = if nr % 2 == 0 { reader } else { taker };
        second_reader.join().expect("no panic")?;
        second.shutdown(Shutdown::Write)?;
    }
    tool.wait_for_kind("life", 2 * truth.len())?;
    let lines = lives(&tool.finish()?)?;
    for (port, sent, answered) in truth {
        let (client, server) = ends_of(&lines, port)?;
        for (line, tx, rx) in [(client, sent, answered), (server, answered, sent)] {
            ensure!(number(&line["tx_bytes"]) == tx, "sent {tx}: {line}");
            ensure!(number(&line["rx_bytes"]) == rx, "received {rx}: {line}");
            ensure!(number(&line["unacked_bytes"]) == 0, "{line}");
            ensure!(line["rtt_min_ns"].is_u64() && number(&line["segs_sent"]) > 0, "{line}");
        }
    }
    Ok(())
}

fn filters() -> Result<()> {
    let netns = Netns::new("life")?;
    let mut place = Place::new(&netns)?;
    let resets = watch(&netns, "--end reset_*")?;
    let late = watch(&netns, "--end *_after_close")?;
    let orderly = watch(&netns, "--end !reset_*")?;
    let large = watch(&netns, "--bytes 10000")?;
    let long = watch(&netns, "--longer 1h")?;
    let short = watch(&netns, "--shorter 1h --open")?;
    closed(&mut place)?;
    aborted_by_process(&mut place)?;
    data_after_close(&mut place)?;
    let (mut client, mut server) = place.pair()?;
    client.write_all(b"seven B")?;
    server.read_exact(&mut [0; 7])?;
    let all = 2 * place.endings.len();
    short.wait_for_kind("life", all)?;
    let lines = lives(&short.finish()?)?;
    let open: Vec<_> = lines.iter().filter(|line| line["end"] == "open").collect();
    ensure!((lines.len(), open.len()) == (all + 2, 2), "{lines:#?}");
    let port = client.local_addr()?.port();
    let client_line = open.iter().find(|line| number(&line["lport"]) == u64::from(port));
    let client_line = client_line.context("no line of the client")?;
    ensure!(client_line["tx_bytes"] == 7 && client_line["state"] == "ESTABLISHED", "{client_line}");
    ensure!(client_line["pid"] == std::process::id() && client_line["role"] == "client");
    let count = |tool: Tool| -> Result<u64> { Ok(lives(&tool.finish()?)?.len() as u64) };
    let reset = lines
        .iter()
        .filter(|line| line["end"].as_str().is_some_and(|end| end.starts_with("reset_")));
    let reset = reset.count() as u64;
    let counts = [count(resets)?, count(orderly)?, count(late)?, count(large)?, count(long)?];
    ensure!(counts == [reset, all as u64 - reset, 1, 2, 0], "{counts:?}: {lines:#?}");
    Ok(())
}

fn older() -> Result<()> {
    if hides("on 5.10 owners of older sockets are unknown") {
        return Ok(());
    }
    let netns = Netns::new("life")?;
    let place = Place::new(&netns)?;
    let (mut client, mut server) = place.pair()?;
    client.write_all(b"before")?;
    server.read_exact(&mut [0; 6])?;
    let tool = watch(&netns, "")?;
    server.write_all(b"after it")?;
    client.read_exact(&mut [0; 8])?;
    let port = client.local_addr()?.port();
    drop(client);
    ensure!(read_error(&mut server) == 0, "no FIN came");
    drop(server);
    tool.wait_for_kind("life", 2)?;
    let ended = tool.finish()?;
    let lines = lives(&ended)?;
    let (client, server) = ends_of(&lines, port)?;
    shows(client, "older", ("closed_by_us", 0))?;
    shows(server, "older", ("closed_by_peer", 0))?;
    for (line, tx, rx) in [(client, 6, 8), (server, 8, 6)] {
        ensure!(number(&line["tx_bytes"]) == tx && number(&line["rx_bytes"]) == rx, "{line}");
        ensure!(["life_ns", "opened_ns", "role"].iter().all(|key| line[key].is_null()), "{line}");
        ensure!(line["pid"] == std::process::id(), "{line}");
    }
    Ok(())
}

fn sums() -> Result<()> {
    let netns = Netns::new("life")?;
    let mut place = Place::new(&netns)?;
    let tool = watch(&netns, "")?;
    let sums = watch(&netns, "--summary --by remote:8")?;
    closed(&mut place)?;
    aborted_by_process(&mut place)?;
    let all = 2 * place.endings.len();
    tool.wait_for_kind("life", all)?;
    let lines = lives(&tool.finish()?)?;
    let ended = sums.finish()?;
    ended.complete()?;
    let rows = ended.of_kind("life_sum")?;
    for total in [true, false] {
        let rows: Vec<_> = rows.iter().filter(|row| row["total"] == total).collect();
        let sum = |key: &str| rows.iter().map(|row| number(&row[key])).sum::<u64>();
        ensure!((sum("opened"), sum("ended"), sum("failed_opens")) == (all as u64, all as u64, 0));
        for key in ["tx_bytes", "rx_bytes"] {
            let expected: u64 = lines.iter().map(|line| number(&line[key])).sum();
            ensure!(sum(key) == expected, "{key}: {rows:#?}");
        }
        for end in ["closed_by_us", "closed_by_peer", "reset_received", "reset_sent_unread_data"] {
            let counted: u64 = rows.iter().map(|row| number(&row["ends"][end])).sum();
            ensure!(counted == with_end(&lines, &[end]), "{end}: {rows:#?}");
        }
    }
    Ok(())
}
