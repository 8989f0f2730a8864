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
        r#"{"kind":"destination","ts":"2026-01-02T03:04:05Z","pid":7,"comm":"curl","laddr":"192.0.2.1","raddr":"192.0.2.7","rport":443,"local_ports_used":9,"local_ports_time_wait":8,"local_ports":10}"#,
        r#"{"kind":"destination","ts":"2026-01-02T03:04:05Z","raddr":"192.0.2.8","rport":443,"local_ports_used":7000,"local_ports_time_wait":7000,"local_ports":28232}"#,
        r#"{"kind":"mib","ts":"2026-01-02T03:04:05Z","interval_ns":1000000000,"out_segs":1000,"retrans_segs":25}"#,
        r#"{"kind":"status","ts":"2026-01-02T03:04:05Z","tool":"tcpstates","attempted":100,"lost":40}"#,
    ]);
    let texts: Vec<_> = findings(&model(&lines)).found.into_iter().map(|f| f.text).collect();
    assert_eq!(
        texts,
        [
            "0.0.0.0:80 of nginx (3) dropped 21 connections in the last minute: accept queue full at the SYN",
            "tcpstates: 40 lost of 100 events: its numbers are too low",
            "[::]:81 of nginx (3): accept queue at 4 of 5",
            "leaky (9) holds a socket in CLOSE_WAIT (peer closed, process did not); the oldest for at least 40.0s",
            "9 of 10 local ports in use towards 192.0.2.7:443, 8 of them in TIME_WAIT, most of curl (7): a connect without a free port fails with EADDRNOTAVAIL",
            "2.4 % of segments retransmitted (25 of 1025 in 1 s)",
        ]
    );
}

/// What no record tells of has not been checked.
#[test]
fn checks_are_told_apart_by_whether_there_were_data() {
    let nothing = findings(&Model::default());
    assert!(nothing.found.is_empty() && nothing.checked.is_empty());
    assert!(nothing.unchecked.contains(&"free local ports"));
    let mib = r#"{"kind":"mib","ts":"2026-01-02T03:04:05Z","interval_ns":1000000000,"attempt_fails":0,"out_segs":1,"retrans_segs":0}"#;
    let quiet = findings(&model(&[mib]));
    assert_eq!((quiet.found.len(), quiet.checked), (0, vec!["failed connects", "retransmits"]));
    let live = r#"{"kind":"status","ts":"2026-01-02T03:04:05Z","tool":"tcpdash"}"#;
    assert!(
        findings(&model(&[live])).unchecked.contains(&"free local ports"),
        "by an older version"
    );
    let mib = mib.replace(r#""out_segs""#, r#""orphans":0,"out_segs""#);
    assert!(findings(&model(&[live, &mib])).checked.contains(&"free local ports"));
}

fn counters(numbers: &str) -> Vec<String> {
    let line = format!(
        r#"{{"kind":"mib","ts":"2026-01-02T03:04:05Z","interval_ns":9000000000,{numbers}}}"#
    );
    findings(&model(&[&line])).found.into_iter().map(|finding| finding.text).collect()
}

#[test]
fn each_counter_of_trouble_is_a_finding() {
    for (numbers, text) in [
        (
            r#""attempt_fails":447,"active_opens":450,"passive_opens":0"#,
            "447 connects or half-open connections failed in 9 s (TcpAttemptFails), of 450 connects",
        ),
        (r#""tcp_time_wait_overflow":3"#, "3 connections went without TIME_WAIT in 9 s"),
        (r#""tcp_win_probe":2"#, "2 probes of a zero window in 9 s"),
        (r#""tcp_abort_on_memory":4"#, "4 connections reset in 9 s (TCPAbortOnMemory)"),
        (r#""orphans":30,"max_orphans":100"#, "30 orphans (closed by their process"),
    ] {
        let found = counters(numbers);
        assert!(found.len() == 1 && found[0].starts_with(text), "{numbers}: {found:?}");
    }
    for numbers in [
        r#""attempt_fails":4,"active_opens":4,"passive_opens":0"#,
        r#""attempt_fails":44,"active_opens":400,"passive_opens":100"#,
        r#""tcp_time_wait_overflow":0,"tcp_win_probe":0,"tcp_abort_on_memory":0"#,
        r#""orphans":30,"max_orphans":16384"#,
    ] {
        assert_eq!(counters(numbers), [""; 0], "{numbers}");
    }
}

/// `TcpOutSegs` leaves retransmits out, and `TcpRetransSegs` has SYNs and SYN-ACKs in it.
#[test]
fn a_share_is_of_all_segments_and_syns_are_apart() {
    assert_eq!(
        counters(
            r#""out_segs":100,"retrans_segs":100,"tcp_syn_retrans":20,"active_opens":40,"passive_opens":0"#
        ),
        [
            "40.0 % of segments retransmitted (80 of 200 in 9 s, and 20 SYNs or SYN-ACKs)",
            "20 SYNs or SYN-ACKs retransmitted in 9 s, with 40 connects and 0 accepted: each costs a second or more",
        ]
    );
    let listener = |port: u16| {
        format!(
            r#"{{"kind":"listener","ts":"2026-01-02T03:04:05Z","interval_ns":9000000000,"laddr":"0.0.0.0","lport":{port},"synack_retrans":4}}"#
        )
    };
    let mib = r#"{"kind":"mib","ts":"2026-01-02T03:04:05Z","interval_ns":9000000000,"tcp_syn_retrans":20,"active_opens":40,"passive_opens":0}"#;
    let lines = [listener(80), listener(81), mib.to_owned()];
    let found = findings(&model(&lines.iter().map(String::as_str).collect::<Vec<_>>())).found;
    assert!(found[0].text.starts_with("12 SYNs and 8 SYN-ACKs retransmitted in 9 s"), "{found:?}");
    let all = counters(r#""out_segs":0,"retrans_segs":50"#);
    assert_eq!(all, ["100.0 % of segments retransmitted (50 of 50 in 9 s)"]);
    assert_eq!(counters(r#""out_segs":10,"retrans_segs":2"#), [""; 0], "two may be chance");
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
