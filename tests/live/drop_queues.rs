//! tcpdrop: what full queues and buffers of a socket drop, what comes out of order, IPv6 and fragments.

use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tcpscope::drop::Reasons;

use crate::Test;
use crate::drop::{all_are, from_ports, in_netns, is, wait_for, watch};
use crate::netns::{FAR, Netns};
use crate::segment::{ACK, PSH, Raw, SYN, Segment};
use crate::setting::emulated;
use crate::tool::{Tool, number};

pub const TESTS: &[(&str, Test)] = &[
    ("a_socket_in_use_takes_no_more_than_its_backlog", backlog),
    ("segments_that_came_before_are_dropped_out_of_order", merged),
    ("a_full_receive_buffer_gives_up_what_is_out_of_order", pruned),
    ("data_beyond_a_closed_window", closed_window),
    ("ipv6_with_extension_headers", ipv6),
    ("copies_for_a_raw_socket_are_no_loss", copies),
];

pub const ALONE: &[(&str, Test)] = &[
    // As in `drop`: a tool without `--netns`.
    ("fragments_without_the_rest", fragments),
];

/// A connection whose both ends obey (`connection.py`).
struct Script {
    child: Child,
    commands: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// Its ends and their numbers.
struct Ends {
    pid: u64,
    client: u16,
    server: SocketAddr,
    /// Sequence number that the server expects, and what it has acknowledged.
    expected: u32,
    answer: u32,
}

impl Script {
    fn start(near: &Netns, far: &Netns, buffer: u32) -> Result<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/connection.py");
        let mut command = std::process::Command::new("python3");
        command.arg(script).args([near.path(), far.path(), FAR.to_owned(), buffer.to_string()]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let commands = child.stdin.take().context("stdin")?;
        let answers = BufReader::new(child.stdout.take().context("stdout")?).lines();
        Ok(Self { child, commands, answers })
    }

    fn ask(&mut self, command: &str) -> Result<Ends> {
        writeln!(self.commands, "{command}")?;
        let line =
            self.answers.next().with_context(|| format!("{command}: the script ended"))??;
        let ends: Value = serde_json::from_str(&line)?;
        let of = |key: &str| number(&ends[key]);
        let server = SocketAddr::new(FAR.parse()?, u16::try_from(of("server"))?);
        Ok(Ends {
            pid: of("pid"),
            client: u16::try_from(of("client"))?,
            server,
            expected: u32::try_from(of("expected"))?,
            answer: u32::try_from(of("answer"))?,
        })
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // Gone already if all went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Ends {
    /// One more segment of the client, so far beyond what the server expects.
    fn segment(&self, beyond: u32, data: usize) -> Segment {
        Segment {
            sequence: self.expected.wrapping_add(beyond),
            acknowledged: self.answer,
            data,
            ..Segment::new(self.client, PSH | ACK)
        }
    }
}

/// Kernels without reasons free what TCP refuses past the tracepoint; guests have no Python.
fn cannot_be_tried() -> Result<bool> {
    Ok(emulated() || !Reasons::of_kernel()?.any())
}

/// The lines of the connection with so much data.
fn of_data(tool: Tool, client: u16, data: u64) -> Result<Vec<Value>> {
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    let own = from_ports(&lines, client..client + 1).into_iter();
    let own = own.filter(|line| line["data_bytes"].as_u64() == Some(data));
    Ok(own.cloned().collect())
}

fn with_reason<'a>(lines: &'a [Value], reason: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| is(&line["drop_reason"], reason)).collect()
}

fn backlog() -> Result<()> {
    const SENT: usize = 600;
    if cannot_be_tried()? {
        return Ok(());
    }
    let (near, far) = Netns::pair()?;
    let mut script = Script::start(&near, &far, 4096)?;
    let ends = script.ask("where")?;
    let tool = in_netns(&far, "")?;
    let raw = Raw::new(&near, ends.server)?;
    script.ask("hold")?;
    // Far behind the window: what is not dropped now is refused as soon as the socket is free.
    let old = Segment { data: 10, ..Segment::new(ends.client, PSH | ACK) };
    for _ in 0..SENT {
        raw.send(&old)?;
    }
    let dropped = usize::try_from(far.counter("TcpExtTCPBacklogDrop")?)?;
    wait_for(&tool, dropped)?;
    script.ask("release")?;
    wait_for(&tool, SENT)?;
    let lines = of_data(tool, ends.client, 10)?;
    ensure!(lines.len() == SENT, "{} of {SENT}", lines.len());
    let full = with_reason(&lines, "SOCKET_BACKLOG");
    ensure!(dropped > 0 && dropped < SENT, "{dropped} of {SENT}");
    let expected = [
        ("direction", "in".into()),
        ("pid", ends.pid.into()),
        ("lport", ends.server.port().into()),
        ("state", "ESTABLISHED".into()),
    ];
    all_are(&full, dropped, &expected, "SOCKET_BACKLOG")
}

fn merged() -> Result<()> {
    const TIMES: usize = 5;
    if cannot_be_tried()? {
        return Ok(());
    }
    let (near, far) = Netns::pair()?;
    let mut script = Script::start(&near, &far, 0)?;
    let ends = script.ask("where")?;
    let tool = in_netns(&far, "")?;
    let raw = Raw::new(&near, ends.server)?;
    // The first is queued, and has the others.
    raw.send(&ends.segment(1000, 50))?;
    for _ in 0..TIMES {
        raw.send(&ends.segment(1000, 50))?;
    }
    wait_for(&tool, TIMES)?;
    let lines = of_data(tool, ends.client, 50)?;
    ensure!(far.counter("TcpExtTCPOFOMerge")? == TIMES as u64, "{lines:#?}");
    let expected = [("direction", "in".into()), ("pid", ends.pid.into())];
    all_are(&lines.iter().collect::<Vec<_>>(), TIMES, &expected, "TCP_OFOMERGE")
}

fn pruned() -> Result<()> {
    const SENT: usize = 200;
    if cannot_be_tried()? {
        return Ok(());
    }
    let (near, far) = Netns::pair()?;
    let mut script = Script::start(&near, &far, 4096)?;
    let ends = script.ask("where")?;
    let tool = in_netns(&far, "")?;
    let raw = Raw::new(&near, ends.server)?;
    // One byte each, the last first: every one that comes pushes out those behind it.
    for nth in (1..=u32::try_from(SENT)?).rev() {
        raw.send(&ends.segment(2 * nth, 1))?;
    }
    // At the end what was kept is freed, too.
    script.ask("close")?;
    wait_for(&tool, SENT)?;
    let lines = of_data(tool, ends.client, 1)?;
    ensure!(lines.len() == SENT, "{} of {SENT}: {lines:#?}", lines.len());
    let pruned = with_reason(&lines, "TCP_OFO_QUEUE_PRUNE");
    let refused = with_reason(&lines, "PROTO_MEM");
    let times = far.counter("TcpExtOfoPruned")?;
    ensure!(times > 0 && pruned.len() as u64 >= times, "{times} times: {lines:#?}");
    ensure!(far.counter("TcpExtTCPOFODrop")? == refused.len() as u64, "{lines:#?}");
    let expected = [("direction", "in".into()), ("pid", ends.pid.into())];
    all_are(&pruned, pruned.len(), &expected, "TCP_OFO_QUEUE_PRUNE")
}

fn closed_window() -> Result<()> {
    const TIMES: usize = 4;
    if cannot_be_tried()? {
        return Ok(());
    }
    let (near, far) = Netns::pair()?;
    let mut script = Script::start(&near, &far, 4096)?;
    script.ask("fill")?;
    let ends = script.ask("where")?;
    let tool = in_netns(&far, "")?;
    let raw = Raw::new(&near, ends.server)?;
    for _ in 0..TIMES {
        raw.send(&ends.segment(0, 10))?;
    }
    wait_for(&tool, TIMES)?;
    let lines = of_data(tool, ends.client, 10)?;
    ensure!(lines.len() == TIMES, "{lines:#?}");
    let zero = with_reason(&lines, "TCP_ZEROWINDOW");
    ensure!(far.counter("TcpExtTCPZeroWindowDrop")? == zero.len() as u64, "{lines:#?}");
    let beyond = with_reason(&lines, "TCP_INVALID_END_SEQUENCE");
    ensure!(zero.len() + beyond.len() == TIMES, "{lines:#?}");
    let strange = lines.iter().find(|line| number(&line["pid"]) != ends.pid);
    ensure!(strange.is_none(), "{strange:?}");
    Ok(())
}

const NEAR6: &str = "fd00:117::1";
const FAR6: &str = "fd00:117::2";

/// Both ends of a pair get an IPv6 address; neither end asks for the other's link address.
fn add_ipv6(near: &Netns, far: &Netns) -> Result<()> {
    for (netns, own, other, hardware) in
        [(near, NEAR6, FAR6, "02:00:00:00:00:02"), (far, FAR6, NEAR6, "02:00:00:00:00:01")]
    {
        netns.ip(&["address", "add", &format!("{own}/64"), "dev", "far", "nodad"])?;
        netns.ip(&["neighbour", "replace", other, "lladdr", hardware, "dev", "far"])?;
    }
    Ok(())
}

fn ipv6() -> Result<()> {
    const TIMES: usize = 5;
    let (near, far) = Netns::pair()?;
    add_ipv6(&near, &far)?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR6, 0))?))?;
    let closed = far.within(|| Ok(TcpListener::bind((FAR6, 0))?.local_addr()?))?;
    let (damaged, stray) = (Raw::new(&near, listener.local_addr()?)?, Raw::new(&near, closed)?);
    let from = |port: u16| SocketAddr::new(NEAR6.parse().unwrap(), port);
    let tool = in_netns(&far, "")?;
    for _ in 0..TIMES {
        ensure!(near.within(|| Ok(TcpStream::connect(closed).is_err()))?, "{closed} is open");
        damaged.send(&Segment { damaged: true, ..Segment::of(from(4000), SYN) })?;
        stray.send(&Segment { extended: true, data: 30, ..Segment::of(from(4001), SYN) })?;
    }
    wait_for(&tool, 3 * TIMES)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    ensure!(lines.len() == 3 * TIMES, "{lines:#?}");
    let both = [
        ("family", 6.into()),
        ("laddr", FAR6.into()),
        ("raddr", NEAR6.into()),
        ("direction", "in".into()),
        ("flags", "SYN".into()),
        ("netns", far.inode()?.into()),
    ];
    let expected = |more: &[(&'static str, Value)]| [&both[..], more].concat();
    let listening = [
        ("lport", listener.local_addr()?.port().into()),
        ("pid", std::process::id().into()),
        ("state", "LISTEN".into()),
    ];
    let (wrong, rest): (Vec<_>, Vec<_>) = lines.iter().partition(|line| line["rport"] == 4000);
    all_are(&wrong, TIMES, &expected(&listening), "TCP_CSUM")?;
    ensure!(far.counter("TcpInCsumErrors")? == wrong.len() as u64, "{wrong:#?}");
    let nobodys = [("lport", closed.port().into()), ("pid", Value::Null), ("state", Value::Null)];
    all_are(&rest, 2 * TIMES, &expected(&nobodys), "NO_SOCKET")?;
    ensure!(far.counter("TcpOutRsts")? == rest.len() as u64, "{rest:#?}");
    let extended: Vec<_> = rest.into_iter().filter(|line| line["rport"] == 4001).collect();
    all_are(&extended, TIMES, &[("data_bytes", 30.into())], "NO_SOCKET")
}

fn fragments() -> Result<()> {
    const TIMES: u16 = 3;
    // Of no other pair: a closed socket of an ended test may still retransmit.
    const OWN: [&str; 2] = ["10.117.0.40", "fd00:117::40"];
    let (near, far) = Netns::pair()?;
    add_ipv6(&near, &far)?;
    far.sysctl(&["net.ipv4.ipfrag_time=1", "net.ipv6.ip6frag_time=1"])?;
    for (own, more) in OWN.into_iter().zip([&[][..], &["nodad"]]) {
        far.ip(&[&["address", "add", own, "dev", "far"], more].concat())?;
        near.ip(&["neighbour", "replace", own, "lladdr", "02:00:00:00:00:02", "dev", "far"])?;
    }
    // The later ones have lost their device when they are freed, and with it their namespace.
    let [own, own6] = OWN.map(|own| watch(&format!("--addr {own}")));
    let tools = [own?, own6?];
    for (to, from) in [
        (SocketAddr::new(OWN[0].parse()?, 9), Segment::new(0, SYN).from),
        (SocketAddr::new(OWN[1].parse()?, 9), SocketAddr::new(NEAR6.parse()?, 0)),
    ] {
        let raw = Raw::new(&near, to)?;
        for number in 1..=TIMES {
            let port = SocketAddr::new(from.ip(), 4000 + number);
            let whole = Segment { data: 100, ..Segment::of(port, SYN) };
            raw.send(&Segment { part: Some((number, 0..48)), ..whole.clone() })?;
            raw.send(&Segment { part: Some((number + 100, 48..120)), ..whole })?;
        }
    }
    let reasons = ["IpReasmTimeout", "Ip6ReasmTimeout"];
    for (tool, counter) in tools.into_iter().zip(reasons) {
        let all = usize::from(2 * TIMES);
        wait_for(&tool, all)?;
        let ended = tool.finish()?;
        ended.complete()?;
        let lines = ended.of_kind("drop")?;
        ensure!(lines.len() == all, "{lines:#?}");
        ensure!(far.counter(counter)? == lines.len() as u64, "{counter}: {lines:#?}");
        let ports = lines.iter().filter_map(|line| line["rport"].as_u64());
        let ports: std::collections::BTreeSet<_> = ports.collect();
        let expected = (1..=u64::from(TIMES)).map(|number| 4000 + number);
        ensure!(ports.iter().copied().eq(expected), "{ports:?}: {lines:#?}");
        for line in &lines {
            let first = line["rport"].is_u64();
            ensure!(first == line["lport"].is_u64() && first == (line["flags"] == "SYN"), "{line}");
            ensure!(line["data_bytes"].is_null() && line["direction"] == "in", "{line}");
            ensure!(is(&line["drop_reason"], "FRAG_REASM_TIMEOUT"), "{line}");
            let netns = line["netns"].as_u64();
            if let Some(netns) = netns.filter(|netns| Some(*netns) != far.inode().ok()) {
                bail!("in namespace {netns}: {line}");
            }
        }
    }
    Ok(())
}

/// Takes no copy of any segment.
const REFUSES: &str = "
import ctypes, socket, struct, sys
end = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP)
none = ctypes.create_string_buffer(struct.pack('HBBI', 6, 0, 0, 0))
SO_ATTACH_FILTER = 26
program = struct.pack('HxxxxxxQ', 1, ctypes.addressof(none))
end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
print(flush=True)
sys.stdin.read()
";

/// What the filter of a monitor refuses has reached its connection.
fn copies() -> Result<()> {
    const TIMES: usize = 100;
    // The socket that refuses is known where the tracepoint passes it.
    let symbols = std::fs::read_to_string("/proc/kallsyms")?;
    let passed = symbols.lines().any(|line| line.ends_with(" sk_skb_reason_drop"));
    if emulated() || !passed {
        return Ok(());
    }
    let (near, far) = Netns::pair()?;
    let closed = far.within(|| Ok(TcpListener::bind((FAR, 0))?.local_addr()?))?;
    let mut command = far.command("python3");
    let command = command.args(["-c", REFUSES]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut monitor = command.spawn()?;
    let mut ready = BufReader::new(monitor.stdout.take().context("stdout")?).lines();
    ready.next().context("the monitor ended")??;
    let tool = in_netns(&far, "")?;
    let raw = Raw::new(&near, closed)?;
    for _ in 0..TIMES {
        raw.send(&Segment::new(4000, SYN))?;
    }
    wait_for(&tool, TIMES)?;
    let ended = tool.finish()?;
    drop(monitor.stdin.take());
    monitor.wait()?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    all_are(&lines.iter().collect::<Vec<_>>(), TIMES, &[], "NO_SOCKET")?;
    let hidden = number(&ended.last_status()?["hidden"]);
    ensure!(hidden >= TIMES as u64, "{hidden} hidden, {TIMES} copies refused");
    Ok(())
}
