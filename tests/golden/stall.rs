//! Connections that do not move, and all connections.

use std::sync::Arc;

use tcpscope::report::{Format, TableView};
use tcpscope::stall::{
    Age, Blocked, Conn, EndedStall, Stall, StallBy, StallEnd, StallModel, StallOutcome, StallShare,
    StallShares, Stalled, Why,
};
use tcpscope::tcp_state::TcpState;
use tcpscope::wire::{CONN_BLOCKED, ConnEntry, DURATION_UNKNOWN, SendLimit, SockTimer};

use super::{NOW, SECOND, check, comm, flow, printed, sections, snapshot_on_terminal};

const MS: u64 = SECOND / 1000;
const V6: &str = "[2001:db8:85a3::8a2e:370:7334]:5432";

fn conn(owner: (u32, &str), ends: (&str, &str)) -> ConnEntry {
    ConnEntry {
        sk: owner.0.into(),
        pid: owner.0,
        comm: comm(owner.1.as_bytes()),
        flow: flow(ends.0, ends.1),
        state: TcpState::Established.number(),
        ktime: 1000 * SECOND,
        delivered: 7 * SECOND,
        limited: 9 * SECOND,
        heard: 7 * SECOND,
        received: 12 * SECOND,
        read: DURATION_UNKNOWN,
        resent: DURATION_UNKNOWN,
        timer: DURATION_UNKNOWN,
        rto: 204 * MS,
        rto_max: 120 * SECOND,
        snd_wnd: 65_536,
        rcv_wnd: 64_256,
        mss: 1448,
        cwnd: 10,
        ssthresh: 0x7fff_ffff,
        srtt: 1250,
        rttvar: 300,
        rtt_min: 900,
        sndbuf: 87_040,
        rcvbuf: 131_072,
        algorithm: comm(b"cubic"),
        retries: 15,
        keepalive_probes: 9,
        pacing_rate: u64::MAX,
        ..ConnEntry::default()
    }
}

/// A peer that does not read, one that is gone, a process that does not read, an idle one with a
/// hostile name.
fn connections() -> [ConnEntry; 4] {
    let sender = (4242, "replicator");
    let closed = ConnEntry {
        unsent: 621_192,
        snd_wnd: 0,
        limit: SendLimit::Rwnd as u8,
        busy: 3016 * MS,
        rwnd_limited: 2972 * MS,
        pending: SockTimer::Probe as u8,
        timer: 300 * MS,
        wmem: 700_000,
        delivery_rate: 271_800,
        flags: u8::try_from(CONN_BLOCKED).unwrap(),
        blocked: 6800 * MS,
        pacing_rate: 1_250_000_000,
        ..conn(sender, ("192.0.2.10:40000", "198.51.100.7:443"))
    };
    let gone = ConnEntry {
        unacked: 7,
        packets_out: 1,
        retransmits: 5,
        backoff: 5,
        resent: 6500 * MS,
        heard: 3600 * SECOND,
        limited: 7 * SECOND,
        limit: SendLimit::Busy as u8,
        busy: 7 * SECOND,
        rto: 6528 * MS,
        cwnd: 1,
        in_flight: 1,
        ssthresh: 7,
        ca_state: 4,
        flags: u8::try_from(CONN_BLOCKED).unwrap(),
        blocked: DURATION_UNKNOWN,
        pending: SockTimer::Retrans as u8,
        timer: 6344 * MS,
        total_retrans: 6,
        cookie: 4711,
        ..conn(sender, ("192.0.2.10:40001", "198.51.100.9:443"))
    };
    let reader = ConnEntry {
        unread: 2_000_000,
        received: 65 * SECOND,
        read: 64 * SECOND,
        srtt: 0,
        rtt_min: u32::MAX,
        state: TcpState::CloseWait.number(),
        ..conn((666, "\u{1b}[2J"), ("[2001:db8::1]:40000", V6))
    };
    [closed, gone, reader, conn((0, ""), ("192.0.2.10:40002", "198.51.100.9:443"))]
}

fn stalls() -> Vec<Stall> {
    let mut model = StallModel::new(SECOND, 4_000_000);
    model.begin(1000 * SECOND);
    let seen = connections().map(|conn| (conn, model.see(&conn)));
    let age = Age { least: 90_061 * SECOND, exact: false };
    let unknown = Stalled { why: None, age, deadline: None, blocked: Blocked::Unknown };
    let more = [(conn((1, "init"), ("[::1]:1", "[::1]:2")), Some(unknown))];
    let found = seen.into_iter().chain(more).filter_map(|(conn, found)| Some((conn, found?)));
    let mut rows: Vec<_> = found
        .map(|(conn, found)| Stall {
            netns_name: Some(Arc::from("blue")),
            ..Stall::new(NOW, &conn, &found, Some(Arc::from("/system.slice")))
        })
        .collect();
    rows.sort_by_cached_key(Stall::order);
    assert!(rows.iter().any(|row| row.why == Some(Why::PeerGone)));
    rows
}

fn all() -> Vec<Conn> {
    let mut rows: Vec<_> = connections().iter().map(|conn| Conn::new(NOW, conn, None)).collect();
    rows.sort_by_cached_key(Conn::order);
    rows
}

/// Each of the stalls, with another end.
fn ends() -> Vec<StallEnd> {
    let [closed, gone, reader, _] = connections();
    let end = |conn, why, outcome, exact, errno| EndedStall {
        conn,
        why: Some(why),
        ended: 1001 * SECOND,
        least: 7 * SECOND,
        exact,
        outcome,
        errno,
    };
    let known = Some(7060 * MS);
    [
        end(closed, Why::ZeroWindow, Some(StallOutcome::Acknowledged), known, None),
        end(gone, Why::PeerGone, Some(StallOutcome::TimedOut), Some(924_640 * MS), Some(110)),
        end(reader, Why::Reader, Some(StallOutcome::Read), None, None),
        end(reader, Why::Reader, None, None, None),
    ]
    .iter()
    .map(|ended| StallEnd {
        netns_name: Some(Arc::from("blue")),
        ..StallEnd::new(NOW, ended, Some(Arc::from("/system.slice")))
    })
    .collect()
}

/// The first look and a second one a second later, in which more was sent.
fn shares(by: StallBy) -> Vec<StallShare> {
    let mut shares = StallShares::new(by);
    let mut model = StallModel::new(SECOND, 4_000_000);
    let mut rows = Vec::new();
    for more in [0, 400 * MS] {
        model.begin(1000 * SECOND);
        for mut conn in connections() {
            conn.busy += more;
            conn.rwnd_limited += more / 4;
            let stalled = model.see(&conn);
            shares.see(&conn, stalled.as_ref());
        }
        model.end();
        rows.extend(shares.rows(NOW, more * 5 / 2));
    }
    rows
}

#[test]
fn table() {
    let view = TableView::default();
    let of = |what: &str, width: usize| format!("tcpstall{what}, {width} columns");
    let stalled =
        [60, 100, 220].map(|width| (of("", width), snapshot_on_terminal(width, &view, &stalls())));
    let every =
        [100, 260].map(|width| (of(" --all", width), snapshot_on_terminal(width, &view, &all())));
    let sums = [("process", StallBy::Process), ("remote", StallBy::Remote)].map(|(name, by)| {
        let view = TableView { hide: StallShare::hidden(by), ..TableView::default() };
        (of(&format!(" --by {name}"), 120), snapshot_on_terminal(120, &view, &shares(by)))
    });
    let ended = [60, 160]
        .map(|width| (of(" --events", width), snapshot_on_terminal(width, &view, &ends())));
    check("stall.txt", &sections(stalled.into_iter().chain(every).chain(sums).chain(ended)));
}

#[test]
fn json() {
    let text = printed(Format::Json, |printer| {
        printer.rows(&TableView::default(), &stalls()).unwrap();
        printer.rows(&TableView::default(), &all()).unwrap();
        printer.rows(&TableView::default(), &shares(StallBy::Process)).unwrap();
        printer.rows(&TableView::default(), &shares(StallBy::Remote)).unwrap();
        printer.rows(&TableView::default(), &ends()).unwrap();
    });
    check("stall.jsonl", &text);
}
