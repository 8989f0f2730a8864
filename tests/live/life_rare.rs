//! tcplife: ends that are rare, each made by a script, as its own calls and the counters say.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use crate::Test;
use crate::life::{Place, ends_of, lives, read_error, shows, watch};
use crate::netns::{FAR, Netns};
use crate::tool::{number, output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("both_close_at_once", simultaneous),
    ("a_full_listener_that_resets", overflow_aborts),
    ("a_close_that_does_not_wait_for_the_peer", linger2),
    ("a_network_without_a_route", unreachable_net),
    ("a_connect_that_is_given_up", given_up),
    ("connects_that_fail_before_their_socket_changes", refused_at_once),
];

pub const ALONE: &[(&str, Test)] = &[
    // These settings are the whole machine's.
    ("too_many_orphans", orphan_limit),
    ("an_orphan_when_memory_is_short", no_memory),
];

const NO_HARDWARE: &str = "02:00:00:00:00:09";
const ABSENT: (&str, u16) = ("10.117.0.9", 80);
const EPIPE: i32 = 32;
const ECONNRESET: i32 = 104;
const EACCES: i32 = 13;
const EINVAL: i32 = 22;
const ENETUNREACH: i32 = 101;
const ECONNREFUSED: i32 = 111;
const EHOSTUNREACH: i32 = 113;

/// Both have a FIN behind data that the other has no room for. Who reads first, gets the other's FIN
/// before its own is acknowledged.
fn simultaneous() -> Result<()> {
    let netns = Netns::new("life")?;
    let place = Place::new(&netns)?;
    let tool = watch(&netns, "")?;
    let (mut client, mut server) = place.pair()?;
    let port = client.local_addr()?.port();
    let mut sent = [0, 0];
    for (sent, stream) in sent.iter_mut().zip([&mut client, &mut server]) {
        stream.set_nonblocking(true)?;
        let block = vec![7; 65_536];
        while let Ok(count) = stream.write(&block) {
            *sent += count as u64;
        }
        stream.shutdown(Shutdown::Write)?;
    }
    let drain = |stream: &mut TcpStream| -> Result<u64> {
        stream.set_nonblocking(false)?;
        Ok(stream.read_to_end(&mut Vec::new())? as u64)
    };
    ensure!(drain(&mut client)? == sent[1] && drain(&mut server)? == sent[0], "{sent:?}");
    drop((client, server));
    tool.wait_for_kind("life", 2)?;
    let lines = lives(&tool.finish()?)?;
    let (client, server) = ends_of(&lines, port)?;
    shows(client, "crossed", ("closed_by_both", 0))?;
    // Its own FIN was acknowledged by then.
    shows(server, "crossed", ("closed_by_us", 0))?;
    for (line, tx, rx) in [(client, sent[0], sent[1]), (server, sent[1], sent[0])] {
        ensure!(number(&line["tx_bytes"]) == tx && number(&line["rx_bytes"]) == rx, "{line}");
        ensure!(line["into_time_wait"] == true, "{line}");
    }
    Ok(())
}

/// Runs a script of Python inside, for socket options that rustix does not have; it gets the port.
fn python(netns: &Netns, script: &str, port: u16) -> Command {
    let mut command = netns.command("python3");
    command.args(["-c", &format!("import socket, sys\n{script}"), &port.to_string()]);
    command
}

/// Takes connections only with data; ends when its input does.
const DEFERRING: &str = "
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 60)
s.bind(('127.0.0.1', int(sys.argv[1])))
s.listen(3)
sys.stdin.read()
";

/// With `tcp_abort_on_overflow` a client whose final ACK finds no room is reset. The listener waits for
/// data before it makes a child, so both clients are in its SYN queue at first.
fn overflow_aborts() -> Result<()> {
    const PORT: u16 = 5201;
    let netns = Netns::new("life")?;
    netns.sysctl(&["net.ipv4.tcp_abort_on_overflow=1"])?;
    let mut server = python(&netns, DEFERRING, PORT);
    let mut server = server.stdin(Stdio::piped()).spawn()?;
    let done = deferred(&netns, PORT);
    drop(server.stdin.take());
    server.wait()?;
    done
}

fn deferred(netns: &Netns, port: u16) -> Result<()> {
    let listed = |state: &str, count: usize| {
        until(&format!("{count} are {state}"), || {
            let mut ss = netns.command("ss");
            let ss = ss.args(["-Htn", "state", state, "sport", "=", &port.to_string()]);
            Ok((output(ss)?.lines().count() == count).then_some(()))
        })
    };
    listed("listening", 1)?;
    let tool = watch(netns, "")?;
    let open = || netns.within(|| Ok(TcpStream::connect((Ipv4Addr::LOCALHOST, port))?));
    // One place is left: the queue has room for one more than the backlog.
    let mut queued: Vec<_> = (0..3).map(|_| open()).collect::<Result<_>>()?;
    for stream in &mut queued {
        stream.write_all(b"waits for accept()")?;
    }
    listed("established", 3)?;
    let (mut first, mut second) = (open()?, open()?);
    let client = second.local_addr()?.port();
    first.write_all(b"takes the last place")?;
    listed("established", 4)?;
    second.write_all(b"finds none")?;
    let got = read_error(&mut second);
    ensure!(got == ECONNRESET, "{got}");
    drop(second);
    tool.wait_for_kind("life", 1)?;
    let lines = lives(&tool.finish()?)?;
    // There was no child, so the other end has no line.
    ensure!(lines.len() == 1 && number(&lines[0]["lport"]) == u64::from(client), "{lines:#?}");
    shows(&lines[0], "overflow", ("reset_received", got))?;
    let counters = ["TcpExtListenOverflows", "TcpEstabResets", "TcpOutRsts"];
    for name in counters {
        let count = netns.counter(name)?;
        ensure!(count == 1, "{name} is {count}: {lines:#?}");
    }
    drop((first, queued));
    Ok(())
}

/// Closes first, and does not wait for the other's FIN.
const LINGER2: &str = "
s = socket.socket()
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_LINGER2, -1)
s.connect(('127.0.0.1', int(sys.argv[1])))
s.close()
";

fn linger2() -> Result<()> {
    let netns = Netns::new("life")?;
    let listener = netns.within(|| Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?))?;
    let port = listener.local_addr()?.port();
    let tool = watch(&netns, "")?;
    output(&mut python(&netns, LINGER2, port))?;
    let (server, client) = listener.accept()?;
    tool.wait_for_kind("life", 1)?;
    drop(server);
    tool.wait_for_kind("life", 2)?;
    let lines = lives(&tool.finish()?)?;
    let (client, server) = ends_of(&lines, client.port())?;
    shows(client, "linger2", ("reset_sent_linger2", 0))?;
    // Its FIN had come before the reset.
    shows(server, "linger2", ("reset_received", EPIPE))?;
    // The first if our FIN is acknowledged before close() is done, else the other.
    let aborts = [netns.counter("TcpExtTCPAbortOnLinger")?, netns.counter("TcpExtTCPAbortOnData")?];
    let resets = netns.counter("TcpOutRsts")?;
    ensure!((aborts.iter().sum::<u64>(), resets) == (1, 1), "{aborts:?} {resets}: {lines:#?}");
    Ok(())
}

/// The host in between has no route, and says so.
fn unreachable_net() -> Result<()> {
    const BEYOND: (&str, u16) = ("10.118.0.1", 80);
    let (near, far) = Netns::pair()?;
    far.sysctl(&["net.ipv4.ip_forward=1"])?;
    near.ip(&["route", "add", "10.118.0.0/16", "via", FAR])?;
    let tool = watch(&near, "")?;
    let error = near.within(|| Ok(TcpStream::connect(BEYOND).err()))?;
    let errno = error.and_then(|error| error.raw_os_error());
    ensure!(errno == Some(ENETUNREACH), "{errno:?}");
    tool.wait_for_kind("life", 1)?;
    let lines = lives(&tool.finish()?)?;
    ensure!(lines.len() == 1 && lines[0]["raddr"] == BEYOND.0, "{lines:#?}");
    shows(&lines[0], "no route", ("unreachable_net", ENETUNREACH))?;
    ensure!(near.counter("TcpAttemptFails")? == 1, "{lines:#?}");
    Ok(())
}

/// No SYN is made. Where functions can be hooked the return of the call shows it; else nothing does.
fn refused_at_once() -> Result<()> {
    const PORT: u16 = 80;
    let netns = Netns::new("life")?;
    netns.ip(&["route", "add", "blackhole", "198.51.100.0/25"])?;
    netns.ip(&["route", "add", "prohibit", "198.51.100.128/25"])?;
    netns.ip(&["route", "add", "unreachable", "203.0.113.0/24"])?;
    let truth = [
        ("192.0.2.1", "192.0.2.1", ENETUNREACH, Some("unreachable_net")),
        ("198.51.100.1", "198.51.100.1", EINVAL, None),
        ("198.51.100.200", "198.51.100.200", EACCES, None),
        ("203.0.113.1", "203.0.113.1", EHOSTUNREACH, Some("unreachable_host")),
        ("2001:db8::1", "2001:db8::1", ENETUNREACH, Some("unreachable_net")),
        ("::ffff:192.0.2.2", "192.0.2.2", ENETUNREACH, Some("unreachable_net")),
        // The last one has a SYN, and no second line.
        ("127.0.0.1", "127.0.0.1", ECONNREFUSED, Some("refused")),
    ];
    let tool = watch(&netns, "")?;
    for (to, _, errno, _) in truth {
        let to = SocketAddr::new(to.parse()?, PORT);
        let error = netns.within(|| Ok(TcpStream::connect(to).err()))?;
        let error = error.and_then(|error| error.raw_os_error());
        ensure!(error == Some(errno), "{to}: {error:?}");
    }
    tool.wait_for("the last one", |lines| lines.iter().any(|line| line.contains("\"refused\"")))?;
    let ended = tool.finish()?;
    let lines = lives(&ended)?;
    let seen = ended.last_status()?["attach"]["connect-return"] == "fentry";
    let truth = if seen { &truth[..] } else { &truth[truth.len() - 1..] };
    ensure!(lines.len() == truth.len(), "{lines:#?}");
    for (line, (_, raddr, errno, end)) in lines.iter().zip(truth) {
        ensure!(line["raddr"] == *raddr && line["rport"] == PORT, "{line}");
        ensure!(line["errno"] == *errno && line["end"].as_str() == *end, "{line}");
        ensure!(line["pid"] == std::process::id() && line["role"] == "client", "{line}");
    }
    Ok(())
}

fn socket() -> Result<OwnedFd> {
    let (domain, kind) = (AddressFamily::INET, SocketType::STREAM);
    Ok(socket_with(domain, kind, SocketFlags::CLOEXEC, None)?)
}

/// The process closes before anyone has answered its SYN.
fn given_up() -> Result<()> {
    let (near, _far) = Netns::pair()?;
    near.ip(&["neighbour", "replace", ABSENT.0, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let tool = watch(&near, "")?;
    let socket = near.within(socket)?;
    rustix::io::ioctl_fionbio(&socket, true)?;
    let address = SocketAddr::new(ABSENT.0.parse()?, ABSENT.1);
    let error = connect(&socket, &address).err();
    ensure!(error == Some(Errno::INPROGRESS), "{error:?}");
    drop(socket);
    tool.wait_for_kind("life", 1)?;
    let lines = lives(&tool.finish()?)?;
    ensure!(lines.len() == 1 && lines[0]["raddr"] == ABSENT.0, "{lines:#?}");
    shows(&lines[0], "given up", ("given_up", 0))?;
    ensure!(lines[0]["opened_ns"].is_null() && lines[0]["state"] == "SYN_SENT", "{}", lines[0]);
    Ok(())
}

const MAX_ORPHANS: &str = "/proc/sys/net/ipv4/tcp_max_orphans";
const TCP_MEM: &str = "/proc/sys/net/ipv4/tcp_mem";

/// A limit of the machine, and what it was; set back when dropped.
struct Limit(&'static str, String);

impl Limit {
    fn set(path: &'static str, value: &str) -> Result<Self> {
        let limit = Self(path, std::fs::read_to_string(path)?);
        std::fs::write(path, value)?;
        Ok(limit)
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        // A failure here cannot be handled.
        let _ = std::fs::write(self.0, &self.1);
    }
}

/// Closed connections whose FIN is not acknowledged, more of them than the machine may have.
fn orphan_limit() -> Result<()> {
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let tool = watch(&near, "--end orphan_limit,no_memory")?;
    let open = || near.within(|| Ok(TcpStream::connect(address)?));
    let streams: Vec<_> = (0..64).map(|_| open()).collect::<Result<_>>()?;
    near.ip(&["neighbour", "replace", FAR, "lladdr", NO_HARDWARE, "dev", "far"])?;
    let mut streams = streams.into_iter();
    // The kernel sums up its orphans only so often: one is there, until it is counted.
    drop(streams.next());
    let limit = Limit::set(MAX_ORPHANS, "0")?;
    let given_up = until("an orphan is given up", || {
        drop(streams.next().context("there are orphans without end")?);
        let given_up = near.counter("TcpExtTCPAbortOnMemory")?;
        Ok((given_up > 0).then_some(given_up))
    })?;
    drop(limit);
    tool.wait_for_kind("life", usize::try_from(given_up)?)?;
    let lines = lives(&tool.finish()?)?;
    ensure!(lines.len() as u64 == given_up, "TCPAbortOnMemory is {given_up}: {lines:#?}");
    for line in &lines {
        shows(line, "orphan", ("orphan_limit", 0))?;
        ensure!(line["pid"] == std::process::id() && line["state"] == "FIN_WAIT1", "{line}");
    }
    Ok(())
}

/// A connection that is closed with data for a peer that does not read, while TCP has more memory than it may.
fn no_memory() -> Result<()> {
    let netns = Netns::new("life")?;
    let place = Place::new(&netns)?;
    let tool = watch(&netns, "--end no_memory,orphan_limit")?;
    let (mut client, _server) = place.pair()?;
    let port = client.local_addr()?.port();
    client.set_nonblocking(true)?;
    let block = vec![7; 65_536];
    while client.write(&block).is_ok() {}
    let limit = Limit::set(TCP_MEM, "1 1 1")?;
    drop(client);
    drop(limit);
    let given_up = netns.counter("TcpExtTCPAbortOnMemory")?;
    ensure!(given_up == 1, "TCPAbortOnMemory is {given_up}");
    tool.wait_for_kind("life", 1)?;
    let lines = lives(&tool.finish()?)?;
    ensure!(lines.len() == 1 && lines[0]["lport"] == port, "{lines:#?}");
    shows(&lines[0], "orphan", ("no_memory", 0))?;
    ensure!(number(&lines[0]["unacked_bytes"]) > 0, "{}", lines[0]);
    Ok(())
}
