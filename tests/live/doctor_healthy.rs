//! A busy machine without a trouble: tcpdoctor finds nothing.

use std::env;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::Test;
use crate::load::{self, Running};
use crate::netns::{NEAR, Netns};
use crate::setting::{emulated, scaled};
use crate::tool::{Tool, number, output};

pub const TESTS: &[(&str, Test)] = &[("nothing_is_found_where_all_is_well", healthy)];

/// It takes both CPUs, and what waits for them is slow.
pub const ALONE: &[(&str, Test)] = &[("nothing_is_found_on_a_busy_machine", busy)];

/// Requests on kept connections: as many as two CPUs can do.
fn healthy() -> Result<()> {
    let netns = Netns::new("well")?;
    let tool = Tool::start_in(&netns, "tcpdoctor", &format!("--netns {} -d 4", netns.path()))?;
    load::run(&netns, "reqresp --seconds 3 --conns 8")?;
    let ended = tool.wait()?;
    ensure!(ended.status.success(), "{}", ended.errors);
    let mut found = ended.of_kind("finding")?;
    if emulated() {
        // Programs are so slow there that softirqs meet them at work: the kernel skips runs.
        found.retain(|one| one["rule"] != "events-lost" || number(&one["evidence"]["lost"]) > 0);
        ensure!(found.is_empty(), "{found:#?}");
        return Ok(());
    }
    ensure!(found.is_empty(), "{found:#?}");
    ended.complete()
}

/// Seconds that the busy machine is watched, and connections that it holds.
fn amount() -> (u64, u64) {
    let set = env::var("TCPSCOPE_HEALTHY_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds = set.unwrap_or(8_u64).max(5);
    (seconds, if seconds >= 600 { 50_000 } else { scaled(2_000, 200) })
}

/// One of a thousand segments is lost in each direction.
fn lose_few(ends: [&Netns; 2]) -> Result<()> {
    let rules = "add table inet t
        add chain inet t in { type filter hook input priority 0; }
        add rule inet t in meta l4proto tcp numgen random mod 1000 == 0 drop";
    ends.iter().try_for_each(|netns| output(netns.command("nft").arg(rules)).map(drop))
}

/// nginx serves clients over a path that loses one of a thousand segments, redis those of its own machine,
/// and many connections are idle.
fn busy() -> Result<()> {
    const PORT: u16 = 5201;
    let (seconds, conns) = amount();
    let (near, far) = Netns::pair()?;
    let folder = tempfile::tempdir()?;
    let root = folder.path().display();
    std::fs::write(folder.path().join("file"), vec![7; 1000])?;
    let configuration = folder.path().join("nginx.conf");
    let text = format!(
        "user root; daemon off; master_process off; pid {root}/pid; error_log {root}/errors;\n\
         events {{}}\n\
         http {{ access_log off; keepalive_requests 10000000;\n\
         server {{ listen {NEAR}:{PORT} backlog=4096; root {root}; }} }}\n"
    );
    std::fs::write(&configuration, text)?;
    let mut nginx = near.command("nginx");
    let _nginx = Running::server(&near, nginx.arg("-c").arg(&configuration), PORT)?;
    let mut redis = near.command("redis-server");
    redis.args(["--port", "5202", "--save", "", "--appendonly", "no", "--dir", "/tmp"]);
    let _redis = Running::server(&near, &mut redis, PORT + 1)?;
    let held = Running::hold(&near, &format!("--conns {conns}"))?;
    lose_few([&near, &far])?;
    let flags = format!("--netns {} -d {seconds}", near.path());
    let tool = Tool::start_in(&near, "tcpdoctor", &flags)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    thread::scope(|scope| -> Result<()> {
        let web = scope.spawn(|| {
            let mut wrk = far.command("wrk");
            let url = format!("http://{NEAR}:{PORT}/file");
            output(wrk.args(["-t", "1", "-c", "20", "-d", &format!("{seconds}s"), &url]))
        });
        while Instant::now() < end {
            let mut client = near.command("redis-benchmark");
            output(client.args(["-p", "5202", "-n", "20000", "-c", "20", "-q", "-t", "get,set"]))?;
        }
        web.join().expect("no panic").map(drop)
    })?;
    let ended = tool.wait()?;
    ensure!(ended.status.success(), "{}", ended.errors);
    let found = ended.of_kind("finding")?;
    ensure!(found.is_empty(), "{found:#?}");
    let rates = ended.of_kind("mib")?;
    ensure!(rates.len() == 1 && number(&rates[0]["retrans_segs"]) > 0, "no loss: {rates:?}");
    held.release()
}
