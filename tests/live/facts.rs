//! Facts about the kernel against other sources.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use tcpscope::kernel::btf::{Btf, VMLINUX_BTF};
use tcpscope::kernel::facts::{Facts, Lockdown, SymbolNames};

use crate::Test;
use crate::tool::{output, path_of};

pub const TESTS: &[(&str, Test)] = &[
    ("bpftool_reads_the_same_functions", functions),
    ("names_are_there_or_not_as_bpftool_says", names),
    ("kallsyms_agrees", symbols),
];

pub const ALONE: &[(&str, Test)] = &[
    // It switches ftrace off for all.
    ("without_ftrace_no_function_is_hooked", ftrace_off),
];

/// Every nth function is compared.
const STEP: usize = 29;

fn dump() -> Result<String> {
    output(Command::new("bpftool").args(["btf", "dump", "file", VMLINUX_BTF]))
}

/// Text between the first two quotes: the name of a type.
fn quoted(line: &str) -> Option<&str> {
    line.split('\'').nth(1)
}

/// Id of the first function of each name, and the names of its parameters.
fn functions_in(dump: &str) -> Result<HashMap<String, (u32, Vec<String>)>> {
    let mut prototypes: HashMap<u32, Vec<String>> = HashMap::new();
    let mut found: BTreeMap<u32, (&str, u32)> = BTreeMap::new();
    let mut current = None;
    for line in dump.lines() {
        // [7] FUNC 'name' type_id=6 linkage=static, or below a FUNC_PROTO a tab and a parameter
        let Some((id, rest)) = line.strip_prefix('[').and_then(|line| line.split_once("] ")) else {
            if let Some(prototype) = current.and_then(|id| prototypes.get_mut(&id)) {
                prototype.push(match quoted(line) {
                    Some("(anon)") if line.ends_with("type_id=0") => "...".to_owned(),
                    Some("(anon)") => String::new(),
                    name => name.context("a parameter without name")?.to_owned(),
                });
            }
            continue;
        };
        let id = id.parse()?;
        current = rest.starts_with("FUNC_PROTO ").then_some(id);
        if current.is_some() {
            prototypes.insert(id, Vec::new());
        } else if rest.starts_with("FUNC ") {
            let prototype = rest.split("type_id=").nth(1).context("no type_id")?;
            let prototype = prototype.split(' ').next().unwrap_or_default().parse()?;
            found.insert(id, (quoted(rest).context("no name")?, prototype));
        }
    }
    let mut functions = HashMap::new();
    for (id, (name, prototype)) in found {
        let parameters = prototypes.get(&prototype).context("no prototype")?;
        functions.entry(name.to_owned()).or_insert_with(|| (id, parameters.clone()));
    }
    Ok(functions)
}

fn functions() -> Result<()> {
    let truth = functions_in(&dump()?)?;
    ensure!(truth.len() > 10_000, "bpftool shows {} functions only", truth.len());
    let mut wanted: Vec<_> = truth.keys().map(String::as_str).collect();
    wanted.sort_unstable();
    let tcp = wanted.iter().filter(|name| name.starts_with("tcp_"));
    let wanted: Vec<_> = wanted.iter().step_by(STEP).chain(tcp).copied().collect();
    let mut btf = Btf::of_kernel()?;
    let found = btf.names(&wanted)?;
    let found = btf.functions(&found)?;
    for name in wanted {
        let function = found.get(name).with_context(|| format!("{name} was not found"))?;
        let (id, parameters) = &truth[name];
        ensure!(function.id == *id, "{name} has id {id}, not {}", function.id);
        ensure!(function.parameters == *parameters, "{name}: {parameters:?}: {function:?}");
    }
    Ok(())
}

fn names() -> Result<()> {
    let dump = dump()?;
    let has = |kind: &str, name: &str| dump.contains(&format!("] {kind} '{name}' "));
    let tracepoints = ["tcp_probe", "sock_send_length", "sched_switch", "no_such_tracepoint"];
    let iterators = ["tcp", "task_file", "no_such_iterator"];
    let functions = ["tcp_sendmsg", "tcp_sendpage", "inet_csk_accept", "no_such_function"];
    let facts = Facts::read(&SymbolNames {
        tracepoints: tracepoints.into(),
        iterators: iterators.into(),
        functions: functions.into(),
    })?;
    for name in tracepoints {
        let truth = has("TYPEDEF", &format!("btf_trace_{name}"));
        ensure!(facts.tracepoints.contains(name) == truth, "tracepoint {name}: {truth}");
    }
    for name in iterators {
        let truth = has("STRUCT", &format!("bpf_iter__{name}"));
        ensure!(facts.iterators.contains(name) == truth, "iterator {name}: {truth}");
    }
    for name in functions {
        let truth = has("FUNC", name);
        ensure!(facts.functions.contains_key(name) == truth, "function {name}: {truth}");
    }
    let storage = has("FUNC", "bpf_sk_storage_tracing_allowed");
    ensure!(facts.socket_storage() == storage, "socket storage: {storage}");
    let cookie = has("FUNC", "bpf_get_socket_ptr_cookie");
    ensure!(facts.socket_cookie() == cookie, "socket cookie: {cookie}");
    Ok(())
}

fn symbols() -> Result<()> {
    let text = fs::read_to_string("/proc/kallsyms").context("/proc/kallsyms")?;
    let has = |name: &str| text.lines().any(|line| line.split(' ').nth(2) == Some(name));
    let functions = ["tcp_sendmsg", "tcp_recvmsg", "tcp_v4_do_rcv", "inet_csk_accept"];
    let facts =
        Facts::read(&SymbolNames { functions: functions.into(), ..SymbolNames::default() })?;
    for name in functions {
        let (described, there) = (facts.functions.contains_key(name), has(name));
        ensure!(described == there, "{name}: in BTF {described}, in /proc/kallsyms {there}");
    }
    let kprobes = has("register_kprobe") && facts.lockdown != Lockdown::Confidentiality;
    let refused = &facts.kprobe_refused;
    ensure!(refused.is_none() == kprobes, "kprobes: {kprobes}: {refused:?}");
    // It was tried, because the capabilities are present.
    let refused = facts.fentry_refused.unwrap_or_default();
    ensure!(refused.is_empty() || refused.contains("os error"), "{refused}");
    Ok(())
}

const FTRACE: &str = "/proc/sys/kernel/ftrace_enabled";

/// Puts the switch back whatever happens.
struct Switch(String);

impl Drop for Switch {
    fn drop(&mut self) {
        let _ = fs::write(FTRACE, &self.0);
    }
}

/// They would attach and never run. Kernels without such a switch, or with a fixed one, cannot
/// come into this.
fn ftrace_off() -> Result<()> {
    let Ok(before) = fs::read_to_string(FTRACE) else { return Ok(()) };
    let switch = Switch(before);
    if fs::write(FTRACE, "0").is_err() {
        return Ok(());
    }
    let facts =
        Facts::read(&SymbolNames { functions: vec!["tcp_sendmsg"], ..SymbolNames::default() })?;
    for refused in [&facts.fentry_refused, &facts.kprobe_refused] {
        let why = refused.as_deref().unwrap_or_default();
        ensure!(why.contains("ftrace_enabled is 0"), "{why}");
    }
    for method in ["fentry", "kprobe"] {
        let mut command = Command::new(path_of("tcpcount"));
        let ended = command.args(["-d", "1", "--attach", method]).output()?;
        ensure!(ended.status.code() == Some(8), "{method}: {ended:?}");
    }
    drop(switch);
    Ok(())
}
