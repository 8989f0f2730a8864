//! Peers that vanish, paths that lose, connections that die: what tcpdoctor says of each.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Test;
use crate::doctor::{Doctor, is_ours, keep, listener};
use crate::life;
use crate::netns::{FAR, Netns};
use crate::retrans::NO_HARDWARE;
use crate::setting::delay_ns;
use crate::tool::{number, output, path_of};

pub const TESTS: &[(&str, Test)] = &[
    ("peers_that_vanished", vanished),
    ("a_path_that_full_segments_do_not_pass", black_hole),
    ("connections_that_die_at_the_same_age", same_age),
    ("connections_that_die_at_the_same_age_however_used", same_whole_age),
    ("requests_that_end_without_an_answer", unanswered),
];

/// Connections from one namespace to the other, with both ends.
fn connections(near: &Netns, server: &TcpListener, count: usize) -> Result<Vec<[TcpStream; 2]>> {
    let to = server.local_addr()?;
    let one = |_| {
        let client = near.within(|| Ok(TcpStream::connect(to)?))?;
        Ok([client, server.accept()?.0])
    };
    (0..count).map(one).collect()
}

/// Whatever is sent there from now on has no receiver.
fn vanish(near: &Netns) -> Result<()> {
    near.ip(&["neighbour", "replace", FAR, "lladdr", NO_HARDWARE, "dev", "far"])
}

/// First the process waits for answers, then it closes and its connections stay in `FIN_WAIT1`.
fn vanished() -> Result<()> {
    const CONNS: usize = 5;
    let (near, far) = Netns::pair()?;
    let (server, _) = listener(&far, &format!("{FAR}:5000"))?;
    let doctor = Doctor::watch(&near)?;
    let ends = connections(&near, &server, CONNS)?;
    vanish(&near)?;
    let (mut clients, servers): (Vec<_>, Vec<_>) =
        ends.into_iter().map(|[client, server]| (client, server)).unzip();
    clients.iter_mut().try_for_each(|client| client.write_all(b"anybody there?"))?;
    doctor.sees("half-open")?;
    drop(clients);
    let [open, closed] = doctor.finds_all(["half-open", "orphans-waiting"])?;
    ensure!(is_ours(&open), "{open}");
    for found in [&open, &closed] {
        ensure!(found["raddr"] == FAR && number(&found["rport"]) == 5000, "{found}");
    }
    ensure!(number(&closed["evidence"]["connections"]) == CONNS as u64, "{closed}");
    drop(servers);
    Ok(())
}

/// Answers each byte with a byte.
fn echo(mut stream: TcpStream) {
    let mut byte = [0];
    while stream.read_exact(&mut byte).is_ok() && stream.write_all(&byte).is_ok() {}
}

/// The other end of the link takes no segment of more than 600 bytes, and says nothing.
fn black_hole() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let (server, _) = listener(&far, &format!("{FAR}:5000"))?;
    // The link would take several segments as one, whatever their size.
    near.ip(&["link", "set", "far", "gso_max_segs", "1"])?;
    // Without a queue the sender would learn that the link has dropped it.
    output(near.command("tc").args(["qdisc", "add", "dev", "far", "root", "pfifo"]))?;
    let doctor = Doctor::watch(&near)?;
    let mut ends = connections(&near, &server, 7)?;
    far.ip(&["link", "set", "far", "mtu", "600"])?;
    let [mut asking, answering] = ends.pop().context("no connection")?;
    let echo = thread::spawn(move || echo(answering));
    let over = AtomicBool::new(false);
    let found = thread::scope(|scope| {
        scope.spawn(|| {
            let mut byte = [7];
            while !over.load(Ordering::Relaxed)
                && asking.write_all(&byte).is_ok()
                && asking.read_exact(&mut byte).is_ok()
            {
                thread::sleep(Duration::from_millis(20));
            }
            let _ = asking.shutdown(std::net::Shutdown::Both);
        });
        let found = ends
            .iter_mut()
            .try_for_each(|[client, _]| Ok(client.write_all(&[7; 14_000])?))
            .and_then(|()| doctor.finds_all(["path-mtu-black-hole", "interface-drops"]));
        over.store(true, Ordering::Relaxed);
        found
    });
    echo.join().expect("no panic");
    let [hole, drops] = found?;
    ensure!(is_ours(&hole) && hole["raddr"] == FAR && number(&hole["rport"]) == 5000, "{hole}");
    ensure!(number(&drops["evidence"]["tx_dropped"]) >= 20, "{drops}");
    ensure!(number(&drops["netns"]) == near.inode()?, "{drops}");
    ensure!(drops["text"].as_str().is_some_and(|text| text.contains("interface far")), "{drops}");
    Ok(())
}

/// What tcpdoctor finds in a recording of tcplife.
fn judged(recording: &[String], rule: &str) -> Result<serde_json::Value> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), recording.join("\n"))?;
    let mut replay = Command::new(path_of("tcpdoctor"));
    let text = output(replay.args(["--json", "--replay"]).arg(file.path()))?;
    let found: Vec<serde_json::Value> =
        text.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    let grave = found.iter().find(|one| one["severity"] == "high");
    ensure!(grave.is_none(), "another finding: {grave:?}");
    let one = found.into_iter().find(|one| one["rule"] == rule);
    let one = one.with_context(|| format!("no {rule}: {text}\n{}", recording.join("\n")))?;
    keep(&one)?;
    Ok(one)
}

/// A server that closes each connection after 2 s without a request.
fn same_age() -> Result<()> {
    const IDLE: Duration = Duration::from_secs(2);
    const CONNS: usize = 8;
    let netns = Netns::new("idle")?;
    let (server, to) = listener(&netns, "127.0.0.1:5000")?;
    let (tool, doctor) = (life::watch(&netns, "")?, Doctor::watch(&netns)?);
    thread::scope(|scope| -> Result<()> {
        for _ in 0..CONNS {
            let mut client = netns.within(|| Ok(TcpStream::connect(to)?))?;
            let (mut peer, _) = server.accept()?;
            peer.set_read_timeout(Some(IDLE))?;
            scope.spawn(move || {
                let mut byte = [0];
                // The second read ends with the timeout.
                while peer.read_exact(&mut byte).is_ok() && peer.write_all(&byte).is_ok() {}
            });
            scope.spawn(move || {
                let _ = client.write_all(&[7]);
                while client.read(&mut [0]).is_ok_and(|count| count > 0) {}
            });
        }
        Ok(())
    })?;
    tool.wait_for_kind("life", 2 * CONNS)?;
    let recorded = judged(&tool.finish()?.lines, "same-age-endings")?;
    // Live it begins with the fifth, and some may come later.
    for (found, least) in [(recorded, CONNS as u64), (doctor.finds("same-age-endings")?, 5)] {
        ensure!(is_ours(&found) && number(&found["rport"]) == 5000, "{found}");
        let connections = number(&found["evidence"]["connections"]);
        ensure!((least..=CONNS as u64).contains(&connections), "{found}");
        let age = number(&found["evidence"]["age_ns"]);
        ensure!(age >= u64::try_from(IDLE.as_nanos())? * 9 / 10, "{found}");
    }
    Ok(())
}

/// Something on the way ends connections of a certain age, whenever they were last used.
fn same_whole_age() -> Result<()> {
    const AGE: Duration = Duration::from_secs(6);
    const CONNS: u32 = 8;
    let netns = Netns::new("aged")?;
    let (server, to) = listener(&netns, "127.0.0.1:5000")?;
    let doctor = Doctor::watch(&netns)?;
    let mut held = Vec::new();
    for _ in 0..CONNS {
        let client = netns.within(|| Ok(TcpStream::connect(to)?))?;
        held.push((client, server.accept()?.0, Instant::now()));
    }
    let opened: Vec<_> = held.iter().map(|(.., opened)| *opened).collect();
    // The age is what the script makes: it acts at moments, and waits for conditions below.
    let wait_until =
        |moment: Instant| thread::sleep(moment.saturating_duration_since(Instant::now()));
    // One each half second: no two were idle equally long in the end.
    for (nth, (client, peer, _)) in (0..).zip(&mut held) {
        wait_until(opened[0] + Duration::from_millis(500) * nth);
        client.write_all(b"?")?;
        peer.read_exact(&mut [0])?;
        peer.write_all(b"!")?;
        client.read_exact(&mut [0])?;
    }
    for (client, peer, opened) in held {
        wait_until(opened + AGE);
        drop(peer);
        drop(client);
    }
    let found = doctor.finds("same-age-endings")?;
    ensure!(is_ours(&found) && number(&found["rport"]) == 5000, "{found}");
    // As many as had ended when it began.
    let ended = number(&found["evidence"]["connections"]);
    ensure!((5..=u64::from(CONNS)).contains(&ended), "{found}");
    let age = number(&found["evidence"]["age_ns"]);
    ensure!(age.abs_diff(u64::try_from(AGE.as_nanos())?) < 500_000_000 + delay_ns(), "{found}");
    ensure!(found["text"].as_str().is_some_and(|text| text.contains("at an age of")), "{found}");
    Ok(())
}

/// A server that takes requests and closes.
fn unanswered() -> Result<()> {
    const CONNS: usize = 6;
    let netns = Netns::new("dying")?;
    let (server, to) = listener(&netns, "127.0.0.1:5000")?;
    let (tool, doctor) = (life::watch(&netns, "")?, Doctor::watch(&netns)?);
    for _ in 0..CONNS {
        let mut client = netns.within(|| Ok(TcpStream::connect(to)?))?;
        let (mut peer, _) = server.accept()?;
        client.write_all(b"?")?;
        peer.read_exact(&mut [0])?;
        drop(peer);
        ensure!(client.read(&mut [0])? == 0, "an answer");
    }
    tool.wait_for_kind("life", 2 * CONNS)?;
    let recorded = judged(&tool.finish()?.lines, "requests-unanswered")?;
    for found in [recorded, doctor.finds("requests-unanswered")?] {
        ensure!(is_ours(&found) && number(&found["rport"]) == 5000, "{found}");
        ensure!(number(&found["evidence"]["connections"]) == CONNS as u64, "{found}");
    }
    Ok(())
}
