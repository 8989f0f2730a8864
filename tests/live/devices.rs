//! Sockets that the device tells apart: two links with the same link-local addresses, and listeners of
//! one address that are bound to devices.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddrV6, TcpListener, TcpStream};
use std::thread;

use anyhow::{Context, Result, ensure};
use rustix::net::netdevice::name_to_index;
use rustix::net::sockopt::set_socket_reuseaddr;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with};
use serde_json::Value;

use crate::Test;
use crate::load::Running;
use crate::netns::Netns;
use crate::setting::tool_command;
use crate::tool::{Tool, number, output};

pub const TESTS: &[(&str, Test)] =
    &[("link_local_addresses_have_zones", zones), ("listeners_bound_to_devices_are_two", bound)];

const OURS: &str = "fe80::a";
const THEIRS: &str = "fe80::b";
const OUR_PORT: u16 = 45_454;
pub const PORT: u16 = 7012;
/// A device to the same address each, and the bytes that go through it.
const LINKS: [(&str, usize); 2] = [("va", 1000), ("vb", 3000)];

/// The value that a device has in rows, as many as there are devices.
pub type ByDevice = BTreeMap<String, u64>;

pub fn by_device(rows: &[Value], value: impl Fn(&Value) -> u64) -> ByDevice {
    let mut found = ByDevice::new();
    for row in rows.iter().filter(|row| row["total"] != true) {
        let device = row["device"].as_str().unwrap_or("-").to_owned();
        *found.entry(device).or_default() += value(row);
    }
    found
}

fn expected(value: impl Fn(usize) -> usize) -> ByDevice {
    LINKS.iter().map(|(device, bytes)| ((*device).to_owned(), value(*bytes) as u64)).collect()
}

/// The ends of both links, each with the same two addresses and a server.
fn links() -> Result<(Netns, [Netns; 2], [TcpListener; 2])> {
    let near = Netns::new("zones")?;
    let far = [Netns::new("zone-a")?, Netns::new("zone-b")?];
    for (netns, (device, _)) in far.iter().zip(LINKS) {
        near.ip(&["link", "add", device, "type", "veth", "peer", "far", "netns", netns.name()])?;
        for (netns, device, address) in [(&near, device, OURS), (netns, "far", THEIRS)] {
            netns.ip(&["address", "add", &format!("{address}/64"), "dev", device, "nodad"])?;
            netns.ip(&["link", "set", device, "up"])?;
        }
    }
    let serve = |netns: &Netns| netns.within(|| Ok(TcpListener::bind(("::", PORT))?));
    let servers = [serve(&far[0])?, serve(&far[1])?];
    Ok((near, far, servers))
}

/// Sends bytes through a link, from the same address and port.
fn send(device: &str, bytes: usize) -> Result<TcpStream> {
    let stream = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    let zone = name_to_index(&stream, device)?;
    let at = |address: &str, port| -> Result<SocketAddrV6> {
        Ok(SocketAddrV6::new(address.parse::<Ipv6Addr>()?, port, 0, zone))
    };
    set_socket_reuseaddr(&stream, true)?;
    bind(&stream, &at(OURS, OUR_PORT)?)?;
    connect(&stream, &at(THEIRS, PORT)?)?;
    let mut stream = TcpStream::from(stream);
    stream.write_all(&vec![b'x'; bytes])?;
    Ok(stream)
}

fn zones() -> Result<()> {
    let (near, _far, servers) = links()?;
    let watch =
        |tool: &str, flags: &str| Tool::start(tool, &format!("--netns {} {flags}", near.path()));
    let filtered = format!("--by connection -i 3600 --raddr {THEIRS}%vb");
    let counts =
        [watch("tcpcount", "--by connection -i 3600")?, watch("tcpcount", "--by remote -i 3600")?];
    let one = watch("tcpcount", &filtered)?;
    let connects = watch("tcplatency", "--by remote --kind connect -i 3600")?;
    let states = watch("tcpstates", &format!("--laddr {OURS}%va"))?;
    let readers = servers.map(|server| {
        thread::spawn(move || -> Result<usize> {
            let mut bytes = Vec::new();
            server.accept()?.0.read_to_end(&mut bytes).map_err(Into::into)
        })
    });
    let streams: Vec<_> = near.within(|| {
        LINKS.map(|(device, bytes)| send(device, bytes)).into_iter().collect::<Result<_>>()
    })?;
    let held = output(tool_command(&[], "tcpstates").args([
        "--summary",
        "--by",
        "remote",
        "--json",
        "-n",
        "1",
        "-i",
        "0.1",
        "--netns",
        &near.path(),
    ]))?;
    drop(streams);
    for (reader, (_, bytes)) in readers.into_iter().zip(LINKS) {
        ensure!(reader.join().ok().context("reader")?? == bytes);
    }
    let held: Vec<Value> =
        held.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let held: Vec<_> = held
        .into_iter()
        .filter(|row| row["state"] == "ESTABLISHED" && row["raddr"] == THEIRS)
        .collect();
    ensure!(by_device(&held, |row| number(&row["count"])) == expected(|_| 1), "{held:#?}");
    for count in counts {
        let rows = count.finish()?.of_kind("count")?;
        let sent = by_device(&rows, |row| number(&row["tx_bytes"]));
        ensure!(sent == expected(|bytes| bytes), "{rows:#?}");
    }
    let rows = one.finish()?.of_kind("count")?;
    ensure!(
        by_device(&rows, |row| number(&row["tx_bytes"])) == [("vb".into(), 3000)].into(),
        "{rows:#?}"
    );
    let rows = connects.finish()?.of_kind("latency")?;
    ensure!(by_device(&rows, |row| number(&row["count"])) == expected(|_| 1), "{rows:#?}");
    let rows = states.finish()?.of_kind("state")?;
    let strange = rows.iter().find(|row| row["device"] != "va" || !row["netns_name"].is_string());
    ensure!(rows.len() > 2 && strange.is_none(), "{rows:#?}");
    Ok(())
}

/// A listener at any IPv4 address, of one device.
pub fn listener(netns: &Netns, device: &str) -> Result<Running> {
    let port = PORT.to_string();
    let mut command = netns.command("iperf3");
    command.args(["-s", "-4", "-p", &port, "--bind-dev", device]);
    Running::server(netns, &mut command, PORT)
}

fn bound() -> Result<()> {
    let (near, _far) = Netns::pair()?;
    let before = Tool::start("tcpstates", &format!("--netns {}", near.path()))?;
    let _held = [listener(&near, "far")?, listener(&near, "lo")?];
    before.wait_for_kind("state", 2)?;
    let rows = before.finish()?.of_kind("state")?;
    ensure!(by_device(&rows, |_| 1) == both(), "{rows:#?}");
    for (flags, expected) in [
        ("", both()),
        ("--group", both()),
        ("--laddr 0.0.0.0%lo", [("lo".into(), 1)].into()),
        ("--addr 127.0.0.1%far", [("far".into(), 1)].into()),
        ("--addr %lo", [("lo".into(), 1)].into()),
    ] {
        let arguments = format!("--all --netns {} -i 0.1 -n 1 {flags}", near.path());
        let rows = Tool::start("listenoverflow", &arguments)?.wait()?.of_kind("listener")?;
        ensure!(by_device(&rows, |_| 1) == expected, "{flags}: {rows:#?}");
    }
    Ok(())
}

fn both() -> ByDevice {
    [("far".into(), 1), ("lo".into(), 1)].into()
}
