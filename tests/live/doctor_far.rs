//! A path that delays each packet: answers are slow, and the network is why. A CPU whose queue is too short.

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;

use anyhow::{Result, ensure};

use crate::Test;
use crate::doctor::{Doctor, listener};
use crate::load;
use crate::netns::{FAR, Netns};
use crate::tool::{number, output};

pub const TESTS: &[(&str, Test)] = &[("answers_that_the_network_delays", slow_network)];

pub const ALONE: &[(&str, Test)] = &[
    // The queues are those of all namespaces.
    ("a_cpu_drops_what_its_queue_cannot_hold", cpu_queue),
];

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

/// `net.core.netdev_max_backlog` while it lives; the machine's.
struct Backlog(String);

impl Backlog {
    const PATH: &str = "/proc/sys/net/core/netdev_max_backlog";

    fn of(packets: u32) -> Result<Self> {
        let before = fs::read_to_string(Self::PATH)?;
        fs::write(Self::PATH, packets.to_string())?;
        Ok(Self(before))
    }
}

impl Drop for Backlog {
    fn drop(&mut self) {
        // A failure here cannot be handled.
        let _ = fs::write(Self::PATH, &self.0);
    }
}

fn cpu_queue() -> Result<()> {
    let netns = Netns::new("queue")?;
    // Segments that the sender need not cut later, so that many are queued at once.
    netns.ip(&["link", "set", "lo", "mtu", "1500", "gso_max_segs", "1"])?;
    let (listener, address) = listener(&netns, "127.0.0.1:0")?;
    let doctor = Doctor::watch(&netns)?;
    let _short = Backlog::of(1)?;
    let reader =
        thread::spawn(move || std::io::copy(&mut listener.accept()?.0, &mut std::io::sink()));
    let client = netns.within(|| Ok(TcpStream::connect(address)?))?;
    let mut out = client.try_clone()?;
    let writer = thread::spawn(move || while out.write_all(&vec![7; 100_000]).is_ok() {});
    let found = doctor.finds("cpu-queue-drops");
    client.shutdown(Shutdown::Both)?;
    writer.join().expect("no panic");
    reader.join().expect("no panic")?;
    let found = found?;
    ensure!(found["netns"].is_null() && number(&found["evidence"]["drops"]) >= 5, "{found}");
    Ok(())
}
