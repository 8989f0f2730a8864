//! tcpscope-check on the kernels of tests/facts, and with obstacles.

use anyhow::Result;
use tcpscope::check as tool;
use tcpscope::check::{FactsRecord, HookRecord, Machine, Report, Symbols, ToolRecord};
use tcpscope::kernel::attach::AttachMethod;
use tcpscope::kernel::error::StartError;
use tcpscope::kernel::facts::{Facts, Lockdown};
use tcpscope::kernel::plan::{Plan, PlanRequest};
use tcpscope::registry::wanted;
use tcpscope::report::Format;
use tcpscope::tool::{Mode, Tool};

use super::{NOW, check, printed, sections};

type Load = fn(&'static Tool, &'static Mode) -> Result<Plan>;

const KERNELS: [&str; 5] =
    ["debian-5.10", "debian-6.1", "debian-6.12", "hardened-6.18", "debian-7.2"];

fn facts(name: &str) -> Facts {
    let path = format!("{}/tests/facts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn machine() -> Machine {
    Machine { machine: "x86_64".to_owned(), memlock_bytes: Some(8 << 20), ..Machine::default() }
}

fn report(facts: Facts, request: PlanRequest, load: Option<Load>) -> Report {
    let missing = wanted().functions.into_iter();
    let missing = missing.filter(|name| !facts.functions.contains_key(*name));
    let mut symbols: Symbols = missing.map(|name| (name, Vec::new())).collect();
    if let Some(symbols) = symbols.get_mut("inet_twsk_kill") {
        symbols.push("inet_twsk_kill.isra.0".to_owned());
    }
    let symbols = facts.btf.then_some(symbols);
    Report::new((NOW, facts, machine()), symbols, request, load)
}

fn plan(facts: Facts) -> Report {
    report(facts, PlanRequest::default(), None)
}

/// One that loads on every kernel.
fn loaded(facts: Facts) -> Report {
    let load: Load =
        |_, mode| Ok(mode.spec.plan(&self::facts("debian-6.12"), PlanRequest::default())?);
    report(facts, PlanRequest::default(), Some(load))
}

/// The kernel does not take one of the programs, and forbids another tool altogether.
fn failing() -> Report {
    let load: Load = |_, mode| {
        let kernel = facts("debian-6.12");
        if mode.spec.name == "tcpcount" {
            let detail = "Operation not permitted (os error 1)".to_owned();
            return Err(StartError::Forbidden { lockdown: kernel.lockdown, detail }.into());
        }
        let refused = [("use_send_fentry".to_owned(), "R1 invalid mem access 'scalar'".to_owned())];
        Ok(mode.spec.plan(&Facts { refused: refused.into(), ..kernel }, PlanRequest::default())?)
    };
    report(facts("debian-6.12"), PlanRequest::default(), Some(load))
}

/// As under a container's seccomp filter.
fn forbidden() -> Report {
    let load: Load = |_, _| {
        let detail = "Operation not permitted (os error 1)".to_owned();
        Err(StartError::Forbidden { lockdown: Lockdown::None, detail }.into())
    };
    report(facts("hardened-6.18"), PlanRequest::default(), Some(load))
}

fn hostile() -> Facts {
    let nasty = "\x1b[2J\u{202e}gnp\u{9b}31m\n".to_owned();
    let mut facts = facts("debian-7.2");
    facts.functions.insert("tcp_recvmsg".to_owned(), vec![nasty.clone(), "x".repeat(300)]);
    facts.functions.remove("inet_twsk_kill");
    facts.refused.insert("segment_tracepoint".to_owned(), nasty.clone());
    facts.kprobe_refused = Some(nasty.clone());
    Facts { release: nasty, ..facts }
}

/// Titles, the tools to show (none: all), and reports.
fn cases() -> Vec<(&'static str, &'static [&'static str], Report)> {
    let unprivileged = |facts| Facts { capabilities: 0, root: false, ..facts };
    let kprobe = PlanRequest { forced: Some(AttachMethod::Kprobe), ..PlanRequest::default() };
    let untried = Some("not tried: it takes CAP_BPF and CAP_PERFMON".to_owned());
    let ordinary = Facts { fentry_refused: untried, ..unprivileged(facts("debian-6.1")) };
    let few = Facts { capabilities: 3 << 38, root: false, ..facts("debian-5.10") };
    let contained = Facts { init_userns: false, ..facts("debian-7.2") };
    let no_btf = Facts { btf: false, functions: [].into(), ..facts("debian-7.2") };
    let two: &[_] = &["tcpstates", "tcpcount"];
    vec![
        ("everything loads", &[], loaded(facts("debian-6.12"))),
        ("one program is refused, and one tool forbidden", two, failing()),
        ("every tool is forbidden", two, forbidden()),
        ("an ordinary user", two, plan(ordinary)),
        ("few capabilities where maps are locked memory", two, plan(few)),
        ("inside a user namespace", two, plan(contained)),
        ("no BTF", two, plan(no_btf)),
        (
            "--attach kprobe",
            &["tcpcount", "tcplatency", "listenoverflow"],
            report(facts("debian-7.2"), kprobe, None),
        ),
        (
            "--attach kprobe",
            &["tcpcount", "listenoverflow"],
            report(facts("hardened-6.18"), kprobe, None),
        ),
        ("hostile facts", two, plan(hostile())),
    ]
}

/// The page of every tool, or of some: which hook is served by what is a matter of `tests/plan/`,
/// and the same for every tool that has the hook.
fn page(mut report: Report, tools: &[&str]) -> String {
    for line in tool::text(&report).lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert!(!line.contains(char::is_control) && !line.contains('\u{202e}'), "{line:?}");
        assert_eq!(line.trim_end(), line);
    }
    report.tools.retain(|tool| tools.is_empty() || tools.contains(&tool.title().as_str()));
    tool::text(&report)
}

#[test]
fn text() {
    let kernels = KERNELS.map(|name| (name.to_owned(), page(plan(facts(name)), &["tcpstates"])));
    let cases =
        cases().into_iter().map(|(title, tools, report)| (title.to_owned(), page(report, tools)));
    check("check.txt", &sections(kernels.into_iter().chain(cases)));
}

#[test]
fn json() {
    let reports = [plan(facts("debian-5.10")), failing(), plan(hostile())];
    let lines = reports.iter().map(|report| {
        printed(Format::Json, |printer| {
            printer.text(&tool::text(report)).unwrap();
            printer.record(&FactsRecord::new(report), "").unwrap();
            for tool in &report.tools {
                for hook in &tool.hooks {
                    printer.record(&HookRecord::new(report.ts, tool, hook), "").unwrap();
                }
                printer.record(&ToolRecord::new(report.ts, tool), "").unwrap();
            }
        })
    });
    let lines = lines.collect::<String>();
    assert!(!lines.contains('\u{202e}') && !lines.contains('\x1b') && !lines.contains('\u{9b}'));
    check("check.jsonl", &lines);
}

/// What the recipe for a fixture takes out of the JSON.
#[test]
fn facts_come_back_from_json() {
    for facts in KERNELS.map(facts).into_iter().chain([hostile()]) {
        let report = plan(facts.clone());
        let line = printed(Format::Json, |p| p.record(&FactsRecord::new(&report), "").unwrap());
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(serde_json::from_value::<Facts>(line["facts"].clone()).unwrap(), facts);
    }
}
