use super::*;
use crate::dash::filter;
use crate::dash::model::Model;
use crate::group::Grouping;
use crate::record::AnyRecord;
use crate::tcp_state::TcpState;

const LINES: &str = r#"
{"kind":"count","ts":"2026-01-02T03:04:05Z","pid":7,"by":"connection","comm":"curl","laddr":"10.0.0.1","lport":50000,"raddr":"10.0.0.2","rport":443,"netns":1,"interval_ns":1000000000,"tx_bytes":100}
{"kind":"count","ts":"2026-01-02T03:04:05Z","pid":7,"by":"connection","comm":"curl","laddr":"10.0.0.1","lport":50001,"raddr":"10.0.0.3","rport":80,"netns":1,"interval_ns":1000000000,"tx_bytes":10}
{"kind":"count","ts":"2026-01-02T03:04:05Z","by":"connection","total":true,"interval_ns":1000000000,"tx_bytes":110}
{"kind":"sockets","ts":"2026-01-02T03:04:05Z","state":"TIME_WAIT","by":"process","pid":8,"comm":"ab","netns":1,"count":5}
{"kind":"state","ts":"2026-01-02T03:04:04Z","pid":7,"comm":"curl","laddr":"10.0.0.1","lport":50000,"raddr":"10.0.0.2","rport":443,"netns":1,"old":"SYN_SENT","new":"ESTABLISHED","cookie":1}
{"kind":"latency","ts":"2026-01-02T03:04:05Z","latency_kind":"response","by":"process","pid":7,"comm":"curl","count":3,"p99_ns":5000}
"#;

fn model(more: &str) -> Model {
    let mut model = Model::default();
    for line in LINES.lines().chain(more.lines()).filter(|line| !line.is_empty()) {
        model.take(AnyRecord::parse(line.as_bytes()).unwrap());
    }
    model
}

#[test]
fn a_process_row_combines_all_record_kinds() {
    let rows = processes(&model(""), None);
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].traffic.unwrap().sums.tx_bytes, 110, "connections add up");
    assert_eq!((rows[0].response_p99, rows[0].sockets), (Some(5000), None));
    assert_eq!(rows[1].in_state(TcpState::TimeWait), Some(5));
    assert_eq!(rows[1].traffic.unwrap().sums.tx_bytes, 0, "it was not among the busy");
}

#[test]
fn truncated_lists_do_not_show_idle_processes() {
    let other = r#"{"kind":"count","ts":"2026-01-02T03:04:05Z","by":"connection","other":true,"interval_ns":1000000000,"tx_bytes":1}"#;
    let rows = processes(&model(other), None);
    assert_eq!(rows[1].traffic, None);
    assert_eq!(rows[0].traffic.unwrap().sums.tx_bytes, 110, "(other) has no owner");
}

#[test]
fn a_connection_has_its_state_from_changes() {
    let mut rows = connections(&model(""), None);
    rows.sort_by_key(TableRow::id);
    assert_eq!((rows[0].state, rows[0].age), (Some(TcpState::Established), Some(1_000_000_000)));
    assert_eq!((rows[1].state, rows[1].age), (None, None));
}

#[test]
fn a_stall_is_over_when_the_next_look_does_not_show_it() {
    let look = r#"{"kind":"sockets","ts":"2026-01-02T03:04:05.1Z","state":"LISTEN","count":1}"#;
    let stall = r#"{"kind":"stall","ts":"2026-01-02T03:04:05.2Z","pid":7,"comm":"curl","laddr":"10.0.0.1","lport":50001,"raddr":"10.0.0.3","rport":80,"netns":1,"state":"ESTABLISHED","why":"zero_window","stalled_ns":4000000000,"stalled_at_least_ns":4000000000}"#;
    let known = model(&[look, stall].join("\n"));
    let stalled = |model: &Model| -> Vec<_> {
        let rows = connections(model, None).into_iter();
        rows.filter_map(|row| Some((row.key.rport, row.stall?.why))).collect()
    };
    assert_eq!(stalled(&known), [(Some(80), Some(crate::stall::Why::ZeroWindow))]);
    let again = look.replace("05.1Z", "06.1Z");
    assert_eq!(stalled(&model(&[look, stall, &again].join("\n"))), []);
}

#[test]
fn ports_of_destinations_and_not_of_sums_are_shown_and_filtered() {
    let row = |by: &str, rport: &str| {
        format!(
            r#"{{"kind":"ports","ts":"2026-01-02T03:04:05Z","pid":7,"comm":"curl","laddr":"10.0.0.1","raddr":"10.0.0.2","rport":{rport},"netns":1,"by":{by},"used":9,"taken":10,"ports":10,"no_port":2}}"#
        )
    };
    let lines = [row("null", "443"), row("\"remote\"", "null"), row("null", "80")].join("\n");
    let model = model(&lines);
    assert_eq!(ports(&model, None).len(), 2);
    let filter = filter::read("rport:80").unwrap();
    let rows = ports(&model, filter.as_ref());
    assert_eq!(rows.iter().map(|row| row.key.rport).collect::<Vec<_>>(), [Some(80)]);
    // Failures come before a full range without any.
    assert!(rows[0].busy() > Some(1024) && rows[0].busy() < Some(4096));
}

#[test]
fn an_endpoint_filter_selects_their_processes() {
    let model = model("");
    let pids = |text: &str| -> Vec<_> {
        let filter = filter::read(text).unwrap();
        processes(&model, filter.as_ref()).iter().map(|row| row.key.pid).collect()
    };
    assert_eq!(pids("--rport 443"), [Some(7)]);
    assert_eq!(pids("--rport 444"), []);
    assert_eq!(pids("ab"), [Some(8)]);
    let filter = filter::read("--rport 80").unwrap();
    assert_eq!(connections(&model, filter.as_ref()).len(), 1);
    assert_eq!(latencies(&model, Grouping::Process, filter.as_ref()).len(), 0);
}

#[test]
fn drops_are_those_of_a_minute_and_unknown_where_nothing_watches() {
    assert_eq!(connections(&model(""), None)[0].drops, None);
    assert_eq!(processes(&model(""), None)[0].drops, None);
    let drops = r#"
{"kind":"drop_sum","ts":"2026-01-02T03:04:04Z","pid":7,"by":"connection","comm":"curl","laddr":"10.0.0.1","lport":50000,"raddr":"10.0.0.2","rport":443,"netns":1,"interval_ns":1000000000,"drop_reason":"TCP_CSUM","drops":2}
{"kind":"drop_sum","ts":"2026-01-02T03:04:05Z","pid":7,"by":"connection","comm":"curl","laddr":"10.0.0.1","lport":50000,"raddr":"10.0.0.2","rport":443,"netns":1,"interval_ns":1000000000,"drop_reason":"TCP_OLD_SEQUENCE","drops":1}
{"kind":"drop_sum","ts":"2026-01-02T03:04:05Z","pid":9,"by":"connection","comm":"nginx","laddr":"10.0.0.1","lport":80,"raddr":"10.0.0.9","rport":5000,"netns":1,"interval_ns":1000000000,"drop_reason":"NETFILTER_DROP","drops":4}
{"kind":"drop_sum","ts":"2026-01-02T03:04:05Z","by":"connection","total":true,"interval_ns":1000000000,"drops":5}
"#;
    let model = model(drops);
    let mut rows = connections(&model, None);
    rows.sort_by_key(|row| row.key.lport);
    let seen: Vec<_> = rows.iter().map(|row| (row.key.lport, row.drops)).collect();
    assert_eq!(seen, [(Some(50000), Some(3)), (Some(50001), Some(0))], "no connection, no row");
    let rows = processes(&model, None);
    let seen: Vec<_> = rows.iter().map(|row| (row.key.pid, row.drops)).collect();
    assert_eq!(seen, [(Some(7), Some(3)), (Some(8), Some(0)), (Some(9), Some(4))]);
    assert!(rows[2].key.comm.is_some(), "a listener's process has drops alone");
}

#[test]
fn a_process_shows_the_connects_of_the_last_interval() {
    let connect = |second: u32, pid: u32| {
        format!(
            r#"{{"kind":"latency","ts":"2026-01-02T03:04:{second:02}Z","latency_kind":"connect","role":"client","by":"process","pid":{pid},"comm":"curl","interval_ns":1000000000,"count":3,"refused":2,"timed_out":1,"failed":0}}"#
        )
    };
    let of = |model: &Model, pid| {
        let rows = processes(model, None);
        let row = rows.iter().find(|row| row.key.pid == Some(pid)).unwrap().clone();
        (row.opens, row.failed)
    };
    let measured = model(&connect(5, 7));
    assert_eq!(of(&measured, 7), (Some(6), Some(3)));
    assert_eq!(of(&measured, 8), (None, None), "it may have made some that were not recorded");
    let older = model(&connect(3, 7));
    assert_eq!(of(&older, 7), (None, None), "they are of another interval");
    let live = r#"{"kind":"status","ts":"2026-01-02T03:04:05Z","tool":"tcpdash","version":"0","kernel":"6.1","final":false,"attempted":0,"delivered":0,"lost":0,"filtered":0,"pending":0,"attach":{"listener-queues":"iterator","sockets":"iterator"}}"#;
    let live = model(&format!("{}\n{live}", connect(5, 7)));
    assert_eq!((of(&live, 7), of(&live, 8)), ((Some(6), Some(3)), (Some(0), Some(0))));
}
