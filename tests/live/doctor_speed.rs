//! Slow answers and bandwidth: what tcpdoctor says of each. And overall rates.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;

use anyhow::{Context, Result, ensure};

use crate::Test;
use crate::doctor::{Doctor, is_ours, listener};
use crate::load;
use crate::netns::Netns;
use crate::setting::{recordings, scaled};
use crate::shared::fit_the_schema;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[
    ("a_peer_and_a_process_that_answer_slowly", slow_answers),
    ("a_process_that_moves_most_bytes", bandwidth),
    ("overall_rates_are_those_of_the_kernel", rates),
];

/// Both ends are here: one waits for the other.
fn slow_answers() -> Result<()> {
    let netns = Netns::new("slow-service")?;
    let doctor = Doctor::watch(&netns)?;
    load::run(&netns, "ask --requests 40 --conns 4 --sleep-ms 300")?;
    let [peer, service] = doctor.finds_all(["slow-peer", "slow-service"])?;
    ensure!(peer["raddr"] == "127.0.0.1", "{peer}");
    ensure!(service["comm"] == "ask-server" && service["pid"].is_number(), "{service}");
    for (found, key) in [(&peer, "response_ns"), (&service, "service_ns")] {
        ensure!(number(&found["evidence"][key]) >= 290_000_000, "{found}");
    }
    Ok(())
}

fn bandwidth() -> Result<()> {
    let netns = Netns::new("bulk")?;
    let (server, to) = listener(&netns, "127.0.0.1:5000")?;
    let doctor = Doctor::watch(&netns)?;
    let mut client = netns.within(|| Ok(TcpStream::connect(to)?))?;
    let (mut accepted, _) = server.accept()?;
    let end = client.try_clone()?;
    let found = thread::scope(|scope| {
        scope.spawn(move || {
            let bytes = vec![7; 1 << 20];
            while client.write_all(&bytes).is_ok() {}
        });
        scope.spawn(move || {
            let mut bytes = vec![0; 1 << 20];
            while accepted.read(&mut bytes).is_ok_and(|count| count > 0) {}
        });
        let found = doctor.finds("bandwidth-of-one-process");
        let _ = end.shutdown(std::net::Shutdown::Both);
        found
    })?;
    ensure!(is_ours(&found) && found["raddr"] == "127.0.0.1", "{found}");
    ensure!(number(&found["evidence"]["bytes_per_second"]) >= 125_000_000, "{found}");
    Ok(())
}

/// As `sar -n TCP,ETCP` shows them, from the same counters.
fn rates() -> Result<()> {
    let netns = Netns::new("rates")?;
    let flags = format!("-d 600 --netns {}", netns.path());
    let tool = Tool::start_in(&netns, "tcpdoctor", &flags)?;
    load::run(&netns, &format!("churn --conns {}", scaled(500, 50)))?;
    load::run(&netns, "connects --refused 20")?;
    let ended = tool.finish()?;
    fit_the_schema(ended.lines.iter().map(String::as_str))?;
    let all = ended.of_kind("mib")?;
    let [rates] = all.as_slice() else { anyhow::bail!("not one: {all:?}") };
    for (key, counter) in [
        ("active_opens", "TcpActiveOpens"),
        ("passive_opens", "TcpPassiveOpens"),
        ("in_segs", "TcpInSegs"),
        ("out_segs", "TcpOutSegs"),
        ("attempt_fails", "TcpAttemptFails"),
        ("out_rsts", "TcpOutRsts"),
    ] {
        let (seen, counted) = (number(&rates[key]), netns.counter(counter)?);
        ensure!(seen == counted && seen > 0, "{counter} is {counted}: {rates}");
    }
    record(&netns)
}

/// The page of a machine that is well.
fn record(netns: &Netns) -> Result<()> {
    let Some(folder) = recordings() else { return Ok(()) };
    let _traffic = load::Running::start(netns, "churn --seconds 600")?;
    let mut command = crate::setting::tool_command(&[], "tcpdoctor");
    let output = command.args(["-d", "2", "--netns", &netns.path()]).output()?;
    let text = String::from_utf8(output.stdout)?;
    let lines: Vec<_> = text.lines().take_while(|line| !line.is_empty()).collect();
    ensure!(lines.len() > 1, "no rates: {text}");
    std::fs::write(folder.join("rates.txt"), lines.join("\n") + "\n").context("cannot write")
}
