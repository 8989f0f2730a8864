//! What every tool promises: how it ends, what it leaves, and its output.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use rustix::process::Signal;
use serde_json::Value;
use tcpscope::registry::modes;
use tcpscope::tool::Tool as TheTool;

use crate::Test;
use crate::errors::has_flag;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::setting::patience;
use crate::tool::{BpfObjects, Tool, number, output, path_of, until};

pub const TESTS: &[(&str, Test)] = &[
    ("head_ends_it_quietly", head),
    ("signals_end_it_before_the_next_interval", signals),
    ("nothing_stays_after_kill_9", kill_9),
    ("a_slow_pipe_gets_every_line", slow_pipe),
    ("a_slow_reader_does_not_put_off_the_end", slow_reader),
    ("jq_accepts_every_line_even_when_killed", jq),
    ("two_copies_see_the_same", two_copies),
    ("output_fits_the_schema", schema),
    ("hostile_names_stay_harmless", hostile_names),
];

/// Every mode of every tool, as it prints JSON each `interval` seconds whatever the traffic.
pub fn every_mode(interval: &str) -> impl Iterator<Item = (&'static TheTool, String)> {
    modes().map(move |(tool, mode)| {
        // It leaves out idle listeners otherwise.
        // Of a tool with sums, --all is a flag of these.
        let sums = has_flag(tool, "--summary") && mode.flag != Some("--summary");
        let all = if has_flag(tool, "--all") && !sums { "--all" } else { "" };
        // It ends by itself otherwise.
        let watch = if has_flag(tool, "--watch") { "--watch" } else { "" };
        (tool, format!("{} {all} {watch} -i {interval}", mode.flag.unwrap_or_default()))
    })
}

/// Those that print tables; the others draw on a screen, or print what is wrong if anything is.
pub fn every_table(interval: &str) -> impl Iterator<Item = (&'static TheTool, String)> {
    every_mode(interval)
        .filter(|(tool, _)| !["--snapshot", "--watch"].iter().any(|flag| has_flag(tool, flag)))
}

/// An interval whose end no test will live to see.
const LONG: &str = "10000";

fn head() -> Result<()> {
    let netns = Netns::new("head")?;
    let _hold = Running::hold(&netns, "--conns 3")?;
    let _traffic = Running::start(&netns, "reqresp --seconds 600")?;
    let json = every_mode("0.2").chain(every_mode(LONG));
    let json = json.map(|(tool, flags)| (tool, format!("--json {flags}")));
    // A table says nothing before its first interval.
    for (tool, flags) in json.chain(every_table("0.2")) {
        let mut command = Command::new(path_of(tool.name));
        command.args(["--netns", &netns.path()]).args(flags.split_whitespace());
        command.stderr(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).spawn()?;
        let mut reader = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut line = String::new();
        reader.read_line(&mut line)?;
        ensure!(!line.is_empty(), "{command:?} printed nothing");
        drop(reader);
        let status = until("it ends", || Ok(child.try_wait()?))?;
        let mut errors = String::new();
        child.stderr.take().context("no standard error")?.read_to_string(&mut errors)?;
        ensure!(status.success(), "{command:?}: {status}: {errors}");
        ensure!(!errors.contains("panicked") && !errors.contains("pipe"), "{errors}");
    }
    Ok(())
}

fn signals() -> Result<()> {
    for (tool, flags) in every_mode(LONG).map(|(tool, flags)| (tool.name, flags)) {
        for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
            let running = Tool::start(tool, &flags)?;
            running.signal(signal)?;
            let ended = running.wait()?;
            ensure!(ended.status.success(), "{tool} {flags}: {signal:?}: {}", ended.status);
            ensure!(ended.errors.is_empty(), "{tool} {flags}: {signal:?}: {}", ended.errors);
            ended.last_status()?;
        }
    }
    Ok(())
}

/// Everything of a kind that the kernel has. bpftool fails when something ends meanwhile.
fn bpftool(kind: &str) -> Result<Vec<Value>> {
    until(&format!("bpftool lists every {kind}"), || {
        let list = output(Command::new("bpftool").args(["-j", kind, "show"]));
        Ok(list.ok().and_then(|text| serde_json::from_str(&text).ok()))
    })
}

/// All BPF programs, maps and links of the machine.
pub fn bpf_objects() -> Result<BpfObjects> {
    let mut found = BpfObjects::new();
    for kind in ["prog", "map", "link"] {
        found.extend(bpftool(kind)?.iter().map(|one| (kind.to_owned(), number(&one["id"]))));
    }
    Ok(found)
}

fn kill_9() -> Result<()> {
    for (tool, flags) in every_mode("0.2").map(|(tool, flags)| (tool.name, flags)) {
        let running = Tool::start(tool, &flags)?;
        let during = running.bpf_objects()?;
        ensure!(during.is_subset(&bpf_objects()?), "bpftool does not list {during:?}");
        for kind in ["prog", "map", "link"] {
            let held = during.iter().any(|(its, _)| its == kind);
            ensure!(held, "{tool} {flags} holds no {kind}: {during:?}");
        }
        running.signal(Signal::KILL)?;
        running.wait()?;
        // The kernel frees them a little later.
        until(&format!("nothing of {tool} {flags} is left of {during:?}"), || {
            Ok(bpf_objects()?.is_disjoint(&during).then_some(()))
        })?;
    }
    Ok(())
}

/// More events than the reader takes: the hooks go when the time is over, the rest is printed.
fn slow_reader() -> Result<()> {
    let netns = Netns::new("late")?;
    let mut command = Command::new(path_of("tcpstates"));
    command.args(["--json", "--duration", "1", "--buffer", "64K", "--netns", &netns.path()]);
    let mut tool = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut reader = BufReader::with_capacity(512, tool.stdout.take().context("no output")?);
    let mut first = String::new();
    reader.read_line(&mut first)?;
    // It continues after the tool has ended.
    let churn = Running::start(&netns, "churn --seconds 600")?;
    let begin = Instant::now();
    let mut lines: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
        lines.push(line);
        if lines.len().is_multiple_of(20) {
            thread::sleep(Duration::from_millis(5));
        }
        ensure!(begin.elapsed() < patience(), "still printing, traffic or not");
    }
    ensure!(tool.wait()?.success(), "the tool failed");
    drop(churn);
    let last: Value = serde_json::from_str(lines.last().context("no lines")?)?;
    ensure!(last["final"] == true && last["pending"] == 0, "{last}");
    ensure!(number(&last["lost"]) > 0, "the reader was not slow enough: {last}");
    let states = lines.iter().filter(|line| line.contains("\"kind\":\"state\"")).count() as u64;
    ensure!(states == number(&last["delivered"]), "{states} lines: {last}");
    Ok(())
}

fn slow_pipe() -> Result<()> {
    let netns = Netns::new("slow")?;
    let mut command = Command::new(path_of("tcpstates"));
    command.args(["--json", "--netns", &netns.path()]);
    let mut tool = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let mut reader = BufReader::with_capacity(512, tool.stdout.take().context("no output")?);
    let mut lines = vec![String::new()];
    reader.read_line(&mut lines[0])?;
    let churn = load::run(&netns, "churn --conns 1500")?;
    let transitions = &churn["transitions"];
    let made: u64 =
        ["client", "server", "listener"].map(|side| number(&transitions[side])).iter().sum();
    let mut states = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            break;
        }
        if lines.len().is_multiple_of(1000) {
            thread::sleep(Duration::from_millis(100));
        }
        states += u64::from(line.contains("\"kind\":\"state\""));
        if states == made && !line.contains("\"final\":true") {
            let pid = i32::try_from(tool.id()).ok().and_then(rustix::process::Pid::from_raw);
            // A second signal must not end it any faster.
            let _ = rustix::process::kill_process(pid.context("pid")?, Signal::INT);
        }
        lines.push(line);
    }
    ensure!(tool.wait()?.success(), "the tool failed");
    for line in &lines {
        serde_json::from_str::<Value>(line).with_context(|| line.clone())?;
    }
    let last: Value = serde_json::from_str(lines.last().context("no lines")?)?;
    ensure!(number(&last["delivered"]) == made && number(&last["lost"]) == 0, "{made}: {last}");
    Ok(())
}

/// A listener with a full queue, and connections to it of which the last sends its SYN again and again.
pub fn full_listener(netns: &Netns) -> Result<(TcpListener, Vec<TcpStream>)> {
    netns.within(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        rustix::net::listen(&listener, 0)?;
        let address = listener.local_addr()?;
        let connect = |_| {
            let socket = rustix::net::socket_with(
                AddressFamily::INET,
                SocketType::STREAM,
                SocketFlags::CLOEXEC,
                None,
            )?;
            rustix::io::ioctl_fionbio(&socket, true)?;
            match rustix::net::connect(&socket, &address) {
                Ok(()) | Err(Errno::INPROGRESS) => Ok(TcpStream::from(socket)),
                Err(error) => Err(error.into()),
            }
        };
        let connections = (0..2).map(connect).collect::<Result<_>>()?;
        Ok((listener, connections))
    })
}

/// Two sockets with the same local port: one of them cannot connect to the same remote end. And one where nobody
/// listens: the kernel drops its SYN.
pub fn failing_connects(netns: &Netns) -> Result<()> {
    netns.within(|| {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let to = listener.local_addr()?;
        let bound = |address: &SocketAddr| -> Result<OwnedFd> {
            let flags = rustix::net::SocketFlags::CLOEXEC;
            let socket =
                rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
            rustix::net::sockopt::set_socket_reuseaddr(&socket, true)?;
            rustix::net::bind(&socket, address)?;
            Ok(socket)
        };
        let first = bound(&"127.0.0.1:0".parse()?)?;
        let second = bound(&TcpStream::from(first.try_clone()?).local_addr()?)?;
        rustix::net::connect(&first, &to)?;
        let error = rustix::net::connect(&second, &to).err();
        ensure!(error == Some(Errno::ADDRNOTAVAIL), "{error:?}");
        drop(listener);
        // A process that another test starts has the listener until its exec().
        until("no process listens", || Ok(TcpStream::connect(to).is_err().then_some(())))
    })
}

fn jq() -> Result<()> {
    let netns = Netns::new("jq")?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("out");
    for (tool, flags) in every_mode("0.2").map(|(tool, flags)| (tool.name, flags)) {
        for signal in [Signal::INT, Signal::KILL] {
            let mut command = Command::new(path_of(tool));
            command.args(["--json", "--netns", &netns.path()]).args(flags.split_whitespace());
            let mut file = File::create(&path)?;
            // What a pipe takes at once gets there whole; in a file the kernel may cut a line where
            // the process dies while it writes.
            let to = if signal == Signal::KILL { Stdio::piped() } else { file.try_clone()?.into() };
            let mut child = command.stdout(to).stderr(Stdio::null()).spawn()?;
            let pipe = child.stdout.take();
            let copy = pipe.map(|mut out| thread::spawn(move || io::copy(&mut out, &mut file)));
            let longer = |than| Ok((fs::metadata(&path)?.len() > than).then_some(()));
            until("the first line is there", || longer(0))?;
            let opened = Running::start(&netns, "churn --seconds 600")?;
            let exchanged = Running::start(&netns, "reqresp --seconds 600")?;
            let _retransmits = full_listener(&netns)?;
            // In the middle of its work.
            let before = fs::metadata(&path)?.len();
            let printed = until("it prints", || {
                failing_connects(&netns)?;
                longer(before)
            });
            let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
            rustix::process::kill_process(pid.context("pid")?, signal)?;
            drop((opened, exchanged));
            child.wait()?;
            printed.with_context(|| format!("{tool} {flags}"))?;
            if let Some(copy) = copy {
                copy.join().map_err(|_| anyhow::anyhow!("copy"))??;
            }
            output(Command::new("jq").args(["-e", ".kind"]).arg(&path))
                .with_context(|| format!("{tool} {flags} {signal:?}"))?;
            // The first ones are of every kind that it has.
            fit_the_schema(fs::read_to_string(&path)?.lines().take(1000))
                .with_context(|| format!("{tool} {flags} {signal:?}"))?;
        }
    }
    Ok(())
}

fn two_copies() -> Result<()> {
    let netns = Netns::new("two")?;
    let flags = format!("--netns {}", netns.path());
    let copies = [Tool::start("tcpstates", &flags)?, Tool::start("tcpstates", &flags)?];
    let churn = load::run(&netns, "churn --conns 300")?;
    let transitions = &churn["transitions"];
    let made: u64 =
        ["client", "server", "listener"].map(|side| number(&transitions[side])).iter().sum();
    let mut seen = Vec::new();
    for copy in copies {
        copy.wait_for_kind("state", usize::try_from(made)?)?;
        let ended = copy.finish()?;
        ended.complete()?;
        let mut lines = ended.of_kind("state")?;
        ensure!(lines.len() as u64 == made, "{} of {made}", lines.len());
        for line in &mut lines {
            // Each takes its own clock readings.
            line.as_object_mut()
                .context("no object")?
                .retain(|key, _| key != "ts" && key != "duration_ns");
        }
        // Two CPUs may take their turns at the two buffers in different order.
        let mut lines: Vec<_> = lines.iter().map(Value::to_string).collect();
        lines.sort();
        seen.push(lines);
    }
    ensure!(seen[0] == seen[1], "the copies differ");
    Ok(())
}

/// Expects lines that docs/json.schema.json allows.
pub fn fit_the_schema<'a>(lines: impl IntoIterator<Item = &'a str>) -> Result<()> {
    let schema: Value = serde_json::from_str(include_str!("../../docs/json.schema.json"))?;
    let validator = jsonschema::validator_for(&schema)?;
    for line in lines {
        let line: Value = serde_json::from_str(line)?;
        let wrong: Vec<_> = validator.iter_errors(&line).map(|e| e.to_string()).collect();
        ensure!(wrong.is_empty(), "{line}\n{}", wrong.join("\n"));
    }
    Ok(())
}

fn schema() -> Result<()> {
    let netns = Netns::new("schema")?;
    let hold = Running::hold(&netns, "--conns 3 --state close-wait")?;
    let mut runs = vec![("tcpstates", "state", String::new())];
    for by in ["", "--by process", "--by remote", "--by port"] {
        runs.push(("tcpstates", "sockets", format!("--summary -i 0.2 {by}")));
    }
    runs.push(("tcpstates", "close_wait", "--summary -i 0.2".into()));
    for by in ["process", "connection", "remote", "remote:8", "port", "cgroup", "netns", "total"] {
        runs.push(("tcpcount", "count", format!("-i 0.2 --by {by}")));
    }
    for by in ["process", "connection", "remote", "remote:8", "port", "cgroup", "total"] {
        runs.push(("tcplatency", "latency", format!("-i 0.2 --buckets --by {by}")));
    }
    runs.push(("tcplatency", "exchange", "--events --kind response,service,rtt,connect".into()));
    for (tool, kind, flags) in runs {
        let running = Tool::start(tool, &format!("{flags} --netns {}", netns.path()))?;
        load::run(&netns, "life --conns 20")?;
        running.wait_for_kind(kind, 2).with_context(|| format!("{tool} {flags}"))?;
        let ended = running.finish()?;
        fit_the_schema(ended.lines.iter().map(String::as_str))
            .with_context(|| format!("{tool} {flags}"))?;
    }
    hold.release()
}

fn hostile_names() -> Result<()> {
    let names: [&[u8]; 4] = [
        b"\x1b[2J\x1b[31mX",
        b"a\xff\xfe\xc3(b",
        "x\u{202e}gnp\u{9b}".as_bytes(),
        b"tab\tnl\ndel\x7f\"\\",
    ];
    let netns = Netns::new("names")?;
    for name in names {
        let hex = name.iter().fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"));
        // Of a process that loses no segment tcpretrans and tcpdrop show nothing.
        let silent = ["retrans", "drop"];
        let shown = |tool: &TheTool| !silent.iter().any(|kind| tool.kinds.contains(kind));
        // Nor do tcpports --events of one whose connects find a port.
        let fails = |flags: &str| !flags.contains("--events");
        let tables = every_table("0.2").filter(|(tool, _)| shown(tool));
        let ports = |tool: &TheTool| tool.kinds.contains(&"ports");
        for (tool, flags) in tables.filter(|(tool, flags)| !ports(tool) || fails(flags)) {
            // It counts by state alone otherwise.
            let by = if flags.contains("--summary") { "--by process" } else { "" };
            let flags = format!("--netns {} {flags} {by}", netns.path());
            let json = Tool::start(tool.name, &flags)?;
            let links = json.links()?;
            let mut command = Command::new(path_of(tool.name));
            let table = Tool::spawn(command.args(flags.split_whitespace()))?;
            // A table says nothing before its first row, but it has as many links as the other.
            until("both are attached", || Ok((table.links()? == links).then_some(())))?;
            let process = Running::named(&netns, &format!("--hold --comm-hex {hex}"))?;
            let pid = process.ready["pid"].clone();
            json.wait_for("line of it", |lines| {
                let all = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
                all.into_iter().any(|line| line["pid"] == pid && line["comm"].is_string())
            })
            .with_context(|| format!("{} {flags}", tool.name))?;
            table
                .wait_for("row of it", |lines| {
                    lines.iter().any(|line| line.contains(&pid.to_string()))
                })
                .with_context(|| format!("{} {flags}", tool.name))?;
            fit_the_schema(json.finish()?.lines.iter().map(String::as_str))?;
            process.release()?;
            let text = table.finish()?.lines.join("\n");
            let control = text
                .chars()
                .find(|&c| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c));
            ensure!(control.is_none(), "{control:?} in the table:\n{text:?}");
        }
    }
    Ok(())
}
