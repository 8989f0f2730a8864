use serde_json::Value;

use super::*;

/// What the tools print, as the golden tests have recorded it, must come back to the letter.
#[test]
fn tool_lines_round_trip() {
    let recorded = [
        include_str!("../../tests/golden/check.jsonl.snap"),
        include_str!("../../tests/golden/count.jsonl.snap"),
        include_str!("../../tests/golden/latency.jsonl.snap"),
        include_str!("../../tests/golden/listen.jsonl.snap"),
        include_str!("../../tests/golden/states.jsonl.snap"),
        include_str!("../../tests/golden/status.jsonl.snap"),
        include_str!("../../tests/golden/summary.jsonl.snap"),
    ];
    let mut kinds = std::collections::BTreeSet::new();
    let lines = recorded.iter().flat_map(|text| text.lines());
    for line in lines.filter(|line| line.starts_with('{')) {
        let record = AnyRecord::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}"));
        let mut back = Vec::new();
        record.line(&mut back);
        let [back, line]: [Value; 2] =
            [&back[..], line.as_bytes()].map(|text| serde_json::from_slice(text).unwrap());
        kinds.insert(line["kind"].as_str().unwrap().to_owned());
        assert_eq!(back, line);
    }
    let expected = [
        "advice",
        "close_wait",
        "closing",
        "count",
        "exchange",
        "facts",
        "hook",
        "latency",
        "listen_client",
        "listen_event",
        "listener",
        "sockets",
        "state",
        "status",
        "tool",
    ];
    assert!(kinds.iter().map(String::as_str).eq(expected), "{kinds:?}");
}

#[test]
fn damaged_lines_have_a_reason() {
    let reason = |line: &str| AnyRecord::parse(line.as_bytes()).unwrap_err().to_string();
    assert_eq!(reason("{}"), "no \"kind\": not a line of this kit");
    assert_eq!(reason("{\"kind\":\"future\"}"), "kind \"future\" is not known to this version");
    assert_eq!(reason("{\"kind\":\"note\"}"), "no \"ts\": time unknown");
    assert!(reason("{\"kind\":\"count\",\"ts\"").starts_with("EOF while parsing"));
    assert!(reason("hello").starts_with("expected value (column 1)"));
    let line = r#"{"kind":"note","ts":"yesterday","text":""}"#;
    assert!(reason(line).contains("RFC 3339"), "{}", reason(line));
    let line = r#"{"kind":"count","ts":"2026-01-02T03:04:05Z","tx_calls":-1}"#;
    assert!(reason(line).contains("invalid value"), "{}", reason(line));
}

#[test]
fn keys_can_be_missing_null_unknown_or_reordered() {
    let line = r#"{"ts":"2026-01-02T03:04:05.5Z","new_key":[1],"lport":null,"kind":"listener"}"#;
    let AnyRecord::Listener(listener) = AnyRecord::parse(line.as_bytes()).unwrap() else {
        panic!()
    };
    assert_eq!(listener.ts, Ts(1_767_323_045_500_000_000));
    assert_eq!(listener.accept_now, None);
}
