use super::*;
use crate::record::AnyRecord;

pub fn model(lines: &[&str]) -> Model {
    let mut model = Model::default();
    for line in lines {
        model.take(AnyRecord::parse(line.as_bytes()).unwrap_or_else(|e| panic!("{e}: {line}")));
    }
    model.settle();
    model
}

const SOCKETS: [&str; 1] = [
    r#"{"kind":"sockets","ts":"2026-01-02T03:04:05Z","state":"TIME_WAIT","by":null,"netns":1,"count":12000}"#,
];

fn texts(found: Vec<Finding>) -> Vec<String> {
    found.into_iter().map(|finding| finding.text.into()).collect()
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
    assert_eq!(
        texts(findings(&model(&lines)).found),
        [
            "0.0.0.0:80 of nginx (3) dropped 21 attempts to connect in the last minute: accept queue full at the SYN",
            "tcpstates: 40 lost of 100 events: its numbers are too low",
            "[::]:81 of nginx (3): accept queue at 4 of 5",
            "leaky (9) holds a socket in CLOSE_WAIT (peer closed, process did not); the oldest for at least 40.0s",
            "9 of 10 local ports in use towards 192.0.2.7:443, 8 of them in TIME_WAIT, most of curl (7): a connect that finds no free port fails with EADDRNOTAVAIL",
            "2.4 % of segments retransmitted (25 of 1025 in 1 s)",
        ]
    );
}

/// What no record is about has not been checked.
#[test]
fn checks_are_told_apart_by_whether_there_were_data() {
    let nothing = findings(&Model::default());
    assert!(nothing.found.is_empty() && nothing.checked.is_empty());
    assert!(nothing.unchecked.contains(&"free local ports"));
    let mib = r#"{"kind":"mib","ts":"2026-01-02T03:04:05Z","interval_ns":1000000000,"attempt_fails":0,"out_segs":1,"retrans_segs":0}"#;
    let quiet = findings(&model(&[mib]));
    assert_eq!((quiet.found.len(), quiet.checked), (0, vec!["failed connects", "retransmits"]));
    let live = r#"{"kind":"status","ts":"2026-01-02T03:04:05Z","tool":"t","attach":{"listener-queues":"iterator","sockets":"iterator"}}"#;
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
    texts(findings(&model(&[&line])).found)
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
        (r#""tcp_abort_on_timeout":5"#, "5 connections given up without an answer in 9 s"),
        (
            r#""tcp_to_zero_window_adv":3,"tcp_from_zero_window_adv":2"#,
            "3 receive windows became zero in 9 s, and 2 opened again",
        ),
        (r#""rcv_pruned":1"#, "1 segment dropped as a receive buffer was full in 9 s"),
        (r#""ip_reverse_path_filter":5"#, "5 packets dropped by rp_filter in 9 s"),
        (r#""in_csum_errors":5"#, "5 segments with a wrong checksum in 9 s"),
        (
            r#""out_rsts":10,"active_opens":0,"tcp_abort_on_data":4,"tcp_abort_on_close":6"#,
            "10 resets sent in 9 s; 4 by close() with SO_LINGER 0, or for data that came after it; 6 by close() with unread data",
        ),
    ] {
        let found = counters(numbers);
        assert!(found.len() == 1 && found[0].starts_with(text), "{numbers}: {found:?}");
    }
    for numbers in [
        r#""attempt_fails":4,"active_opens":4,"passive_opens":0"#,
        r#""attempt_fails":44,"active_opens":400,"passive_opens":100"#,
        r#""tcp_time_wait_overflow":0,"tcp_win_probe":0,"tcp_abort_on_memory":0"#,
        r#""orphans":30,"max_orphans":16384"#,
        r#""tcp_abort_on_timeout":4,"rcv_pruned":0,"ip_reverse_path_filter":4,"in_csum_errors":4"#,
        r#""tcp_to_zero_window_adv":3,"tcp_from_zero_window_adv":3"#,
        r#""out_rsts":9,"active_opens":0,"tcp_abort_on_data":9"#,
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
            "20 SYNs or SYN-ACKs retransmitted in 9 s, with 40 connects: each costs a second or more",
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

/// Rules that find something in a line, each once.
pub fn ids(lines: &[&str]) -> Vec<String> {
    findings(&model(lines)).found.into_iter().map(|finding| finding.rule.into()).collect()
}

fn settings(keys: &str) -> String {
    format!(r#"{{"kind":"settings","ts":"2026-01-02T03:04:05Z","netns":1,{keys}}}"#)
}

#[test]
fn risky_settings_and_full_tables_are_findings() {
    for (rule, bad, good) in [
        ("syncookies-off", r#""syncookies":0"#, r#""syncookies":1"#),
        ("abort-on-overflow", r#""abort_on_overflow":true"#, r#""abort_on_overflow":false"#),
        (
            "tw-reuse-without-timestamps",
            r#""tw_reuse":1,"timestamps":0"#,
            r#""tw_reuse":2,"timestamps":0"#,
        ),
        ("tw-recycle", r#""syncookies":1,"tw_recycle":1"#, r#""syncookies":1,"tw_recycle":null"#),
        ("port-range-narrow", r#""ports":9999"#, r#""ports":28232"#),
        (
            "conntrack-full",
            r#""conntrack":90,"conntrack_max":100"#,
            r#""conntrack":89,"conntrack_max":100"#,
        ),
        (
            "tcp-memory",
            r#""tcp_pages":7,"tcp_pages_pressure":6,"tcp_pages_max":9"#,
            r#""tcp_pages":6,"tcp_pages_pressure":6,"tcp_pages_max":9"#,
        ),
    ] {
        assert_eq!(ids(&[&settings(bad)]), [rule]);
        assert_eq!(ids(&[&settings(good)]), [""; 0], "{rule}");
        assert!(
            findings(&model(&[&settings(good)])).rules.contains(&rule),
            "{rule} was looked for"
        );
        assert!(!findings(&Model::default()).rules.contains(&rule), "{rule} needs data");
    }
    let listener = |limit: u64| {
        format!(
            r#"{{"kind":"listener","ts":"2026-01-02T03:04:05Z","netns":1,"lport":80,"accept_limit":{limit},"drops_total":0}}"#
        )
    };
    let short = settings(r#""somaxconn":128"#);
    assert_eq!(ids(&[&short, &listener(128)]), ["somaxconn-short"]);
    assert_eq!(ids(&[&short, &listener(127)]), [""; 0]);
    assert_eq!(ids(&[&settings(r#""somaxconn":4096"#), &listener(4096)]), [""; 0]);
}

#[test]
fn a_remedy_has_the_settings_of_its_namespace() {
    let destination = r#"{"kind":"destination","ts":"2026-01-02T03:04:05Z","netns":1,"raddr":"192.0.2.7","rport":443,"local_ports_used":10,"local_ports":10}"#;
    let own = settings(r#""range_first":40000,"range_last":40009,"tw_reuse":2"#);
    let other = own.replace(r#""netns":1"#, r#""netns":2"#).replace("40009", "60000");
    let found = findings(&model(&[destination, &own, &other])).found;
    let now = ". Now: net.ipv4.ip_local_port_range = 40000 40009, net.ipv4.tcp_tw_reuse = 2";
    assert!(found[0].remedy.ends_with(now), "{}", found[0].remedy);
    assert_eq!((found[0].netns, found[0].rport), (Some(1), Some(443)));
}

#[test]
fn many_in_close_wait_are_a_leak_sooner() {
    let held = |sockets: u64, seconds: u64| {
        let oldest = format!(
            r#"{{"kind":"close_wait","ts":"2026-01-02T03:04:05Z","pid":9,"comm":"leaky","netns":1,"age_ns":{seconds}000000000}}"#
        );
        let sum = format!(
            r#"{{"kind":"sockets","ts":"2026-01-02T03:04:05Z","state":"CLOSE_WAIT","by":"process","pid":9,"comm":"leaky","netns":1,"count":{sockets}}}"#
        );
        ids(&[&oldest, &sum])
    };
    assert_eq!(held(10, 5), ["close-wait-held"]);
    assert_eq!(held(1, 30), ["close-wait-held"]);
    assert_eq!((held(10, 4), held(9, 29)), (vec![], vec![]));
}

#[test]
fn the_cause_of_drops_decides_about_the_rule() {
    let listener = |drops: &str| {
        ids(&[&format!(
            r#"{{"kind":"listener","ts":"2026-01-02T03:04:05Z","lport":80,"pid":3,"comm":"nginx",{drops}}}"#
        )])
    };
    let full = r#""drops_total":9,"drops_accept":8,"drops_syn":1,"drops_other":0"#;
    assert_eq!(listener(full), ["accept-queue-full"]);
    let syn = r#""drops_total":9,"drops_accept":1,"drops_syn":8,"drops_other":0"#;
    assert_eq!(listener(syn), ["syn-queue-full"]);
    assert_eq!(listener(r#""drops_total":0,"cookies":9"#), ["syn-cookies-sent"]);
    assert_eq!(listener(r#""drops_total":0,"cookies":0"#), [""; 0]);
    assert_eq!(listener(r#""drops_total":9"#), ["connections-dropped"]);
    assert_eq!(listener(r#""drops_total":0"#), [""; 0]);
    assert_eq!(
        listener(r#""drops_total":0,"accept_peak":8,"accept_limit":10"#),
        ["accept-queue-filling"]
    );
    assert_eq!(listener(r#""drops_total":0,"accept_peak":7,"accept_limit":10"#), [""; 0]);
}

#[test]
fn ids_are_unique_and_every_rule_has_its_story() {
    let ids: std::collections::BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
    assert_eq!(ids.len(), RULES.len());
    for rule in RULES {
        let parts = [rule.title, rule.why, rule.remedy, rule.effect, rule.verify, rule.needs];
        assert!(parts.iter().all(|part| !part.is_empty() && !part.ends_with('.')), "{}", rule.id);
        assert!(rule.id.chars().all(|c| c.is_ascii_lowercase() || c == '-'), "{}", rule.id);
    }
}

#[test]
fn texts_of_errors_lead_to_rules() {
    for (text, name) in [
        ("curl: (56) Recv failure: Connection reset by peer", "ECONNRESET"),
        ("EADDRNOTAVAIL", "EADDRNOTAVAIL"),
        ("dial tcp 10.0.0.1:80: connect: cannot assign requested address", "EADDRNOTAVAIL"),
        ("ETIMEDOUT", "ETIMEDOUT"),
        ("eaddrinuse", "EADDRINUSE"),
        ("Connection refused", "ECONNREFUSED"),
        ("write: broken pipe", "EPIPE"),
        ("nf_conntrack: table full, dropping packet", "nf_conntrack: table full"),
        ("TCP: request_sock_TCP: Possible SYN flooding on port 80.", "possible SYN flooding"),
        ("TCP: too many orphaned sockets", "too many orphaned sockets"),
        ("TCP: time wait bucket table overflow", "time wait bucket table overflow"),
    ] {
        match explain(text) {
            Ok(Answer::Error(error)) => assert_eq!(error.names[0], name, "{text}"),
            other => panic!("{text}: {other:?}"),
        }
    }
    assert!(
        matches!(explain(" Close-Wait-Held "), Ok(Answer::Rule(rule)) if rule.id == "close-wait-held")
    );
    assert_eq!(explain("local-port-used-up").unwrap_err()[0], "local-ports-used-up");
    assert_eq!(explain("x").unwrap_err().len(), 5);
}

#[test]
fn failures_and_losses_name_the_destination_with_most() {
    let connects = |by: &str, key: &str| {
        format!(
            r#"{{"kind":"latency","ts":"2026-01-02T03:04:05Z","interval_ns":1000000000,"latency_kind":"connect","by":"{by}",{key},"refused":7}}"#
        )
    };
    let lines = [
        connects("remote", r#""raddr":"192.0.2.7""#),
        connects("process", r#""pid":7,"comm":"curl""#),
        r#"{"kind":"count","ts":"2026-01-02T03:04:05Z","by":"connection","raddr":"192.0.2.9","retrans_segs":9}"#.into(),
        r#"{"kind":"mib","ts":"2026-01-02T03:04:05Z","interval_ns":1000000000,"attempt_fails":8,"active_opens":8,"out_segs":90,"retrans_segs":10}"#.into(),
    ];
    let found = findings(&model(&lines.iter().map(String::as_str).collect::<Vec<_>>())).found;
    let of = |rule: &str| found.iter().find(|one| one.rule == rule).unwrap();
    let failed = of("connects-failed");
    assert!(failed.text.ends_with("; most to 192.0.2.7; most by curl (7)"), "{failed:?}");
    assert_eq!((failed.pid, failed.raddr), (Some(7), Some([192, 0, 2, 7].into())));
    assert_eq!(of("segments-retransmitted").raddr, Some([192, 0, 2, 9].into()));
}

const TIME: &str = r#""ts":"2026-01-02T03:04:05Z""#;

fn refused(port: u16) -> String {
    format!(
        r#"{{"kind":"life",{TIME},"pid":7,"comm":"curl","raddr":"192.0.2.7","rport":{port},"end":"refused","state":"SYN_SENT"}}"#
    )
}

fn failed_connects(resets: u32) -> String {
    format!(
        r#"{{"kind":"mib",{TIME},"interval_ns":1000000000,"attempt_fails":20,"active_opens":20,"out_rsts":{resets}}}"#
    )
}

fn found(lines: &[String]) -> Vec<Finding> {
    findings(&model(&lines.iter().map(String::as_str).collect::<Vec<_>>())).found
}

#[test]
fn a_sample_of_failed_connects_names_port_process_and_reason() {
    let sample = |port: u16, count: usize| vec![refused(port); count];
    let mib = vec![failed_connects(0)];
    let all = found(&[sample(80, 4), sample(81, 12), mib.clone()].concat());
    assert!(all[0].text.ends_with("; most of curl (7): 192.0.2.7:81 refuses them"), "{all:?}");
    assert_eq!((all[0].pid, all[0].rport), (Some(7), Some(81)));
    let few = found(&[sample(81, 9), mib.clone()].concat());
    assert!(
        few[0].text.ends_with("0 accepted"),
        "less than half say nothing of the others: {few:?}"
    );
    // A process each: the destination is the same.
    let each = (1..=20).map(|pid| refused(80).replace("\"pid\":7", &format!("\"pid\":{pid}")));
    let each = found(&[each.collect(), mib].concat());
    assert!(each[0].text.ends_with("; most: 192.0.2.7:80 refuses them"), "{each:?}");
}

#[test]
fn connects_that_wait_name_their_destination() {
    let waits = |lport: u16| {
        format!(
            r#"{{"kind":"socket",{TIME},"state":"SYN_SENT","pid":7,"comm":"curl","laddr":"192.0.2.1","lport":{lport},"raddr":"192.0.2.9","rport":80,"age_ns":2000000000}}"#
        )
    };
    let syns = format!(
        r#"{{"kind":"mib",{TIME},"interval_ns":1000000000,"active_opens":2,"tcp_syn_retrans":8}}"#
    );
    let found = found(&[waits(1), waits(2), syns]);
    let text = &found[0].text;
    let end = ". At the last look 2 connects of curl (7) waited for 192.0.2.9:80";
    assert!(text.ends_with(end), "{found:?}");
}

/// The same event is not two findings, or the one that says why goes first.
#[test]
fn findings_of_one_event_know_each_other() {
    let rules = |lines: &[String]| -> Vec<String> {
        found(lines).into_iter().map(|one| one.rule.into()).collect()
    };
    let here: Vec<_> = (0..20).map(|_| refused(80).replace("192.0.2.7", "127.0.0.1")).collect();
    let with = |lines: &[String], mib: String| rules(&[lines.to_vec(), vec![mib]].concat());
    assert_eq!(with(&here, failed_connects(20)), ["connects-failed"]);
    let busy = |fails: u32| {
        let numbers = format!(r#""attempt_fails":{fails},"active_opens":900"#);
        format!(r#"{{"kind":"mib",{TIME},"interval_ns":9000000000,{numbers}}}"#)
    };
    let one = found(&[here.clone(), vec![busy(20)]].concat()).remove(0);
    assert_eq!((&*one.rule, one.severity), ("connects-failed", Some(Severity::Remark)));
    assert!(one.remedy.starts_with("start what should listen there"), "{one:?}");
    assert_eq!(with(&[], busy(20)), [""; 0], "to any place");
    assert_eq!(with(&here[..9], busy(9)), [""; 0], "few");
    let both = ["connects-failed", "resets-sent"];
    assert_eq!(with(&here, failed_connects(21)), both, "more resets than connects refused here");
    let there: Vec<_> = (0..20).map(|_| refused(80)).collect();
    assert_eq!(with(&there, failed_connects(20)), both, "refused by another host");
    let aborts = r#""out_rsts":20,"tcp_abort_on_close":9"#;
    let mib = failed_connects(20).replace(r#""out_rsts":20"#, aborts);
    assert_eq!(with(&here, mib), both, "a process resets, too");
    let unanswered = (1..=5).map(|port| {
        format!(
            r#"{{"kind":"life",{TIME},"pid":7,"comm":"curl","lport":{},"raddr":"127.0.0.1","rport":80,"end":"reset_received","waiting":true}}"#,
            40_000 + port
        )
    });
    let resets = format!(
        r#"{{"kind":"mib",{TIME},"interval_ns":1000000000,"out_rsts":24,"tcp_abort_on_close":24}}"#
    );
    let lines: Vec<_> = unanswered.chain([resets]).collect();
    assert_eq!(rules(&lines), ["resets-sent", "requests-unanswered"]);
    let lost = format!(
        r#"{{"kind":"count",{TIME},"by":"connection","raddr":"192.0.2.7","retrans_segs":9}}"#
    );
    let mib = format!(
        r#"{{"kind":"mib",{TIME},"interval_ns":1000000000,"out_segs":90,"retrans_segs":10}}"#
    );
    let gone = format!(
        r#"{{"kind":"stall",{TIME},"pid":7,"comm":"curl","laddr":"192.0.2.1","lport":40001,"raddr":"192.0.2.7","rport":80,"why":"peer_gone","state":"ESTABLISHED","stalled_at_least_ns":9000000000}}"#
    );
    let lines = [lost, mib, gone];
    let all = found(&lines);
    assert_eq!(rules(&lines), ["half-open", "segments-retransmitted"]);
    assert_eq!(all[1].severity, Some(Severity::Remark));
}

/// A queue that the program has made short is not made longer by a setting.
#[test]
fn a_short_backlog_is_what_limits_a_queue() {
    let listener = |limit: u32| {
        format!(
            r#"{{"kind":"listener",{TIME},"laddr":"0.0.0.0","lport":80,"pid":3,"comm":"web","netns":1,"accept_peak":1,"accept_limit":{limit},"syn_limit":{limit},"drops_total":5,"drops_accept_syn":5,"drops_accept_ack":0}}"#
        )
    };
    let settings = format!(r#"{{"kind":"settings",{TIME},"netns":1,"somaxconn":128}}"#);
    let remedy = |limit: u32| -> String {
        let found = found(&[listener(limit), settings.clone()]);
        found.into_iter().find(|one| one.rule == "accept-queue-full").unwrap().remedy.into()
    };
    assert!(remedy(4).contains("a backlog above 4 in the program's configuration, up to 128 "));
    assert!(remedy(128).contains("raise the backlog of listen() and net.core.somaxconn"));
}
