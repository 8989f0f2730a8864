//! Messages and exit codes of tools that fail.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;
use rustix::process::Signal;
use tcpscope::registry::TOOLS;
use tcpscope::tool::Tool as TheTool;

use crate::Test;
use crate::load::{self, Running};
use crate::netns::Netns;
use crate::shared::{every_mode, every_table, failing_connects, full_listener};
use crate::tool::{Tool, output, path_of};

pub const TESTS: &[(&str, Test)] = &[
    ("bad_values_are_refused_by_name", bad_values),
    ("an_ordinary_user_is_told_the_capabilities", ordinary_user),
    ("file_capabilities_are_enough", file_capabilities),
    ("a_user_namespace_is_named", user_namespace),
    ("a_refused_bpf_has_a_code_for_each_reason", refused_bpf),
    ("a_forced_method_that_is_not_there", forced_method),
    ("a_full_disk", full_disk),
    ("strict_turns_loss_into_failure", strict),
];

/// Those that measure.
fn tools() -> impl Iterator<Item = &'static TheTool> {
    TOOLS.into_iter().filter(|tool| !tool.modes.is_empty())
}

/// Whether a tool has a flag, spelt with its dashes.
pub fn has_flag(tool: &TheTool, flag: &str) -> bool {
    let command = (tool.command)();
    let mut arguments = command.get_arguments();
    arguments.any(|argument| match flag.strip_prefix("--") {
        Some(long) => argument.get_long() == Some(long),
        None => argument.get_short() == flag.chars().nth(1),
    })
}

/// The exit code and standard error of a command that ends by itself.
fn ends(command: &mut Command) -> Result<(Option<i32>, String)> {
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    Ok((out.status.code(), String::from_utf8_lossy(&out.stderr).into_owned()))
}

/// Expects an exit code and all of `words` in the message, and no trace of a panic.
fn refuses(command: &mut Command, code: i32, words: &[&str]) -> Result<()> {
    let (found, message) = ends(command)?;
    ensure!(found == Some(code), "{command:?} ended with {found:?}, not {code}: {message}");
    for word in words {
        ensure!(message.contains(word), "{command:?} does not say {word:?}: {message}");
    }
    ensure!(!message.contains("panicked") && !message.contains("libbpf:"), "{message}");
    Ok(())
}

fn bad_values() -> Result<()> {
    let both = [
        ("--port 70000", "70000"),
        ("--addr 10.0.0.0/33", "10.0.0.0/33"),
        ("-i 0", "0"),
        ("-i -1", "-1"),
        ("-i 9223372036854775808", "century"),
        ("-n 0", "0"),
        ("-4 -6", "--ipv6"),
        ("-p abc", "abc"),
        ("--lport 9-5", "9-5"),
        ("--netns /no/such/netns", "/no/such/netns"),
        ("--cgroup /no/such/cgroup", "/no/such/cgroup"),
        ("--attach magic", "magic"),
    ];
    let own = [
        ("tcpstates", "--state NO_STATE", "NO_STATE"),
        ("tcpstates", "--slower fast", "fast"),
        ("tcpstates", "--slower 9223372036854775807", "century"),
        ("tcpcount", "1 5", "-i 1 -n 5"),
        ("tcpcount", "0.5", "-i 0.5"),
        ("tcpcount", "--format json", "--json"),
        ("tcpstates", "--summary --sort nonsense", "nonsense"),
        ("tcpcount", "--sort nonsense", "nonsense"),
        ("tcpcount", "--by weather", "weather"),
        ("tcpcount", "--by remote:200", "200"),
        ("tcplatency", "--kind weather", "response, service, rtt, connect, accept"),
        ("tcplatency", "--slower 10ms", "--slower needs --events"),
        ("tcplatency", "--events --slower fast", "fast"),
        ("tcplatency", "--by netns", "--netns narrows"),
        ("tcplatency", "--sort nonsense", "p999_ns"),
    ];
    let shared = tools().flat_map(|tool| {
        let known = |flags: &str| has_flag(tool, flags.split(' ').next().unwrap_or_default());
        let both = both.into_iter().filter(move |(flags, _)| known(flags));
        both.map(move |(flags, word)| (tool.name, flags, word))
    });
    for (tool, flags, word) in shared.chain(own) {
        let mut command = Command::new(path_of(tool));
        // A value that is taken after all must not keep the test waiting.
        command.args(["--json", "-d", "1"]).args(flags.split(' '));
        refuses(&mut command, 2, &[word])?;
    }
    Ok(())
}

/// A copy that anyone may run, in a folder of its own.
pub fn public_copy(tool: &str) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
    // Not written by this process: a test beside it that forks meanwhile would keep the file open for
    // writing, and it could not be run.
    output(Command::new("cp").arg(path_of(tool)).arg(folder.path().join(tool)))?;
    fs::set_permissions(folder.path().join(tool), fs::Permissions::from_mode(0o755))?;
    Ok(folder)
}

/// The user nobody, without any group, for setpriv.
const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// A command as the user nobody.
pub fn as_nobody(program: &std::path::Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(NOBODY).arg(program);
    command
}

fn ordinary_user() -> Result<()> {
    for tool in tools() {
        let folder = public_copy(tool.name)?;
        let mut command = as_nobody(&folder.path().join(tool.name));
        refuses(
            command.args(["--json", "-d", "1"]),
            3,
            &["CAP_BPF", "CAP_PERFMON", "sudo", "setcap"],
        )?;
    }
    Ok(())
}

fn file_capabilities() -> Result<()> {
    let netns = Netns::new("caps")?;
    let inode = netns.inode()?.to_string();
    let _listener = Running::listen(&netns, "--backlog 4")?;
    for (tool, flags) in every_mode("0.2") {
        let folder = public_copy(tool.name)?;
        let program = folder.path().join(tool.name);
        output(Command::new("setcap").arg("cap_bpf,cap_perfmon+ep").arg(&program))?;
        // Started inside the namespace: entering another takes a capability more.
        let mut command = Command::new("nsenter");
        command
            .arg(format!("--net={}", netns.path()))
            .arg("setpriv")
            .args(NOBODY)
            .arg(&program)
            .args(["--json", "--netns", &inode]);
        let run = Tool::spawn(command.args(flags.split_whitespace()))?;
        run.wait_for("first status line", |lines| !lines.is_empty())
            .with_context(|| format!("{} {flags}", tool.name))?;
        let _retransmits = full_listener(&netns)?;
        failing_connects(&netns)?;
        load::run(&netns, "life --conns 20")?;
        run.wait_for("a line of its own", |lines| {
            let own = |line: &String, kind| line.contains(&format!("\"kind\":\"{kind}\""));
            lines.iter().any(|line| tool.kinds.iter().any(|kind| own(line, kind)))
        })
        .with_context(|| format!("{} {flags}", tool.name))?;
        run.finish()?.complete()?;
    }
    Ok(())
}

fn user_namespace() -> Result<()> {
    for tool in tools() {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user"]).arg(path_of(tool.name));
        command.args(["--json", "-d", "1"]);
        refuses(&mut command, 6, &["user namespace"])?;
    }
    Ok(())
}

/// Runs a program whose `bpf()` fails: `bpf.py ERRNO PROGRAM ARGUMENT...`
pub const WITHOUT_BPF: &str = "
import ctypes, os, platform, struct, sys
number = {'x86_64': 321, 'aarch64': 280}[platform.machine()]
load, unless, back = 0x20, 0x15, 0x06
errno, allow = 0x50000 | int(sys.argv[1]), 0x7fff0000
steps = [(load, 0, 0, 0), (unless, 0, 1, number), (back, 0, 0, errno), (back, 0, 0, allow)]
code = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *step) for step in steps))
program = struct.pack('HxxxxxxQ', len(steps), ctypes.addressof(code))
prctl = ctypes.CDLL(None).prctl
assert prctl(38, 1, 0, 0, 0) == 0 and prctl(22, 2, ctypes.c_char_p(program), 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])
";

/// As seccomp filters of containers do it, and as a full cgroup does.
fn refused_bpf() -> Result<()> {
    for (errno, code, words) in [
        (Errno::PERM, 7, "seccomp"),
        (Errno::NOSYS, 11, "no system call bpf()"),
        (Errno::NOMEM, 12, "no memory"),
    ] {
        for tool in TOOLS {
            let mut command = Command::new("python3");
            command.args(["-c", WITHOUT_BPF, &errno.raw_os_error().to_string()]);
            command.arg(path_of(tool.name)).arg("--json");
            if tool.modes.is_empty() {
                let (found, message) = ends(&mut command)?;
                ensure!(found == Some(code), "{}: {found:?}: {message}", tool.name);
            } else {
                command.args(["-d", "1"]);
                refuses(&mut command, code, &[words])?;
            }
        }
    }
    Ok(())
}

fn forced_method() -> Result<()> {
    for tool in tools().map(|tool| tool.name) {
        for method in ["fentry", "kprobe"] {
            let mut command = Command::new(path_of(tool));
            let (code, message) = ends(command.args(["--json", "-d", "1", "--attach", method]))?;
            // Other kernels have them; where they are refused, it is said why, or what there is.
            let reason = ["tracepoint", "is refused", "has no"];
            let said = code == Some(8)
                && message.contains(method)
                && reason.iter().any(|why| message.contains(why));
            ensure!(said || code == Some(0), "{tool} --attach {method}: {code:?}: {message}");
        }
        let mut command = Command::new(path_of(tool));
        let (code, message) =
            ends(command.args(["--json", "-d", "0.2", "--attach", "tracepoint"]))?;
        ensure!(code == Some(0), "{tool} --attach tracepoint: {code:?}: {message}");
    }
    Ok(())
}

fn full_disk() -> Result<()> {
    let netns = Netns::new("full")?;
    let _hold = Running::hold(&netns, "--conns 3")?;
    let _traffic = Running::start(&netns, "reqresp --seconds 600")?;
    let json = every_mode("0.2").map(|(tool, flags)| (tool, format!("--json {flags}")));
    let path = netns.path();
    let measuring = json
        .chain(every_table("0.2"))
        .map(|(tool, flags)| (tool.name, format!("-d 5 --netns {path} {flags}")));
    let asking = TOOLS.into_iter().filter(|tool| tool.modes.is_empty());
    let asking = asking
        .flat_map(|tool| ["", "--json"].map(|format| (tool.name, format!("--plan-only {format}"))));
    for (tool, flags) in measuring.chain(asking) {
        let full = || fs::OpenOptions::new().write(true).open("/dev/full");
        let mut command = Command::new(path_of(tool));
        command.args(flags.split_whitespace());
        let out = command.stdout(full()?).stderr(Stdio::piped()).spawn()?.wait_with_output()?;
        let message = String::from_utf8_lossy(&out.stderr);
        ensure!(out.status.code() == Some(10), "{command:?}: {}: {message}", out.status);
        ensure!(message.contains("No space left on device"), "{message}");
        // Where the message cannot be written either, the code is the same.
        let status = command.stdout(full()?).stderr(full()?).status()?;
        ensure!(status.code() == Some(10), "{command:?} 2>&1: {status}");
    }
    Ok(())
}

fn strict() -> Result<()> {
    let netns = Netns::new("strict")?;
    let flags = format!("--strict --netns {} --buffer 256K", netns.path());
    let tool = Tool::start("tcpstates", &flags)?;
    load::run(&netns, "life --conns 20")?;
    tool.finish()?.complete()?;
    let tool = Tool::start("tcpstates", &flags)?;
    tool.signal(Signal::STOP)?;
    load::run(&netns, "churn --conns 2000")?;
    tool.signal(Signal::CONT)?;
    tool.signal(Signal::INT)?;
    let ended = tool.wait()?;
    ensure!(ended.status.code() == Some(9), "{}: {}", ended.status, ended.errors);
    ended.last_status()?;
    Ok(())
}
