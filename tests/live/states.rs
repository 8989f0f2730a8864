//! tcpstates: transitions, durations and owners against a script, and its loss accounting.

use std::collections::BTreeSet;
use std::io;
use std::net::TcpListener;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use serde_json::Value;

use crate::Test;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::script::{self, Seen, bag, same, script};
use crate::setting::scaled;
use crate::tool::{Ended, Tool, number, output, path_of, until};

pub const TESTS: &[(&str, Test)] = &[
    ("scripted_life_of_1000_connections", scripted_life),
    ("filters_keep_exactly_what_they_name", filters),
    ("filters_together_keep_exactly_what_all_name", filters_together),
    ("an_owner_filter_keeps_exactly_its_owner", owner_filter),
    ("slower_keeps_the_deliberate_stays", slower),
    ("older_sockets_have_owners_but_no_duration", older_sockets),
    ("a_time_namespace_does_not_shift_times", time_namespace),
    ("stopped_during_120000_transitions", stopped),
    ("more_sockets_than_the_map_holds", full_map),
];

pub const ALONE: &[(&str, Test)] = &[
    // The map of a tool has the sockets of all namespaces, and must be full of its own.
    ("what_is_untracked_is_counted_exactly", untracked),
];

/// How often a script is played when the kernel skips runs of our programs, which it says.
const PLAYS: usize = 3;

/// How many scripts are tried for one that has something that a filter is to keep.
const SCRIPTS: usize = 5;

/// Its clocks have offsets, those of the programs in the kernel have not.
fn time_namespace() -> Result<()> {
    let netns = Netns::new("timens")?;
    for offset in ["1000000", "-1"] {
        let mut command = Command::new("unshare");
        command.args(["--time", "--kill-child", "--monotonic", offset, "--boottime", offset]);
        command.arg(path_of("tcpstates")).args(["--json", "--netns", &netns.path(), "-n", "20"]);
        let tool = Tool::spawn(&mut command)?;
        tool.wait_for("first status line", |lines| !lines.is_empty())?;
        load::run(&netns, "life --conns 20")?;
        let ended = tool.wait()?;
        ensure!(ended.status.success(), "{}: {}", ended.status, ended.errors);
        let ts = |row: &Value| row["ts"].as_str().unwrap_or_default().to_owned();
        let (first, last) = (ended.of_kind("status")?.first().map(ts), ts(&ended.last_status()?));
        let states = ended.of_kind("state")?;
        // All are written alike, so the order of the texts is that of the times.
        let within = |row: &Value| first <= Some(ts(row)) && ts(row) <= last;
        ensure!(states.len() == 20 && states.iter().all(within), "{first:?}..{last}: {states:#?}");
    }
    Ok(())
}

/// Plays the script while the tool runs with `arguments`; waits for `lines` lines.
/// A play in which a softirq met our program at work on the same CPU is not complete, whatever
/// the tool does: it is counted as missed, and played again.
fn watch_life(
    conns: u64,
    arguments: impl Fn(&Netns) -> Result<String>,
    lines: impl Fn(&Value) -> usize,
) -> Result<(Value, Ended)> {
    for play in 1.. {
        let netns = Netns::new("life")?;
        // A slow machine sends a FIN twice: its end gone, the peer's TIME_WAIT is reset.
        netns.sysctl(&["net.ipv4.tcp_rfc1337=1"])?;
        // From inside, because polling another namespace needs more capabilities.
        let tool = Tool::start_in(&netns, "tcpstates", &arguments(&netns)?)?;
        let life = load::run(&netns, &format!("life --seed 7 --conns {conns}"))?;
        let all_there = tool.wait_for_kind("state", lines(&life));
        let ended = tool.finish()?;
        let missed = number(&ended.last_status()?["missed"]);
        if missed == 0 || play == PLAYS {
            let lacks = || script::lacking(&life, &ended).unwrap_or_default();
            all_there.with_context(|| format!("{missed} runs were skipped; {}", lacks()))?;
            return Ok((life, ended));
        }
    }
    unreachable!("the last play returns")
}

fn scripted_life() -> Result<()> {
    let all = |life: &Value| script(life).count() + 2 * listeners(life).len();
    let conns = scaled(1000, 100);
    let (life, ended) = watch_life(conns, |ns| Ok(format!("--netns {}", ns.path())), all)?;
    let (found, status) = (ended.of_kind("state")?, ended.last_status()?);
    let shown = script::without_undone(script::shown(&life, &status, &found));
    let expected = bag(script(&life).map(|(end, step)| Seen::new(end, step)));
    same(&expected, &bag(shown.iter().filter(|one| !one.of_listener()).cloned()))?;

    // The workers hold the listeners too, and are another program: a search may have found them.
    let master = number(&life["master"]);
    let workers: Vec<_> =
        life["workers"].as_array().context("workers")?.iter().map(number).collect();
    let owner = |one: &Seen| {
        if one.new == "CLOSE" && workers.contains(&one.pid) { master } else { one.pid }
    };
    let mut ports: Vec<_> = shown
        .into_iter()
        .filter(Seen::of_listener)
        .map(|one| (one.lport, one.new.clone(), owner(&one)))
        .collect();
    let mut expected: Vec<_> = listeners(&life)
        .into_iter()
        .flat_map(|port| ["LISTEN", "CLOSE"].map(|new| (port, new.to_owned(), master)))
        .collect();
    ports.sort();
    expected.sort();
    ensure!(ports == expected, "listeners: {ports:?} instead of {expected:?}");

    let names = [("clients", "life-client"), ("workers", "life-worker")];
    for (role, comm) in names {
        let pids: Vec<_> = life[role].as_array().context("actors")?.iter().map(number).collect();
        let strange =
            found.iter().find(|line| pids.contains(&number(&line["pid"])) && line["comm"] != comm);
        ensure!(strange.is_none(), "not called {comm}: {strange:?}");
    }
    ensure!(script::stays(&life, &status, &found)? > conns / 10, "too few deliberate stays");
    ended.complete()
}

fn listeners(life: &Value) -> Vec<u64> {
    life["listening_ports"].as_array().into_iter().flatten().map(number).collect()
}

/// A filter's flags for a script, and what it is to keep.
type Case = (&'static str, fn(&Seen) -> bool);

fn filters() -> Result<()> {
    let cases: [Case; 14] = [
        ("--from CLOSE_WAIT", |one| one.old == "CLOSE_WAIT"),
        ("--to CLOSE_WAIT,CLOSE", |one| one.new == "CLOSE_WAIT" || one.new == "CLOSE"),
        ("--from SYN_SENT --to close", |one| one.old == "SYN_SENT" && one.new == "CLOSE"),
        ("--lport 1-45000", |one| (1..=45_000).contains(&one.lport)),
        ("--rport 1-20000,45001-65535", |one| {
            (1..=20_000).contains(&one.rport) || one.rport > 45_000
        }),
        ("--port 1-45000", |one| [one.lport, one.rport].iter().any(|p| (1..=45_000).contains(p))),
        ("-4", |one| !one.laddr.contains(':')),
        ("-6", |one| one.laddr.contains(':')),
        ("--raddr ::1", |one| one.raddr == "::1"),
        ("--laddr 127.0.0.0/8", |one| one.laddr.starts_with("127.")),
        ("--state CLOSE_WAIT,CLOSING", |one| {
            [&one.old, &one.new].into_iter().any(|s| s == "CLOSE_WAIT" || s == "CLOSING")
        }),
        ("--state time-wait", |one| one.new == "TIME_WAIT"),
        ("--state FIN_WAIT2 -4", |one| {
            (one.old == "FIN_WAIT2" || one.new == "FIN_WAIT2") && !one.laddr.contains(':')
        }),
        ("--state SYN_SENT -6", |one| {
            (one.old == "SYN_SENT" || one.new == "SYN_SENT") && one.laddr.contains(':')
        }),
    ];
    cases.into_iter().try_for_each(keep)
}

/// Every kind of filter, in as few runs of the tool as there can be: kernels differ in where they have
/// what filters match, and each run takes its time where they are emulated.
fn filters_together() -> Result<()> {
    let cases: [Case; 3] = [
        ("--lport 1-45000 --laddr 127.0.0.0/8 -4", |one| {
            (1..=45_000).contains(&one.lport) && one.laddr.starts_with("127.")
        }),
        ("--rport 1-20000,45001-65535 --raddr ::1 -6", |one| {
            one.raddr == "::1" && ((1..=20_000).contains(&one.rport) || one.rport > 45_000)
        }),
        ("--port 1-45000 --state CLOSE_WAIT,time-wait", |one| {
            [one.lport, one.rport].iter().any(|port| (1..=45_000).contains(port))
                && [&one.old, &one.new].iter().any(|s| *s == "CLOSE_WAIT" || *s == "TIME_WAIT")
        }),
    ];
    cases.into_iter().try_for_each(keep)
}

/// Plays a script and expects of it what the filter is to keep.
fn keep((flags, keeps): Case) -> Result<()> {
    let wanted =
        |life: &Value| bag(script(life).map(|(end, step)| Seen::new(end, step)).filter(keeps));
    let arguments = |ns: &Netns| Ok(format!("--netns {} {flags}", ns.path()));
    let count = |life: &Value| wanted(life).values().sum::<i64>().try_into().unwrap_or(0);
    // The kernel chooses the ports, one after the other: all of a script may lie on one side of a limit.
    let mut play = 0;
    let (life, ended) = loop {
        let (life, ended) = watch_life(scaled(60, 20), arguments, count).context(flags)?;
        if !wanted(&life).is_empty() {
            break (life, ended);
        }
        play += 1;
        ensure!(play < SCRIPTS, "{flags}: none of {SCRIPTS} scripts has anything to keep");
    };
    let found = ended.of_kind("state")?;
    let found = script::shown(&life, &ended.last_status()?, &found);
    let found = script::without_undone(found).into_iter().filter(|one| !one.of_listener());
    same(&wanted(&life), &bag(found)).context(flags)?;
    ended.complete().context(flags)
}

/// The clients have a name of their own; what they own is known from their pids.
fn owner_filter() -> Result<()> {
    let client = |life: &Value, step: &Value| {
        life["clients"].as_array().is_some_and(|pids| pids.contains(&step["pid"]))
    };
    for glob in ["life-client", "life-cl*", "l?fe-[a-c]*", "*client"] {
        let arguments = |ns: &Netns| Ok(format!("--netns {} --comm {glob}", ns.path()));
        let count = |life: &Value| script(life).filter(|(_, step)| client(life, step)).count();
        let (life, ended) = watch_life(60, arguments, count).context(glob)?;
        let theirs = script(&life).filter(|(_, step)| client(&life, step));
        let expected = bag(theirs.map(|(end, step)| Seen::new(end, step)));
        let found = ended.of_kind("state")?;
        same(&expected, &bag(found.iter().map(|line| Seen::new(line, line)))).context(glob)?;
        ended.complete().context(glob)?;
    }
    Ok(())
}

fn slower() -> Result<()> {
    let long = |step: &Value| step["stay"].is_object();
    let arguments = |ns: &Netns| Ok(format!("--netns {} --slower 55ms", ns.path()));
    let count = |life: &Value| script(life).filter(|(_, step)| long(step)).count();
    let (life, ended) = watch_life(100, arguments, count)?;
    let found = ended.of_kind("state")?;
    let short = found.iter().find(|line| number(&line["duration_ns"]) < 55_000_000);
    ensure!(short.is_none(), "not slower: {short:?}");
    let shown = bag(found.iter().map(|line| Seen::new(line, line)));
    for (end, step) in script(&life).filter(|(_, step)| long(step)) {
        let one = Seen::new(end, step);
        ensure!(shown.contains_key(&one), "missing: {one:?}");
    }
    ended.complete()
}

/// Without the hook that asks the tables of open files, owners of older sockets are unknown.
pub fn knows_older_owners(ended: &Ended) -> Result<bool> {
    Ok(ended.last_status()?["attach"]["owners"] != "-")
}

fn older_sockets() -> Result<()> {
    const CONNS: usize = 50;
    let netns = Netns::new("older")?;
    let hold = Running::hold(&netns, &format!("--conns {CONNS}"))?;
    let owner = hold.ready["pids"][0].clone();
    let tool = Tool::start("tcpstates", &format!("--netns {}", netns.path()))?;
    hold.release()?;
    // Both ends of each connection, and the listener.
    let count = 2 * CONNS + 1;
    tool.wait_for_kind("state", count)?;
    let ended = tool.finish()?;
    let found = ended.of_kind("state")?;
    ensure!(found.len() == count, "{} transitions instead of {count}", found.len());
    let (owner, comm) = if knows_older_owners(&ended)? {
        (owner, Value::from("hold-part"))
    } else {
        (Value::Null, Value::Null)
    };
    for line in &found {
        ensure!(line["duration_ns"].is_null(), "this duration is unknown: {line}");
        ensure!(line["pid"] == owner, "not {owner}'s: {line}");
        ensure!(line["comm"] == comm, "not {comm}'s: {line}");
        ensure!(line["netns"] == netns.inode()?, "wrong namespace: {line}");
    }
    ended.complete()
}

fn stopped() -> Result<()> {
    let netns = Netns::new("stopped")?;
    let tool = Tool::start("tcpstates", &format!("--netns {} --buffer 1M", netns.path()))?;
    tool.signal(Signal::STOP)?;
    let churn = load::run(&netns, "churn --conns 12000")?;
    // The last ones may still be on their way where softirqs wait.
    until("all are closed", || {
        let mut ss = netns.command("ss");
        let open = output(ss.args(["-Htan", "exclude", "time-wait"]))?;
        Ok(open.trim().is_empty().then_some(()))
    })?;
    tool.signal(Signal::CONT)?;
    // From here on nothing happens in the namespace, and the loss must show all the same.
    tool.wait_for("status with a loss", |lines| {
        lines.iter().any(|line| {
            let line: Value = serde_json::from_str(line).unwrap_or_default();
            line["kind"] == "status" && number(&line["lost"]) > 0
        })
    })?;
    let ended = tool.finish()?;
    let status = ended.last_status()?;
    let transitions = &churn["transitions"];
    let made = ["client", "server", "listener"].map(|side| number(&transitions[side]));
    let (delivered, lost) = (number(&status["delivered"]), number(&status["lost"]));
    // The end of TIME_WAIT is no transition of the generator.
    let ends = ended.lines.iter().filter(|line| line.contains("\"old\":\"TIME_WAIT\"")).count();
    let made: u64 = made.iter().sum::<u64>() + ends as u64;
    // A run that the kernel skipped is neither, but it is counted.
    let skipped = number(&status["missed"]);
    let accounted = delivered + lost;
    ensure!(
        (accounted..=accounted + skipped).contains(&made),
        "{delivered} + {lost} of {made}, {skipped} skipped"
    );
    let shown = ended.of_kind("state")?.len() as u64;
    ensure!(shown == delivered, "{shown} lines, {delivered} said to be delivered");
    Ok(())
}

fn full_map() -> Result<()> {
    const MAP: usize = 64;
    const CONNS: usize = 400;
    let netns = Netns::new("map")?;
    let arguments = format!("--netns {} --track hash --track-max {MAP}", netns.path());
    let tool = Tool::start("tcpstates", &arguments)?;
    let begin = std::time::Instant::now();
    let hold = Running::hold(&netns, &format!("--conns {CONNS}"))?;
    // Four transitions of each connection, and the listener's first.
    tool.wait_for_kind("state", 4 * CONNS + 1)?;
    let all_there = std::time::Instant::now();
    tool.wait_for("status with untracked sockets", |lines| {
        let status = |line: &&String| line.contains("\"kind\":\"status\"");
        lines.iter().filter(status).any(|line| !line.contains("\"untracked\":0"))
    })?;
    let least = u64::try_from(all_there.elapsed().as_nanos())?;
    hold.release()?;
    tool.wait_for_kind("state", 6 * CONNS + 2)?;
    let most = u64::try_from(begin.elapsed().as_nanos())?;
    let ended = tool.finish()?;
    let found = ended.of_kind("state")?;
    let resets: Vec<_> =
        found.iter().filter(|one| one["old"] == "ESTABLISHED" && one["new"] == "CLOSE").collect();
    ensure!(resets.len() == 2 * CONNS, "{} resets", resets.len());
    let known: Vec<_> = resets.iter().filter_map(|one| one["duration_ns"].as_u64()).collect();
    ensure!(known.len() <= MAP, "{} durations from a map of {MAP}", known.len());
    let invented = known.iter().find(|duration| !(least..=most).contains(duration));
    ensure!(invented.is_none(), "{invented:?} ns, but the stay was {least} to {most} ns");
    let status = ended.last_status()?;
    ensure!(number(&status["untracked"]) > 0 && number(&status["lost"]) == 0, "{status}");
    Ok(())
}

/// A map filled by listeners outside of the filter has no room for others.
fn untracked() -> Result<()> {
    const MAP: usize = 64;
    let netns = Netns::new("untracked")?;
    let arguments = format!("--netns {} --track hash --track-max {MAP}", netns.path());
    let tool = Tool::start("tcpstates", &arguments)?;
    let fill = |_| TcpListener::bind("127.0.0.1:0");
    let listeners = (0..MAP).map(fill).collect::<io::Result<Vec<_>>>()?;
    let churn = load::run(&netns, "churn --conns 500")?;
    let made: u64 = ["client", "server", "listener"]
        .iter()
        .map(|side| number(&churn["transitions"][side]))
        .sum();
    tool.wait_for_kind("state", usize::try_from(made)?)?;
    let ended = tool.finish()?;
    drop(listeners);
    let found = ended.of_kind("state")?;
    // A socket that closes elsewhere leaves its place to one of ours. Such a socket shows what
    // is known of it; the one transition at which it got the place may not.
    let known: Vec<_> =
        found.iter().filter(|one| !one["duration_ns"].is_null() || !one["pid"].is_null()).collect();
    let lucky = known.iter().map(|one| number(&one["cookie"])).collect::<BTreeSet<_>>().len();
    ensure!(known.len() <= MAP, "{} transitions of sockets with a place", known.len());
    let (bare, lucky) = ((found.len() - known.len()) as u64, lucky as u64);
    let status = ended.last_status()?;
    let (counted, missed) = (number(&status["untracked"]), number(&status["missed"]));
    ensure!(counted <= bare && bare <= counted + lucky, "{bare} lines know nothing: {status}");
    ensure!(made - found.len() as u64 <= missed, "{made} were made: {status}");
    Ok(())
}
