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
    let states = model.states().unwrap();
    assert_eq!(states[usize::from(TcpState::TimeWait.number())], Some(12_001));
    assert_eq!(states[usize::from(TcpState::Close.number())], None);
    assert_eq!(Model::default().states(), None);
    let holders = model.holders(TcpState::TimeWait, Grouping::Process);
    assert_eq!((holders[0].0.pid, holders[0].1), (Some(7), 11_000));
}

#[test]
fn findings_are_sorted_worst_first() {
    let mut lines = SOCKETS.to_vec();
    lines.extend([
        r#"{"kind":"close_wait","ts":"2026-01-02T03:04:05Z","pid":9,"comm":"leaky","netns":1,"age_at_least_ns":40000000000}"#,
        r#"{"kind":"listener","ts":"2026-01-02T03:04:05Z","laddr":"0.0.0.0","lport":80,"pid":3,"comm":"nginx","accept_peak":5,"accept_limit":4,"drops_total":21,"drops_accept_syn":20,"drops_accept_ack":1}"#,
        r#"{"kind":"listener","ts":"2026-01-02T03:04:05Z","laddr":"::","lport":81,"pid":3,"comm":"nginx","accept_peak":4,"accept_limit":5,"drops_total":0}"#,
        r#"{"kind":"mib","ts":"2026-01-02T03:04:05Z","interval_ns":1000000000,"out_segs":1000,"retrans_segs":25}"#,
        r#"{"kind":"status","ts":"2026-01-02T03:04:05Z","tool":"tcpstates","attempted":100,"lost":40}"#,
    ]);
    let texts: Vec<_> = findings(&model(&lines)).into_iter().map(|f| f.text).collect();
    assert_eq!(
        texts,
        [
            "0.0.0.0:80 of nginx (3) dropped 21 connections in the last minute: accept queue full at the SYN",
            "tcpstates: 40 lost of 100 events: its numbers are too low",
            "[::]:81 of nginx (3): accept queue at 4 of 5",
            "leaky (9) holds a socket in CLOSE_WAIT (peer closed, process did not); the oldest for at least 40.0s",
            "12001 sockets in TIME_WAIT, 11000 of curl (7)",
            "2.4 % of segments retransmitted (25 of 1025 in 1 s)",
        ]
    );
    assert_eq!(findings(&Model::default()), []);
}

#[test]
fn old_intervals_expire_and_a_restarted_tool_has_no_history() {
    let later = r#"{"kind":"status","ts":"2026-01-02T03:05:06Z","tool":"t","attempted":5}"#;
    let mut lines = SOCKETS.to_vec();
    lines.push(later);
    let mut model = model(&lines);
    assert!(model.sockets.is_empty());
    let status =
        |attempted| Status { ts: Ts(1), tool: "t".into(), attempted, ..Default::default() };
    model.take(AnyRecord::Status(Box::new(status(9))));
    assert_eq!(model.tools["t"].before.as_ref().unwrap().attempted, 5);
    model.take(AnyRecord::Status(Box::new(status(2))));
    assert!(model.tools["t"].before.is_none());
}
