use super::*;
use crate::report::Ts;
use crate::tcp_state::TcpState;

fn model(lines: &[&str]) -> Model {
    let mut model = Model::default();
    for line in lines {
        model.take(AnyRecord::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}")));
    }
    model.settle();
    model
}

const SOCKETS: [&str; 4] = [
    r#"{"kind":"sockets","ts":"2026-01-02T03:04:05Z","state":"TIME_WAIT","by":null,"netns":1,"count":12000}"#,
    r#"{"kind":"sockets","ts":"2026-01-02T03:04:05Z","state":"CLOSE","by":null,"netns":1,"count":null}"#,
    r#"{"kind":"sockets","ts":"2026-01-02T03:04:05Z","state":"TIME_WAIT","by":null,"netns":2,"count":1}"#,
    r#"{"kind":"sockets","ts":"2026-01-02T03:04:05Z","state":"TIME_WAIT","by":"process","pid":7,"comm":"curl","netns":1,"count":11000}"#,
];

#[test]
fn states_sum_over_namespaces_and_keep_unknowns() {
    let model = model(&SOCKETS);
    let states = model.look.states().unwrap();
    assert_eq!(states[usize::from(TcpState::TimeWait.number())], Some(12_001));
    assert_eq!(states[usize::from(TcpState::Close.number())], None);
    assert_eq!(Model::default().look.states(), None);
    let holders = model.look.holders(TcpState::TimeWait, Grouping::Process);
    assert_eq!((holders[0].0.pid, holders[0].1), (Some(7), 11_000));
}

#[test]
fn old_intervals_expire_and_a_restarted_tool_has_no_history() {
    let later = r#"{"kind":"status","ts":"2026-01-02T03:05:06Z","tool":"t","attempted":5}"#;
    let mut lines = SOCKETS.to_vec();
    lines.push(later);
    let mut model = model(&lines);
    assert!(model.look.sockets.is_empty());
    let status =
        |attempted| Status { ts: Ts(1), tool: "t".into(), attempted, ..Default::default() };
    model.take(AnyRecord::Status(Box::new(status(9))));
    assert_eq!(model.tools["t"].before.as_ref().unwrap().attempted, 5);
    model.take(AnyRecord::Status(Box::new(status(2))));
    assert!(model.tools["t"].before.is_none());
}
