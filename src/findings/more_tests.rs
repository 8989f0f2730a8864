//! Fixtures of rules that look at connections, interfaces, latencies and endings: each with one beside it
//! that must not find anything.

use super::tests::{ids, model};
use super::*;

const LIVE: &str = r#"{"kind":"status","ts":"2026-01-02T03:04:05Z","tool":"t","attach":{"listener-queues":"iterator","sockets":"iterator","connections":"iterator"}}"#;

fn line(kind: &str, keys: &str) -> String {
    format!(r#"{{"kind":"{kind}","ts":"2026-01-02T03:04:05Z",{keys}}}"#)
}

fn found(lines: &[String]) -> Vec<Finding> {
    let mut all = vec![LIVE];
    all.extend(lines.iter().map(String::as_str));
    findings(&model(&all)).found
}

fn rules(lines: &[String]) -> Vec<String> {
    found(lines).into_iter().map(|one| one.rule.into()).collect()
}

fn stall(keys: &str) -> String {
    let ends = r#""pid":7,"comm":"curl","netns":1,"laddr":"192.0.2.1","lport":40000,"raddr":"192.0.2.7","rport":443"#;
    line("stall", &format!("{ends},{keys}"))
}

#[test]
fn connections_that_do_not_move_name_their_process_and_destination() {
    for (rule, bad) in [
        ("peer-window-zero", r#""why":"zero_window","stalled_at_least_ns":2000000000"#),
        ("half-open", r#""why":"peer_gone","attempt":3,"dies_in_ns":900000000000"#),
        ("half-open", r#""why":"keepalive","attempt":2"#),
        ("send-buffer-short", r#""why":"send_buffer""#),
        ("reader-stuck", r#""why":"reader","unread_bytes":70000,"stalled_at_least_ns":2000000000"#),
    ] {
        let found = found(&[stall(bad)]);
        assert_eq!(found.len(), 1, "{rule}: {found:#?}");
        let one = &found[0];
        assert_eq!(
            (&*one.rule, one.pid, one.rport, one.netns),
            (rule, Some(7), Some(443), Some(1))
        );
        assert_eq!(one.raddr, Some([192, 0, 2, 7].into()));
    }
    for good in [
        r#""why":"reader","unread_bytes":7000,"stalled_at_least_ns":9000000000"#,
        r#""why":"reader","unread_bytes":70000,"stalled_at_least_ns":1900000000"#,
        r#""why":"congestion","stalled_at_least_ns":9000000000"#,
        r#""why":"loss","attempt":1,"unacked_bytes":2000,"mss":1448"#,
    ] {
        assert_eq!(rules(&[stall(good)]), [""; 0], "{good}");
    }
}

#[test]
fn closed_connections_without_an_answer_are_counted() {
    let closed = |port: u16| {
        stall(r#""why":"peer_gone","state":"FIN_WAIT1","attempt":3"#)
            .replace("40000", &port.to_string())
    };
    let lines: Vec<_> = (40_000..40_003).map(closed).collect();
    let found = found(&lines);
    assert_eq!((found.len(), &*found[0].rule), (1, "orphans-waiting"));
    assert!(found[0].text.contains("3 connections are closed"), "{}", found[0].text);
    assert_eq!(rules(&lines[..2]), [""; 0], "two have just closed");
}

#[test]
fn a_path_that_lets_small_segments_through_is_a_black_hole() {
    let full = stall(r#""why":"peer_gone","attempt":3,"unacked_bytes":20000,"mss":1448"#);
    let count = |lport: u16, keys: &str| {
        line(
            "count",
            &format!(
                r#""by":"connection","netns":1,"laddr":"192.0.2.1","lport":{lport},"raddr":"192.0.2.7","rport":443,{keys}"#
            ),
        )
    };
    let answered = count(41_000, r#""segs_in":9,"tx_bytes":90"#);
    assert_eq!(rules(&[full.clone(), answered.clone()]), ["path-mtu-black-hole"]);
    let large = count(42_000, r#""segs_in":90,"tx_bytes":90000"#);
    assert_eq!(rules(&[full.clone(), answered, large]), ["half-open"], "one gets through");
    let silent = count(41_000, r#""segs_in":0,"tx_bytes":90"#);
    assert_eq!(rules(&[full, silent]), ["half-open"], "nothing is answered");
}

#[test]
fn drops_below_tcp_name_the_interface() {
    let drops = |dropped: u64| {
        line(
            "interface",
            &format!(
                r#""netns":1,"interface":"eth0","interval_ns":1000000000,"rx_dropped":{dropped}"#
            ),
        )
    };
    let one = &found(&[drops(20)])[0];
    assert_eq!((&*one.rule, one.netns), ("interface-drops", Some(1)));
    assert!(
        one.text
            .starts_with("packets of interface eth0 in the last seconds: 20 received and dropped"),
        "{}",
        one.text
    );
    assert_eq!(rules(&[drops(19)]), [""; 0]);
    let spoiled = line("mib", r#""netns":1,"interval_ns":9000000000,"in_csum_errors":5"#);
    let from = |host: u8, drops: u64| {
        let ends =
            format!(r#""laddr":"192.0.2.1","lport":80,"raddr":"192.0.2.{host}","rport":4000"#);
        let keys = format!(
            r#""by":"connection",{ends},"netns":1,"drop_reason":"TCP_CSUM","drops":{drops}"#
        );
        line("drop_sum", &keys)
    };
    let one = &found(&[from(7, 4), from(8, 1), spoiled.clone()])[0];
    assert_eq!((&*one.rule, one.raddr), ("checksum-errors", Some([192, 0, 2, 7].into())));
    assert!(one.text.ends_with("in 9 s; most from 192.0.2.7"), "{}", one.text);
    assert_eq!(found(&[from(7, 2), from(8, 2), spoiled])[0].raddr, None);
    let queues =
        |drops: u64| line("mib", &format!(r#""interval_ns":9000000000,"cpu_queue_drops":{drops}"#));
    assert_eq!(rules(&[queues(5)]), ["cpu-queue-drops"]);
    assert_eq!(rules(&[queues(4)]), [""; 0]);
}

#[test]
fn a_listener_whose_process_has_no_file_descriptor_left_is_not_merely_full() {
    let listener = line(
        "listener",
        r#""netns":1,"lport":80,"pid":3,"comm":"nginx","accept_now":5,"accept_peak":5,"accept_limit":5,"drops_total":9,"drops_accept":9"#,
    );
    let files = |files: u64| {
        line("files", &format!(r#""pid":3,"comm":"nginx","files":{files},"files_max":1024"#))
    };
    assert_eq!(rules(&[files(1024), listener.clone()]), ["accept-out-of-files"]);
    let one = &found(&[files(1024), listener.clone()])[0];
    assert!(one.remedy.contains("/proc/3/fd") && one.verify.contains("/proc/3/limits"), "{one:?}");
    let few = line("files", r#""pid":3,"comm":"nginx","files":9,"files_max":3"#);
    let one = &found(&[few, listener.clone()])[0];
    assert!(one.remedy.starts_with("raise its limit"), "{one:?}");
    assert_eq!(rules(&[files(1023), listener]), ["accept-queue-full"]);
}

fn latency(kind: &str, role: &str, by: &str, keys: &str) -> String {
    line(
        "latency",
        &format!(
            r#""latency_kind":"{kind}","role":"{role}","by":"{by}","interval_ns":1000000000,{keys}"#
        ),
    )
}

#[test]
fn who_is_slow_follows_from_response_round_trip_and_service() {
    let response = |ms: u64| {
        latency(
            "response",
            "client",
            "remote",
            &format!(r#""raddr":"192.0.2.7","count":9,"p50_ns":{ms}000000"#),
        )
    };
    let trip = |ms: u64| {
        latency(
            "rtt",
            "client",
            "remote",
            &format!(r#""raddr":"192.0.2.7","count":9,"p50_ns":{ms}000000,"min_ns":{ms}000000"#),
        )
    };
    assert_eq!(rules(&[response(300), trip(1)]), ["slow-peer"]);
    assert_eq!(rules(&[response(300), trip(150)]), ["slow-network"]);
    assert_eq!(rules(&[response(199), trip(1)]), [""; 0]);
    assert_eq!(rules(&[response(300)]), [""; 0], "without a round trip neither is to blame");
    let service = |count: u64| {
        latency(
            "service",
            "server",
            "process",
            &format!(r#""pid":9,"comm":"app","count":{count},"p50_ns":250000000"#),
        )
    };
    assert_eq!(rules(&[service(5)]), ["slow-service"]);
    // The same delay, seen by its client on this host, and by one that asks another host.
    let here = [response(300), trip(1)].map(|line| line.replace("192.0.2.7", "127.0.0.1"));
    let both = |lines: &[String; 2]| found(&[service(5), lines[0].clone(), lines[1].clone()]);
    let is_known = |found: &[Finding]| {
        found[1].text.ends_with("the peer is slow. app (9) of this host takes as long")
    };
    assert!(is_known(&both(&here)), "{:?}", both(&here));
    assert!(!is_known(&both(&[response(300), trip(1)])), "of another host");
    let slower = response(900).replace("192.0.2.7", "127.0.0.1");
    assert!(!is_known(&both(&[slower, here[1].clone()])), "another process must be the slow one");
    assert_eq!(rules(&[service(4)]), [""; 0]);
}

#[test]
fn one_process_with_most_bytes_is_named_where_they_are_many() {
    let count = |by: &str, keys: &str, bytes: u64| {
        line(
            "count",
            &format!(
                r#""by":"{by}","interval_ns":1000000000,{keys},"tx_bytes":{bytes},"rx_bytes":0"#
            ),
        )
    };
    let traffic = |bytes: u64| {
        [
            count("process", r#""pid":7,"comm":"rsync""#, bytes),
            count("process", r#""pid":8,"comm":"sshd""#, 1000),
            count("process", r#""total":true"#, bytes + 1000),
        ]
    };
    let one = &found(&traffic(200_000_000))[0];
    assert_eq!((&*one.rule, one.pid), ("bandwidth-of-one-process", Some(7)));
    assert!(one.text.starts_with("rsync (7) moves 100 % of "), "{}", one.text);
    assert_eq!(rules(&traffic(100_000_000)), [""; 0]);
}

#[test]
fn endings_at_the_same_age_are_told_from_those_by_chance() {
    let life = |age_ms: u64, keys: &str| {
        line(
            "life",
            &format!(
                r#""pid":7,"comm":"curl","lport":40000,"raddr":"192.0.2.7","rport":443,"life_ns":{age_ms}000000,{keys}"#
            ),
        )
    };
    let cut = r#""end":"reset_received","waiting":false"#;
    let same: Vec<_> = (0..6).map(|n| life(60_000 + n * 100, cut)).collect();
    let one = &found(&same)[0];
    assert_eq!((&*one.rule, one.pid, one.rport), ("same-age-endings", Some(7), Some(443)));
    assert!(one.text.contains(" were reset, at an age of 1m0"), "{}", one.text);
    assert!(one.because.contains("a firewall"), "a device may have sent the resets");
    let here: Vec<_> = same.iter().map(|line| line.replace("192.0.2.7", "127.0.0.1")).collect();
    assert!(!found(&here)[0].because.contains("firewall"), "none is within a host");
    let gone = cut.replace("reset_received", "timeout_keepalive");
    let gone: Vec<_> = (0..6).map(|n| life(60_000 + n * 100, &gone)).collect();
    assert!(found(&gone)[0].because.contains("the kernel of this side gave each up"));
    let others = (0..2).map(|n| life(600_000 + n, r#""end":"closed_by_peer","waiting":false"#));
    let mixed: Vec<_> = (0..10).map(|n| life(60_000 + n, cut)).chain(others).collect();
    assert!(found(&mixed)[0].text.contains(" were reset, "), "those of another age do not count");
    assert_eq!(rules(&same[..4]), [""; 0], "few");
    let any: Vec<_> = (0..6).map(|n| life(60_000 + n * 20_000, cut)).collect();
    assert_eq!(rules(&any), [""; 0]);
    let ours: Vec<_> = (0..6).map(|n| life(60_000 + n, r#""end":"closed_by_us""#)).collect();
    assert_eq!(rules(&ours), [""; 0]);
    let waiting = r#""end":"closed_by_peer","waiting":true"#;
    let unanswered: Vec<_> = (0..5).map(|n| life(60_000 + n * 20_000, waiting)).collect();
    assert_eq!(rules(&unanswered), ["requests-unanswered"]);
    let one = &found(&unanswered)[0];
    assert!(one.text.contains(" were closed by the other side while a request waited"), "{one:?}");
    assert!(!one.because.contains("a device"), "none on the way closes");
    assert_eq!(one.number("longest_ns"), None);
    assert_eq!(rules(&unanswered[..4]), [""; 0]);
    // Clients close after the last answer, or after a time of their own.
    let of_server = |line: &String| {
        let client = r#""lport":40000,"raddr":"192.0.2.7","rport":443"#;
        line.replace(client, r#""lport":443,"raddr":"192.0.2.7","rport":40000"#)
    };
    let served: Vec<_> = unanswered.iter().map(of_server).collect();
    assert_eq!(rules(&served), [""; 0]);
    let closed: Vec<_> = (0..6).map(|n| life(60_000 + n, waiting)).collect();
    assert_eq!(rules(&closed), ["same-age-endings", "requests-unanswered"]);
    let closed: Vec<_> = closed.iter().map(of_server).collect();
    assert_eq!(rules(&closed), [""; 0]);
}

#[test]
fn a_bound_port_is_shown_as_long_as_it_is() {
    let bound = line("bound", r#""pid":7,"comm":"app","laddr":"0.0.0.0","lport":80,"netns":1"#);
    let settings = line("settings", r#""netns":1,"bound_unused":1"#);
    assert_eq!(rules(&[bound.clone(), settings.clone()]), ["port-bound-not-listening"]);
    let later = settings.replace("04:05Z", "04:06Z");
    assert_eq!(rules(&[bound, settings, later]), [""; 0], "the next look did not find it");
}

#[test]
fn many_in_time_wait_are_told_before_ports_are_few() {
    let destination = |waiting: u64| {
        line(
            "destination",
            &format!(
                r#""pid":7,"comm":"probe","raddr":"192.0.2.7","rport":443,"netns":1,"local_ports_used":{waiting},"local_ports_time_wait":{waiting},"local_ports":100"#
            ),
        )
    };
    assert_eq!(ids(&[&destination(50)]), ["time-wait-many"]);
    assert_eq!(ids(&[&destination(49)]), [""; 0]);
    assert_eq!(ids(&[&destination(80)]), ["local-ports-used-up"]);
}

/// What one namespace does is no average of all.
#[test]
fn each_namespace_is_judged_by_its_own_counters() {
    let part = |netns: u32, keys: &str| {
        line("mib", &format!(r#""netns":{netns},"part":true,"interval_ns":9000000000,{keys}"#))
    };
    let lossy = r#""out_segs":900,"retrans_segs":100"#;
    let well = r#""out_segs":1000000,"retrans_segs":3"#;
    let sum = line("mib", r#""interval_ns":9000000000,"out_segs":1000900,"retrans_segs":103"#);
    let found = found(&[part(7, lossy), part(8, well), sum.clone()]);
    assert_eq!(
        (found.len(), &*found[0].rule, found[0].netns),
        (1, "segments-retransmitted", Some(7))
    );
    assert!(found[0].text.starts_with("10.0 % of segments retransmitted (100 of 1000"));
    assert_eq!(rules(&[sum]), [""; 0], "the sum alone does not tell");
}
