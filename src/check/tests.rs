use anyhow::anyhow;

use super::*;
use crate::kernel::facts::Lockdown;

type Load = fn(&'static Tool, &'static Mode) -> Result<Plan>;

fn facts(name: &str) -> Facts {
    let path = format!("{}/tests/facts/{name}.json", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn report(facts: Facts, load: Option<Load>) -> Report {
    Report::new((0, facts, Machine::default()), None, PlanRequest::default(), load)
}

#[test]
fn without_loading_it_is_a_plan_only() {
    let report = report(facts("debian-7.2"), None);
    assert_eq!(report.exit_code(), 0);
    assert!(report.tools.iter().all(|tool| matches!(tool.verdict, Verdict::Planned)));
    let titles: Vec<_> = report.tools.iter().map(ToolReport::title).collect();
    let all = [
        "tcpstates",
        "tcpstates --summary",
        "tcpcount",
        "tcpcount --light",
        "tcplatency",
        "tcplatency --events",
        "listenoverflow",
        "listenoverflow --wait",
        "tcpretrans",
        "tcpretrans --summary",
        "tcpretrans --probes",
        "tcplife",
        "tcpports",
        "tcpports --cost",
        "tcpports --events",
        "tcpdrop",
        "tcpstall",
        "tcpdash",
        "tcpdash --light",
        "tcpdoctor",
    ];
    assert_eq!(titles, all);
}

/// What did load may be less than what was planned.
#[test]
fn hooks_are_those_of_what_was_loaded() {
    let load: Load = |_, mode| {
        let refused = [("recv_tracepoint".to_owned(), "R1 !read_ok".to_owned())].into();
        Ok(mode.spec.plan(&Facts { refused, ..facts("debian-7.2") }, PlanRequest::default())?)
    };
    let report = report(facts("debian-7.2"), Some(load));
    assert!(report.tools.iter().all(|tool| matches!(tool.verdict, Verdict::Loads)));
    let recv = report.tools[2].hooks.iter().find(|hook| hook.name == "recv").unwrap();
    assert_eq!(recv.method, Some(AttachMethod::Fentry));
    let (method, reason) = &recv.passed_over[0];
    assert_eq!(*method, AttachMethod::Tracepoint);
    assert!(reason.contains("recv_tracepoint") && reason.contains("R1 !read_ok"), "{reason}");
}

#[test]
fn the_first_failure_is_the_exit_code() {
    let load: Load = |_, mode| match mode.spec.name {
        "tcpcount" => {
            let (lockdown, detail) = (Lockdown::None, String::new());
            Err(StartError::Forbidden { lockdown, detail }.into())
        }
        _ => Ok(mode.spec.plan(&facts("debian-6.1"), PlanRequest::default())?),
    };
    assert_eq!(report(facts("debian-6.1"), Some(load)).exit_code(), 7);
    let load: Load = |_, _| Err(anyhow!("who knows"));
    assert_eq!(report(facts("debian-6.1"), Some(load)).exit_code(), 1);
}

#[test]
fn missing_capabilities_still_show_the_plan() {
    let never: Load = |_, _| unreachable!("nothing is loaded without the rights");
    let unprivileged = Facts { capabilities: 0, root: false, ..facts("debian-7.2") };
    let inside = Facts { init_userns: false, ..facts("debian-7.2") };
    for (facts, code) in [(unprivileged, 3), (inside, 6)] {
        let report = report(facts, Some(never));
        assert_eq!(report.exit_code(), code);
        assert_eq!(report.obstacle.as_ref().map(StartError::exit_code), Some(code));
        assert!(report.tools.iter().all(|tool| tool.hooks[0].method.is_some()));
    }
}

/// Names that were not requested are not missing.
#[test]
fn without_btf_hooks_are_not_reported() {
    let bare =
        Facts { btf: false, tracepoints: [].into(), functions: [].into(), ..facts("debian-7.2") };
    let report = report(bare, None);
    assert_eq!(report.exit_code(), 4);
    assert!(report.tools.iter().all(|tool| tool.hooks.is_empty()));
}

#[test]
fn a_tool_that_cannot_start_lists_its_usable_hooks() {
    let mut poor = facts("hardened-6.18");
    poor.tracepoints.remove("sock_send_length");
    let report = report(poor, None);
    assert_eq!(report.exit_code(), 5);
    let count = &report.tools[2];
    let served: Vec<_> = count.hooks.iter().map(|hook| hook.method.is_some()).collect();
    assert_eq!(count.hooks[1].name, "send");
    assert_eq!(served, [true, false, true, false, true, true, true, true, true, true]);
}

#[test]
fn a_blank_follows_every_hook_name() {
    let report = report(facts("debian-7.2"), None);
    let text = text::text(&report);
    for tool in &report.tools {
        let title = format!("{}: can start", tool.title());
        let part = text.lines().skip_while(|line| !line.starts_with(&title)).skip(1);
        let entries: Vec<_> = part
            .take_while(|line| line.starts_with("  "))
            .filter_map(|line| line[2..].split(' ').next().filter(|name| !name.is_empty()))
            .collect();
        let names: Vec<_> = tool.hooks.iter().map(|hook| hook.name).collect();
        assert_eq!(entries, names, "{text}");
    }
}
