//! A path that delays each packet: answers are slow, and the network is why.

use anyhow::{Result, ensure};

use crate::Test;
use crate::doctor::Doctor;
use crate::load;
use crate::netns::{FAR, Netns};
use crate::tool::{number, output};

pub const TESTS: &[(&str, Test)] = &[("answers_that_the_network_delays", slow_network)];

fn slow_network() -> Result<()> {
    let (near, far) = Netns::pair()?;
    for netns in [&near, &far] {
        let netem = ["qdisc", "add", "dev", "far", "root", "netem", "delay", "120ms"];
        output(netns.command("tc").args(netem))?;
    }
    let doctor = Doctor::watch(&near)?;
    let there = far.name();
    let load = "ask --requests 40 --conns 4 --sleep-ms 0";
    load::run(&near, &format!("{load} --server-netns {there} --addr {FAR}"))?;
    let found = doctor.finds("slow-network")?;
    ensure!(found["raddr"] == FAR, "{found}");
    ensure!(number(&found["evidence"]["round_trip_ns"]) >= 240_000_000, "{found}");
    Ok(())
}
