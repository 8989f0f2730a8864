//! tcpretrans --summary: segments sent, share, needless retransmits; probes; tcpcount's retransmits.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::{set_socket_linger, set_socket_recv_buffer_size};
use serde_json::Value;

use crate::Test;
use crate::netns::{FAR, Netns};
use crate::retrans::{lose, watch};
use crate::setting::{emulated, scaled};
use crate::tool::{Ended, Tool, number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("segments_sent_are_those_of_nstat_and_ss", sent),
    ("an_accepted_connection_and_tcpcount", accepted),
    ("short_connections_are_counted_as_they_close", short),
    ("retransmits_whose_acks_were_lost_are_needless", needless),
    ("reordered_segments_are_sent_again_in_vain", reordered),
    ("probes_of_a_zero_window", probes),
    ("what_the_counters_say_is_shown_or_unexplained", unexplained),
];

fn total(rows: &[Value], key: &str) -> u64 {
    rows.iter().filter(|row| row["total"] == true).map(|row| number(&row[key])).sum()
}

/// Rows of a grouping, which add up to the total where all are shown.
fn rows(ended: &Ended) -> Result<Vec<Value>> {
    ended.complete()?;
    let rows = ended.of_kind("retrans_sum")?;
    for key in ["out_segs", "retrans_segs", "spurious"] {
        let keys = rows.iter().filter(|row| row["total"] == false);
        let sum: u64 = keys.map(|row| number(&row[key])).sum();
        ensure!(sum == total(&rows, key), "{key}: rows {sum}, total {}", total(&rows, key));
    }
    Ok(rows)
}

/// `total` bytes from a client near to a server far, which closes first: so no socket of either is in
/// `TIME_WAIT` until all is acknowledged, where the kernel answers without it.
fn send(near: &Netns, listener: TcpListener, bytes: u64) -> Result<(TcpStream, TcpStream)> {
    let address = listener.local_addr()?;
    let reader = thread::spawn(move || -> Result<TcpStream> {
        let mut server = listener.accept()?.0;
        let mut left = bytes;
        let mut buffer = vec![0; 100_000];
        while left > 0 {
            let read = server.read(&mut buffer)? as u64;
            ensure!(read > 0, "{left} of {bytes} bytes did not come");
            left -= read;
        }
        server.shutdown(Shutdown::Write)?;
        Ok(server)
    });
    let mut client = near.within(|| Ok(TcpStream::connect(address)?))?;
    for _ in 0..bytes / 100_000 {
        client.write_all(&vec![7; 100_000])?;
    }
    let server = reader.join().expect("no panic")?;
    // Its FIN was acknowledged after everything else.
    ensure!(client.read(&mut [0; 1])? == 0, "the server sent something");
    Ok((client, server))
}

/// `segs_out:12` and `retrans:0/3` (the second number) of the only connection in `ss -ti`; `None` where the
/// kernel does not show them (the module `tcp_diag`).
fn of_ss(netns: &Netns) -> Result<Option<[u64; 2]>> {
    let text = output(netns.command("ss").args(["-Htin", "state", "connected"]))?;
    let number = |name| -> Result<Option<u64>> {
        let word = text.split_whitespace().find_map(|word| word.strip_prefix(name));
        Ok(word.map(|word| word.rsplit('/').next().unwrap_or(word).parse()).transpose()?)
    };
    let again = number("retrans:")?.unwrap_or(0);
    Ok(number("segs_out:")?.map(|sent| [sent, again]))
}

/// Segments sent and sent again, when the last acknowledgement is no longer on its way.
fn counted(netns: &Netns) -> Result<(u64, u64)> {
    let mut before = None;
    until("ss and nstat agree", || {
        let (out, again) = (netns.counter("TcpOutSegs")?, netns.counter("TcpRetransSegs")?);
        let settled = match of_ss(netns)? {
            Some(ss) => ss == [out + again, again],
            None => before.replace((out, again)) == Some((out, again)),
        };
        Ok(settled.then_some((out, again)))
    })
}

/// So few that none may be lost.
fn few_packets() -> bool {
    emulated()
}

fn sent() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    lose(&near, &far)?;
    let watch =
        |netns: &Netns, by: &str| watch(netns, &format!("--summary --all -i 0.2 --by {by}"));
    // In a guest each start takes seconds.
    let all = ["process", "connection", "remote:24", "port", "cgroup", "netns"];
    let groupings = if emulated() { &all[1..2] } else { &all[..] };
    let tools = groupings.iter().map(|by| watch(&near, by)).collect::<Result<Vec<_>>>()?;
    let bytes = scaled(20_000_000, 1_000_000);
    let (client, server) = send(&near, listener, bytes)?;
    let (out, again) = counted(&near)?;
    ensure!(again > 0 || few_packets(), "nothing was lost");
    for (by, tool) in groupings.iter().zip(tools) {
        let rows = rows(&tool.finish()?)?;
        let shown = ["out_segs", "retrans_segs"].map(|key| total(&rows, key));
        ensure!(shown == [out, again], "{by}: {shown:?}, nstat {out} and {again}");
        let wrong = rows.iter().find(|row| {
            let [out, again] =
                ["out_segs", "retrans_segs"].map(|key| row[key].as_f64().unwrap_or(0.0));
            let share = row["share"].as_f64().unwrap_or(0.0);
            (share * (out + again) - again).abs() > 1e-6
        });
        ensure!(wrong.is_none(), "{by}: {wrong:?}");
        let port = u64::from(client.local_addr()?.port());
        let worst = rows.iter().filter(|row| number(&row["retrans_segs"]) > 0);
        for row in worst {
            ensure!(row["worst_raddr"] == FAR && number(&row["worst_lport"]) == port, "{row}");
        }
    }
    drop((client, server));
    Ok(())
}

/// The side that accepts, and the same retransmits in tcpcount.
fn accepted() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    lose(&near, &far)?;
    let server_side = watch(&far, "--summary --all -i 0.2")?;
    let count = Tool::start("tcpcount", &format!("--netns {} --by remote", near.path()))?;
    let ends = send(&near, listener, scaled(5_000_000, 500_000))?;
    let rows = rows(&server_side.finish()?)?;
    let (truth, shown) = (far.counter("TcpOutSegs")?, total(&rows, "out_segs"));
    ensure!(shown == truth, "the server sent {truth} segments, shown are {shown}");
    let ended = count.finish()?;
    ended.complete()?;
    let again = near.counter("TcpRetransSegs")?;
    let shown = total(&ended.of_kind("count")?, "retrans_segs");
    ensure!(shown == again, "tcpcount shows {shown} of {again} retransmits");
    drop(ends);
    Ok(())
}

/// No socket lives until the next look at them.
fn short() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let tool = watch(&near, "--summary --all -i 1000 --by process")?;
    let connections = scaled(200, 20);
    let server = thread::spawn(move || -> Result<()> {
        for _ in 0..connections {
            let mut server = listener.accept()?.0;
            server.write_all(b"short")?;
            server.shutdown(Shutdown::Write)?;
            // The client closes after everything was acknowledged.
            server.read_exact(&mut [0; 1]).ok();
        }
        Ok(())
    });
    near.within(|| {
        for _ in 0..connections {
            let mut client = TcpStream::connect(address)?;
            client.read_to_end(&mut Vec::new())?;
        }
        Ok(())
    })?;
    server.join().expect("no panic")?;
    until("no connection", || {
        let left = output(near.command("ss").args(["-Htn", "state", "connected"]))?;
        Ok(left.trim().is_empty().then_some(()))
    })?;
    let truth = near.counter("TcpOutSegs")?;
    let rows = rows(&tool.finish()?)?;
    let shown = total(&rows, "out_segs");
    ensure!(shown == truth && shown >= 4 * connections, "{shown} segments, nstat says {truth}");
    let row = rows.iter().find(|row| row["total"] == false).context("no process")?;
    ensure!(row["pid"] == std::process::id(), "{row}");
    Ok(())
}

/// What the kernel knows of needless retransmits of a namespace against what is shown.
fn check_needless(netns: &Netns, ended: &Ended, rows: &[Value]) -> Result<()> {
    let lines = ended.of_kind("retrans")?;
    let marks = lines.iter().filter(|line| line["type"] == "spurious");
    let marked: u64 = marks.map(|line| number(&line["spurious"])).sum();
    let reported = netns.counter("TcpExtTCPDSACKRecvSegs")?;
    let undone: u64 = ["Full", "Partial", "DSACK", "Loss"]
        .iter()
        .map(|kind| netns.counter(&format!("TcpExtTCP{kind}Undo")))
        .sum::<Result<_>>()?;
    let again = netns.counter("TcpRetransSegs")?;
    let fits = if undone == 0 { marked == reported } else { (reported..=again).contains(&marked) };
    ensure!(fits, "{marked} marked, {reported} reported, {undone} undone, {again} sent again");
    let sum = total(rows, "spurious");
    ensure!(sum == marked && sum > 0, "{marked} marked, {sum} summed up");
    Ok(())
}

fn needless() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let mut client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let mut server = listener.accept()?.0;
    // What the server answers finds no way back.
    let lost = |netns: &Netns| {
        netns.ip(&[
            "neighbour",
            "replace",
            crate::netns::NEAR,
            "lladdr",
            crate::retrans::NO_HARDWARE,
            "dev",
            "far",
        ])
    };
    let tool = watch(&near, "")?;
    let sums = watch(&near, "--summary --all -i 0.2")?;
    lost(&far)?;
    client.write_all(b"heard, but not answered")?;
    server.read_exact(&mut [0; 23])?;
    tool.wait_for("two retransmits", |lines| {
        lines.iter().filter(|line| line.contains("\"attempt\":")).count() >= 2
    })?;
    far.ip(&[
        "neighbour",
        "replace",
        crate::netns::NEAR,
        "lladdr",
        "02:00:00:00:00:01",
        "dev",
        "far",
    ])?;
    tool.wait_for("a mark", |lines| {
        lines.iter().any(|line| line.contains("\"type\":\"spurious\""))
    })?;
    let (ended, sums) = (tool.finish()?, sums.finish()?);
    ended.complete()?;
    check_needless(&near, &ended, &rows(&sums)?)
}

fn reordered() -> Result<()> {
    let (near, far) = Netns::pair()?;
    if !emulated() {
        eprintln!("skipped: nothing reorders packets here");
        return Ok(());
    }
    let netem = "qdisc add dev far root netem delay 30ms reorder 70% gap 3";
    output(near.command("tc").args(netem.split(' ')))?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let tool = watch(&near, "")?;
    let sums = watch(&near, "--summary --all -i 0.2")?;
    let (client, server) = send(&near, listener, 1_000_000)?;
    // What is sent again in vain arrives after the original, and is reported then.
    until("the link is empty", || {
        let queue = output(near.command("tc").args(["-s", "qdisc", "show", "dev", "far"]))?;
        Ok(queue.contains("backlog 0b 0p").then_some(()))
    })?;
    drop((client, server));
    let (ended, sums) = (tool.finish()?, sums.finish()?);
    ended.complete()?;
    check_needless(&near, &ended, &rows(&sums)?)
}

fn probes() -> Result<()> {
    // Segments of the loopback device waste no room of the buffer: what does not fit is lost and sent again, and
    // nothing probes meanwhile.
    let near = Netns::new("probes")?;
    let listener = near.within(|| Ok(TcpListener::bind("127.0.0.1:0")?))?;
    set_socket_recv_buffer_size(&listener, 65_536)?;
    let address = listener.local_addr()?;
    let mut client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let port = u64::from(client.local_addr()?.port());
    let _server = listener.accept()?;
    let tool = watch(&near, "--probes --type probe")?;
    client.set_nonblocking(true)?;
    let full = loop {
        if let Err(error) = client.write(&vec![7; 100_000]) {
            break error;
        }
    };
    ensure!(full.kind() == ErrorKind::WouldBlock, "{full}");
    until("a probe", || Ok((near.counter("TcpExtTCPWinProbe")? >= 3).then_some(())))?;
    // A reset ends the connection: it does not probe while the tool ends, which takes seconds in a guest.
    set_socket_linger(&client, Some(Duration::ZERO))?;
    drop(client);
    let ended = tool.finish()?;
    let truth = near.counter("TcpExtTCPWinProbe")?;
    if ended.last_status()?["attach"]["zero-window-probe"] == "-" {
        ensure!(ended.errors.is_empty(), "{}", ended.errors);
        let notes = ended.of_kind("note")?;
        ensure!(
            notes
                .iter()
                .any(|note| note["text"].as_str().is_some_and(|text| text.contains("probes")))
        );
        return Ok(());
    }
    ended.complete()?;
    let lines = ended.of_kind("retrans")?;
    let attempts: Vec<_> = lines.iter().map(|line| number(&line["attempt"])).collect();
    ensure!(lines.len() as u64 == truth, "{truth} probes, shown are {lines:#?}");
    ensure!(attempts.iter().all(|attempt| *attempt > 0), "{attempts:?}");
    let wrong = lines.iter().find(|line| {
        line["type"] != "probe" || !line["segs"].is_null() || number(&line["lport"]) != port
    });
    ensure!(wrong.is_none(), "{wrong:?}");
    Ok(())
}

/// A firewall of the sender refuses what is sent again: that is counted, and no retransmit.
fn unexplained() -> Result<()> {
    if emulated() {
        return Ok(()); // the guests have no nft
    }
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let mut client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let _server = listener.accept()?;
    let tool = watch(&near, "--summary -i 0.2")?;
    let port = client.local_addr()?.port();
    let filtered = watch(&near, &format!("--summary -i 0.2 --lport {port}"))?;
    near.ip(&["neighbour", "replace", FAR, "lladdr", crate::retrans::NO_HARDWARE, "dev", "far"])?;
    client.write_all(b"lost on the way")?;
    until("a retransmit", || Ok((near.counter("TcpRetransSegs")? >= 2).then_some(())))?;
    let rules = "add table inet t
        add chain inet t out { type filter hook output priority 0; }
        add rule inet t out meta l4proto tcp drop";
    output(near.command("nft").arg(rules))?;
    until(
        "refused retransmits",
        || Ok((near.counter("TcpExtTCPRetransFail")? >= 2).then_some(())),
    )?;
    set_socket_linger(&client, Some(Duration::ZERO))?;
    drop(client);
    let truth = near.counter("TcpRetransSegs")?;
    let ended = tool.finish()?;
    let rows = ended.of_kind("retrans_sum")?;
    let (shown, missing) = (total(&rows, "retrans_segs"), total(&rows, "unexplained_segs"));
    let refused = near.counter("TcpExtTCPRetransFail")?;
    ensure!(shown >= 2 && shown + missing == truth, "{shown} shown, {missing} not, of {truth}");
    ensure!(missing == refused, "{missing} not shown, {refused} refused");
    let status = ended.last_status()?;
    ensure!(number(&status["unexplained"]) == missing, "{missing}: {status}");
    let compared =
        rows.iter().all(|row| row["unexplained_segs"].is_u64() == (row["total"] == true));
    ensure!(compared, "{rows:#?}");
    let filtered = filtered.finish()?;
    ensure!(filtered.last_status()?["unexplained"].is_null(), "a part cannot be compared");
    let rows = filtered.of_kind("retrans_sum")?;
    ensure!(rows.iter().all(|row| row["unexplained_segs"].is_null()), "{rows:#?}");
    Ok(())
}
