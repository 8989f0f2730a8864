//! Recordings of each tool: recorded values are shown, missing ones are not 0.

use tcpscope::dash::{Dash, Event, Progress, View};
use tcpscope::record::AnyRecord;

use super::text;

const COUNT: &str = include_str!("../golden/count.jsonl.snap");
const LATENCY: &str = include_str!("../golden/latency.jsonl.snap");
const LISTEN: &str = include_str!("../golden/listen.jsonl.snap");
const STATES: &str = include_str!("../golden/states.jsonl.snap");
const SUMMARY: &str = include_str!("../golden/summary.jsonl.snap");

/// A view of the lines of some kinds, played to their end.
fn shown(recording: &str, kinds: &[&str], view: View) -> String {
    let of = |line: &&str| kinds.iter().any(|k| line.starts_with(&format!("{{\"kind\":\"{k}\"")));
    // The last interval of tcpcount's is one in which nothing happened.
    let lines = recording.lines().filter(of).filter(|line| !line.contains("03:04:09"));
    let records: Vec<_> = lines.map(|line| AnyRecord::parse(line.as_bytes()).unwrap()).collect();
    assert!(!records.is_empty(), "{kinds:?}");
    let now = records.iter().map(AnyRecord::ts).max().unwrap();
    let mut dash = Dash::new("recording".to_owned(), false);
    dash.handle(Event::Resize(90, 30));
    dash.handle(Event::Records(records));
    dash.handle(Event::Progress(Progress { now, ended: true, ..Progress::default() }));
    dash.show(view);
    text(&mut dash)
}

#[test]
fn every_tool_has_its_view() {
    for (recording, kind, view, part) in [
        (COUNT, "count", View::Processes, "nginx"),
        (STATES, "state", View::Connections, "4242 curl"),
        (SUMMARY, "sockets", View::States, "TIME_WAIT by"),
        (SUMMARY, "close_wait", View::States, "≥"),
        (LATENCY, "latency", View::Latency, "accept "),
        (LATENCY, "exchange", View::Latency, "response"),
        (LISTEN, "listener", View::Listeners, "0.0.0.0:80"),
        (LISTEN, "listen_event", View::Listeners, "0.0.0.0:80"),
        (LISTEN, "listen_client", View::Overview, "listeners dropped"),
    ] {
        let screen = shown(recording, &[kind], view);
        assert!(screen.contains(part), "{kind}: no {part}:\n{screen}");
        for absent in ["no data yet", "not in this recording"] {
            assert!(!screen.contains(absent), "{kind}:\n{screen}");
        }
    }
}

#[test]
fn missing_records_show_as_unknown() {
    for (recording, kind, view) in [
        (COUNT, "count", View::Latency),
        (COUNT, "count", View::Listeners),
        (LATENCY, "latency", View::Connections),
        (LISTEN, "listener", View::Latency),
        (SUMMARY, "sockets", View::Listeners),
    ] {
        let screen = shown(recording, &[kind], view);
        assert!(screen.contains("not in this recording so far"), "{kind}:\n{screen}");
    }
    let screen = shown(LISTEN, &["listener"], View::Overview);
    let graph =
        |name: &str| screen.lines().rfind(|line| line.starts_with(name)).unwrap().to_owned();
    for name in ["sent", "opens", "retransmits", "sockets", "slowest peer"] {
        assert_eq!(graph(name).split_whitespace().last(), Some("-"), "{screen}");
    }
}
