//! What a filter or a row stands for: families, addresses, devices and namespaces.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Command, ExitStatus};

use anyhow::{Context, Result, ensure};
use rustix::net::sockopt::set_ipv6_v6only;
use rustix::net::{
    AddressFamily, SocketAddrV6, SocketFlags, SocketType, bind, listen, socket_with,
};

use tcpscope::filter::CgroupTree;
use tcpscope::wire::CgroupSource;

use crate::Test;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::setting::tool_command;
use crate::tool::{Ended, Tool, number, output, path_of, until};

pub const TESTS: &[(&str, Test)] = &[
    ("wildcard_listeners_serve_families_and_addresses", wildcard),
    ("a_later_namespace_of_the_same_inode_is_another", reused),
    ("a_namespace_is_followed_by_its_name", followed),
    ("a_cgroup_is_followed_by_its_path", cgroup),
    ("without_cgroup2_a_controller_names_cgroups", legacy_cgroups),
    ("all_namespaces_are_counted", everywhere),
    ("a_namespace_ends_while_it_is_watched", let_go),
    ("pids_are_those_of_the_tools_own_pid_namespace", pid_namespace),
];

const V4: u64 = 7037;
const DUAL: u64 = 7036;
const V6: u64 = 7035;
const ONE: u64 = 7034;

fn wildcard() -> Result<()> {
    let netns = Netns::new("wild")?;
    let _held = netns.within(|| {
        let bound = [("0.0.0.0", V4), ("[::]", DUAL), ("127.0.0.1", ONE)];
        let listeners = bound.map(|(addr, port)| TcpListener::bind(format!("{addr}:{port}")));
        let v6 = socket_with(AddressFamily::INET6, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        set_ipv6_v6only(&v6, true)?;
        bind(&v6, &SocketAddrV6::new(std::net::Ipv6Addr::UNSPECIFIED, u16::try_from(V6)?, 0, 0))?;
        listen(&v6, 8)?;
        Ok((listeners.into_iter().collect::<Result<Vec<_>, _>>()?, v6))
    })?;
    for (flags, expected) in [
        ("", vec![V4, DUAL, V6, ONE]),
        ("-4", vec![V4, DUAL, ONE]),
        ("-6", vec![DUAL, V6]),
        ("--laddr 10.77.0.2", vec![V4, DUAL]),
        ("--addr 127.0.0.0/8", vec![V4, DUAL, ONE]),
        ("--laddr fd00::1", vec![DUAL, V6]),
        ("--laddr ::/0", vec![V4, DUAL, V6, ONE]),
        ("--laddr 0.0.0.0", vec![V4]),
        ("--laddr ::", vec![DUAL, V6]),
    ] {
        let expected: BTreeSet<u64> = expected.into_iter().collect();
        for (tool, mode, kind, key) in [
            ("listenoverflow", "--all", "listener", "lport"),
            ("tcpstates", "--summary --by port", "sockets", "lport"),
        ] {
            let arguments = format!("{mode} -i 0.1 -n 1 --netns {} {flags}", netns.path());
            let ended = Tool::start(tool, &arguments)?.wait()?;
            let found: BTreeSet<u64> =
                ended.of_kind(kind)?.iter().map(|row| number(&row[key])).collect();
            ensure!(found == expected, "{tool} {flags}: {found:?} instead of {expected:?}");
        }
    }
    Ok(())
}

/// Bytes that the rows of an interval say were sent.
fn sent(ended: &Ended) -> Result<u64> {
    let rows = ended.of_kind("count")?;
    Ok(rows.iter().filter(|row| row["total"] == true).map(|row| number(&row["tx_bytes"])).sum())
}

/// Connections that send a byte in each direction; how many bytes were sent.
fn traffic(netns: &Netns) -> Result<u64> {
    bytes(&load::run(netns, CHURN)?)
}

const CHURN: &str = "churn --conns 40";

fn bytes(report: &serde_json::Value) -> Result<u64> {
    let sends = number(&report["sends"]);
    ensure!(sends > 0, "{report}");
    Ok(2 * sends)
}

fn reused() -> Result<()> {
    let first = Netns::new("first")?;
    let inode = first.inode()?;
    let by_path = Tool::start("tcpcount", &format!("--by total -i 0.2 --netns {}", first.path()))?;
    let by_inode = Tool::start("tcpcount", &format!("--by total -i 0.2 --netns {inode}"))?;
    let truth = traffic(&first)?;
    first.unname()?;
    // The kernel gives the number again, mostly at once.
    let mut later = Vec::new();
    for _ in 0..20 {
        later.push(Netns::new("later")?);
        if later.last().map(Netns::inode).transpose()? == Some(inode) {
            break;
        }
    }
    for netns in &later {
        traffic(netns)?;
    }
    for tool in [by_path, by_inode] {
        tool.wait_for("note that it is gone", |lines| {
            lines.iter().any(|line| line.contains("\"note\"") && line.contains("is gone"))
        })?;
        let ended = tool.finish()?;
        let found = sent(&ended)?;
        ensure!(found == truth, "{found} bytes instead of {truth}: {:#?}", ended.lines);
    }
    first.rename()
}

fn followed() -> Result<()> {
    let netns = Netns::new("again")?;
    let tool = Tool::start("tcpcount", &format!("--by netns -i 0.2 --netns {}", netns.name()))?;
    let mut truth = traffic(&netns)?;
    netns.unname()?;
    netns.rename()?;
    let inode = netns.inode()?;
    tool.wait_for("note of the new one", |lines| {
        lines.iter().any(|line| line.contains(&format!("namespace now: {inode}")))
    })?;
    truth += traffic(&netns)?;
    let ended = tool.finish()?;
    let found = sent(&ended)?;
    ensure!(found == truth, "{found} bytes instead of {truth}: {:#?}", ended.lines);
    let rows = ended.of_kind("count")?;
    let mut later = rows.iter().filter(|row| row["netns"] == inode).peekable();
    ensure!(later.peek().is_some(), "{rows:#?}");
    ensure!(later.all(|row| row["netns_name"] == netns.name()), "{rows:#?}");
    Ok(())
}

/// A cgroup of its own, removed when dropped.
struct Service(std::path::PathBuf);

impl Service {
    fn begin(&self) -> Result<()> {
        Ok(std::fs::create_dir(&self.0)?)
    }

    fn end(&self) -> Result<()> {
        // The last process may still be leaving.
        until("the cgroup is empty", || Ok(std::fs::remove_dir(&self.0).is_ok().then_some(())))
    }

    /// The same by processes in it.
    fn traffic(&self, netns: &Netns) -> Result<u64> {
        let procs = self.0.join("cgroup.procs");
        let script = format!("echo $$ > {} && exec \"$0\" \"$@\"", procs.display());
        // Unlike `ip netns exec`, nsenter leaves the mounts of cgroups as they are.
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", netns.path()))
            .args(["sh", "-c"])
            .arg(script)
            .arg(load::tcpload()?)
            .args(CHURN.split(' '));
        let text = output(&mut command)?;
        bytes(&serde_json::from_str(text.lines().last().unwrap_or("{}"))?)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

fn cgroup() -> Result<()> {
    // Without the unified hierarchy there is nothing to filter by.
    let Some(CgroupTree { mount, source: CgroupSource::Unified }) = CgroupTree::find() else {
        return Ok(());
    };
    let name = format!("tcpscope-test-{}", std::process::id());
    let service = Service(mount.join(&name));
    let netns = Netns::new("cgroup")?;
    service.begin()?;
    let flags = format!("--by total -i 0.2 --cgroup {name} --netns {}", netns.path());
    let tool = Tool::start("tcpcount", &flags)?;
    let mut truth = service.traffic(&netns)?;
    service.end()?;
    traffic(&netns)?;
    service.begin()?;
    tool.wait_for("note of the new one", |lines| {
        lines.iter().any(|line| line.contains("is a new one now"))
    })?;
    truth += service.traffic(&netns)?;
    let ended = tool.finish()?;
    let found = sent(&ended)?;
    ensure!(found == truth, "{found} bytes instead of {truth}: {:#?}", ended.lines);
    Ok(())
}

/// The tool where no cgroup2 is mounted, and processes in a cgroup of the memory controller, if there
/// is such a hierarchy.
fn legacy_cgroups() -> Result<()> {
    const UNMOUNT: &str = r#"
        while m=$(awk '$3 == "cgroup2" { print $2; exit }' /proc/mounts) && [ -n "$m" ]; do
            umount -l "$m"
        done
        exec "$@"
    "#;
    let netns = Netns::new("legacy")?;
    let mut command = tool_command(&["unshare", "-m", "sh", "-c", UNMOUNT, "sh"], "tcpcount");
    command.args(["--json", "--by", "cgroup", "-i", "0.2", "--netns", &netns.path()]);
    let tool = Tool::spawn(&mut command)?;
    tool.wait_for_kind("note", 1)?;
    let memory = std::path::Path::new("/sys/fs/cgroup/memory");
    let name = format!("tcpscope-test-legacy-{}", std::process::id());
    let service = Service(memory.join(&name));
    let named = memory.join("cgroup.procs").exists();
    if named {
        service.begin()?;
        service.traffic(&netns)?;
    }
    let ended = tool.finish()?;
    let notes = ended.of_kind("note")?;
    let text = notes[0]["text"].as_str().unwrap_or_default();
    ensure!(text.contains("no cgroup2 file system is mounted"), "{notes:#?}");
    let rows = ended.of_kind("count")?;
    let path = format!("/{name}");
    let found = rows.iter().any(|row| row["cgroup"] == path.as_str());
    ensure!(found == named, "{path}: {rows:#?}");
    Ok(())
}

fn everywhere() -> Result<()> {
    let both = [Netns::new("one")?, Netns::new("two")?];
    let _held: Vec<_> = both
        .iter()
        .map(|netns| Running::hold(netns, "--state established --conns 7"))
        .collect::<Result<_>>()?;
    let truth = |netns: &Netns| -> Result<u64> {
        let ss = output(netns.command("ss").args(["-tnH", "state", "established"]))?;
        Ok(ss.lines().count() as u64)
    };
    let ended = Tool::start("tcpstates", "--summary --by netns -i 0.2 -n 1")?.wait()?;
    let rows = ended.of_kind("sockets")?;
    for netns in &both {
        let (inode, truth) = (netns.inode()?, truth(netns)?);
        let established =
            |row: &&serde_json::Value| row["netns"] == inode && row["state"] == "ESTABLISHED";
        let row = rows.iter().find(established);
        let row = row.with_context(|| format!("no row of {inode}: {rows:#?}"))?;
        ensure!(row["count"] == truth && row["netns_name"] == netns.name(), "{truth}: {row}");
        ensure!(number(&row["namespaces"]) > 2 && row["not_entered"] == 0, "{row}");
    }
    let dash = Tool::start("tcpdash", "-i 0.3")?;
    dash.wait_for_kind("mib", 1)?;
    let before = both[1].counter("TcpActiveOpens")?;
    load::run(&both[1], CHURN)?;
    let opened = both[1].counter("TcpActiveOpens")? - before;
    let lines = dash.lines();
    dash.wait_for("a later sample", |all| {
        all.iter().skip(lines).filter(|line| line.contains("\"mib\"")).count() > 1
    })?;
    let ended = dash.finish()?;
    let mibs = ended.of_kind("mib")?;
    let sums = mibs.iter().filter(|row| row["part"] == false);
    let found: u64 = sums.map(|row| number(&row["active_opens"])).sum();
    ensure!(opened >= 40 && found >= opened, "{found} of {opened}: {mibs:#?}");
    let scoped = |row: &serde_json::Value| row["netns"].is_null() && number(&row["namespaces"]) > 2;
    let (parts, all): (Vec<_>, Vec<_>) = mibs.iter().partition(|row| row["part"] == true);
    ensure!(all.iter().all(|row| scoped(row)), "{mibs:#?}");
    let inode = both[1].inode()?;
    let of_part = parts.iter().filter(|row| row["netns"] == inode);
    let in_part: u64 = of_part.map(|row| number(&row["active_opens"])).sum();
    ensure!(in_part == opened, "{in_part} of {opened} in the part: {mibs:#?}");
    let sockets = ended.of_kind("socket")?;
    for netns in &both {
        let inode = netns.inode()?;
        ensure!(sockets.iter().any(|row| row["netns"] == inode), "no socket of {inode}");
    }
    Ok(())
}

/// A link ends with the namespace of its other end.
fn let_go() -> Result<()> {
    for (tool, flags, kind) in [
        ("tcpstates", "--summary -i 0.2", "sockets"),
        ("tcpdash", "-i 0.2", "sockets"),
        ("listenoverflow", "--all -i 0.2", "status"),
    ] {
        let (near, far) = (Netns::new("near")?, Netns::new("far")?);
        near.ip(&["link", "add", "va", "type", "veth", "peer", "name", "vb", "netns", far.name()])?;
        let tool = Tool::start(tool, &format!("{flags} --netns {}", far.path()))?;
        tool.wait_for_kind(kind, 1)?;
        far.unname()?;
        until("the namespace ends", || {
            Ok(near.ip(&["link", "show", "va"]).is_err().then_some(()))
        })?;
        tool.wait_for("note that it is gone", |lines| {
            lines.iter().any(|line| line.contains("is gone"))
        })?;
        tool.finish()?;
        far.rename()?;
    }
    Ok(())
}

/// The tool and its traffic in a PID namespace, as in a container. Processes have low numbers there,
/// which are those of kernel threads outside.
fn pid_namespace() -> Result<()> {
    const SCRIPT: &str = r#"
        mkfifo "$2/fifo"
        "$1" $3 > "$2/fifo" &
        exec 4< "$2/fifo"
        read -r first <&4
        "$0" churn --conns 40 > "$2/report"
        kill -TERM $!
        cat <&4
    "#;
    let netns = Netns::new("pidns")?;
    let folder = tempfile::tempdir()?;
    let method = std::env::var("TCPSCOPE_ATTACH").unwrap_or_else(|_| "auto".to_owned());
    let numbers: Vec<_> = (1..=16).map(|number: u32| number.to_string()).collect();
    let flags = format!("--attach {method} --json --by process -i 30 -p {}", numbers.join(","));
    let mut command = netns.command("unshare");
    command.args(["-pf", "--kill-child", "--mount-proc", "sh", "-c", SCRIPT]);
    command.arg(load::tcpload()?).arg(path_of("tcpcount")).arg(folder.path()).arg(flags);
    let lines = output(&mut command)?.lines().map(str::to_owned).collect();
    let ended = Ended { lines, errors: String::new(), status: ExitStatus::default() };
    let report = std::fs::read_to_string(folder.path().join("report"))?;
    let report: serde_json::Value = serde_json::from_str(report.trim())?;
    let rows = ended.of_kind("count")?;
    let found = sent(&ended)?;
    ensure!(found == bytes(&report)?, "{found} bytes of {report}: {rows:#?}");
    for side in ["client_pid", "server_pid"] {
        ensure!(rows.iter().any(|row| row["pid"] == report[side]), "no {side}: {report} {rows:#?}");
    }
    let status = ended.last_status()?;
    ensure!(number(&status["pid_namespace"]) > 0, "{status}");
    Ok(())
}
