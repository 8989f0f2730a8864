//! The status of a tool.

use tcpscope::report::{Attached, Format, Status, Ts};

use super::{NOW, check, printed, sections};

fn start() -> Status {
    Status {
        ts: Ts(NOW),
        tool: "tcpstates".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        kernel: "6.1.192".into(),
        attach: Attached(
            [("state", "tracepoint"), ("send", "-"), ("owners", "iterator")]
                .map(|(hook, method)| (hook.into(), method.into()))
                .into(),
        ),
        untracked: Some(0),
        untracked_means: tcpscope::states::TCPSTATES.untracked_means,
        missed: Some(0),
        cpu_ns: Some(3_210_000),
        eventful: true,
        ..Status::default()
    }
}

/// A run from its start to its end.
fn run(lossy: bool) -> Vec<Status> {
    let loss = Status {
        attempted: 1_200,
        delivered: 1_000,
        lost: 120,
        filtered: 60,
        pending: 20,
        untracked: Some(7),
        missed: Some(2),
        cpu_ns: Some(45_678_000),
        ..start()
    };
    let good = Status { attempted: 1_200, delivered: 1_140, filtered: 60, ..start() };
    let end = if lossy {
        Status { delivered: 1_020, pending: 0, last: true, ..loss.clone() }
    } else {
        Status { last: true, ..good }
    };
    // The same loss is reported once.
    let middle = if lossy { vec![loss.clone(), loss] } else { Vec::new() };
    [start()].into_iter().chain(middle).chain([end]).collect()
}

fn render(format: Format, run: &[Status]) -> String {
    printed(format, |printer| run.iter().for_each(|status| printer.status(status).unwrap()))
}

#[test]
fn table() {
    let table = |run: Vec<Status>| render(Format::Table, &run);
    let quiet = |status: Status| Status { eventful: false, ..status };
    check(
        "status.txt",
        &sections([
            ("all went well".to_owned(), table(run(false))),
            ("with losses".to_owned(), table(run(true))),
            (
                "not about events, with losses".to_owned(),
                table(run(true).into_iter().map(quiet).collect()),
            ),
            (
                "not about events, all well".to_owned(),
                table(run(false).into_iter().map(quiet).collect()),
            ),
        ]),
    );
}

#[test]
fn json() {
    let unknown = Status {
        untracked: None,
        missed: None,
        cpu_ns: None,
        attach: Attached::default(),
        last: true,
        ..start()
    };
    check("status.jsonl", &render(Format::Json, &[run(true), vec![unknown]].concat()));
}
