//! A VRF is the device of the sockets that are bound to it, and of the connections that they accept.
//!
//! It needs the module `vrf`, which the kernels of the lab have. Where it is lacking this test is
//! ignored; under emulation, which is the lab, it fails.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::Test;
use crate::devices::{PORT, by_device, listener};
use crate::netns::{NEAR, Netns};
use crate::setting::emulated;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] =
    &[("connections_and_listeners_of_a_vrf_have_it_as_device", accepted)];

const ADD: [&str; 7] = ["link", "add", "red", "type", "vrf", "table", "10"];

/// Why there are no VRFs here.
pub fn missing() -> Option<String> {
    if emulated() {
        return None;
    }
    let mut ip = Command::new("unshare");
    let out = ip.args(["--net", "ip"]).args(ADD).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8_lossy(&out.stderr);
    (!out.status.success()).then(|| said.lines().next().unwrap_or("no vrf").to_owned())
}

/// A VRF and the loopback device have a listener of the same address and port each.
fn accepted() -> Result<()> {
    let (near, far) = Netns::pair()?;
    near.ip(&ADD)?;
    near.ip(&["link", "set", "red", "up"])?;
    near.ip(&["link", "set", "far", "master", "red"])?;
    let _held = [listener(&near, "red")?, listener(&near, "lo")?];
    let watch = |tool: &str, flags: &str| {
        Tool::start(tool, &format!("--netns {} --lport {PORT} {flags}", near.path()))
    };
    let count = watch("tcpcount", "--by connection -i 3600")?;
    let filtered = watch("tcpcount", &format!("--by connection -i 3600 --laddr {NEAR}%red"))?;
    let other = watch("tcpcount", &format!("--by connection -i 3600 --laddr {NEAR}%lo"))?;
    let states = watch("tcpstates", "")?;
    let mut client = far.within(|| Ok(TcpStream::connect((NEAR, PORT))?))?;
    client.write_all(&[b'x'; 1000])?;
    states.wait_for("the accepted connection", |lines| {
        lines.iter().any(|line| line.contains("\"new\":\"ESTABLISHED\""))
    })?;
    let rows = watch("listenoverflow", "--all -i 0.1 -n 1")?.wait()?.of_kind("listener")?;
    count_is(&rows, "listeners", |_| 1, [("red", 1), ("lo", 1)])?;
    drop(client);
    let rows = states.finish()?.of_kind("state")?;
    ensure!(!rows.is_empty() && rows.iter().all(|row| row["device"] == "red"), "{rows:#?}");
    for count in [count, filtered] {
        let rows = count.finish()?.of_kind("count")?;
        count_is(&rows, "segments", |row| u64::from(number(&row["segs_in"]) > 0), [("red", 1)])?;
    }
    let rows = other.finish()?.of_kind("count")?;
    ensure!(by_device(&rows, |row| number(&row["segs_in"])).is_empty(), "{rows:#?}");
    Ok(())
}

fn count_is<const N: usize>(
    rows: &[Value],
    what: &str,
    value: impl Fn(&Value) -> u64,
    expected: [(&str, u64); N],
) -> Result<()> {
    let expected: BTreeMap<_, _> =
        expected.into_iter().map(|(device, count)| (device.to_owned(), count)).collect();
    ensure!(by_device(rows, value) == expected, "{what}: {rows:#?}");
    Ok(())
}
