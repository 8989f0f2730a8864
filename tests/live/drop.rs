//! tcpdrop: every reason that a script makes, as often as the script and the kernel count it, and with the
//! socket that it hits.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tcpscope::drop::Reasons;

use crate::Test;
use crate::netns::{FAR, NEAR, Netns};
use crate::segment::{ACK, FIN, PSH, Raw, SYN, Segment};
use crate::setting::{emulated, hides, ordinary_user, path_of};
use crate::tool::{Tool, number, output};

pub const TESTS: &[(&str, Test)] = &[
    ("segments_that_a_socket_refuses", refused_segments),
    ("what_the_path_drops_both_ways", path),
    ("a_firewall_in_front_of_a_listener", firewall),
    ("reasons_are_filtered_and_summed_up", filtered),
    ("an_unknown_reason_lists_those_there_are", unknown_reason),
];

pub const ALONE: &[(&str, Test)] = &[
    // A tool without `--netns` keeps the sockets of all: another test's 200,000 fill its table.
    ("closed_ports_and_their_resets", closed_ports),
];

/// A sender that no route back leads to.
const STRANGER: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 1);

/// The kernel's own clock of timestamps is before one of these, and after the other.
const STAMPS: [u32; 2] = [1, 0x8000_0001];

pub fn watch(flags: &str) -> Result<Tool> {
    Tool::start("tcpdrop", flags)
}

pub fn in_netns(netns: &Netns, flags: &str) -> Result<Tool> {
    watch(&format!("--netns {} {flags}", netns.path()))
}

/// Whether a reason is what this kernel has to say: older ones give none.
pub fn is(reason: &Value, expected: &str) -> bool {
    let known = Reasons::of_kernel().is_ok_and(|reasons| reasons.any());
    if known { reason == expected } else { reason.is_null() }
}

/// Waits until as many drops were shown.
pub fn wait_for(tool: &Tool, count: usize) -> Result<()> {
    tool.wait_for_kind("drop", count)
}

/// Lines whose remote port is one of a range.
pub fn from_ports(lines: &[Value], ports: std::ops::Range<u16>) -> Vec<&Value> {
    let within = |line: &&Value| ports.clone().any(|port| line["rport"] == port);
    lines.iter().filter(within).collect()
}

pub fn all_are(
    lines: &[&Value],
    count: usize,
    expected: &[(&str, Value)],
    reason: &str,
) -> Result<()> {
    ensure!(lines.len() == count, "{} of {count} {reason}: {lines:#?}", lines.len());
    for line in lines {
        ensure!(is(&line["drop_reason"], reason), "not {reason}: {line}");
        // Before 5.13 the name comes from /proc/kallsyms, which hides addresses from an ordinary user.
        let hidden = line["function"].is_null() && line["drop_reason"].is_null() && ordinary_user();
        ensure!(line["function"].is_string() || hidden, "no function: {line}");
        for (key, value) in expected {
            ensure!(line[*key] == *value, "{key} is not {value}: {line}");
        }
    }
    Ok(())
}

fn closed_ports() -> Result<()> {
    const TIMES: usize = 5;
    if hides("drops without a socket are not shown") {
        return Ok(());
    }
    let (near, far) = Netns::pair()?;
    // A namespace of other traffic, which a filter leaves out.
    let other = Netns::new("other")?;
    let closed = far.within(|| Ok(TcpListener::bind((FAR, 0))?.local_addr()?))?;
    let tool = in_netns(&far, "")?;
    let both = watch(&format!("--port {}", closed.port()))?;
    for netns in [&near, &other] {
        for _ in 0..TIMES {
            let to: SocketAddr =
                if netns.name() == near.name() { closed } else { ([127, 0, 0, 1], 9).into() };
            ensure!(netns.within(|| Ok(TcpStream::connect(to).is_err()))?, "{to} is open");
        }
    }
    // An RST of a raw SYN comes to nobody.
    let raw = Raw::new(&near, closed)?;
    raw.send(&Segment::new(4000, SYN))?;
    wait_for(&tool, TIMES + 1)?;
    wait_for(&both, TIMES + 2)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    let expected = [
        ("direction", "in".into()),
        ("laddr", FAR.into()),
        ("lport", closed.port().into()),
        ("raddr", NEAR.into()),
        ("flags", "SYN".into()),
        ("data_bytes", 0.into()),
        ("segs", 1.into()),
        ("state", Value::Null),
        ("pid", Value::Null),
        ("netns", far.inode()?.into()),
    ];
    all_are(&lines.iter().collect::<Vec<_>>(), TIMES + 1, &expected, "NO_SOCKET")?;
    ensure!(far.counter("TcpOutRsts")? == lines.len() as u64, "{lines:#?}");
    let both = both.finish()?;
    both.complete()?;
    let lines = both.of_kind("drop")?;
    let resets: Vec<_> = lines.iter().filter(|line| line["flags"] == "RST|ACK").collect();
    let expected = [("lport", 4000.into()), ("netns", near.inode()?.into())];
    all_are(&resets, 1, &expected, "NO_SOCKET")
}

fn refused_segments() -> Result<()> {
    const TIMES: usize = 3;
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let _server = listener.accept()?;
    let port = client.local_addr()?.port();
    let raw = Raw::new(&near, address)?;
    let tool = in_netns(&far, "")?;
    let segment = Segment::new(port, PSH | ACK);
    for _ in 0..TIMES {
        // One of the two is far before the window, the other far behind.
        for sequence in STAMPS {
            raw.send(&Segment { sequence, data: 10, ..segment.clone() })?;
        }
        for stamp in STAMPS {
            raw.send(&Segment { stamp: Some(stamp), data: 20, ..segment.clone() })?;
        }
        raw.send(&Segment { damaged: true, ..Segment::new(4000, SYN) })?;
        raw.send(&Segment::new(4001, SYN | FIN))?;
    }
    // Kernels without reasons free what TCP refuses in tcp_drop(), past the tracepoint.
    let known = Reasons::of_kernel()?.any();
    let kinds = if known { 6 } else { 1 };
    wait_for(&tool, kinds * TIMES)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    ensure!(lines.len() == kinds * TIMES, "{lines:#?}");
    let listening = [("lport", address.port().into()), ("state", "LISTEN".into())];
    let damaged = from_ports(&lines, 4000..4001);
    let mine = [("pid", std::process::id().into()), ("direction", "in".into())];
    all_are(&damaged, TIMES, &[&mine[..], &listening].concat(), "TCP_CSUM")?;
    ensure!(far.counter("TcpInCsumErrors")? == damaged.len() as u64, "{damaged:#?}");
    if !known {
        return Ok(());
    }
    let expected = |more: &[(&'static str, Value)]| [&mine, more].concat();
    let of = |line: &&&Value, bytes: u64| number(&line["data_bytes"]) == bytes;
    let connection = from_ports(&lines, port..port + 1);
    let established = expected(&[("state", "ESTABLISHED".into())]);
    let outside: Vec<_> = connection.iter().filter(|line| of(line, 10)).copied().collect();
    ensure!(outside.len() == 2 * TIMES, "{connection:#?}");
    for line in outside {
        let reason = line["drop_reason"].as_str();
        // A kernel of one reason for both sides calls it INVALID.
        let fits = matches!(
            reason,
            Some("TCP_OLD_SEQUENCE" | "TCP_INVALID_SEQUENCE" | "TCP_INVALID_END_SEQUENCE")
        );
        ensure!(fits, "{line}");
        ensure!(line["pid"] == std::process::id() && line["state"] == "ESTABLISHED", "{line}");
    }
    let stamped: Vec<_> = connection.iter().filter(|line| of(line, 20)).copied().collect();
    ensure!(stamped.len() == 2 * TIMES, "{connection:#?}");
    let paws: Vec<_> =
        stamped.into_iter().filter(|line| is(&line["drop_reason"], "TCP_RFC7323_PAWS")).collect();
    ensure!(paws.len() as u64 == far.counter("TcpExtPAWSEstab")?, "{connection:#?}");
    all_are(&paws, TIMES, &established, "TCP_RFC7323_PAWS")?;
    let strange = from_ports(&lines, 4001..4002);
    all_are(&strange, TIMES, &expected(&[("flags", "FIN|SYN".into())]), "TCP_FLAGS")
}

fn path() -> Result<()> {
    const TIMES: usize = 4;
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let client = near.within(|| Ok(TcpStream::connect(address)?))?;
    let _server = listener.accept()?;
    far.sysctl(&["net.ipv4.conf.all.rp_filter=1", "net.ipv4.conf.far.rp_filter=1"])?;
    let (out, back) = (in_netns(&near, "")?, in_netns(&far, "")?);
    let raw = Raw::new(&near, address)?;
    for nth in 0..TIMES {
        let from = SocketAddr::from((STRANGER, 4000 + u16::try_from(nth)?));
        raw.send(&Segment::of(from, SYN))?;
    }
    wait_for(&back, TIMES)?;
    let ended = back.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    let expected = [
        ("direction", "in".into()),
        ("raddr", STRANGER.to_string().into()),
        ("lport", address.port().into()),
        ("pid", std::process::id().into()),
        ("state", "LISTEN".into()),
    ];
    all_are(&lines.iter().collect::<Vec<_>>(), TIMES, &expected, "IP_RPFILTER")?;
    ensure!(far.counter("TcpExtIPReversePathFilter")? == TIMES as u64, "{lines:#?}");
    // A queue without room: what the client sends does not leave this host.
    let tc = |words: &str| output(near.command("tc").args(words.split_whitespace()));
    tc("qdisc add dev far root pfifo limit 0")?;
    std::io::Write::write_all(&mut &client, &[7; 100])?;
    wait_for(&out, 1)?;
    let ended = out.finish()?;
    let dropped = tc("-s qdisc show dev far")?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    let word = dropped.split_once("dropped ").and_then(|(_, rest)| rest.split_once(','));
    let truth: usize = word.context("no drops")?.0.parse()?;
    ensure!((1..=truth).contains(&lines.len()), "{truth} dropped: {lines:#?}");
    let expected = [
        ("direction", "out".into()),
        ("pid", std::process::id().into()),
        ("lport", client.local_addr()?.port().into()),
        ("state", "ESTABLISHED".into()),
        ("data_bytes", 100.into()),
        ("flags", "PSH|ACK".into()),
    ];
    all_are(&lines.iter().collect::<Vec<_>>(), lines.len(), &expected, "QDISC_DROP")
}

/// What nft counts in the first rule that has a counter.
pub fn counted(netns: &Netns) -> Result<u64> {
    let rules = output(netns.command("nft").args(["list", "ruleset"]))?;
    let packets = rules.split_once("counter packets ").context("no counter")?.1;
    Ok(packets.split(' ').next().unwrap_or_default().parse()?)
}

fn firewall() -> Result<()> {
    const TIMES: usize = 7;
    if emulated() {
        return Ok(()); // the guests have no nft
    }
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind(("0.0.0.0", 0))?))?;
    let address = SocketAddr::new(FAR.parse()?, listener.local_addr()?.port());
    let rules = "add table inet t
        add chain inet t in { type filter hook input priority 0; }
        add rule inet t in tcp sport 4000-4099 counter drop";
    output(far.command("nft").arg(rules))?;
    let tool = in_netns(&far, "")?;
    let raw = Raw::new(&near, address)?;
    for nth in 0..TIMES {
        raw.send(&Segment::new(4000 + u16::try_from(nth)?, SYN))?;
    }
    wait_for(&tool, TIMES)?;
    let ended = tool.finish()?;
    ended.complete()?;
    let lines = ended.of_kind("drop")?;
    ensure!(counted(&far)? == TIMES as u64, "nft counts otherwise");
    let expected = [
        ("direction", "in".into()),
        ("lport", address.port().into()),
        ("pid", std::process::id().into()),
        ("state", "LISTEN".into()),
    ];
    all_are(&lines.iter().collect::<Vec<_>>(), TIMES, &expected, "NETFILTER_DROP")
}

fn filtered() -> Result<()> {
    const TIMES: usize = 6;
    let (near, far) = Netns::pair()?;
    let listener = far.within(|| Ok(TcpListener::bind((FAR, 0))?))?;
    let address = listener.local_addr()?;
    let closed = far.within(|| Ok(TcpListener::bind((FAR, 0))?.local_addr()?))?;
    if !Reasons::of_kernel()?.any() {
        return Ok(());
    }
    let only = in_netns(&far, "--reason tcp_csum")?;
    let but = in_netns(&far, "--reason !TCP_*")?;
    let sums = in_netns(&far, "--summary -i 0.2")?;
    let ports = in_netns(&far, "--summary -i 0.2 --by port")?;
    let (damaged, stray) = (Raw::new(&near, address)?, Raw::new(&near, closed)?);
    for _ in 0..TIMES {
        damaged.send(&Segment { damaged: true, ..Segment::new(4000, SYN) })?;
        stray.send(&Segment::new(4001, SYN))?;
    }
    for (tool, reason) in [(only, "TCP_CSUM"), (but, "NO_SOCKET")] {
        wait_for(&tool, TIMES)?;
        let ended = tool.finish()?;
        ended.complete()?;
        let lines = ended.of_kind("drop")?;
        all_are(&lines.iter().collect::<Vec<_>>(), TIMES, &[], reason)?;
        let status = ended.last_status()?;
        ensure!(number(&status["filtered"]) >= TIMES as u64, "{status}");
    }
    let total = |line: &str| line.contains("\"total\":true") && !line.contains("\"drops\":0");
    for (tool, key, expected) in [
        (sums, "drop_reason", [Value::from("TCP_CSUM"), "NO_SOCKET".into()]),
        (ports, "lport", [address.port().into(), closed.port().into()]),
    ] {
        tool.wait_for("a total", |lines| lines.iter().any(|line| total(line)))?;
        let ended = tool.finish()?;
        ended.complete()?;
        let rows = ended.of_kind("drop_sum")?;
        let sum = |wanted: &dyn Fn(&Value) -> bool| -> u64 {
            rows.iter().filter(|row| wanted(row)).map(|row| number(&row["drops"])).sum()
        };
        ensure!(sum(&|row| row["total"] == true) == 2 * TIMES as u64, "{rows:#?}");
        for value in expected {
            let seen = sum(&|row| row["total"] == false && row[key] == value);
            ensure!(seen == TIMES as u64, "{value}: {seen}: {rows:#?}");
        }
    }
    Ok(())
}

fn unknown_reason() -> Result<()> {
    let mut command = std::process::Command::new(path_of("tcpdrop"));
    let out = command.args(["--reason", "timeout"]).output()?;
    let error = String::from_utf8_lossy(&out.stderr);
    ensure!(out.status.code() == Some(2), "{}: {error}", out.status);
    let expected = if Reasons::of_kernel()?.any() { "NO_SOCKET" } else { "gives no reasons" };
    ensure!(error.contains(expected), "{error}");
    Ok(())
}
