//! tcpscope-check's report against the tools' behaviour.

use std::env;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::thread;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};
use tcpscope::kernel::facts::Facts;
use tcpscope::registry::{modes, wanted};

use crate::Test;
use crate::errors::{as_nobody, public_copy};
use crate::setting::{path_of, tool_command};
use crate::shared::{bpf_objects, fit_the_schema};
use crate::tool::{output, until};

pub const TESTS: &[(&str, Test)] = &[
    ("it_says_what_the_tools_do", as_the_tools),
    ("its_plan_is_what_the_tools_do", as_planned),
    ("so_it_does_of_sockets_in_a_hash_map", in_a_hash_map),
    ("a_forced_method_ends_as_the_tools_do", forced),
    ("facts_are_a_fixture", fixture),
    ("a_plan_loads_nothing", plan_only),
    ("an_ordinary_user_gets_the_plan", ordinary_user),
    ("file_capabilities_are_enough", file_capabilities),
    ("a_user_namespace_is_named", user_namespace),
    ("a_kernel_without_btf", no_btf),
    ("jq_and_the_schema_accept_it", jq),
    ("head_and_a_full_disk_end_it", head_and_full_disk),
];

pub const ALONE: &[(&str, Test)] = &[
    // It lists the BPF objects of the machine.
    ("nothing_stays_loaded", nothing_stays),
];

const CHECK: &str = "tcpscope-check";

fn check() -> Command {
    tool_command(&[], CHECK)
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Expects an exit code, nothing on standard error, and all of `words` in the output.
fn says(command: &mut Command, code: i32, words: &[&str]) -> Result<String> {
    let Output { status, stdout, stderr } =
        command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    let (said, errors) = (text(&stdout), text(&stderr));
    ensure!(status.code() == Some(code), "{command:?}: {status}, not {code}: {said}{errors}");
    ensure!(errors.is_empty(), "{command:?}: {errors}");
    for word in words {
        ensure!(said.contains(word), "{command:?} does not say {word:?}: {said}");
    }
    for line in said.lines() {
        ensure!(line.starts_with('{') || line.chars().count() <= 100, "too long: {line}");
    }
    Ok(said)
}

/// The lines of `--json` of one kind.
fn lines(command: &mut Command, kind: &str) -> Result<Vec<Value>> {
    of_kind(&command.arg("--json").stderr(Stdio::null()).output()?, kind)
}

fn of_kind(said: &Output, kind: &str) -> Result<Vec<Value>> {
    let lines = text(&said.stdout);
    let lines = lines.lines().map(serde_json::from_str::<Value>).collect::<Result<Vec<_>, _>>()?;
    Ok(lines.into_iter().filter(|line| line["kind"] == kind).collect())
}

/// The attach method of each hook, as in a status record.
fn attached(hooks: &[Value], tool: &Value, mode: &Value) -> Map<String, Value> {
    let own = hooks.iter().filter(|hook| hook["tool"] == *tool && hook["mode"] == *mode);
    own.map(|hook| {
        let method = if hook["attach"].is_null() { "-".into() } else { hook["attach"].clone() };
        (hook["hook"].as_str().unwrap_or_default().to_owned(), method)
    })
    .collect()
}

/// Where the lab keeps what it has started.
fn lab() -> Option<PathBuf> {
    Some(PathBuf::from(env::var_os("TCPSCOPE_STARTED")?))
}

/// How a tool ended that was run briefly before without flags, and its output.
fn started(tool: &str) -> Option<(i64, String)> {
    let folder = lab()?;
    let read = |kind| fs::read_to_string(folder.join(format!("{tool}.{kind}"))).ok();
    Some((read("code")?.trim().parse().ok()?, read("json")?))
}

/// The same, run now.
fn start(tool: &str, mode: Option<&str>, flags: &[&str]) -> Result<(i64, String)> {
    let mut command = tool_command(&[], tool);
    command.args(["--json", "-d", "0.1"]).args(mode).args(flags).stdin(Stdio::null());
    let ended = command.output()?;
    Ok((ended.status.code().context("killed")?.into(), text(&ended.stdout)))
}

/// Runs a tool for a moment: its exit code and the hooks of its first status.
fn run(tool: &Value, flags: &[&str]) -> Result<(i64, Map<String, Value>)> {
    let (name, mode) = (tool["tool"].as_str().context("tool")?, tool["mode"].as_str());
    let before = started(name).filter(|_| mode.is_none() && flags.is_empty());
    let (code, printed) = before.map_or_else(|| start(name, mode, flags), Ok)?;
    let first = printed.lines().next().map(serde_json::from_str::<Value>);
    let status = first.transpose()?.unwrap_or_default();
    let attached = status["attach"].as_object().cloned().unwrap_or_default();
    Ok((code, attached))
}

/// The verdict on a tool is how it ends, and its hooks are those of its status.
fn agree(hooks: &[Value], tool: &Value, flags: &[&str]) -> Result<()> {
    let (code, status) = run(tool, flags)?;
    ensure!(tool["exit_code"] == code, "{flags:?}: it ended with {code}: {tool}");
    ensure!(tool["starts"] == (code == 0), "{tool}");
    if code == 0 {
        let reported = attached(hooks, &tool["tool"], &tool["mode"]);
        ensure!(reported == status, "{flags:?}: {tool}: {reported:?} is not {status:?}");
    }
    Ok(())
}

fn compare(flags: &[&str]) -> Result<()> {
    let said = check().arg("--json").args(flags).stdin(Stdio::null()).output()?;
    let (hooks, tools) = (of_kind(&said, "hook")?, of_kind(&said, "tool")?);
    ensure!(tools.len() == modes().count(), "{tools:?}");
    let first_failure =
        tools.iter().find_map(|tool| tool["exit_code"].as_i64().filter(|code| *code != 0));
    // Two at a time, for the verifier takes its time in a guest.
    let (even, odd): (Vec<_>, Vec<_>) = tools.iter().enumerate().partition(|(n, _)| n % 2 == 0);
    let all_agree = |half: Vec<(usize, &Value)>| {
        half.into_iter().try_for_each(|(_, tool)| agree(&hooks, tool, flags))
    };
    thread::scope(|scope| {
        let other = scope.spawn(|| all_agree(odd));
        all_agree(even).and(other.join().expect("no panic"))
    })?;
    let ended = said.status.code().map(i64::from);
    ensure!(ended == first_failure.or(Some(0)), "{flags:?}: {ended:?}, not {first_failure:?}");
    Ok(())
}

fn as_the_tools() -> Result<()> {
    compare(&[])
}

/// Loading every mode of every tool is what takes the time of a guest. It is spared where the plan,
/// which cannot know what the kernel will refuse, is enough.
fn as_planned() -> Result<()> {
    let all_agree = |flags: &[&str]| -> Result<()> {
        let said = check().arg("--json").args(flags).stdin(Stdio::null()).output()?;
        let (hooks, tools) = (of_kind(&said, "hook")?, of_kind(&said, "tool")?);
        // The lab does not start every tool in every cell.
        let is_started =
            |tool: &Value| started(tool["tool"].as_str().unwrap_or_default()).is_some();
        let mut plain = tools
            .iter()
            .filter(|tool| tool["mode"].is_null() && (lab().is_none() || is_started(tool)));
        ensure!(plain.clone().next().is_some(), "no tool was started");
        plain.try_for_each(|tool| agree(&hooks, tool, &[]))
    };
    all_agree(&["--plan-only"]).or_else(|_| all_agree(&[]))
}

fn in_a_hash_map() -> Result<()> {
    compare(&["--track", "hash"])
}

fn forced() -> Result<()> {
    for method in ["fentry", "kprobe", "tracepoint", "raw-tracepoint"] {
        compare(&["--attach", method])?;
    }
    Ok(())
}

fn fixture() -> Result<()> {
    let line = lines(&mut check(), "facts")?.pop().context("no facts")?;
    let facts: Facts = serde_json::from_value(line["facts"].clone())?;
    ensure!(facts == Facts::read(&wanted())?, "{line}");
    ensure!(line["kernel"] == facts.release.as_str(), "{line}");
    Ok(())
}

fn nothing_stays() -> Result<()> {
    let before = bpf_objects()?;
    says(&mut check(), 0, &["Every tool can start."])?;
    // The kernel frees them a little later; others may come and go meanwhile.
    until("no more objects than before", || Ok(bpf_objects()?.is_subset(&before).then_some(())))
}

fn plan_only() -> Result<()> {
    says(check().arg("--plan-only"), 0, &["nothing was loaded", "according to its plan"])?;
    for tool in lines(check().arg("--plan-only"), "tool")? {
        ensure!(tool["loaded"].is_null() && tool["starts"] == true, "{tool}");
    }
    for tool in lines(&mut check(), "tool")? {
        ensure!(tool["loaded"] == true && tool["reason"].is_null(), "{tool}");
    }
    Ok(())
}

fn ordinary_user() -> Result<()> {
    let folder = public_copy(CHECK)?;
    let program = folder.path().join(CHECK);
    let words = [
        "not tried: it needs CAP_BPF and CAP_PERFMON",
        "not root",
        "setcap cap_bpf,cap_perfmon+ep",
        "inet_sock_set_state",
        "No tool can start: exit code 3.",
    ];
    says(&mut as_nobody(&program), 3, &words)?;
    for tool in lines(&mut as_nobody(&program), "tool")? {
        ensure!(tool["exit_code"] == 3 && tool["loaded"].is_null(), "{tool}");
        ensure!(tool["reason"].as_str().is_some_and(|why| why.contains("CAP_BPF")), "{tool}");
    }
    let facts = lines(&mut as_nobody(&program), "facts")?;
    ensure!(facts[0]["missing"] == serde_json::json!(["CAP_BPF", "CAP_PERFMON"]), "{facts:?}");
    Ok(())
}

fn file_capabilities() -> Result<()> {
    let folder = public_copy(CHECK)?;
    let program = folder.path().join(CHECK);
    output(Command::new("setcap").arg("cap_bpf,cap_perfmon+ep").arg(&program))?;
    says(&mut as_nobody(&program), 0, &["not root", "Every tool can start."]).map(drop)
}

fn user_namespace() -> Result<()> {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user"]).arg(path_of(CHECK));
    says(&mut command, 6, &["an unprivileged user namespace", "only inside this namespace"])
        .map(drop)
}

/// Seen from where sysfs shows none.
fn no_btf() -> Result<()> {
    let mut command = Command::new("unshare");
    let hide = "mount -t tmpfs none /sys/kernel/btf && exec \"$0\"";
    command.args(["--mount", "sh", "-c", hide]).arg(path_of(CHECK));
    let said = says(&mut command, 4, &["CONFIG_DEBUG_INFO_BTF", "not tried: it needs BTF"])?;
    ensure!(!said.contains("inet_sock_set_state"), "nothing is known of hooks: {said}");
    Ok(())
}

fn jq() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for flags in [&[][..], &["--plan-only"], &["--attach", "fentry"]] {
        let path = folder.path().join("out");
        check().arg("--json").args(flags).stdout(fs::File::create(&path)?).status()?;
        output(Command::new("jq").args(["-e", ".kind"]).arg(&path))?;
        fit_the_schema(fs::read_to_string(&path)?.lines())?;
    }
    Ok(())
}

fn head_and_full_disk() -> Result<()> {
    for flags in [&["--json"][..], &[]] {
        let mut child =
            check().args(flags).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        let mut reader = BufReader::with_capacity(16, child.stdout.take().context("no output")?);
        let mut first = String::new();
        reader.read_line(&mut first)?;
        ensure!(!first.is_empty(), "nothing was printed");
        drop(reader);
        let ended = child.wait_with_output()?;
        ensure!(ended.status.success() && ended.stderr.is_empty(), "{ended:?}");

        let full = fs::OpenOptions::new().write(true).open("/dev/full")?;
        let ended = check().args(flags).stdout(full).stderr(Stdio::piped()).output()?;
        ensure!(ended.status.code() == Some(10), "{flags:?}: {ended:?}");
        ensure!(text(&ended.stderr).contains("No space left on device"), "{ended:?}");
    }
    Ok(())
}
