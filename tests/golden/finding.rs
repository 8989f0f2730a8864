//! Findings, as JSON and as a page.

use tcpscope::findings::{Finding, explain, findings, page};
use tcpscope::model::Model;
use tcpscope::record::AnyRecord;
use tcpscope::report::{Format, Ts};

use super::{NOW, check, printed, sections};

/// A client without local ports, an accept queue that was full, a leak and a risky setting.
const LINES: [&str; 5] = [
    r#"{"kind":"destination","ts":"2026-01-02T03:04:05Z","pid":7,"comm":"cu\u001brl","laddr":"192.0.2.1","raddr":"192.0.2.7","rport":443,"netns":1,"local_ports_used":10,"local_ports_time_wait":8,"local_ports":10}"#,
    r#"{"kind":"listener","ts":"2026-01-02T03:04:05Z","laddr":"0.0.0.0","lport":80,"netns":1,"pid":3,"comm":"nginx","accept_peak":5,"accept_limit":4,"drops_total":21,"drops_accept":21,"drops_accept_syn":20,"drops_accept_ack":1,"drops_syn":0,"drops_other":0}"#,
    r#"{"kind":"close_wait","ts":"2026-01-02T03:04:05Z","pid":9,"comm":"leaky","netns":1,"age_at_least_ns":40000000000}"#,
    r#"{"kind":"settings","ts":"2026-01-02T03:04:05Z","netns":1,"range_first":40000,"range_last":40009,"ports":10,"tw_reuse":2,"timestamps":1,"somaxconn":4096,"abort_on_overflow":false,"syncookies":0}"#,
    r#"{"kind":"status","ts":"2026-01-02T03:04:05Z","tool":"tcpstates","attempted":100,"lost":40}"#,
];

fn all() -> Vec<Finding> {
    let mut model = Model::default();
    for line in LINES {
        model.take(AnyRecord::parse(line.as_bytes()).unwrap());
    }
    model.settle();
    let mut all = findings(&model).found;
    for finding in &mut all {
        finding.ts = Ts(NOW);
    }
    all
}

#[test]
fn json() {
    let print = |to: &mut tcpscope::report::Printer| {
        for finding in &all() {
            to.record(finding, "").unwrap();
        }
    };
    check("finding.jsonl", &printed(Format::Json, print));
}

#[test]
fn text() {
    let pages = all().iter().map(|one| page::finding(one, 80)).collect::<Vec<_>>().join("\n");
    let parts = ["close-wait-held", "Connection refused"];
    let stories = parts.map(|text| (text.to_owned(), page::answer(&explain(text).unwrap(), 80)));
    check("finding.txt", &sections([("findings".to_owned(), pages)].into_iter().chain(stories)));
}
